package io.github.idiolect

import kotlinx.coroutines.CompletableDeferred
import kotlinx.coroutines.NonCancellable
import kotlinx.coroutines.channels.Channel
import kotlinx.coroutines.flow.Flow
import kotlinx.coroutines.flow.buffer
import kotlinx.coroutines.flow.channelFlow
import kotlinx.coroutines.withContext

/** Which collection an engine attends to trainings for: one at a time, the latest. */
internal class Attending {
    private var current: CompletableDeferred<Unit>? = null

    /** Attends while it is collected, until another collection takes its place or the engine is closed. */
    fun by(engine: Lease<OpenEngine>, settings: AttendSettings): Flow<AttendEvent> = channelFlow {
        val over = CompletableDeferred<Unit>()
        val listener = object : AttendListener {
            override fun onState(state: Attendance) = tell(AttendEvent.State(state))

            override fun onEvent(event: LearnEvent) = tell(AttendEvent.Progress(event))

            override fun onEnded(outcome: LearnOutcome) = tell(AttendEvent.Ended(outcome))

            private fun tell(event: AttendEvent) {
                trySend(event)
            }
        }
        try {
            calling { begin(over) { engine.use { it.engine.attend(settings, listener) } } }
            over.await()
        } catch (refused: EngineError) {
            close(refused)
        } finally {
            withContext(NonCancellable) {
                calling { stop(over) { engine.use { it.engine.stopAttending() } } }
            }
        }
    }.buffer(Channel.UNLIMITED)

    /** Nobody attends any more. */
    @Synchronized
    fun end() {
        current?.complete(Unit)
        current = null
    }

    @Synchronized
    private fun begin(over: CompletableDeferred<Unit>, attend: () -> Unit) {
        attend()
        end()
        current = over
    }

    @Synchronized
    private fun stop(over: CompletableDeferred<Unit>, stopAttending: () -> Unit) {
        if (current !== over) return
        current = null
        try {
            stopAttending()
        } catch (_: EngineError.Closed) {
            // So it has ended.
        }
    }
}
