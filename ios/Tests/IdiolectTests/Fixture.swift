// What the tests begin with: the model and the history in the repository, a folder of one's own, a profile that has
// learned.

import Foundation
import Idiolect
import Testing

let assets = URL(fileURLWithPath: #filePath)
    .deletingLastPathComponent().appendingPathComponent("../../../bindings/cli/assets").standardized

let base = assets.appendingPathComponent("base").path
let prompt = "see you"
let key = Data(1...32)
/// Short, and with few texts held out, so that the tests are quick.
let settings = LearnSettings(train: TrainSettings(epochs: 1, seed: 7), gate: GateSettings(minUnits: 2))
let otherSettings = LearnSettings(train: TrainSettings(epochs: 1, seed: 8), gate: GateSettings(minUnits: 2))

/// The first 240 messages of the sample history.
let messages = try! Array(
    readJsonl(path: assets.appendingPathComponent("history.jsonl").path).samples.prefix(240))

/// A folder of one test's, which goes with it.
final class Home: Sendable {
    let url: URL

    init() throws {
        url = FileManager.default.temporaryDirectory.appendingPathComponent("idiolect-\(UUID())")
        try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
    }

    deinit {
        try? FileManager.default.removeItem(at: url)
    }

    func path(_ name: String) -> String { url.appendingPathComponent(name).path }

    func has(_ name: String) -> Bool { FileManager.default.fileExists(atPath: path(name)) }

    func options(
        _ profile: String = "profile", model: String = base, key: Data? = key, threads: UInt32 = 2
    ) -> EngineOptions {
        EngineOptions(
            profile: path(profile), model: .path(path: model), key: key, device: .cpu, threads: threads)
    }

    /// An engine on a profile of this folder, with so many messages in it.
    func engine(
        _ profile: String = "profile", model: String = base, key: Data? = key, messages count: Int = 0
    ) async throws -> PersonalEngine {
        let engine = try await PersonalEngine.open(options(profile, model: model, key: key))
        if count > 0 { try await engine.history.addAll(Array(messages.prefix(count))) }
        return engine
    }

    /// An engine on a copy of the profile that has learned.
    func learned() async throws -> PersonalEngine { try await copied("profile") }

    /// An engine on a copy of that profile as it was before it learned. (In another profile the key would split the texts
    /// otherwise, and what is learned would be another.)
    func unlearned() async throws -> PersonalEngine { try await copied("unlearned") }

    private func copied(_ profile: String) async throws -> PersonalEngine {
        let source = try await Learned.shared.value.home.path(profile)
        try FileManager.default.copyItem(atPath: source, toPath: path("profile"))
        return try await engine()
    }
}

/// A profile that has learned from 240 messages, without a pause: made once, and copied.
struct Learned {
    static let shared = Task { try await Learned() }

    let home: Home
    let report: LearnReport

    private init() async throws {
        home = try Home()
        await (try home.engine(messages: 240)).shutDown()
        try FileManager.default.copyItem(atPath: home.path("profile"), toPath: home.path("unlearned"))
        let engine = try await home.engine()
        report = try await engine.finish(settings)
        await engine.shutDown()
    }
}
