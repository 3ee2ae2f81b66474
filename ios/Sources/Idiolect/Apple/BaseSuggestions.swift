#if canImport(UIKit)
import Foundation

/// Words of the base model alone, where the person's profile is out of reach: in a keyboard without full access, which
/// must not write where its app keeps the profile, and before the first unlock after a restart.
///
/// Its profile is empty and stays so, for here is nothing that adds to it or trains. It lies in the process's own
/// temporary folder with its key beside it, as there is nothing to keep secret, and ``end()`` erases it. A process has one
/// of these, kept for as long as it is needed.
public actor BaseSuggestions {
    private struct Open {
        let engine: PersonalEngine
        let lifecycle: AppLifecycle
    }

    private let model: ModelSource
    private let folder: URL
    private let options: @Sendable (EngineOptions) -> EngineOptions
    private var opening: Task<Open, any Error>?
    private var isEnded = false

    /// - Parameters:
    ///   - model: the app's or the extension's bundle has it, which can be read at any time.
    ///   - folder: where its profile lies, and nothing else; nil is a place in the temporary folder.
    ///   - options: the options to open with, given those with profile and model set.
    public init(
        model: ModelSource, folder: URL? = nil,
        options: @escaping @Sendable (EngineOptions) -> EngineOptions = { $0 }
    ) {
        self.model = model
        self.folder = folder
            ?? FileManager.default.temporaryDirectory.appendingPathComponent("Idiolect-base", isDirectory: true)
        self.options = options
    }

    /// The likeliest words, as ``PersonalEngine/suggest(_:options:)`` gives them. The model is opened with the first call,
    /// and its memory given back on a warning.
    ///
    /// - Throws: `Closed` once it has ended, and what ``PersonalEngine/suggest(_:options:)`` refuses.
    public func suggest(_ text: String, options: SuggestOptions = SuggestOptions()) async throws -> [Suggestion] {
        try await opened().suggest(text, options: options)
    }

    /// Ends it for good and erases its profile; also what a process left that was killed.
    ///
    /// - Throws: `Io` when a file cannot be removed.
    public func end() async throws {
        isEnded = true
        let last = opening
        opening = nil
        if let engine = try? await last?.value.engine { try await engine.eraseAll() }
        try await Self.eraseLeft(folder)
    }

    private func opened() async throws -> PersonalEngine {
        if isEnded {
            throw EngineError.Closed(
                detail: "the base's suggestions have ended", hint: "ask the person's own engine")
        }
        // A task of its own: the next key cancels who asks, and should find it open.
        let task = opening ?? Task { [model, folder, options] in
            try await Self.eraseLeft(folder)
            try await Self.make(folder)
            let chosen = options(EngineOptions(profile: folder.path, model: model))
            let engine = try await PersonalEngine.open(chosen)
            return Open(engine: engine, lifecycle: await AppLifecycle(engine, device: chosen.device ?? .auto))
        }
        opening = task
        do {
            return try await task.value.engine
        } catch {
            if opening == task { opening = nil }
            throw error
        }
    }

    /// Files made before the first unlock can have no protection that waits for it.
    private static func make(_ folder: URL) async throws {
        try await Calls().make {
            try FileManager.default.createDirectory(
                at: folder, withIntermediateDirectories: true, attributes: [.protectionKey: FileProtectionType.none])
        }
    }

    private static func eraseLeft(_ folder: URL) async throws {
        let isLeft = await Calls().make {
            // Killed at its beginning or its end it left an empty folder, which is no profile.
            rmdir(folder.path) != 0 && FileManager.default.fileExists(atPath: folder.path)
        }
        if isLeft { try await PersonalEngine.eraseProfile(folder.path) }
    }
}
#endif
