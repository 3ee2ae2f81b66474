package io.github.idiolect.android

import android.content.ComponentCallbacks2
import android.content.Context
import android.content.res.Configuration
import io.github.idiolect.EngineError
import io.github.idiolect.PersonalEngine
import kotlinx.coroutines.CoroutineScope
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.SupervisorJob
import kotlinx.coroutines.launch

/**
 * Gives the model's memory back when the system is short of it: it ends the process otherwise. A training pauses with a
 * checkpoint, and the next call opens the model again. It listens until it is closed.
 */
public class MemoryPressure(context: Context, private val engine: PersonalEngine) : AutoCloseable {
    private val application = context.applicationContext
    private val scope = CoroutineScope(SupervisorJob() + Dispatchers.Default)

    private val callbacks = object : ComponentCallbacks2 {
        override fun onTrimMemory(level: Int) {
            if (asksForMemory(level)) unload()
        }

        override fun onConfigurationChanged(configuration: Configuration) = Unit

        @Suppress("OVERRIDE_DEPRECATION") // Systems call it still.
        override fun onLowMemory() = unload()
    }

    init {
        application.registerComponentCallbacks(callbacks)
    }

    /** Listens no more. */
    override fun close(): Unit = application.unregisterComponentCallbacks(callbacks)

    private fun unload() {
        scope.launch {
            try {
                engine.unload()
            } catch (_: EngineError.Closed) {
                // Its memory is given back.
            }
        }
    }

    public companion object {
        /**
         * Whether a level of `onTrimMemory` is worth a model: the process is among those to be ended, or the system is at
         * its limit. That the app's screen is hidden is no reason: trainings run then.
         */
        @Suppress("DEPRECATION") // Systems before Android 14 still tell RUNNING_CRITICAL.
        public fun asksForMemory(level: Int): Boolean =
            level >= ComponentCallbacks2.TRIM_MEMORY_BACKGROUND || level == ComponentCallbacks2.TRIM_MEMORY_RUNNING_CRITICAL
    }
}
