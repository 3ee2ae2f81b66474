#if canImport(NotesModel)
import Foundation
import Idiolect
import NotesModel
import Testing

extension AppleTests {
    @Test("The sample app keeps nothing before the person agrees, trains, compares, and forgets")
    @MainActor
    func notes() async throws {
        let engine = try await PersonalEngine.open(options(home))
        let preferences = try #require(UserDefaults(suiteName: "\(UUID())"))
        let learn = LearnSettings(train: TrainSettings(steps: 12), gate: GateSettings(minUnits: 2))
        let notes = NotesModel(engine, preferences: preferences, settings: learn)
        await notes.write("a secret of mine")
        #expect(!notes.isLearning && notes.ledger.isEmpty)
        notes.setLearning(true)
        for sample in try samples(120) { await notes.write(sample.text) }
        #expect(notes.ledger.count > 80 && notes.problem == nil)
        let gone = notes.ledger[0]
        await notes.forget(gone)
        #expect(!notes.ledger.contains { $0.id == gone.id })
        #expect(await !notes.suggest("see y").isEmpty)
        var shares: [Double] = []
        notes.changed = { [unowned notes] in
            guard let progress = notes.progress else { return }
            shares.append(progress.share)
            if progress.step == 5, shares.count < 40 { notes.pause() }
        }
        notes.train()
        await notes.rest()
        #expect(notes.outcome?.hasPrefix("Paused") == true && notes.progress == nil)
        notes.changed = { [unowned notes] in if let progress = notes.progress { shares.append(progress.share) } }
        notes.train()
        await notes.rest()
        #expect(notes.problem == nil && notes.outcome?.hasPrefix("Paused") == false)
        #expect(shares.max() == 1)
        await notes.compare("see you")
        #expect(notes.comparison?.before.isEmpty == false)
        if notes.version != nil {
            await notes.setStrength(0.5)
            #expect(notes.version?.strength == 0.5)
            let file = try #require(await notes.export())
            #expect(FileManager.default.fileExists(atPath: file.path))
            notes.exported(file, isThere: nil)
            #expect(!FileManager.default.fileExists(atPath: file.path))
        }
        #expect(await notes.forgetEverything()?.hasPrefix("Forgotten") == true)
        #expect(notes.ledger.isEmpty && !notes.isLearning)
        #expect(!FileManager.default.fileExists(atPath: home.appendingPathComponent("profile").path))
    }
}
#endif
