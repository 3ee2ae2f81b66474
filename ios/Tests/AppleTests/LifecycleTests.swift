#if canImport(UIKit)
import Foundation
import Idiolect
import Testing
import UIKit

private func post(_ name: Notification.Name) {
    NotificationCenter.default.post(name: name, object: nil)
}

private func isSuspended(_ engine: PersonalEngine) async throws -> Bool {
    do { _ = try await engine.history.stats() } catch EngineError.Suspended { return true }
    return false
}

extension AppleTests {
    @Test("In the background the engine is suspended, in the foreground it goes on, and tells its signals")
    @MainActor
    func lifecycle() async throws {
        let engine = try await PersonalEngine.open(options(home))
        let lifecycle = AppLifecycle(engine, device: .cpu)
        post(UIDevice.batteryStateDidChangeNotification)
        post(UIApplication.didEnterBackgroundNotification)
        try await eventually { try await isSuspended(engine) }
        post(UIApplication.willEnterForegroundNotification)
        try await eventually { try await !isSuspended(engine) }
        var attendance = engine.attend(AttendSettings(policy: defaultPolicy())).makeAsyncIterator()
        _ = try await attendance.next()
        post(UIApplication.didReceiveMemoryWarningNotification)
        #expect(try await engine.model().layers > 0)
        withExtendedLifetime(lifecycle) {}
    }

    @Test("An engine that cannot go on says why, and goes on once it can")
    @MainActor
    func retries() async throws {
        let engine = try await PersonalEngine.open(options(home))
        let (failures, told) = AsyncStream.makeStream(of: String.self)
        let lifecycle = AppLifecycle(engine, device: .cpu) { told.yield("\($0)") }
        post(UIApplication.didEnterBackgroundNotification)
        try await eventually { try await isSuspended(engine) }
        // Damaged in its place: another file would be another history.
        let database = home.appendingPathComponent("profile/history.db")
        let whole = try Data(contentsOf: database)
        let file = try FileHandle(forWritingTo: database)
        try file.write(contentsOf: Data(repeating: 7, count: whole.count))
        post(UIApplication.willEnterForegroundNotification)
        var failure = failures.makeAsyncIterator()
        #expect(await failure.next()?.isEmpty == false)
        #expect(try await isSuspended(engine))
        try file.seek(toOffset: 0)
        try file.write(contentsOf: whole)
        try await eventually { try await !isSuspended(engine) }
        withExtendedLifetime(lifecycle) {}
    }

    #if os(Linux)
    @Test("Where the system grants no time, the engine is suspended at once")
    @MainActor
    func refusedTime() async throws {
        TestSystem.refusesTime = true
        defer { TestSystem.refusesTime = false }
        let engine = try await PersonalEngine.open(options(home))
        let lifecycle = AppLifecycle(engine, device: .cpu)
        post(UIApplication.didEnterBackgroundNotification)
        try await eventually { try await isSuspended(engine) }
        withExtendedLifetime(lifecycle) {}
    }

    @Test("Left and entered at once, the engine is not suspended by what comes late")
    @MainActor
    func comesLate() async throws {
        TestSystem.waiting = []
        defer { TestSystem.waiting = nil }
        let engine = try await PersonalEngine.open(options(home))
        let lifecycle = AppLifecycle(engine, device: .cpu)
        post(UIApplication.didEnterBackgroundNotification)
        post(UIApplication.willEnterForegroundNotification)
        for activity in try #require(TestSystem.waiting) { await Task.detached { activity() }.value }
        #expect(try await !isSuspended(engine))
        withExtendedLifetime(lifecycle) {}
    }
    #endif
}
#endif
