#if canImport(UIKit)
import Foundation
import Testing

@testable import Idiolect

/// What was done to an engine that is none.
private final class Done: @unchecked Sendable {
    private let lock = NSLock()
    private var steps: [String] = []
    private var failures: [String: Int]

    /// - Parameter failures: how often a step fails before it is done.
    init(failures: [String: Int] = [:]) {
        self.failures = failures
    }

    var all: [String] { lock.withLock { steps } }

    func add(_ step: String) throws {
        try lock.withLock {
            if let left = failures[step], left > 0 {
                failures[step] = left - 1
                throw CancellationError()
            }
            steps.append(step)
        }
    }

    func fail() { lock.withLock { steps.append("told") } }
}

extension AppleTests {
    @Test("Steps of a suspension go by where the app is, and a resumption that failed is tried again")
    func suspension() async throws {
        let cases: [(moves: String, failures: [String: Int], steps: [String])] = [
            ("leave settle back", [:], ["suspend", "resume", "returned"]),
            ("leave back settle", [:], ["returned"]),
            ("leave settle settle back back", [:], ["suspend", "resume", "returned", "returned"]),
            ("leave settle back leave settle back", [:], ["suspend", "resume", "returned", "suspend", "resume", "returned"]),
            ("leave settle back", ["suspend": 1], ["told", "resume", "returned"]),
            ("leave settle back", ["resume": 2], ["suspend", "told", "told", "resume", "returned"]),
            ("back", ["returned": 1], ["told"]),
        ]
        for (moves, failures, steps) in cases {
            let done = Done(failures: failures)
            let suspension = Suspension(
                .init(
                    suspend: { try done.add("suspend") }, resume: { try done.add("resume") },
                    returned: { try done.add("returned") }),
                retryAfter: .milliseconds(1), failed: { _ in done.fail() })
            for move in moves.split(separator: " ") {
                switch move {
                case "leave": suspension.leave()
                case "settle": suspension.settle()
                default:
                    let count = done.all.count
                    suspension.comeBack()
                    try await eventually { done.all.count > count }
                    if failures.isEmpty { try await eventually { done.all.last == "returned" } }
                }
            }
            try await eventually { done.all.count >= steps.count }
            #expect(done.all == steps, "\(moves)")
        }
    }
}
#endif
