package io.github.idiolect.sample

import android.view.LayoutInflater
import android.view.View
import android.widget.Button
import android.widget.LinearLayout
import io.github.idiolect.Suggestion

/** Three places for words; a place without one is empty and not to be touched. */
class SuggestionBar(container: LinearLayout, private val accept: (Suggestion) -> Unit) {
    private val resources = container.resources
    private val places = List(PLACES) {
        val inflater = LayoutInflater.from(container.context)
        (inflater.inflate(R.layout.suggestion, container, false) as Button).also(container::addView)
    }

    init {
        show(emptyList())
    }

    /** Shows the likeliest words; of none, empty places. */
    fun show(suggestions: List<Suggestion>) {
        for ((index, place) in places.withIndex()) {
            val suggestion = suggestions.getOrNull(index)
            val word = suggestion?.text?.trim()
            place.visibility = if (word == null) View.INVISIBLE else View.VISIBLE
            place.text = word
            place.contentDescription = word?.let { resources.getString(R.string.suggestion, it) }
            place.setOnClickListener { suggestion?.let(accept) }
        }
    }

    companion object {
        /** How many words it has place for. */
        const val PLACES = 3
    }
}
