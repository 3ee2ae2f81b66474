// The code for Apple's platforms on stand-ins for their modules: what it does, not that the real modules take it.

import BackgroundTasks
import Foundation
import Idiolect
import NotesModel
import Security
import Testing
import UIKit

@Suite(.serialized)
final class AppleTests {
    let home = FileManager.default.temporaryDirectory.appendingPathComponent("idiolect-\(UUID())")

    deinit {
        try? FileManager.default.removeItem(at: home)
    }

    @Test("A key is made once, read while locked after the first unlock, and deleted")
    func keychain() throws {
        let key = KeychainKey(service: "test", account: "\(UUID())")
        let first = try key.read()
        #expect(first.count == 32)
        #expect(try key.read() == first)
        #expect(
            TestKeychain.accessible(service: "test", account: key.account)
                == kSecAttrAccessibleAfterFirstUnlockThisDeviceOnly)
        TestKeychain.isLocked = true
        #expect(throws: EngineError.self) { try key.read() }
        TestKeychain.isLocked = false
        try key.delete()
        try key.delete()
        #expect(try key.read() != first)
    }

    @Test("A training in the background is ended in its midst, goes on the next time, and asks for its times")
    func background() async throws {
        let (home, scheduler) = (home, BGTaskScheduler.shared)
        let engine = try await PersonalEngine.open(options(home))
        try await engine.history.addAll(samples(120))
        await engine.shutDown()
        let learn = LearnSettings(
            train: TrainSettings(steps: 12), gate: GateSettings(minUnits: 2), checkpointEveryMs: 1)
        let training = BackgroundTraining(identifier: "\(UUID())", settings: learn) {
            var options = options(home).inBackground()
            #expect(options.cpuShare == 0.7 && options.device == .cpu)
            options.cpuShare = nil
            return try await PersonalEngine.open(options)
        }
        #expect(training.register())
        try training.schedule()
        let request = try #require(scheduler.requests[training.identifier] as? BGProcessingTaskRequest)
        #expect(request.requiresExternalPower && !request.requiresNetworkConnectivity)
        let first = BGProcessingTask(identifier: training.identifier)
        scheduler.begin(first)
        let watching = try await PersonalEngine.open(options(home))
        try await eventually { try await watching.hasPausedTraining() }
        first.expirationHandler?()
        try await eventually { first.isSuccess != nil }
        #expect(try await watching.hasPausedTraining())
        #expect(scheduler.requests[training.identifier]?.earliestBeginDate == nil)
        let second = BGProcessingTask(identifier: training.identifier)
        scheduler.begin(second)
        try await eventually { second.isSuccess != nil }
        #expect(second.isSuccess == true)
        #expect(try await watching.lastReport()?.resumed == true)
        #expect(try #require(scheduler.requests[training.identifier]?.earliestBeginDate) > Date())
        training.cancel()
        #expect(scheduler.requests[training.identifier] == nil)
    }

    @Test("In the background the engine is suspended, in the foreground it goes on, and tells its signals")
    @MainActor
    func lifecycle() async throws {
        let engine = try await PersonalEngine.open(options(home))
        let lifecycle = AppLifecycle(engine, device: .cpu)
        UIDevice.current.batteryState = .unplugged
        NotificationCenter.default.post(name: UIDevice.batteryStateDidChangeNotification, object: nil)
        NotificationCenter.default.post(name: UIApplication.didEnterBackgroundNotification, object: nil)
        try await eventually {
            do { _ = try await engine.history.stats() } catch EngineError.Suspended { return true }
            return false
        }
        NotificationCenter.default.post(name: UIApplication.willEnterForegroundNotification, object: nil)
        try await eventually { (try? await engine.history.stats()) != nil }
        var attendance = engine.attend(AttendSettings(policy: defaultPolicy())).makeAsyncIterator()
        _ = try await attendance.next()
        NotificationCenter.default.post(name: UIApplication.didReceiveMemoryWarningNotification, object: nil)
        #expect(try await engine.model().layers > 0)
        withExtendedLifetime(lifecycle) {}
    }

    @Test("A folder is made for profiles")
    func folder() throws {
        #expect(try ProtectedFolder.make(home) == home.path)
        #expect(try ProtectedFolder.make(home) == home.path)
        #expect(ProtectedFolder.ofApp(group: "group.notes")?.lastPathComponent == "Idiolect")
    }

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
