import Foundation
import Testing

@testable import Idiolect

extension OneByOne {
    /// That no call blocks whoever makes it.
    @Suite struct CallsTests {
        let home = try! Home()

        @Test("Eight tasks at once: every call has its answer")
        func eightTasks() async throws {
            let engine = try await home.learned()
            let expected = try await engine.greedy(prompt)
            try await withThrowingTaskGroup(of: Void.self) { group in
                for task in 0..<8 {
                    group.addTask {
                        for turn in 0..<6 {
                            switch (task + turn) % 4 {
                            case 0: #expect(try await engine.greedy(prompt) == expected)
                            case 1: #expect(try await !engine.suggest("i am go").isEmpty)
                            case 2: try await engine.history.add([NewSample(text: "task \(task), turn \(turn)")])
                            default: #expect(try await engine.adapters.list().active == 1)
                            }
                        }
                    }
                }
                try await group.waitForAll()
            }
            #expect(try await engine.history.stats().total.messages == 252)
        }

        #if os(Linux)
        @Test("While another process has the disk, calls wait and the main actor does not")
        func databaseHeld() async throws {
            let engine = try await home.engine(messages: 3)
            let lock = try WriterLock(database: home.path("profile/history.db"))
            let added = Task {
                let added = try await engine.history.add([NewSample(text: "written meanwhile")])
                return (added.newTexts, ContinuousClock.now)
            }
            try await staysResponsive(engine)
            let released = ContinuousClock.now
            lock.release()
            let (texts, ended) = try await added.value
            #expect(texts == 1 && ended > released)
        }
        #endif

        @Test("While the worker is held, calls wait and the main actor does not")
        func workerHeld() async throws {
            let engine = try await home.learned()
            try await engine.check()
            // An evaluation holds the worker for as long as it takes.
            let texts = messages.map { EvaluationText(text: String(repeating: $0.text + " ", count: 20)) }
            let held = Task { try await engine.evaluate(texts) }
            try await Task.sleep(for: .milliseconds(50))
            let waiting = (0..<32).map { _ in Task { try await engine.countTokens("see you") } }
            try await staysResponsive(engine)
            held.cancel()
            await #expect(throws: CancellationError.self) { try await held.value }
            for call in waiting { #expect(try await call.value > 0) }
        }

        @Test("Ended by its task, a call is cancelled; ended by the engine, it says so")
        func endedByEngine() async throws {
            let calls = Calls()
            let cancelled: @Sendable (CancelToken) throws -> Void = { cancel in
                while !cancel.isCancelled() { Thread.sleep(forTimeInterval: 0.001) }
                throw EngineError.Cancelled(detail: "cancelled", hint: nil)
            }
            let task = Task { try await calls.make(cancelling: cancelled) }
            task.cancel()
            await #expect(throws: CancellationError.self) { try await task.value }
            await refused("Cancelled") {
                try await calls.make { (_: CancelToken) in throw EngineError.Cancelled(detail: "closing", hint: nil) }
            }
        }

        /// Calls that need the worker and the disk are made from the main actor, which has to be there again at once,
        /// as has the cooperative pool; properties answer as soon.
        @MainActor
        private func staysResponsive(_ engine: PersonalEngine) async throws {
            let calls = (0..<16).map { _ in
                Task { @MainActor in
                    _ = try await engine.history.add([NewSample(text: "from the main actor")])
                    _ = try await engine.status()
                }
            }
            for _ in 0..<20 {
                let moment = ContinuousClock.now
                _ = (engine.state, engine.attendance, engine.history, engine.adapters)
                engine.pushSignals(DeviceSignals(charging: true))
                await Task.yield()
                await Task.detached {}.value
                #expect(seconds(since: moment) < 0.1)
                try await Task.sleep(for: .milliseconds(10))
            }
            Task { for call in calls { try await call.value } }
        }

        @Test("Opened and closed two hundred times, it has as much memory as before", .timeLimit(.minutes(5)))
        func openAndClose() async throws {
            func cycle() async throws {
                let engine = try await home.engine()
                _ = try await engine.suggest("see you ")
                await engine.shutDown()
            }
            await (try home.learned()).shutDown()
            for _ in 0..<20 { try await cycle() }
            let before = try residentBytes()
            for _ in 0..<200 { try await cycle() }
            let after = try residentBytes()
            #expect(after < before + 8 << 20, "\(before >> 20) to \(after >> 20) MB")
        }
    }
}

/// The bytes of memory that this process has.
private func residentBytes() throws -> Int {
    #if os(Linux)
    let pages = try String(contentsOfFile: "/proc/self/statm", encoding: .utf8).split(separator: " ")[1]
    return Int(pages)! * Int(sysconf(Int32(_SC_PAGESIZE)))
    #else
    var info = mach_task_basic_info()
    var count = mach_msg_type_number_t(MemoryLayout<mach_task_basic_info>.size / MemoryLayout<natural_t>.size)
    _ = withUnsafeMutablePointer(to: &info) {
        $0.withMemoryRebound(to: integer_t.self, capacity: Int(count)) {
            task_info(mach_task_self_, task_flavor_t(MACH_TASK_BASIC_INFO), $0, &count)
        }
    }
    return Int(info.resident_size)
    #endif
}

#if os(Linux)
/// The lock that a writer of an SQLite database in WAL mode holds, taken as another process would: byte 120 of the
/// `-shm` file.
private final class WriterLock {
    private let file: Int32

    init(database: String) throws {
        file = open(database + "-shm", O_RDWR)
        try #require(file >= 0)
        // Of the open file, not of the process: it stands against the library's own, too.
        var lock = flock(l_type: Int16(F_WRLCK), l_whence: Int16(SEEK_SET), l_start: 120, l_len: 1, l_pid: 0)
        try #require(fcntl(file, 37, &lock) == 0)
    }

    func release() { close(file) }
}
#endif
