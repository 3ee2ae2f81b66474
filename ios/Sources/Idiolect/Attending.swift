import Foundation

/// Which stream an engine attends to trainings for: one at a time, the latest. A stream is known by the token that says
/// whether somebody still reads it.
final class Attending: @unchecked Sendable {
    private let lock = NSLock()
    private var current: CancelToken?

    /// Attends for a stream, unless it was left before; blocks.
    func begin(_ stream: CancelToken, _ attend: () throws -> Void) throws {
        try lock.withLock {
            if stream.isCancelled() { return }
            try attend()
            current = stream
        }
    }

    /// Attends no more for a stream that was left, unless another one took its place; blocks.
    func end(_ stream: CancelToken, _ stopAttending: () throws -> Void) rethrows {
        try lock.withLock {
            guard current === stream else { return }
            current = nil
            try stopAttending()
        }
    }
}
