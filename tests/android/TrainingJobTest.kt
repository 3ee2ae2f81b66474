import android.app.ActivityManager
import android.app.job.JobInfo
import android.app.job.JobScheduler
import android.content.Intent
import android.os.BatteryManager
import android.os.PowerManager
import io.github.idiolect.AttendSettings
import io.github.idiolect.EngineError
import io.github.idiolect.LearnOutcome
import io.github.idiolect.LearnSettings
import io.github.idiolect.PersonalEngine
import io.github.idiolect.PersonalHistory
import io.github.idiolect.TrainEvent
import io.github.idiolect.TrainSettings
import io.github.idiolect.android.AppModel
import io.github.idiolect.android.DeviceWatch
import io.github.idiolect.android.PersonalTrainingJob
import io.github.idiolect.android.open
import io.github.idiolect.android.profileFolder
import io.github.idiolect.defaultPolicy
import io.github.idiolect.sample.ModelFolder
import io.github.idiolect.sample.SampleApp
import io.github.idiolect.sample.TrainingJob
import kotlinx.coroutines.flow.first
import kotlinx.coroutines.flow.toList
import org.junit.Before
import org.junit.Test
import org.junit.runner.RunWith
import org.robolectric.Robolectric
import org.robolectric.RobolectricTestRunner
import org.robolectric.RuntimeEnvironment
import org.robolectric.Shadows.shadowOf
import org.robolectric.util.ReflectionHelpers

/** The nightly training: scheduled, started and stopped as the system does it. */
@RunWith(RobolectricTestRunner::class)
class TrainingJobTest {
    private val app get() = RuntimeEnvironment.getApplication() as SampleApp
    private val scheduler get() = app.getSystemService(JobScheduler::class.java)

    /** A job whose engine and rate of learning the test gives. */
    class NightJob : PersonalTrainingJob() {
        override suspend fun engine() = trouble?.let { throw it } ?: checkNotNull(night)

        override fun settings() = AttendSettings(defaultPolicy(), settings)

        override fun onOutcome(outcome: LearnOutcome) {
            outcomes += outcome
        }

        override fun onError(error: Exception) {
            errors += error
        }
    }

    @Before
    fun night() {
        TestKeystore.install()
        outcomes.clear()
        errors.clear()
        trouble = null
        shadowOf(app.getSystemService(PowerManager::class.java)).turnScreenOn(false)
        val memory = ActivityManager.MemoryInfo().apply { availMem = 4L shl 30 }
        shadowOf(app.getSystemService(ActivityManager::class.java)).setMemoryInfo(memory)
        battery(plugged = true)
    }

    @Test
    fun `agreeing schedules it, for the charger and an idle phone, after restarts too`() {
        same("jobs", 0, scheduler.allPendingJobs.size)
        app.setLearning(true)
        val job: JobInfo = scheduler.allPendingJobs.single()
        check(job.isRequireCharging && job.isRequireDeviceIdle && job.isPersisted && job.isPeriodic)
        same("service", TrainingJob::class.java.name, job.service.className)
        app.setLearning(true)
        same("jobs", 1, scheduler.allPendingJobs.size)
        // A force stop takes it; the next start schedules it, where the person has agreed.
        scheduler.cancelAll()
        app.onCreate()
        same("jobs", 1, scheduler.allPendingJobs.size)
        app.setLearning(false)
        app.onCreate()
        same("jobs", 0, scheduler.allPendingJobs.size)
        shadowOf(scheduler).failOnJob(job.id)
        same("scheduled", false, app.setLearning(true))
    }

    @Test
    fun `the system's word for an idle phone stands where its job waits for one`() {
        shadowOf(app.getSystemService(PowerManager::class.java)).turnScreenOn(true)
        night = engine("idle")
        val (_, byItself) = start()
        until("it ends, for the screen is on") { shadowOf(byItself).isJobFinished }
        check(shadowOf(byItself).isRescheduleNeeded && outcomes.isEmpty()) { "$outcomes" }
        check(PersonalTrainingJob.schedule(app, NightJob::class.java, 0))
        val (_, byConstraint) = start()
        until("it trains though the screen is on, as a screen saver's") { shadowOf(byConstraint).isJobFinished }
        check(outcomes.single() is LearnOutcome.Finished) { "$outcomes" }
        checkNotNull(night).close()
    }

