package io.github.idiolect.sample

/**
 * What was typed in one go: with this keyboard, into one field, without moving elsewhere in between. Only that is the
 * person's own; what else stands in the field may be anybody's.
 */
class TypedText {
    private val text = StringBuilder()

    /** Its length in UTF-16 units. */
    val length: Int get() = text.length

    /** It goes on. */
    fun add(typed: String) {
        text.append(typed)
    }

    /** Its last characters are taken away, in code points; more than there are were not typed here. */
    fun delete(characters: Int) {
        repeat(characters) {
            if (text.isNotEmpty()) text.setLength(text.offsetByCodePoints(text.length, -1))
        }
    }

    /** Whether the text before the cursor still ends in it. */
    fun isBefore(cursor: CharSequence?): Boolean = cursor != null && cursor.endsWith(text)

    /** All of it, and begins anew; null where it says nothing. */
    fun take(): String? = text.trim().toString().ifEmpty { null }.also { text.clear() }
}
