package io.github.idiolect

/** A piece of an answer as it comes; the last one says how it ended. Neither shows its text in `toString`. */
public sealed interface Chunk {
    /**
     * The text goes on.
     *
     * @property text Whole characters, gathered over about 40 ms.
     */
    public data class Text(public val text: String) : Chunk {
        override fun toString(): String = "Text(${text.length} characters)"
    }

    /**
     * The answer is complete.
     *
     * @property generation All of it, why it ended, and what it took.
     * @property forgottenTurns How many of a conversation's first turns the model does not see any more.
     */
    public data class End(public val generation: Generation, public val forgottenTurns: ULong) : Chunk
}