    @Test
    fun `whatever keeps it from training, it ends and is run again`() {
        for (thrown in listOf(
            EngineError.WrongKey("no key", null),
            IllegalStateException("the app's own"),
            java.util.concurrent.CancellationException("of another scope than the job's"),
        )) {
            trouble = thrown
            val (_, job) = start()
            until("it ends for $thrown") { shadowOf(job).isJobFinished }
            check(shadowOf(job).isRescheduleNeeded) { "$thrown" }
            same<Exception>("told", thrown, errors.single())
            errors.clear()
        }
        trouble = null
        night = engine("ended")
        val ended = checkNotNull(night)
        for ((how, end) in listOf<Pair<String, suspend () -> Unit>>(
            "the app attends" to { ended.attend(AttendSettings(defaultPolicy(), settings)).first() },
            "it is closed" to { ended.shutDown() },
        )) {
            val (_, job) = start()
            until("it trains") { ended.state is io.github.idiolect.EngineState.Training }
            awaited { end() }
            until("the job ends where $how") { shadowOf(job).isJobFinished }
            check(shadowOf(job).isRescheduleNeeded && errors.isEmpty()) { "$how: $errors" }
        }
    }

    @Test
    fun `the device is told of, and told again when it changes`() {
        val told = java.util.concurrent.CopyOnWriteArrayList<io.github.idiolect.DeviceSignals>()
        DeviceWatch(app, push = told::add).use { watch ->
            val now = told.first()
            same("charging, idle, saving", listOf(true, true, false), listOf(now.charging, now.idle, now.lowPower))
            same("battery", 0.8f, now.battery)
            same("memory", (4uL shl 30), now.freeMemory)
            battery(plugged = false)
            until("the charger's news") { told.last().charging == false }
            same("asked", false, watch.signals().charging)
        }
    }

    @Test
    fun `a training that the system stops goes on to the same bits`() {
        // The parts of a history are drawn by the profile's key: both have the same.
        engine("disturbed").let { awaited { it.shutDown() } }
        profileFolder(app, "disturbed").copyRecursively(profileFolder(app, "undisturbed"))
        val undisturbed = engine("undisturbed")
        val events = awaited { undisturbed.train(settings).toList() }
        check(events.last() is TrainEvent.Finished) { "${events.last()}" }
        val wanted = awaited { undisturbed.adapters.list() }.versions.single().sha256
        undisturbed.close()

        night = engine("disturbed")
        val first = start()
        until("the third step") { (state() as? io.github.idiolect.EngineState.Training)?.let { it.step >= 3uL } == true }
        check(first.second.onStopJob(first.first)) { "the system would not run it again" }
        until("its pause") { state() == io.github.idiolect.EngineState.Idle }
        same("finished jobs", emptyList<LearnOutcome>(), outcomes.filterIsInstance<LearnOutcome.Finished>())
        check(awaited { checkNotNull(night).hasPausedTraining() }) { "no checkpoint" }
        first.second.onDestroy()
        // The process dies, and another one comes.
        awaited { checkNotNull(night).shutDown() }
        night = engine("disturbed")
        start()
        until("its end") { outcomes.any { it is LearnOutcome.Finished } }
        val report = outcomes.filterIsInstance<LearnOutcome.Finished>().single().report
        check(report.resumed) { "it began anew" }
        same("bits", wanted, awaited { checkNotNull(night).adapters.list() }.versions.single().sha256)
        checkNotNull(night).close()
    }

    private fun state() = checkNotNull(night).state

    private fun start(): Pair<android.app.job.JobParameters, NightJob> {
        val job = Robolectric.buildService(NightJob::class.java).create().get()
        val parameters = ReflectionHelpers.newInstance(android.app.job.JobParameters::class.java)
        check(job.onStartJob(parameters)) { "it did nothing" }
        return parameters to job
    }

    private fun engine(profile: String): PersonalEngine = awaited {
        PersonalEngine.open(app, AppModel.Stored(ModelFolder(app).unpacked()), profile = profile).also {
            if (it.history.stats().total.messages == 0uL) {
                it.history.addAll(PersonalHistory.readJsonl(System.getProperty("idiolect.history")!!).samples.take(300))
            }
        }
    }

    private fun battery(plugged: Boolean) {
        val state = Intent(Intent.ACTION_BATTERY_CHANGED)
            .putExtra(BatteryManager.EXTRA_PLUGGED, if (plugged) BatteryManager.BATTERY_PLUGGED_AC else 0)
            .putExtra(BatteryManager.EXTRA_LEVEL, 80)
            .putExtra(BatteryManager.EXTRA_SCALE, 100)
        @Suppress("DEPRECATION")
        app.sendStickyBroadcast(state)
    }

    private companion object {
        var night: PersonalEngine? = null
        var trouble: Exception? = null
        val errors = java.util.concurrent.CopyOnWriteArrayList<Exception>()
        val outcomes = java.util.concurrent.CopyOnWriteArrayList<LearnOutcome>()
        val settings = LearnSettings(train = TrainSettings(epochs = 1u, seed = 7uL))
    }
}
