import Foundation
import Idiolect
import Testing

/// So long that it cannot be over before a cancelling comes.
let long = GenerateOptions(maxTokens: 400, temperature: 0.7, ignoreEos: true)

extension OneByOne {
    @Suite struct AnsweringTests {
        let home = try! Home()

        @Test("An answer comes in pieces of whole text")
        func streams() async throws {
            let options = GenerateOptions(maxTokens: 40, temperature: 0.7, seed: 3)
            let made = try await home.learned().generate(.text(text: prompt), options: options).answer()
            #expect(made.tokens > 0)
            #expect([.maxTokens, .endOfTurn].contains(made.finishReason))
        }

        @Test("Cancelled, it ends within a tenth of a second, with a CancellationError")
        func cancels() async throws {
            let engine = try await home.learned()
            let began = AsyncStream<Void>.makeStream()
            let task = Task {
                defer { began.continuation.finish() }
                for try await _ in engine.generate(.chat(message: prompt), options: long) { began.continuation.yield() }
            }
            for await _ in began.stream { break }
            let moment = ContinuousClock.now
            task.cancel()
            await #expect(throws: CancellationError.self) { try await task.value }
            #expect(seconds(since: moment) < 0.1)
            #expect(try await !engine.greedy(prompt).isEmpty)
        }

        @Test("Two answers at once are both whole; one that is left does not harm the other")
        func twoAtOnce() async throws {
            let engine = try await home.learned()
            let options = GenerateOptions(maxTokens: 60, temperature: 0, ignoreEos: true)
            let alone = try await engine.generate(.text(text: prompt), options: options).answer().text
            async let first = engine.generate(.text(text: prompt), options: options).answer()
            async let second = engine.generate(.text(text: prompt), options: options).answer()
            for try await _ in engine.generate(.text(text: prompt), options: long) { break }
            #expect(try await [first.text, second.text] == [alone, alone])
        }

        @Test("Whole words are suggested, likeliest first")
        func suggests() async throws {
            let engine = try await home.learned()
            let words = try await engine.suggest("i am going to ")
            #expect((1...3).contains(words.count) && words.allSatisfy { (0...1).contains($0.probability) })
            #expect(words.allSatisfy { $0.replaces == 0 })
            #expect(words.map(\.probability) == words.map(\.probability).sorted(by: >))
            let completed = try await engine.suggest("i am go", options: SuggestOptions(count: 2))
            #expect((1...2).contains(completed.count))
            #expect(completed.allSatisfy { $0.replaces == 2 && $0.text.lowercased().hasPrefix("go") })
        }

        @Test("The loss of texts with the adapter is lower than without, of all and of each")
        func evaluates() async throws {
            let engine = try await home.learned()
            let texts = messages.prefix(40).map { EvaluationText(text: $0.text) }
            let before = try await engine.evaluate(texts, adapters: [])
            let after = try await engine.evaluate(texts)
            #expect(after.nll < before.nll)
            #expect(after.texts.count == 40)
            let total = after.texts.map { ($0.nll ?? 0) * Double($0.tokens) }.reduce(0, +)
            #expect(abs(total / Double(after.tokens) - after.nll) < 1e-6)
            let half = try await engine.evaluate(texts, adapters: [AdapterWeight(version: 1, weight: 0.5)])
            #expect(half.nll < before.nll && half.nll != after.nll)
        }

        @Test("Candidates are ranked by how likely they are")
        func scores() async throws {
            let engine = try await home.learned()
            let candidates = ["tomorrow", "zxqv"]
            let scores = try await engine.score(.text(text: "see you "), candidates: candidates)
            #expect(scores.count == 2 && scores[0].logProbability > scores[1].logProbability)
            for score in scores {
                #expect(UInt64(score.tokenLogProbabilities.count) == score.tokens)
                let sum = score.tokenLogProbabilities.map(Double.init).reduce(0, +)
                #expect(abs(sum - score.logProbability) < 1e-3)
            }
        }

        @Test("Adapters of a request: the version in use, the base alone, a weight")
        func weighs() async throws {
            let engine = try await home.learned()
            let adapted = try await engine.greedy(prompt)
            let plain = try await engine.greedy(prompt, adapters: [])
            #expect(adapted != plain)
            #expect(try await engine.greedy(prompt, adapters: [AdapterWeight(version: 1, weight: 1)]) == adapted)
            #expect(try await engine.greedy(prompt, adapters: [AdapterWeight(version: 1, weight: 0)]) == plain)
            await refused("BadOption", "9") {
                _ = try await engine.greedy(prompt, adapters: [AdapterWeight(version: 9, weight: 1)])
            }
        }
    }
}
