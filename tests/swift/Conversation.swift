// A conversation, from its first turn to what ends it.

import Foundation
import IdiolectFFI

extension Conversation {
    func tell(
        _ message: String, _ heard: Pieces = Pieces(), _ cancel: CancelToken = CancelToken(), ignoreEos: Bool = false
    ) throws -> Reply {
        let options = GenerateOptions(maxTokens: 24, temperature: 0, ignoreEos: ignoreEos)
        return try say(message: message, options: options, cancel: cancel, listener: heard)
    }
}

extension Life {
    mutating func conversing(_ engine: Engine) throws {
        let messages = ["are you coming?", "and when?", "good"]
        func begin(_ options: ConversationOptions) throws -> Conversation {
            try engine.conversation(options: options)
        }
        try step("a conversation remembers, and computes no turn twice") {
            let conversation = try begin(ConversationOptions(instructions: "Answer briefly."))
            var made: [Generation] = []
            var said: [Turn] = []
            for message in messages {
                let heard = Pieces()
                let reply = try conversation.tell(message, heard)
                try same("pieces", reply.generation.text, heard.pieces.joined())
                try same("forgotten", 0, reply.forgottenTurns)
                _ = try engine.greedy("meanwhile")
                made.append(reply.generation)
                said.append(Turn(speaker: .user, text: message))
                said.append(Turn(speaker: .assistant, text: reply.generation.text))
            }
            try same("turns", said, conversation.turns())
            for (before, after) in zip(made, made.dropFirst()) {
                try same("cached", before.promptTokens + before.tokens - 1, after.cachedTokens)
            }
            for shown in ["\(said[0])", "\(ConversationOptions(turns: said))"] {
                try check(!shown.contains(messages[0]), "a text is shown")
            }
            let restored = try begin(ConversationOptions(instructions: "Answer briefly.", turns: said))
            try check(restored.tell("bye").generation.promptTokens > made[2].promptTokens)
            conversation.clear()
            try same("turns", [], conversation.turns())
            try same("again", made[0].text, conversation.tell(messages[0]).generation.text)
            return "\(made[2].cachedTokens) of \(made[2].promptTokens) tokens were there"
        }
        try step("its oldest turns are forgotten; a cancelled turn is closed; a listener's error arrives") {
            let conversation = try begin(ConversationOptions(context: 128))
            let forgotten = try (0...8).map { try conversation.tell("what about day \($0)?").forgottenTurns }
            try check(forgotten[0] == 0 && forgotten[8] > 0, "\(forgotten)")
            let cancel = CancelToken()
            let cut = try conversation.tell("and then?", Pieces { cancel.cancel() }, cancel, ignoreEos: true).generation
            try check(cut.finishReason == .cancelled || cut.tokens == 24, "\(cut)")
            try same("turns", 20, conversation.turns().count)
            try refused(.listener, "callback") {
                let heard = Pieces { throw NotForTheEngine() }
                _ = try conversation.tell("and then?", heard, ignoreEos: true)
            }
            try check(conversation.tell("bye").generation.cachedTokens > 0)
            return nil
        }
        try step("what does not fit is refused, with what would") {
            let bytes = try begin(ConversationOptions()).plannedBytes()
            let hint = try refused(.overBudget, "a budget of \(bytes - 1)") {
                _ = try begin(ConversationOptions(budgetBytes: bytes - 1))
            }
            try check(hint?.contains("a context of") == true, "hint: \(hint ?? "none")")
            try refused(.badOption, "opened for") { _ = try begin(ConversationOptions(context: 1_000_000)) }
            let short = try begin(ConversationOptions(context: 64, budgetBytes: bytes - 1))
            try refused(.badOption, "tokens") { _ = try short.tell(String(repeating: "on and on ", count: 100)) }
            try same("turns", [], short.turns())
            return hint
        }
    }
}
