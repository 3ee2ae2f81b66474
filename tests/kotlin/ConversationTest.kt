import io.github.idiolect.*
import java.io.File
import kotlinx.coroutines.flow.first
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.io.TempDir

/** A conversation, from its first turn to what ends it. */
class ConversationTest(@param:TempDir private val home: File) {
    private val brief = ConversationOptions(instructions = "Answer briefly.")
    private val messages = listOf("are you coming?", "and when?", "good")

    private suspend fun PersonalConversation.tell(message: String) = say(message, greedyOptions).whole()

    private fun conversing(body: suspend (PersonalEngine) -> Unit) =
        work { PersonalEngine.open(options(Person.trained(home))).whileOpen(body) }

    @Test
    fun `remembers, and computes no turn twice`() = conversing { engine ->
        val conversation = engine.conversation(brief)
        val replies = messages.map { message -> conversation.tell(message).also { engine.greedy("meanwhile") } }
        val said = messages.zip(replies).flatMap { (message, reply) ->
            listOf(Turn(Speaker.USER, message), Turn(Speaker.ASSISTANT, reply.generation.text))
        }
        same("turns", said, conversation.turns())
        for ((before, after) in replies.map { it.generation }.zipWithNext()) {
            same("cached", before.promptTokens + before.tokens - 1uL, after.cachedTokens)
        }
        same("forgotten", 0uL, replies.last().forgottenTurns)
        for (shown in listOf("${said[0]}", "${replies[0]}", "${ConversationOptions(turns = said)}")) {
            check(messages[0] !in shown) { "a text is shown" }
        }
        val restored = engine.conversation(brief.copy(turns = said))
        check(restored.tell("bye").generation.promptTokens > replies.last().generation.promptTokens)
        conversation.clear()
        same("turns", listOf(), conversation.turns())
        same("again", replies[0].generation.text, conversation.tell(messages[0]).generation.text)
        conversation.close()
        conversation.close()
        restored.close()
        refused<EngineError.Closed>("closed") { conversation.turns() }
    }

    @Test
    fun `its oldest turns are forgotten - a turn that is cut short is closed`() = conversing { engine ->
        engine.conversation(ConversationOptions(context = 128u)).use { conversation ->
            val forgotten = (0..8).map { conversation.tell("what about day $it?").forgottenTurns }
            check(forgotten.first() == 0uL && forgotten.last() > 0uL) { "$forgotten" }
            val heard = conversation.say("and then?", greedyOptions.copy(ignoreEos = true)).first() as Chunk.Text
            val turns = conversation.turns()
            same("turns", 20, turns.size)
            check(turns.last().text.startsWith(heard.text)) { "what was said is not what was heard" }
            check(conversation.tell("bye").generation.cachedTokens > 0uL)
        }
    }

    @Test
    fun `what does not fit is refused, with what would`() = conversing { engine ->
        val bytes = engine.conversation().use { it.plannedBytes }
        val small = ConversationOptions(budgetBytes = bytes - 1uL)
        val hint = refused<EngineError.OverBudget>("a budget of ${bytes - 1uL}") { engine.conversation(small) }.hint
        check(hint != null && "a context of" in hint) { "$hint" }
        val large = ConversationOptions(context = 1_000_000u)
        refused<EngineError.BadOption>("opened for") { engine.conversation(large) }
        engine.conversation(small.copy(context = 64u)).use { conversation ->
            refused<EngineError.BadOption>("tokens") { conversation.tell("on and on ".repeat(100)) }
            same("turns", listOf(), conversation.turns())
        }
    }

    @Test
    fun `goes on with another adapter from the next turn on`() = conversing { engine ->
        engine.conversation(brief).use { conversation ->
            val first = conversation.tell(messages[0]).generation.text
            val turns = conversation.turns()
            // What a conversation says that has known no other adapter.
            suspend fun fresh() = engine.conversation(brief.copy(turns = turns)).use { it.tell(messages[1]).generation.text }
            val adapted = fresh()
            engine.adapters.use(null)
            val plain = fresh()
            check(adapted != plain) { "the adapter does nothing" }
            same("without the adapter", plain, conversation.tell(messages[1]).generation.text)
            engine.adapters.use(1u)
            conversation.clear()
            same("with it again", first, conversation.tell(messages[0]).generation.text)
            same("and on", adapted, conversation.tell(messages[1]).generation.text)
        }
    }
}
