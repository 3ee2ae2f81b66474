package io.github.idiolect.android

import android.app.job.JobInfo
import android.app.job.JobParameters
import android.app.job.JobScheduler
import android.app.job.JobService
import android.content.ComponentName
import android.content.Context
import android.util.Log
import io.github.idiolect.AttendEvent
import io.github.idiolect.AttendSettings
import io.github.idiolect.Attendance
import io.github.idiolect.LearnOutcome
import io.github.idiolect.PersonalEngine
import io.github.idiolect.defaultPolicy
import java.util.concurrent.TimeUnit
import kotlinx.coroutines.CoroutineScope
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.Job
import kotlinx.coroutines.SupervisorJob
import kotlinx.coroutines.cancel
import kotlinx.coroutines.ensureActive
import kotlinx.coroutines.flow.firstOrNull
import kotlinx.coroutines.launch

/**
 * Trains while the phone is charging and nobody uses it. The system starts and stops it; a training that is stopped leaves a
 * checkpoint, and the next run goes on from there to the same bits. Heat, power saving, memory and the minutes of the day
 * are the policy's to judge, by a [DeviceWatch].
 *
 * An app declares a subclass in its manifest, with `android:permission="android.permission.BIND_JOB_SERVICE"`, and
 * [schedule]s it once the person has agreed to learning:
 *
 * ```
 * class Training : PersonalTrainingJob() {
 *     override suspend fun engine() = (application as App).engine()
 * }
 * ```
 */
public abstract class PersonalTrainingJob : JobService() {
    private val scope = CoroutineScope(SupervisorJob() + Dispatchers.Default)
    private var run: Job? = null

    /** The engine to train with: the one that the process has open, or a new one. The job does not close it. */
    protected abstract suspend fun engine(): PersonalEngine

    /** When and how to train; by default as [defaultPolicy] has it. */
    protected open fun settings(): AttendSettings = AttendSettings(defaultPolicy())

    /** A training ended here. It is called away from the main thread. */
    protected open fun onOutcome(outcome: LearnOutcome): Unit = Unit

    /**
     * Something kept it from training: an `EngineError`, or what [engine], [settings] or [onOutcome] threw. The system runs
     * the job again after a while. It is logged where the app has nothing else to do.
     */
    protected open fun onError(error: Exception) {
        Log.w("idiolect", "a training job ended early", error)
    }

    /** The phone is idle and charging: it trains, or goes on where it paused. */
    final override fun onStartJob(parameters: JobParameters): Boolean {
        run = scope.launch {
            val again = try {
                attend(engine(), idle = waitsForIdle(parameters))
            } catch (error: Exception) {
                // Stopped by the system, it is not waited for.
                ensureActive()
                onError(error)
                true
            }
            jobFinished(parameters, again)
        }
        return true
    }

    /** The phone is in use again, or off its charger, or the job had its time: the training pauses with a checkpoint. */
    final override fun onStopJob(parameters: JobParameters): Boolean {
        run?.cancel()
        return true
    }

    /** The system is done with the job: what is under way pauses. */
    override fun onDestroy() {
        scope.cancel()
        super.onDestroy()
    }

    /** That the device is idle, where the system starts the job only then and stops it otherwise; else nothing is known. */
    private fun waitsForIdle(parameters: JobParameters): Boolean? =
        scheduler(this).getPendingJob(parameters.jobId)?.isRequireDeviceIdle?.takeIf { it }

    /** Attends to one training; whether the system shall run the job again before its next period. */
    private suspend fun attend(engine: PersonalEngine, idle: Boolean?): Boolean = DeviceWatch(this, idle, engine::pushSignals).use {
        var again = true
        // Where the engine is closed meanwhile, or attended to by the app, there is no last event.
        engine.attend(settings()).firstOrNull { event ->
            when (event) {
                is AttendEvent.Progress -> false
                is AttendEvent.Ended -> {
                    onOutcome(event.outcome)
                    again = event.outcome is LearnOutcome.Paused
                    true
                }
                is AttendEvent.State -> {
                    again = event.attendance !is Attendance.NothingToLearn
                    event.attendance.endsTheRun()
                }
            }
        }
        again
    }

    private fun Attendance.endsTheRun() = when (this) {
        is Attendance.Off, is Attendance.Preparing, is Attendance.Training, is Attendance.Pausing -> false
        else -> true
    }

    public companion object {
        private val PERIOD_MS = TimeUnit.HOURS.toMillis(6)

        /**
         * Has the system run [service] a few times a day while the phone is charging and idle, after restarts too. Scheduled
         * already, there is nothing to do. False when the system refuses.
         *
         * @param id a number that no other job of the app has.
         */
        public fun schedule(context: Context, service: Class<out PersonalTrainingJob>, id: Int): Boolean {
            val scheduler = scheduler(context)
            if (scheduler.getPendingJob(id) != null) return true
            val job = JobInfo.Builder(id, ComponentName(context, service))
                .setRequiresCharging(true)
                .setRequiresDeviceIdle(true)
                .setPersisted(true)
                .setPeriodic(PERIOD_MS)
                .build()
            return scheduler.schedule(job) == JobScheduler.RESULT_SUCCESS
        }

        /** Has it run no more; a run under way is stopped. */
        public fun cancel(context: Context, id: Int): Unit = scheduler(context).cancel(id)

        private fun scheduler(context: Context) = context.systemService<JobScheduler>()
    }
}
