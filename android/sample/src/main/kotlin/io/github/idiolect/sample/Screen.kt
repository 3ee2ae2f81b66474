package io.github.idiolect.sample

import android.app.Activity
import android.os.Bundle
import android.widget.Toast
import io.github.idiolect.EngineError
import kotlinx.coroutines.CoroutineScope
import kotlinx.coroutines.MainScope
import kotlinx.coroutines.cancel
import kotlinx.coroutines.launch

/** A screen with work of its own. */
abstract class Screen(private val layout: Int) : Activity() {
    private val scope = MainScope()

    override fun onCreate(savedInstanceState: Bundle?) {
        super.onCreate(savedInstanceState)
        setContentView(layout)
    }

    override fun onDestroy() {
        scope.cancel()
        super.onDestroy()
    }

    /** Works until the screen is gone; what the engine refuses is shown. */
    protected fun work(block: suspend CoroutineScope.() -> Unit) = work(scope, block)

    /** Works to the end, for what must not be lost when the screen is gone meanwhile. */
    protected fun workOn(block: suspend CoroutineScope.() -> Unit) = work(app.scope, block)

    /** The person agrees to learning, or does not any more. */
    protected fun setLearning(agreed: Boolean) {
        if (!app.setLearning(agreed)) Toast.makeText(app, R.string.nights_refused, Toast.LENGTH_LONG).show()
    }

    private fun work(scope: CoroutineScope, block: suspend CoroutineScope.() -> Unit) = scope.launch {
        try {
            block()
        } catch (error: EngineError) {
            if (error is EngineError.Closed) app.dropEngine()
            Toast.makeText(app, error.message, Toast.LENGTH_LONG).show()
        }
    }
}
