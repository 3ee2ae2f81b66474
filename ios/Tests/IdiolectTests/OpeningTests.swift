import Foundation
import Idiolect
import Testing

extension OneByOne {
    @Suite struct OpeningTests {
        let home = try! Home()

        @Test("A profile and a model open")
        func opens() async throws {
            let engine = try await home.engine()
            #expect(engine.state == .idle)
            try await engine.check()
            let model = try await engine.model()
            #expect(model.layers > 0 && model.parameters > 0 && !model.family.isEmpty && !model.format.isEmpty)
            let backend = try await engine.backend()
            #expect(backend.kind == .cpu && !backend.name.isEmpty && !backend.reason.isEmpty)
            #expect(try await engine.countTokens("see you tomorrow") > 0)
            #expect(!PersonalEngine.libraryVersion.isEmpty)
        }

        @Test("A wrong path of the model: case, message and hint")
        func noModel() async throws {
            let engine = try await home.engine(model: home.path("nowhere"))
            let error = await refused("Io", home.path("nowhere")) { try await engine.check() }
            #expect(error?.hint?.contains("GGUF") == true)
            #expect(error?.errorDescription == error?.detail && error?.recoverySuggestion == error?.hint)
        }

        @Test("A wrong key, one too short, and none at all")
        func wrongKey() async throws {
            await (try home.engine()).shutDown()
            let error = await refused("WrongKey", home.path("profile")) {
                _ = try await home.engine(key: Data(repeating: 9, count: 32))
            }
            #expect(error?.hint != nil)
            await refused("WrongKey", home.path("profile")) { _ = try await home.engine(key: nil) }
            await refused("BadOption", "31") { _ = try await home.engine(key: Data(repeating: 9, count: 31)) }
        }

        @Test("A developer's listener hears how the work goes on, and nothing that was written")
        func logs() async throws {
            let log = Log()
            try await PersonalEngine.setLogListener(log, level: .trace)
            let engine = try await home.engine(messages: 3)
            _ = try await engine.greedy("a secret of mine")
            try await PersonalEngine.setLogListener(nil)
            let records = log.records
            #expect(records.contains { $0.contains("model opened") })
            #expect(!records.contains { $0.contains("secret") || $0.contains(messages[0].text) })
        }
    }
}

/// Remembers what it is told.
private final class Log: LogListener, @unchecked Sendable {
    private let lock = NSLock()
    private var told: [String] = []

    func onRecord(level: LogLevel, target: String, message: String) {
        lock.withLock { told.append(message) }
    }

    var records: [String] { lock.withLock { told } }
}
