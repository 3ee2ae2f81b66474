package io.github.idiolect

import java.util.concurrent.Executor
import java.util.concurrent.Executors
import java.util.concurrent.atomic.AtomicInteger
import kotlin.coroutines.cancellation.CancellationException
import kotlinx.coroutines.CoroutineDispatcher
import kotlinx.coroutines.CoroutineScope
import kotlinx.coroutines.asCoroutineDispatcher
import kotlinx.coroutines.async
import kotlinx.coroutines.channels.Channel
import kotlinx.coroutines.coroutineScope
import kotlinx.coroutines.ensureActive
import kotlinx.coroutines.flow.Flow
import kotlinx.coroutines.flow.buffer
import kotlinx.coroutines.flow.channelFlow
import kotlinx.coroutines.withContext

/**
 * The threads on which the library's blocking calls are made: one for each call under way, kept for a minute.
 *
 * Their number has no bound of its own: with one, calls that wait for a training or for a lock would keep those from
 * being made that end it.
 */
internal object CallingThreads {
    private val number = AtomicInteger()

    /** For what nobody waits for. */
    val executor: Executor = Executors.newCachedThreadPool { task ->
        Thread(task, "idiolect-call-${number.incrementAndGet()}").apply {
            isDaemon = true
            priority = Thread.NORM_PRIORITY
        }
    }

    /** For what a coroutine waits for. */
    val dispatcher: CoroutineDispatcher = executor.asCoroutineDispatcher()
}

/** Makes a call that cannot be ended midway: a coroutine that is cancelled meanwhile waits for it. */
internal suspend fun <T> calling(call: () -> T): T = withContext(CallingThreads.dispatcher) { told(call) }

/** Makes something that is to be given up again where the coroutine is cancelled meanwhile. */
internal suspend fun <T : Any> making(giveUp: (T) -> Unit, make: () -> T): T {
    var made: T? = null
    try {
        return calling { make().also { made = it } }
    } catch (cancelled: CancellationException) {
        made?.let(giveUp)
        throw cancelled
    }
}

/** Makes a call that ends within a tenth of a second when the coroutine is cancelled, and is waited for till then. */
internal suspend fun <T> cancelling(call: (CancelToken) -> T): T = CancelToken().use { cancel ->
    coroutineScope {
        val made = async(CallingThreads.dispatcher) { told { call(cancel) } }
        try {
            made.await()
        } catch (cancelled: CancellationException) {
            cancel.cancel()
            throw cancelled
        }
    }
}

/**
 * What a call tells while it goes on, made anew for each collector. Nothing waits for the collector and nothing is left
 * out; where it ends early, the call is ended and waited for. What was told before an error arrives before it.
 */
internal fun <E> streaming(call: (cancel: CancelToken, tell: (E) -> Unit) -> Unit): Flow<E> = channelFlow {
    try {
        cancelling { cancel -> call(cancel) { trySend(it) } }
    } catch (refused: EngineError) {
        close(refused)
    }
}.buffer(Channel.UNLIMITED)

/** An error as the facade has it; none of it where the coroutine was cancelled, for that is what its caller is told. */
private fun <T> CoroutineScope.told(call: () -> T): T = try {
    call()
} catch (refused: EngineException) {
    ensureActive()
    throw EngineError.of(refused)
} catch (refused: EngineError) {
    ensureActive()
    throw refused
}
