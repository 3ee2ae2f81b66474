import Dispatch
import Foundation

/// An engine that many call and one closes: from then on calls are refused, those under way are ended, and after the last
/// of them it is freed, and with it every lock and database that it holds.
final class Lease: @unchecked Sendable {
    private let lock = NSLock()
    private var held: Engine?
    private var isClosed = false
    /// Whoever has the engine at the moment.
    private let holders = DispatchGroup()

    init(_ engine: Engine) {
        held = engine
    }

    /// Calls it; `Closed` where it is.
    func use<T>(_ call: (Engine) throws -> T) throws -> T {
        holders.enter()
        // It runs once `engine` is let go of: what is declared last ends first.
        defer { holders.leave() }
        let engine = try opened()
        return try call(engine)
    }

    /// Closes it, once, and returns at once.
    func close() {
        holders.enter()
        let isFirst = lock.withLock {
            defer { isClosed = true }
            return !isClosed
        }
        guard isFirst else { return holders.leave() }
        Calls.onThread { [self] in
            defer { holders.leave() }
            taken()?.shutDown()
        }
    }

    /// Blocks until it is freed, once it was closed.
    func waitUntilFreed() {
        holders.wait()
    }

    private func opened() throws -> Engine {
        try lock.withLock {
            guard let held, !isClosed else { throw EngineError.Closed(detail: "the engine is closed", hint: "open it again") }
            return held
        }
    }

    private func taken() -> Engine? {
        lock.withLock {
            defer { held = nil }
            return held
        }
    }
}
