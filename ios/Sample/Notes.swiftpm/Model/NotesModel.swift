import Foundation
import Idiolect

/// What the sample's screens show and do. It knows no SwiftUI, so that it is compiled and tested on Linux as well; the
/// screens are told by `changed` that something is new.
@MainActor
public final class NotesModel {
    /// Whether the person has agreed that the app learns from what they write: not until they say so.
    public private(set) var isLearning: Bool
    /// What was kept, newest first: what there is to learn from.
    public private(set) var ledger: [StoredSample] = []
    /// A training under way.
    public private(set) var progress: TrainingProgress?
    /// What the last training came to, in words.
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
    private var training: Task<Void, Never>?
    private static let agreed = "learning"

    /// The screens of one engine.
    public init(_ engine: PersonalEngine, preferences: UserDefaults = .standard) {
        self.engine = engine
        self.preferences = preferences
        isLearning = preferences.bool(forKey: Self.agreed)
    }

    /// Reads what the screens begin with.
    public func load() async {
        await attempt {
            ledger = try await engine.history.list(limit: 200)
            version = try await engine.status().inUse
        }
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
            ledger = try await engine.history.list(limit: 200)
        }
    }

    /// Words to go on with.
    public func suggest(_ text: String) async -> [Suggestion] {
        (try? await engine.suggest(text)) ?? []
    }

    /// Trains now, to the end or until it is paused.
    public func train(_ settings: LearnSettings = LearnSettings()) {
        guard isLearning, training == nil else { return }
        progress = TrainingProgress()
        outcome = nil
        training = Task {
            await attempt {
                for try await event in engine.train(settings) { hear(event) }
                version = try await engine.status().inUse
            }
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
        case .paused: outcome = "Paused: it goes on where it was."
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
        var words = ""
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

    /// Writes the version in use to a file that opens elsewhere.
    public func export(to path: String) async {
        guard let version else { return }
        await attempt { try await engine.adapters.exportTo(version.version, destination: path) }
    }

    /// Forgets a note; an adapter that learned from it is marked, and the next training makes one without it.
    public func forget(_ sample: StoredSample) async {
        await attempt {
            try await engine.history.remove(.samples(ids: [sample.id]))
            ledger = try await engine.history.list(limit: 200)
        }
    }

    /// Forgets everything: the key first, then all of the profile. The engine is closed then.
    public func forgetEverything() async {
        setLearning(false)
        await attempt {
            try await engine.eraseAll()
            (ledger, version, comparison, outcome) = ([], nil, nil, nil)
        }
    }

    private func attempt(_ work: () async throws -> Void) async {
        problem = nil
        do {
            try await work()
        } catch is CancellationError {
            outcome = "Paused: it goes on where it was."
        } catch {
            problem = [error.localizedDescription, (error as? EngineError)?.hint].compactMap { $0 }
                .joined(separator: ". ")
        }
        changed()
    }
}

/// How the model goes on with the same words.
public struct Comparison: Sendable, Equatable {
    /// The base alone.
    public let before: String
    /// With what was learned.
    public let after: String
}
