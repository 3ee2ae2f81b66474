package io.github.idiolect

import kotlinx.coroutines.flow.Flow

/**
 * A conversation with the model and the adapter in use at each of its turns: [PersonalEngine.conversation].
 *
 * What was computed is kept, so that a turn costs what is new in it. Turns that the context has no room for are forgotten
 * by whole exchanges from the beginning on; the instructions stay.
 *
 * @property plannedBytes Bytes that it takes with its whole context in use, model included: of the process on the CPU, of
 * the device on a GPU.
 */
public class PersonalConversation private constructor(
    private val conversation: Lease<Conversation>,
    public val plannedBytes: ULong,
) : AutoCloseable {
    /**
     * Answers a message, once for each collection. A collection that ends early ends the answer, and what came of it is
     * what was said; a message that got no word of an answer is no part of the conversation.
     *
     * @throws EngineError while it is collected: `BadOption` when the message is too long for the context, or an option is
     * out of range; `OverBudget` when there is no memory for it; `Closed`.
     */
    public fun say(message: String, options: GenerateOptions = GenerateOptions()): Flow<Chunk> =
        streaming { cancel, tell ->
            val reply = conversation.use { it.say(message, options, cancel, TextTeller(tell)) }
            tell(Chunk.End(reply.generation, reply.forgottenTurns))
        }

    /** All turns, oldest first, those that the model does not see any more among them. */
    public suspend fun turns(): List<Turn> = calling { conversation.use { it.turns() } }

    /** Begins anew under the same instructions. An answer under way is given to the end, and is no part of it. */
    public suspend fun clear(): Unit = calling { conversation.use { it.clear() } }

    /** Frees its cache, once answers under way have ended. Later calls end with `Closed`. It returns at once. */
    override fun close(): Unit = conversation.close()

    internal companion object {
        /** Called where blocking is allowed. */
        fun of(conversation: Conversation): PersonalConversation =
            PersonalConversation(Lease(conversation, free = Conversation::close), conversation.plannedBytes())
    }
}

/** Tells text as it comes. */
internal class TextTeller(private val tell: (Chunk) -> Unit) : TextListener {
    override fun onText(text: String) = tell(Chunk.Text(text))
}
