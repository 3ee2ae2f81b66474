package io.github.idiolect.sample

/** A key of the keyboard. */
sealed interface Key {
    /** It types a character. */
    data class Character(val character: Char) : Key

    /** It makes the next letter a capital. */
    data object Shift : Key

    /** It takes a character away. */
    data object Delete : Key

    /** It does what the field's app has asked for, or begins a new line. */
    data object Enter : Key

    companion object {
        /** The rows, from top to bottom. */
        val ROWS: List<List<Key>> = listOf(
            characters("qwertyuiop"),
            characters("asdfghjkl"),
            listOf(Shift) + characters("zxcvbnm") + Delete,
            characters(", .") + Enter,
        )

        private fun characters(row: String) = row.map(::Character)
    }
}
