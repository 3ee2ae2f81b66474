#if canImport(UIKit)
import Foundation
import Idiolect
import Testing

extension AppleTests {
    @Test("The base suggests on a profile of its own, also where a killed process left one, and leaves nothing")
    func baseSuggestions() async throws {
        let folder = home.appendingPathComponent("base")
        let left: [(String, () async throws -> Void)] = [
            ("nothing", {}),
            ("an empty folder", { try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true) }),
            ("a profile under another key", {
                let options = EngineOptions(profile: folder.path, model: base, key: Data(1...32))
                await (try PersonalEngine.open(options)).shutDown()
            }),
        ]
        for (what, leave) in left {
            try await leave()
            let suggestions = BaseSuggestions(model: base, folder: folder) {
                var options = $0
                (options.device, options.threads) = (.cpu, 2)
                return options
            }
            // The first key is cancelled by the second one.
            let first = Task { try await suggestions.suggest("see y") }
            first.cancel()
            _ = await first.result
            #expect(try await !suggestions.suggest("see y").isEmpty, "\(what)")
            #expect(FileManager.default.fileExists(atPath: folder.path))
            try await suggestions.end()
            #expect(!FileManager.default.fileExists(atPath: folder.path), "\(what)")
            do {
                _ = try await suggestions.suggest("see y")
                Issue.record("it goes on")
            } catch EngineError.Closed {}
        }
    }

    @Test("Ended before it was asked, it erases what a killed process left")
    func baseSuggestionsLeft() async throws {
        let folder = home.appendingPathComponent("base")
        await (try PersonalEngine.open(EngineOptions(profile: folder.path, model: base))).shutDown()
        try await BaseSuggestions(model: base, folder: folder).end()
        #expect(!FileManager.default.fileExists(atPath: folder.path))
    }

    @Test("A model that cannot be opened is tried anew by the next key")
    func baseSuggestionsFail() async throws {
        let suggestions = BaseSuggestions(
            model: .path(path: home.appendingPathComponent("nowhere").path), folder: home.appendingPathComponent("base"))
        for _ in 0..<2 {
            await #expect(throws: EngineError.self) { try await suggestions.suggest("see y") }
        }
        try await suggestions.end()
    }
}
#endif
