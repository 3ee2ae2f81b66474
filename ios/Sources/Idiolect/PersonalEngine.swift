/// The device in use: its kind, its name, and why it was chosen.
public typealias Backend = DeviceInfo

/// One person's profile with a base model, ready to learn and to answer.
///
/// Open one for a profile and keep it. No call blocks the caller: what takes time is made on a thread of its own.
/// Cancelling the task ends the work within a tenth of a second, with a `CancellationError`. Answers are given while
/// a training goes on.
///
/// A stream begins its work when it is made. The work ends when the task that reads is cancelled or the stream is
/// freed, as it is when a loop over `engine.train()` is left.
///
/// The engine stays open as long as anybody holds it, its ``history``, its ``adapters``, a conversation or a stream
/// under way. ``close()`` ends it before.
///
/// Errors are ``EngineError``s: a case, `detail` and `hint`.
public actor PersonalEngine {
    let lease: Lease
    let calls = Calls()
    let attending = Attending()

    init(_ engine: Engine) {
        lease = Lease(engine)
    }

    deinit {
        close()
    }

    /// The version of the library.
    public static var libraryVersion: String { Idiolect.libraryVersion() }

    /// Opens the profile, by the key of the options or by the app's key store. The model is opened with the first
    /// call that needs it.
    ///
    /// - Throws: an error when the profile cannot be opened, or not with this key; `KeyStore` when the key store
    ///   refuses.
    public static func open(_ options: EngineOptions, keyStore: KeyStore? = nil) async throws -> PersonalEngine {
        try await Calls().make {
            PersonalEngine(try Engine.open(options: options, keyStore: keyStore))
        }
    }

    /// Opens the model now, so that the first answer need not wait for it.
    ///
    /// - Throws: an error when it cannot be opened, or the device cannot hold it.
    public func check() async throws {
        try await made { try $0.check() }
    }

    /// The model, opened where it is not.
    ///
    /// - Throws: an error when it cannot be opened, or the device cannot hold it.
    public func model() async throws -> ModelInfo {
        try await made { try $0.model() }
    }

    /// The device in use, and why it was chosen; the model is opened where it is not.
    ///
    /// - Throws: an error when the model cannot be opened, or the device cannot hold it.
    public func backend() async throws -> Backend {
        try await made { try $0.device() }
    }

    /// What the engine is doing.
    public nonisolated var state: EngineState { (try? lease.use { $0.state() }) ?? .closed }

    /// What the person wrote.
    public nonisolated var history: PersonalHistory { PersonalHistory(engine: self) }

    /// What was learned.
    public nonisolated var adapters: PersonalAdapters { PersonalAdapters(engine: self) }

    /// Gives the model's memory back, as an app does that is warned; a training under way pauses, an answer ends. The
    /// next call opens the model again.
    ///
    /// - Throws: `Closed`.
    public func unload() async throws {
        try await made { try $0.unload() }
    }

    /// Computes on another device from the next piece of work on, or tries the same one again: an app that comes to the
    /// foreground has its GPU back so. A training under way goes on there from where it is.
    ///
    /// - Throws: `Closed`.
    public func setDevice(_ choice: DeviceChoice) async throws {
        try await made { try $0.setDevice(device: choice) }
    }

    /// Has the engine hold no lock and no database, as iOS demands of an app that it suspends. A training under way
    /// writes a checkpoint and rests; its stream goes on after ``resumeWork()``. An answer under way ends. Until then
    /// calls fail with `Suspended`. It returns within two seconds.
    ///
    /// - Throws: `Closed`.
    public func suspendWork() async throws {
        try await made { try $0.suspend() }
    }

    /// Goes on after ``suspendWork()``, the training that rests too. Without a suspension there is nothing to do.
    ///
    /// - Throws: `Closed`; an error when the history cannot be opened any more, and it stays suspended then.
    public func resumeWork() async throws {
        try await made { try $0.resume() }
    }

    /// Closes it, and returns at once: work under way ends, a training with a checkpoint, and then all is freed. Later
    /// calls fail with `Closed`, those of history and adapters too. Closed already, it does nothing.
    public nonisolated func close() {
        lease.close()
    }

    /// The same as ``close()``, and waits until all is freed.
    public func shutDown() async {
        close()
        await calls.make { [lease] in lease.waitUntilFreed() }
    }

    /// Closes the engine and erases the profile: key, history, checkpoints, adapters. It may be called while other
    /// calls are under way; later ones on engine, history and adapters end with `Closed`.
    ///
    /// - Throws: `TrainingBusy` while another process trains, and nothing is erased then; `Io` when a file cannot be
    ///   removed: ``eraseProfile(_:)`` takes what is left.
    @discardableResult
    public func eraseAll() async throws -> EraseReport {
        let report = try await made { try $0.erase() }
        close()
        return report
    }

    /// A call that cannot be cancelled, as ``Calls`` makes it.
    nonisolated func made<T: Sendable>(
        afterLeft waits: Bool = false, _ call: @escaping @Sendable (Engine) throws -> T
    ) async throws -> T {
        try await calls.make(afterLeft: waits) { [lease] in try lease.use(call) }
    }

    /// A call that ends when the task that awaits it is cancelled.
    nonisolated func made<T: Sendable>(
        _ call: @escaping @Sendable (Engine, CancelToken) throws -> T
    ) async throws -> T {
        try await calls.make { [lease] cancel in try lease.use { try call($0, cancel) } }
    }
}
