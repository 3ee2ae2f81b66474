import Foundation
import Idiolect

/// What the sample's screens show and do. It knows no SwiftUI, so that it is compiled and tested on Linux as well; the
/// screens are told by `changed` that something is new.
@MainActor
public final class NotesModel {
    /// The preference that says whether the person has agreed.
    nonisolated public static let agreed = "learning"

    /// Whether the person has agreed that the app learns from what they write: not until they say so.
    public private(set) var isLearning: Bool
    /// What was kept, newest first: what there is to learn from.
    public private(set) var ledger: [StoredSample] = []
    /// The numbers of those that the latest version learned from.
    public private(set) var learned: Set<Int64> = []
    /// How many messages were written.
    public private(set) var messages: UInt64 = 0
    /// Whether a training waits to be gone on with.
    public private(set) var isPaused = false
    /// A training under way.
    public private(set) var progress: TrainingProgress?
    /// What the last training, or anything else that the person asked for, came to, in words.
    public private(set) var outcome: String?
    /// How the model goes on with the same words, without and with what was learned.
    public private(set) var comparison: Comparison?
    /// The version in use, and how strongly.
    public private(set) var version: VersionInUse?
    /// The last thing that went wrong, and what to do.
    public private(set) var problem: String?
    /// Called when anything of it is new.
    public var changed: () -> Void = {}

    private let engine: PersonalEngine
    private let preferences: UserDefaults
    private let settings: LearnSettings
    private var training: Task<Void, Never>?

    /// The screens of one engine.
    ///
    /// - Parameters:
    ///   - settings: how it learns.
    ///   - outcome: what the person is told at first.
    public init(
        _ engine: PersonalEngine, preferences: UserDefaults = .standard, settings: LearnSettings = LearnSettings(),
        outcome: String? = nil
    ) {
        self.engine = engine
        self.preferences = preferences
        self.settings = settings
        self.outcome = outcome
        isLearning = preferences.bool(forKey: Self.agreed)
    }

    /// Reads what the screens begin with.
    public func load() async {
        await attempt { try await read() }
    }

    private func read() async throws {
        let (history, status) = (engine.history, try await engine.status())
        ledger = try await history.list(limit: 200)
        let latest = try await history.learnedVersions().last?.version
        learned = if let latest { Set(try await history.learnedFrom(latest)) } else { [] }
        (messages, isPaused, version) = (status.messages, status.pausedTraining, status.inUse)
    }

    /// The person agrees, or does not any more: then a training pauses, and what was learned stays until it is
    /// forgotten.
    public func setLearning(_ isOn: Bool) {
        isLearning = isOn
        preferences.set(isOn, forKey: Self.agreed)
        if !isOn { pause() }
        changed()
    }

    /// Keeps a note to learn from, where the person has agreed to it.
    public func write(_ text: String) async {
        guard isLearning else { return }
        await attempt {
            try await engine.history.add([NewSample(text: text, source: "notes")])
            try await read()
        }
    }

    /// Words to go on with.
    public func suggest(_ text: String) async -> [Suggestion] {
        text.isEmpty ? [] : (try? await engine.suggest(text)) ?? []
    }

    /// Trains now, to the end or until it is paused.
    public func train() {
        guard isLearning, training == nil else { return }
        progress = TrainingProgress()
        outcome = nil
        training = Task {
            await attempt {
                for try await event in engine.train(settings) { hear(event) }
            }
            // What went wrong before is still to be read.
            do { try await read() } catch { problem = problem ?? words(of: error) }
            (progress, training) = (nil, nil)
            changed()
        }
        changed()
    }

    /// Pauses the training: the next one goes on where it was.
    public func pause() {
        training?.cancel()
    }

    /// Waits until no training is under way any more.
    public func rest() async {
        await training?.value
    }

    private func hear(_ event: TrainEvent) {
        switch event {
        case .progress(let event): progress?.hear(event)
        case .finished(let report), .failed(let report): outcome = report.verdict.explanation
        case .paused: outcome = Self.paused
        }
        changed()
    }

    /// Goes on with the same words before and after.
    public func compare(_ text: String) async {
        await attempt {
            comparison = Comparison(
                before: try await continued(text, adapters: []), after: try await continued(text, adapters: nil))
        }
    }

    private func continued(_ text: String, adapters: [AdapterWeight]?) async throws -> String {
        var words = text
        let options = GenerateOptions(maxTokens: 30, temperature: 0, adapters: adapters)
        for try await case .text(let piece) in engine.generate(.text(text: text), options: options) { words += piece }
        return words
    }

    /// Sets how strongly the version in use is heard, from 0 to 1.
    public func setStrength(_ strength: Float) async {
        guard let version else { return }
        await attempt {
            try await engine.adapters.setStrength(version.version, strength)
            self.version = try await engine.status().inUse
        }
    }

    /// Writes the version in use to a file of the app's that opens elsewhere; nil where it cannot. It is not sealed:
    /// once the person has chosen where it goes, or not, ``exported(_:isThere:)`` is told.
    public func export() async -> URL? {
        guard let version else { return nil }
        let file = FileManager.default.temporaryDirectory.appendingPathComponent("my-voice.tar")
        await attempt { try await engine.adapters.exportTo(version.version, destination: file.path) }
        return problem == nil ? file : nil
    }

    /// The exported file went where the person wanted it, or it could not; nil where they wanted it nowhere. None of it
    /// stays in the app.
    public func exported(_ file: URL, isThere: Bool?) {
        try? FileManager.default.removeItem(at: file)
        outcome = isThere.map {
            $0 ? "Exported." : "Not exported: there is no room for it, or it may not be written there."
        }
        changed()
    }

    /// Forgets a note; an adapter that learned from it is marked, and the next training makes one without it.
    public func forget(_ sample: StoredSample) async {
        await attempt {
            try await engine.history.remove(.samples(ids: [sample.id]))
            try await read()
        }
    }

    /// Forgets everything: the key first, then all of the profile; the agreement too. The engine is closed then.
    ///
    /// - Returns: what to tell the person; nil where something could not be erased.
    public func forgetEverything() async -> String? {
        setLearning(false)
        await rest()
        var forgotten: String?
        await attempt {
            forgotten = "Forgotten: \(try await engine.eraseAll().total.files) files."
            (ledger, learned, messages, isPaused) = ([], [], 0, false)
            (version, comparison, outcome) = (nil, nil, nil)
        }
        return forgotten
    }

    private func attempt(_ work: () async throws -> Void) async {
        problem = nil
        do {
            try await work()
        } catch is CancellationError {
            outcome = Self.paused
        } catch {
            problem = words(of: error)
        }
        changed()
    }

    private static let paused = "Paused. It goes on from here, tonight or when you ask."

    private func words(of error: any Error) -> String {
        [error.localizedDescription, (error as? EngineError)?.hint].compactMap { $0 }.joined(separator: ". ")
    }
}

/// How the model goes on with the same words, which each begins with.
public struct Comparison: Sendable, Equatable {
    /// The base alone.
    public let before: String
    /// With what was learned.
    public let after: String
}
