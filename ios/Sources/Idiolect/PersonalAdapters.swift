/// What was learned: numbered versions, the one in use, how strongly it is used.
public struct PersonalAdapters: Sendable {
    let engine: PersonalEngine

    private func make<T: Sendable>(_ call: @escaping @Sendable (Adapters) throws -> T) async throws -> T {
        try await engine.made { try call($0.adapters()) }
    }

    /// Every version, and the one in use.
    ///
    /// - Throws: an error when the index cannot be read.
    public func list() async throws -> AdapterList {
        try await make { try $0.list() }
    }

    /// Puts a version to use; nil is the base alone.
    ///
    /// - Throws: `BadOption` when there is no such version; `Io`.
    public func use(_ version: UInt32?) async throws {
        try await make { try $0.activate(version: version) }
    }

    /// Goes back to what was in use before, and says what that is.
    ///
    /// - Throws: `BadOption` when nothing was; `Io`.
    @discardableResult
    public func rollback() async throws -> UInt32? {
        try await make { try $0.rollback() }
    }

    /// Sets the share of its effect that a version has, from 0 (the base's own bits) to 1.
    ///
    /// - Throws: `BadOption` when there is no such version or `strength` is out of range; `Io`.
    public func setStrength(_ version: UInt32, _ strength: Float) async throws {
        try await make { try $0.setStrength(version: version, strength: strength) }
    }

    /// Writes a version unsealed: a folder that PEFT loads, or one file of it where `destination` ends in `.tar`.
    ///
    /// - Throws: an error when there is no such version, something else lies there, or the model cannot be opened.
    public func exportTo(_ version: UInt32, destination: String) async throws {
        try await make { try $0.exportTo(version: version, destination: destination) }
    }

    /// Takes in an adapter's folder, or a `.tar` file of one, as a new version; its number. It is not in use yet.
    ///
    /// - Throws: an error when it is damaged, does not fit the model, or an archive holds anything but an adapter's
    ///   files.
    @discardableResult
    public func importFrom(_ source: String) async throws -> UInt32 {
        try await make { try $0.importFrom(source: source) }
    }

    /// Writes the base with a version at its strength merged in as a model folder, unsealed: it needs no adapter. It
    /// appears whole or not at all.
    ///
    /// - Returns: a stream that throws `TooLossy` when rounding would swallow too much, `BadOption` when there is no
    ///   such version, and `Io`.
    public func merge(
        _ version: UInt32, destination: String, options: MergeOptions = MergeOptions()
    ) -> AsyncThrowingStream<MergeEvent, Error> {
        engine.calls.stream { [engine] cancel, events in
            let listener = MergeStages { events.yield($0) }
            let report = try engine.lease.use {
                try $0.adapters().merge(
                    version: version, destination: destination, options: options, cancel: cancel, listener: listener)
            }
            events.yield(.finished(report))
        }
    }

    /// Deletes a version; where it was in use, the base alone is.
    ///
    /// - Throws: `BadOption` when there is no such version; `Io`.
    public func delete(_ version: UInt32) async throws {
        try await make { try $0.delete(version: version) }
    }
}
