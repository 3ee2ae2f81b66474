// A conversation, from its first turn to what ends it.

import io.github.idiolect.ffi.*

private val options = GenerateOptions(maxTokens = 24u, temperature = 0f)

private fun Conversation.tell(message: String, heard: Pieces = Pieces(), cancel: CancelToken = CancelToken()) =
    say(message, options, cancel, heard)

fun conversing(engine: Engine) {
    val messages = listOf("are you coming?", "and when?", "good")
    step("a conversation remembers, and computes no turn twice") {
        val conversation = engine.conversation(ConversationOptions(instructions = "Answer briefly."))
        val replies = messages.map { message ->
            val heard = Pieces()
            val reply = conversation.tell(message, heard)
            same("pieces", reply.generation.text, heard.pieces.joinToString(""))
            engine.greedy("meanwhile")
            reply
        }
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
        val restored = engine.conversation(ConversationOptions("Answer briefly.", turns = said))
        check(restored.tell("bye").generation.promptTokens > replies.last().generation.promptTokens)
        conversation.clear()
        same("turns", listOf(), conversation.turns())
        same("again", replies[0].generation.text, conversation.tell(messages[0]).generation.text)
        conversation.close()
        restored.close()
        "${replies.last().generation.cachedTokens} of ${replies.last().generation.promptTokens} tokens were there"
    }
    step("its oldest turns are forgotten; a cancelled turn is closed; a listener's error arrives") {
        engine.conversation(ConversationOptions(context = 128u)).use { conversation ->
            val forgotten = (0..8).map { conversation.tell("what about day $it?").forgottenTurns }
            check(forgotten.first() == 0uL && forgotten.last() > 0uL) { "$forgotten" }
            val cancel = CancelToken()
            val cut = conversation.say(
                "and then?", options.copy(ignoreEos = true), cancel, Pieces { cancel.cancel() },
            ).generation
            check(cut.finishReason == FinishReason.CANCELLED || cut.tokens == 24uL) { "$cut" }
            same("turns", 20, conversation.turns().size)
            refused(ErrorKind.LISTENER, "callback") {
                conversation.say(
                    "and then?", options.copy(ignoreEos = true), CancelToken(), Pieces { error("not for the engine") },
                )
            }
            check(conversation.tell("bye").generation.cachedTokens > 0uL)
        }
    }
    step("what does not fit is refused, with what would") {
        val bytes = engine.conversation(ConversationOptions()).use { it.plannedBytes() }
        val hint = refused(ErrorKind.OVER_BUDGET, "a budget of ${bytes - 1uL}") {
            engine.conversation(ConversationOptions(budgetBytes = bytes - 1uL))
        }
        check(hint != null && "a context of" in hint) { "$hint" }
        refused(ErrorKind.BAD_OPTION, "opened for") { engine.conversation(ConversationOptions(context = 1_000_000u)) }
        engine.conversation(ConversationOptions(context = 64u, budgetBytes = bytes - 1uL)).use { conversation ->
            refused(ErrorKind.BAD_OPTION, "tokens") { conversation.tell("on and on ".repeat(100)) }
            same("turns", listOf(), conversation.turns())
        }
        hint
    }
}
