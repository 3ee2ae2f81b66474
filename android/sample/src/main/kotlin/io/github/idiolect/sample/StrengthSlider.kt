package io.github.idiolect.sample

import android.widget.SeekBar

/** Shows the strength while the slider moves, and sets it once it rests. */
class StrengthSlider(private val show: (Int) -> Unit, private val set: (Int) -> Unit) : SeekBar.OnSeekBarChangeListener {
    override fun onProgressChanged(bar: SeekBar, progress: Int, fromUser: Boolean) {
        show(progress)
        // Keys and screen readers move it without touching it.
        if (fromUser && !bar.isPressed) set(progress)
    }

    override fun onStartTrackingTouch(bar: SeekBar) = Unit

    override fun onStopTrackingTouch(bar: SeekBar) = set(bar.progress)
}
