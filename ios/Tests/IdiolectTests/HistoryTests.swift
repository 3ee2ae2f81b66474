import Foundation
import Idiolect
import Testing

extension OneByOne {
    @Suite struct HistoryTests {
        let home = try! Home()

        @Test("Messages are added in batches, and the same again")
        func adds() async throws {
            let history = try await home.engine().history
            var fresh: UInt64 = 0
            for begin in stride(from: 0, to: messages.count, by: 150) {
                let added = try await history.add(Array(messages[begin..<min(begin + 150, messages.count)]))
                fresh += added.newTexts + added.repeated
            }
            #expect(fresh == 240)
            #expect(try await history.add(messages).known == 240)
            #expect(try await history.stats().total.messages == 240)
        }

        @Test("What is excluded, incognito or blank stays out")
        func keepsOut() async throws {
            let history = try await home.engine().history
            try await history.exclude(.source(name: "bank"))
            let added = try await history.add([
                NewSample(text: "my secret", source: "bank"), NewSample(text: "my secret", incognito: true),
                NewSample(text: "  "),
            ])
            #expect([added.excluded, added.incognito, added.blank, added.newTexts] == [1, 1, 1, 0])
            #expect(try await history.exclusions() == [.source(name: "bank")])
            #expect(try await history.include(.source(name: "bank")))
        }

        @Test("What training would not see is masked")
        func masks() async {
            let sample = await PersonalHistory.masked([NewSample(text: "write to ana@example.com")])[0]
            #expect(sample.text == "write to ***")
            let place = [NewSample(text: "cpf 111.222.333-96 at 52.520008, 13.404954")]
            let masked = await PersonalHistory.masked(place, unmasked: [.nationalId])
            #expect(masked[0].text == "cpf 111.222.333-96 at ***")
        }

        @Test("An edit takes the old text's place, and an origin of the app's own is kept")
        func edits() async throws {
            let history = try await home.engine().history
            var note = NewSample(text: "the train leaves at nine", id: "note", origin: .other(name: "dictated"))
            #expect(try await history.add([note]).newTexts == 1)
            note.text = "the train leaves at ten"
            #expect(try await history.add([note]).replaced == 1)
            let kept = try await history.list(limit: 1)
            #expect(kept.map(\.text) == ["the train leaves at ten"])
            #expect(kept.map(\.origin) == [.other(name: "dictated")])
            #expect(try await history.remove(.appIds(ids: ["note"])).messages == 1)
        }

        @Test("Pages are listed, and no text is shown where nobody asked for it")
        func lists() async throws {
            let history = try await home.engine(messages: 240).history
            let first = try await history.list(limit: 10)
            let second = try await history.list(before: first.last?.id, limit: 10)
            #expect(Set((first + second).map(\.id)).count == 20)
            let text = first[0].text
            #expect(messages.contains { $0.text == text })
            let shown = ["\(first[0])", "\(NewSample(text: text))", "\(Prompt.text(text: text))", "\(Chunk.text(text))"]
            for shown in shown {
                #expect(!shown.contains(text))
            }
        }

        @Test("Removed, the adapter that learned from it is marked; deleted, the history forgets it")
        func removes() async throws {
            let engine = try await home.learned()
            let (history, adapters) = (engine.history, engine.adapters)
            let removed = try await history.remove(.time(start: 0, end: Int64.max / 2))
            #expect(removed.messages == 240)
            #expect(removed.marked == [1])
            #expect(try await history.finishRemoval())
            #expect(try await adapters.list().versions.map(\.learnedFromRemoved) == [true])
            #expect(try await history.stats().total.messages == 0)
            let learned = try await history.learnedVersions()
            #expect(learned.count == 1 && learned[0].samples == learned[0].removed && learned[0].samples > 0)
            #expect(try await history.learnedFrom(1) == [])
            try await adapters.delete(1)
            #expect(try await history.learnedVersions() == [])
            #expect(try await adapters.list() == AdapterList(versions: [], active: nil))
        }

        @Test("All of it can be cleared, and a cap holds")
        func caps() async throws {
            let history = try await home.engine(messages: 240).history
            #expect(try await history.clear().messages == 240)
            _ = try await history.setRetention(Retention(maxMessages: 200))
            #expect(try await history.add(messages).expired == 40)
            #expect(try await history.retention().maxMessages == 200)
        }
    }
}
