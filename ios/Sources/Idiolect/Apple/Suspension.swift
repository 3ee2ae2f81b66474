import Dispatch
import Foundation

/// Suspends an engine and resumes it as its app leaves and returns: one step after the other, each of which goes by where
/// the app is when it begins, so that a step that comes late undoes nothing.
final class Suspension: @unchecked Sendable {
    /// What is done to the engine; the calls block.
    struct Steps: Sendable {
        let suspend: @Sendable () throws -> Void
        let resume: @Sendable () throws -> Void
        /// The app is back, and the engine goes on.
        let returned: @Sendable () throws -> Void
    }

    private let steps: Steps
    private let retryAfter: DispatchTimeInterval
    private let failed: @Sendable (any Error) -> Void
    private let queue = DispatchQueue(label: "io.github.idiolect.suspension")
    private let lock = NSLock()
    private var isAway = false
    /// Of the queue alone.
    private var isSuspended = false

    /// - Parameter failed: hears why a step failed; a resumption is tried again for as long as the app is there.
    init(
        _ steps: Steps, retryAfter: DispatchTimeInterval = .seconds(1),
        failed: @escaping @Sendable (any Error) -> Void
    ) {
        self.steps = steps
        self.retryAfter = retryAfter
        self.failed = failed
    }

    /// The app leaves: ``settle()`` suspends from now on.
    func leave() {
        lock.withLock { isAway = true }
    }

    /// Blocks until the engine is suspended, where the app is still away.
    func settle() {
        queue.sync {
            guard lock.withLock({ isAway }), !isSuspended else { return }
            // One that failed midway is one, too: it takes a resumption.
            isSuspended = true
            tell(steps.suspend)
        }
    }

    /// The app is back: what was suspended goes on, on a thread of the queue's.
    func comeBack() {
        lock.withLock { isAway = false }
        queue.async { [self] in goOn() }
    }

    private func goOn() {
        guard !lock.withLock({ isAway }) else { return }
        if isSuspended {
            guard tell(steps.resume) else {
                return queue.asyncAfter(deadline: .now() + retryAfter) { [weak self] in self?.goOn() }
            }
            isSuspended = false
        }
        tell(steps.returned)
    }

    /// Whether it came to its end; an engine that is closed has nothing left to do.
    @discardableResult
    private func tell(_ step: () throws -> Void) -> Bool {
        do {
            try step()
        } catch EngineError.Closed {
            return true
        } catch {
            failed(error)
            return false
        }
        return true
    }
}
