package io.github.idiolect.sample

import io.github.idiolect.EngineError
import io.github.idiolect.LearnEvent
import io.github.idiolect.TrainEvent
import kotlinx.coroutines.CoroutineStart
import kotlinx.coroutines.Job
import kotlinx.coroutines.cancelAndJoin
import kotlinx.coroutines.flow.MutableStateFlow
import kotlinx.coroutines.flow.StateFlow
import kotlinx.coroutines.flow.asStateFlow
import kotlinx.coroutines.launch

/** A training that the person asked for: it goes on while screens come and go. */
class Trainer(private val app: SampleApp) {
    private val current = MutableStateFlow<TrainingState>(TrainingState.Idle)
    private var run: Job? = null

    /** What it is doing. */
    val state: StateFlow<TrainingState> = current.asStateFlow()

    /** Begins, or goes on where it paused; not before the person has agreed. One that runs already goes on. */
    fun start() {
        if (!app.consent.given || run?.isCompleted == false) return
        current.value = TrainingState.Starting
        // Lazy, so that a training that ends at once does not end before it is known.
        run = app.scope.launch(start = CoroutineStart.LAZY) { train() }.also(Job::start)
    }

    /** Ends it with a checkpoint, and waits for that. Nothing running, there is nothing to do. */
    suspend fun pause() {
        val run = run?.takeUnless(Job::isCompleted) ?: return
        run.cancelAndJoin()
        current.value = TrainingState.Paused
    }

    private suspend fun train() {
        val clock = Clock()
        try {
            app.engine().train().collect { event ->
                current.value = when (event) {
                    is TrainEvent.Progress -> clock.heard(event.event) ?: current.value
                    is TrainEvent.Paused -> TrainingState.Paused
                    is TrainEvent.Finished -> TrainingState.Finished(event.report.verdict.explanation)
                    is TrainEvent.Failed -> TrainingState.Finished(event.report.verdict.explanation)
                }
            }
        } catch (error: EngineError) {
            current.value = TrainingState.Refused(error.message.orEmpty())
        }
    }

    /** Tells the time that is left from the time that this run's steps took. */
    private class Clock {
        private var steps = 0
        private var first = 0
        private var began = 0L

        fun heard(event: LearnEvent): TrainingState? = when (event) {
            is LearnEvent.Started -> {
                steps = event.steps.toInt()
                first = event.resumedAt.toInt()
                began = System.nanoTime()
                TrainingState.Running(first, steps, null)
            }
            is LearnEvent.Step -> {
                val step = event.step.toInt()
                val each = (System.nanoTime() - began) / 1e9 / (step - first).coerceAtLeast(1)
                TrainingState.Running(step, steps, (each * (steps - step)).toInt())
            }
            is LearnEvent.Measuring -> TrainingState.Measuring
            else -> null
        }
    }
}
