package io.github.idiolect

import kotlinx.coroutines.CompletableDeferred

/**
 * An object of the library's that many call and one closes: from then on calls are refused, [end] ends those under way, and
 * [free] is called once after the last of them has returned, neither of both on the thread of the caller.
 */
internal class Lease<T>(
    private val held: T,
    private val end: (T) -> Unit = {},
    private val free: (T) -> Unit,
) {
    private val freed = CompletableDeferred<Unit>()
    private var calls = 0
    private var closed = false

    /** Whether it was closed. */
    val isClosed: Boolean get() = synchronized(this) { closed }

    /** Calls it; `Closed` where it is. */
    fun <R> use(call: (T) -> R): R {
        synchronized(this) {
            if (closed) throw EngineError.Closed("it was closed", "open it again")
            calls++
        }
        try {
            return call(held)
        } finally {
            leave()
        }
    }

    /** Closes it, once. */
    fun close() {
        synchronized(this) {
            if (closed) return
            closed = true
            calls++
        }
        CallingThreads.executor.execute {
            try {
                end(held)
            } finally {
                leave()
            }
        }
    }

    /** Waits until it is freed. */
    suspend fun awaitFreed() = freed.await()

    private fun leave() {
        val isLast = synchronized(this) { --calls == 0 && closed }
        if (!isLast) return
        CallingThreads.executor.execute {
            try {
                free(held)
            } finally {
                freed.complete(Unit)
            }
        }
    }
}
