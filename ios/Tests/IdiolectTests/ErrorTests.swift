import Foundation
import Idiolect
import Testing

extension OneByOne {
    /// Errors by their case. Others meet theirs where they belong: `Io`, `WrongKey`, `KeyStore`, `TrainingBusy`,
    /// `Suspended`, `Closed`, `BadOption` and `OverBudget` with the calls that give them, `Listener` in
    /// `SurfaceTests`; `NotFinite` needs damaged weights, `Device` a machine without a GPU.
    @Suite struct ErrorTests {
        let home = try! Home()

        @Test("BadFile: a model that ends behind its first words")
        func badFile() async throws {
            try Data("GGUF\u{3}\0\0\0".utf8).write(to: home.url.appendingPathComponent("broken.gguf"))
            let engine = try await home.engine(model: home.path("broken.gguf"))
            await refused("BadFile", home.path("broken.gguf")) { try await engine.check() }
        }

        @Test("Unsupported: a model of another architecture")
        func unsupported() async throws {
            try FileManager.default.copyItem(atPath: base, toPath: home.path("mamba"))
            let config = home.url.appendingPathComponent("mamba/config.json")
            var fields = try JSONSerialization.jsonObject(with: Data(contentsOf: config)) as! [String: Any]
            (fields["model_type"], fields["architectures"]) = ("mamba", ["MambaForCausalLM"])
            try JSONSerialization.data(withJSONObject: fields).write(to: config)
            let engine = try await home.engine(model: home.path("mamba"))
            await refused("Unsupported", "mamba") { try await engine.check() }
        }

        @Test("AdapterMismatch: an adapter of another base")
        func adapterMismatch() async throws {
            let engine = try await home.learned()
            try await engine.adapters.exportTo(1, destination: home.path("voice"))
            for try await _ in engine.adapters.merge(1, destination: home.path("merged")) {}
            let other = try await home.engine("other", model: home.path("merged"), key: nil)
            await refused("AdapterMismatch") { try await other.adapters.importFrom(home.path("voice")) }
        }

        @Test("BadData: nothing to learn from")
        func badData() async throws {
            let engine = try await home.engine()
            await refused("BadData") { _ = try await engine.finish(settings) }
        }

        @Test("TooLossy: a merge that would lose more than it may")
        func tooLossy() async throws {
            let adapters = try await home.learned().adapters
            let options = MergeOptions(maxDivergence: 1e-9, maxBits: 4)
            await refused("TooLossy") {
                for try await _ in adapters.merge(1, destination: home.path("merged"), options: options) {}
            }
            #expect(!home.has("merged"))
        }

        static let hasNoGpu = ProcessInfo.processInfo.environment["IDIOLECT_NO_GPU"] != nil

        @Test("Device: a GPU where there is none", .enabled(if: hasNoGpu))
        func device() async throws {
            let engine = try await home.engine()
            try await engine.setDevice(.gpu)
            await refused("Device") { _ = try await engine.backend() }
        }

        @Test("PutBack: a history from a backup is taken when the person agrees")
        func putBack() async throws {
            // The database and what its log has of it.
            let files = ["", "-wal"].map { home.url.appendingPathComponent("profile/history.db" + $0) }
            await (try home.engine(messages: 30)).shutDown()
            let backup = files.map { try? Data(contentsOf: $0) }
            let engine = try await home.engine()
            try await engine.history.clear()
            await engine.shutDown()
            try? FileManager.default.removeItem(atPath: files[0].path + "-shm")
            for (file, content) in zip(files, backup) {
                try? FileManager.default.removeItem(at: file)
                try content?.write(to: file)
            }
            let error = await refused("PutBack") { _ = try await home.engine() }
            #expect(error?.hint != nil)
            try await PersonalEngine.acceptHistory(home.path("profile"), key: key)
            #expect(try await home.engine().history.stats().total.messages == 30)
        }

        @Test("Cancelled: a task that is cancelled before hears a CancellationError, and nothing is begun")
        func cancelledBefore() async throws {
            let engine = try await home.engine(messages: 60)
            let task = Task {
                withUnsafeCurrentTask { $0?.cancel() }
                await #expect(throws: CancellationError.self) { _ = try await engine.suggest("see you ") }
                await #expect(throws: CancellationError.self) { _ = try await engine.plan() }
                await #expect(throws: CancellationError.self) { for try await _ in engine.train() {} }
                await #expect(throws: CancellationError.self) {
                    for try await _ in engine.generate(.text(text: prompt)) {}
                }
            }
            await task.value
        }
    }
}
