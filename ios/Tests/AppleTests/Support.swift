// What the tests begin with: the model and the history in the repository, and patience.

import Foundation
import Idiolect
import Testing

let assets = URL(fileURLWithPath: #filePath)
    .deletingLastPathComponent().appendingPathComponent("../../../bindings/cli/assets").standardized

let base = ModelSource.path(path: assets.appendingPathComponent("base").path)

func options(_ home: URL, key: Data? = nil) -> EngineOptions {
    EngineOptions(
        profile: home.appendingPathComponent("profile").path, model: base, key: key, device: .cpu, threads: 2)
}

func samples(_ count: Int) throws -> [NewSample] {
    try Array(readJsonl(path: assets.appendingPathComponent("history.jsonl").path).samples.prefix(count))
}

/// Waits until something holds, three minutes at most.
func eventually(
    isolation: isolated (any Actor)? = #isolation, _ holds: () async throws -> Bool
) async throws {
    for _ in 0..<9000 {
        if try await holds() { return }
        try await Task.sleep(for: .milliseconds(20))
    }
    Issue.record("it did not come about")
}
