package io.github.idiolect.android

import android.text.InputType
import android.view.inputmethod.EditorInfo

/** Why nothing is learned or suggested in a text field. */
public enum class FieldRefusal {
    /** What is typed is a password. */
    PASSWORD,

    /** The app asks keyboards to learn nothing here, as browsers do in a private window. */
    INCOGNITO,

    /** The app asks for no suggestions: what is typed is no language, such as a code or a user's name. */
    NO_SUGGESTIONS,

    /** It takes no text: a number, a date, keys alone. */
    NOT_TEXT,
}

/**
 * What a keyboard may do in a text field.
 *
 * @property mayLearn whether what is typed may go into the history.
 * @property maySuggest whether words may be suggested.
 * @property refusal why nothing at all is done; none where words may be suggested.
 */
public data class TextFieldRules(
    public val mayLearn: Boolean,
    public val maySuggest: Boolean,
    public val refusal: FieldRefusal?,
) {
    public companion object {
        /** The rules of the field that [info] describes; without one, nothing may be done. */
        public fun of(info: EditorInfo?): TextFieldRules {
            val refusal = if (info == null) FieldRefusal.NOT_TEXT else refusal(info)
            if (info == null || refusal != null) return TextFieldRules(false, false, refusal)
            return TextFieldRules(isProse(info.inputType), true, null)
        }

        private fun refusal(info: EditorInfo): FieldRefusal? {
            val type = info.inputType
            return when {
                isPassword(type) -> FieldRefusal.PASSWORD
                info.imeOptions and EditorInfo.IME_FLAG_NO_PERSONALIZED_LEARNING != 0 -> FieldRefusal.INCOGNITO
                type and InputType.TYPE_MASK_CLASS != InputType.TYPE_CLASS_TEXT -> FieldRefusal.NOT_TEXT
                type and InputType.TYPE_TEXT_FLAG_NO_SUGGESTIONS != 0 -> FieldRefusal.NO_SUGGESTIONS
                else -> null
            }
        }

        private fun isPassword(type: Int) = when (type and InputType.TYPE_MASK_CLASS) {
            InputType.TYPE_CLASS_TEXT -> type and InputType.TYPE_MASK_VARIATION in PASSWORDS
            InputType.TYPE_CLASS_NUMBER ->
                type and InputType.TYPE_MASK_VARIATION == InputType.TYPE_NUMBER_VARIATION_PASSWORD
            else -> false
        }

        /** Addresses, names and searches are words, but nobody's way of writing. */
        private fun isProse(type: Int) = type and InputType.TYPE_MASK_VARIATION !in NO_PROSE

        private val PASSWORDS = setOf(
            InputType.TYPE_TEXT_VARIATION_PASSWORD,
            InputType.TYPE_TEXT_VARIATION_VISIBLE_PASSWORD,
            InputType.TYPE_TEXT_VARIATION_WEB_PASSWORD,
        )

        private val NO_PROSE = setOf(
            InputType.TYPE_TEXT_VARIATION_URI,
            InputType.TYPE_TEXT_VARIATION_EMAIL_ADDRESS,
            InputType.TYPE_TEXT_VARIATION_WEB_EMAIL_ADDRESS,
            InputType.TYPE_TEXT_VARIATION_PERSON_NAME,
            InputType.TYPE_TEXT_VARIATION_POSTAL_ADDRESS,
            InputType.TYPE_TEXT_VARIATION_FILTER,
            InputType.TYPE_TEXT_VARIATION_PHONETIC,
        )
    }
}
