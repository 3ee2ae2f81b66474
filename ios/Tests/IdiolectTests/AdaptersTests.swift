import Foundation
import Idiolect
import Testing

extension OneByOne {
    @Suite struct AdaptersTests {
        let home = try! Home()

        @Test("Adapters are listed, switched off, and back")
        func switches() async throws {
            let engine = try await home.learned()
            let adapters = engine.adapters
            let adapted = try await engine.greedy(prompt)
            try await adapters.use(nil)
            #expect(try await engine.greedy(prompt) != adapted)
            #expect(try await adapters.rollback() == 1)
            #expect(try await engine.greedy(prompt) == adapted)
            let listed = try await adapters.list()
            #expect(listed.active == 1)
            #expect(listed.versions.map(\.origin) == [.trained])
            #expect(try await listed.versions[0].report == engine.lastReport())
            #expect(try await listed.versions[0].baseFingerprint == engine.model().fingerprint)
            #expect(try await engine.staleVersion() == nil)
            await refused("BadOption", "9") { try await adapters.use(9) }
        }

        @Test("Strength 0 is the base itself")
        func strength() async throws {
            let engine = try await home.learned()
            let plain = try await engine.greedy(prompt, adapters: [])
            try await engine.adapters.setStrength(1, 0)
            #expect(try await engine.greedy(prompt) == plain)
            try await engine.adapters.setStrength(1, 1)
            #expect(try await engine.greedy(prompt) != plain)
            await refused("BadOption", "1.5") { try await engine.adapters.setStrength(1, 1.5) }
        }

        @Test("A version is exported, imported and deleted")
        func exports() async throws {
            let adapters = try await home.learned().adapters
            try await adapters.setStrength(1, 0.5)
            try await adapters.exportTo(1, destination: home.path("voice.tar"))
            try await adapters.setStrength(1, 1)
            let version = try await adapters.importFrom(home.path("voice.tar"))
            let versions = try await adapters.list().versions
            #expect(versions.map(\.origin) == [.trained, .imported])
            #expect(Set(versions.map(\.sha256)).count == 1)
            #expect(versions.map(\.strength) == [1, 0.5])
            #expect(versions[1].report == nil)
            try await adapters.delete(version)
            await refused("BadOption", "\(version)") { try await adapters.delete(version) }
            #expect(try await adapters.list().versions.map(\.version) == [1])
            await refused("Io", "nothing-here") { try await adapters.importFrom(home.path("nothing-here")) }
        }

        @Test("A merge that is left or cancelled leaves nothing")
        func cancelsMerge() async throws {
            let adapters = try await home.learned().adapters
            for try await _ in adapters.merge(1, destination: home.path("merged")) { break }
            let task = Task { [home] in
                for try await _ in adapters.merge(1, destination: home.path("merged")) {
                    withUnsafeCurrentTask { $0?.cancel() }
                }
            }
            await #expect(throws: CancellationError.self) { try await task.value }
            await refused("BadOption", "9") {
                for try await _ in adapters.merge(9, destination: home.path("merged")) {}
            }
            #expect(!home.has("merged"))
        }

        @Test("A merged folder opens and needs no adapter")
        func merges() async throws {
            let engine = try await home.learned()
            var stages: [MergeStage] = []
            var report: MergeReport?
            for try await event in engine.adapters.merge(1, destination: home.path("merged")) {
                switch event {
                case .progress(let stage, let done, let all):
                    #expect(done <= all)
                    if stages.last != stage { stages.append(stage) }
                case .finished(let found): report = found
                }
            }
            #expect(Array(stages.prefix(3)) == [.choosing, .writing, .comparing])
            let merged = try #require(report)
            #expect(!merged.matrices.isEmpty && merged.divergence.kl < merged.divergence.klOfBase)
            let texts = messages.prefix(40).map { EvaluationText(text: $0.text) }
            let alone = try await home.engine("alone", model: home.path("merged"), key: nil)
            #expect(try await alone.model().fingerprint == merged.fingerprint)
            let with = try await engine.evaluate(texts).nll
            let without = try await alone.evaluate(texts, adapters: []).nll
            #expect(abs(with - without) < 0.1)
            // On another base, the adapter is of no use until it has learned again.
            await engine.shutDown()
            let other = try await home.engine(model: home.path("merged"))
            #expect(try await other.staleVersion() == 1)
            #expect(try await !other.greedy(prompt).isEmpty)
        }
    }
}
