package io.github.idiolect.sample

import android.os.Bundle
import android.view.View

/** Asks before anything is learned. Without an answer nothing is. */
class ConsentActivity : Screen(R.layout.activity_consent) {
    override fun onCreate(savedInstanceState: Bundle?) {
        super.onCreate(savedInstanceState)
        findViewById<View>(R.id.agree).setOnClickListener { answer(true) }
        findViewById<View>(R.id.decline).setOnClickListener { answer(false) }
    }

    private fun answer(agreed: Boolean) {
        setLearning(agreed)
        finish()
    }
}
