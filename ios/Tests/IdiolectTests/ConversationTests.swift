import Foundation
@testable import Idiolect
import Testing

extension PersonalConversation {
    /// The answer to a message by the likeliest tokens.
    func tell(_ message: String, ignoreEos: Bool = false) async throws -> (Generation, UInt64) {
        try await say(message, options: GenerateOptions(maxTokens: 24, temperature: 0, ignoreEos: ignoreEos)).reply()
    }
}

extension OneByOne {
    @Suite struct ConversationTests {
        let home = try! Home()

        @Test("It remembers, and computes no turn twice")
        func remembers() async throws {
            let asked = ["are you coming?", "and when?", "good"]
            let engine = try await home.learned()
            let conversation = try await engine.conversation(ConversationOptions(instructions: "Answer briefly."))
            var made: [Generation] = []
            var said: [Turn] = []
            for message in asked {
                let (generation, forgotten) = try await conversation.tell(message)
                #expect(forgotten == 0)
                _ = try await engine.greedy("meanwhile")
                made.append(generation)
                said.append(Turn(speaker: .user, text: message))
                said.append(Turn(speaker: .assistant, text: generation.text))
            }
            #expect(await conversation.turns() == said)
            for (before, after) in zip(made, made.dropFirst()) {
                #expect(after.cachedTokens == before.promptTokens + before.tokens - 1)
            }
            for shown in ["\(said[0])", "\(ConversationOptions(turns: said))"] {
                #expect(!shown.contains(asked[0]))
            }
            let options = ConversationOptions(instructions: "Answer briefly.", turns: said)
            let restored = try await engine.conversation(options)
            #expect(try await restored.tell("bye").0.promptTokens > made[2].promptTokens)
            await conversation.clear()
            #expect(await conversation.turns() == [])
            #expect(try await conversation.tell(asked[0]).0.text == made[0].text)
        }

        @Test("Its oldest turns are forgotten; of an answer that is left, what came is what was said")
        func forgets() async throws {
            let conversation = try await home.learned().conversation(ConversationOptions(context: 128))
            var forgotten: [UInt64] = []
            for day in 0...8 { forgotten.append(try await conversation.tell("what about day \(day)?").1) }
            #expect(forgotten[0] == 0 && forgotten[8] > 0)
            var heard = ""
            let options = GenerateOptions(maxTokens: 60, ignoreEos: true)
            for try await chunk in conversation.say("and then?", options: options) {
                if case .text(let text) = chunk { heard += text }
                break
            }
            let turns = await conversation.turns()
            #expect(turns.count == 20)
            #expect(turns.last?.text.hasPrefix(heard) == true)
            #expect(try await conversation.tell("bye").0.cachedTokens > 0)
        }

        @Test("Another adapter between two turns is heard in the second")
        func switches() async throws {
            let engine = try await home.learned()
            let conversation = try await engine.conversation()
            _ = try await conversation.tell("are you coming?")
            let turns = await conversation.turns()
            let adapted = try await conversation.tell("and when?").0
            try await engine.adapters.use(nil)
            let again = try await engine.conversation(ConversationOptions(turns: turns))
            let plain = try await again.tell("and when?").0
            #expect(plain.text != adapted.text)
            // The same conversation goes on with the base alone, and back: no cache of the other is used.
            _ = try await again.tell("good")
            try await engine.adapters.use(1)
            let back = try await engine.conversation(ConversationOptions(turns: turns))
            #expect(try await back.tell("and when?").0.text == adapted.text)
            let before = await again.turns()
            let switched = try await again.tell("bye").0
            #expect(switched.cachedTokens < switched.promptTokens / 2)
            let fresh = try await engine.conversation(ConversationOptions(turns: before))
            #expect(try await fresh.tell("bye").0.text == switched.text)
        }

        @Test("What does not fit is refused, with what would")
        func refuses() async throws {
            let engine = try await home.learned()
            let bytes = try await engine.conversation().plannedBytes
            let error = await refused("OverBudget", "a budget of \(bytes - 1)") {
                _ = try await engine.conversation(ConversationOptions(budgetBytes: bytes - 1))
            }
            #expect(error?.hint?.contains("a context of") == true)
            await refused("BadOption", "opened for") {
                _ = try await engine.conversation(ConversationOptions(context: 1_000_000))
            }
            let short = try await engine.conversation(ConversationOptions(context: 64, budgetBytes: bytes - 1))
            await refused("BadOption", "tokens") {
                _ = try await short.tell(String(repeating: "on and on ", count: 100))
            }
            #expect(await short.turns() == [])
        }

        @Test("It keeps its engine open, and ends when that is closed")
        func keepsOpen() async throws {
            var engine: PersonalEngine? = try await home.learned()
            let conversation = try await engine!.conversation()
            let other = engine!.history
            engine = nil
            #expect(try await !conversation.tell("are you coming?").0.text.isEmpty)
            other.engine.close()
            await refused("Closed") { _ = try await conversation.tell("and when?") }
        }
    }
}
