import Dispatch

/// Makes the calls of the library, which block, on threads of their own: neither on the caller's nor on one of Swift's
/// cooperative pool, which has no thread to spare for waiting.
struct Calls: Sendable {
    /// Calls that nobody listens to any more, and that are about to end: within a tenth of a second.
    private let left = DispatchGroup()

    /// A call that cannot be cancelled. One that has to do with what may have been left waits for that first.
    func make<T: Sendable, Failure: Error>(
        afterLeft waits: Bool = false, _ call: @escaping @Sendable () throws(Failure) -> T
    ) async throws(Failure) -> T {
        let made: Result<T, Failure> = await withCheckedContinuation { continuation in
            Self.onThread {
                if waits { left.wait() }
                continuation.resume(returning: Result(catching: call))
            }
        }
        return try made.get()
    }

    /// A call that ends when the task that awaits it is cancelled. Ended by the engine, as one that closes, it keeps the
    /// engine's error.
    func make<T: Sendable>(cancelling call: @escaping @Sendable (CancelToken) throws -> T) async throws -> T {
        try Task.checkCancellation()
        let cancel = CancelToken()
        do {
            return try await withTaskCancellationHandler {
                try await make { try call(cancel) }
            } onCancel: {
                cancel.cancel()
            }
        } catch EngineError.Cancelled where Task.isCancelled {
            throw CancellationError()
        }
    }

    /// A call that tells of itself as it goes on; it begins at once. It ends when the task that reads is cancelled,
    /// which hears a `CancellationError`, and when the stream is freed.
    func stream<Element: Sendable>(
        afterLeft waits: Bool = false,
        _ call: @escaping @Sendable (CancelToken, AsyncThrowingStream<Element, Error>.Continuation) throws -> Void
    ) -> AsyncThrowingStream<Element, Error> {
        let cancel = CancelToken()
        let under = DispatchGroup()
        return AsyncThrowingStream { continuation in
            continuation.onTermination = { termination in
                guard case .cancelled = termination else { return }
                cancel.cancel()
                left.enter()
                under.notify(queue: .global()) { left.leave() }
                // The stream itself would end without an error, as one that is complete.
                continuation.finish(throwing: CancellationError())
            }
            Self.onThread {
                if waits { left.wait() }
                under.enter()
                defer { under.leave() }
                // Left before it began: nobody knows of it, and nobody waits.
                if cancel.isCancelled() { return }
                do {
                    try call(cancel, continuation)
                    continuation.finish()
                } catch {
                    continuation.finish(throwing: error)
                }
            }
        }
    }

    /// Ends what a stream began, once nobody reads it any more.
    func leave(_ end: @escaping @Sendable () -> Void) {
        left.enter()
        Self.onThread {
            end()
            left.leave()
        }
    }

    /// A serial queue for each call: the system gives it a thread at once, however many calls wait. One concurrent
    /// queue would share as many threads as there are cores; on two, the 32nd of calls of a second began after seven.
    static func onThread(_ work: @escaping @Sendable () -> Void) {
        DispatchQueue(label: "io.github.idiolect.call").async(execute: work)
    }
}
