/// What the person wrote, sealed in the profile.
public struct PersonalHistory: Sendable {
    let engine: PersonalEngine

    private func make<T: Sendable>(_ call: @escaping @Sendable (History) throws -> T) async throws -> T {
        try await engine.made { try call($0.history()) }
    }

    /// Adds a batch, all of it or nothing; durable on return. Another text under a known id takes the old one's place.
    ///
    /// - Throws: an error when the database cannot be written; nothing is added then.
    @discardableResult
    public func add(_ samples: [NewSample]) async throws -> Added {
        try await make { try $0.add(samples: samples) }
    }

    /// Adds all messages of a file or an exported chat, in durable batches: added again, nothing counts twice.
    ///
    /// - Throws: an error when the database cannot be written; the batches before are there.
    @discardableResult
    public func addAll(_ samples: [NewSample]) async throws -> Added {
        try await make { try $0.addAll(samples: samples) }
    }

    /// Up to `limit` samples, latest added first; `before` is the number of the last of the page before.
    ///
    /// - Throws: an error when the database cannot be read.
    public func list(before: Int64? = nil, limit: UInt32 = 100) async throws -> [StoredSample] {
        try await make { try $0.list(before: before, limit: limit) }
    }

    /// Figures of the whole history.
    ///
    /// - Throws: an error when the database cannot be read.
    public func stats() async throws -> HistoryStats {
        try await make { try $0.stats() }
    }

    /// Removes what is selected, for good, and all that a training under way has kept of it; adapters that learned
    /// from it are marked.
    ///
    /// - Throws: an error when the disk refuses.
    @discardableResult
    public func remove(_ selection: Selection) async throws -> Removed {
        try await make { try $0.remove(selection: selection) }
    }

    /// Removes everything; exclusions and the retention cap stay.
    ///
    /// - Throws: an error when the disk refuses.
    @discardableResult
    public func clear() async throws -> Removed {
        try await make { try $0.clear() }
    }

    /// Cuts the write-ahead log after a removal that reported itself as pending; whether it is done.
    ///
    /// - Throws: an error when the database cannot be written.
    @discardableResult
    public func finishRemoval() async throws -> Bool {
        try await make { try $0.finishRemoval() }
    }

    /// Keeps a source or contact out from now on.
    ///
    /// - Throws: an error when the database cannot be written.
    public func exclude(_ exclusion: Exclusion) async throws {
        try await make { try $0.exclude(exclusion: exclusion) }
    }

    /// Lets a source or contact in again; whether it was excluded.
    ///
    /// - Throws: an error when the database cannot be written.
    @discardableResult
    public func include(_ exclusion: Exclusion) async throws -> Bool {
        try await make { try $0.include(exclusion: exclusion) }
    }

    /// All that is excluded.
    ///
    /// - Throws: an error when the database cannot be read.
    public func exclusions() async throws -> [Exclusion] {
        try await make { try $0.exclusions() }
    }

    /// The cap in force; none at first.
    ///
    /// - Throws: an error when the database cannot be read.
    public func retention() async throws -> Retention {
        try await make { try $0.retention() }
    }

    /// Sets the cap and applies it; how many messages went.
    ///
    /// - Throws: an error when the database cannot be written.
    @discardableResult
    public func setRetention(_ retention: Retention) async throws -> UInt64 {
        try await make { try $0.setRetention(retention: retention) }
    }

    /// Which adapter versions learned from it, oldest first.
    ///
    /// - Throws: an error when the database cannot be read.
    public func learnedVersions() async throws -> [LearnedVersion] {
        try await make { try $0.learnedVersions() }
    }

    /// The numbers of the samples, still there, that an adapter version learned from.
    ///
    /// - Throws: `BadOption` for a version that did not learn here.
    public func learnedFrom(_ version: UInt32) async throws -> [Int64] {
        try await make { try $0.learnedFrom(version: version) }
    }
}

extension PersonalHistory {
    /// Reads JSON lines with `text` and, where there are, `context`, `id`, `timestamp` and more, for ``addAll(_:)``.
    ///
    /// - Throws: `Io` or `BadFile` when the file cannot be read.
    public static func readJsonl(_ path: String) async throws -> FileRows {
        try await Calls().make { try Idiolect.readJsonl(path: path) }
    }

    /// Reads a file with one message a line.
    ///
    /// - Throws: `Io` or `BadFile` when the file cannot be read; `BadOption` for what begins like an exported chat, in
    ///   which others wrote, too.
    public static func readLines(_ path: String) async throws -> FileRows {
        try await Calls().make { try Idiolect.readLines(path: path) }
    }

    /// Reads a file with one message a line, whatever it looks like.
    ///
    /// - Throws: `Io` or `BadFile` when the file cannot be read.
    public static func readEveryLine(_ path: String) async throws -> FileRows {
        try await Calls().make { try Idiolect.readEveryLine(path: path) }
    }

    /// Who wrote in an exported chat, most messages first: to ask the person which of them they are.
    ///
    /// - Throws: `Io` or `BadFile` when the file cannot be read or is no such export.
    public static func chatAuthors(_ path: String) async throws -> [ChatAuthor] {
        try await Calls().make { try Idiolect.chatAuthors(path: path) }
    }

    /// Reads the messages of one author in an exported chat, with what they answer.
    ///
    /// - Throws: as ``chatAuthors(_:)``; `BadOption` when no message is by `name`.
    public static func readChat(_ path: String, name: String) async throws -> ChatExport {
        try await Calls().make { try Idiolect.readChat(path: path, name: name) }
    }

    /// The samples as the privacy filter leaves them, for an app that keeps no more; training sees no more anyway.
    public static func masked(_ samples: [NewSample], unmasked: [PrivacyRule] = []) async -> [NewSample] {
        await Calls().make { Idiolect.masked(samples: samples, unmasked: unmasked) }
    }
}
