package io.github.idiolect.sample

import android.view.LayoutInflater
import android.view.View
import android.view.ViewGroup
import android.widget.Button
import android.widget.LinearLayout

/** The keys, in rows of plain buttons below each other in [container]. */
class KeysView(private val container: LinearLayout, private val press: (Key) -> Unit) {
    private val inflater = LayoutInflater.from(container.context)
    private val resources = container.resources
    private val letters = mutableListOf<Button>()

    /** Whether the next letter is a capital, as the keys show. */
    var capital = false
        set(value) {
            field = value
            for (letter in letters) letter.text = shown(letter.text.single()).toString()
        }

    init {
        for (row in Key.ROWS) container.addView(row(row))
    }

    /** A letter as it is typed now. */
    fun shown(character: Char) = if (capital) character.uppercaseChar() else character.lowercaseChar()

    private fun row(keys: List<Key>) = LinearLayout(container.context).apply {
        val height = resources.getDimensionPixelSize(R.dimen.touch) + 2 * resources.getDimensionPixelSize(R.dimen.key_gap)
        layoutParams = LinearLayout.LayoutParams(ViewGroup.LayoutParams.MATCH_PARENT, height)
        // A keyboard's letters do not change sides with the language of the phone.
        layoutDirection = View.LAYOUT_DIRECTION_LTR
        for (key in keys) addView(button(key, this))
    }

    private fun button(key: Key, row: LinearLayout): Button {
        val button = inflater.inflate(R.layout.key, row, false) as Button
        button.text = label(key)
        val description = description(key)
        if (description != 0) button.contentDescription = resources.getString(description)
        (button.layoutParams as LinearLayout.LayoutParams).apply {
            weight = width(key)
            val gap = resources.getDimensionPixelSize(R.dimen.key_gap)
            setMargins(gap / 2, gap, gap / 2, gap)
        }
        if (key is Key.Character && key.character.isLetter()) letters += button
        button.setOnClickListener { press(key) }
        return button
    }

    private fun label(key: Key) = when (key) {
        is Key.Character -> key.character.toString()
        Key.Shift -> "⇧"
        Key.Delete -> "⌫"
        Key.Enter -> "⏎"
    }

    private fun description(key: Key): Int = when (key) {
        Key.Character(' ') -> R.string.key_space
        Key.Character(',') -> R.string.key_comma
        Key.Character('.') -> R.string.key_full_stop
        is Key.Character -> 0
        Key.Shift -> R.string.key_shift
        Key.Delete -> R.string.key_delete
        Key.Enter -> R.string.key_enter
    }

    private fun width(key: Key) = when (key) {
        Key.Character(' ') -> 5f
        is Key.Character -> 1f
        else -> 1.5f
    }
}
