// What the steps of a life are checked with: listeners that remember, work on a thread of its own, expectations.

import Dispatch
import Foundation
import IdiolectFFI
import Synchronization

/// Hears a training; `react` may cancel or throw.
final class Course: LearnListener {
    private let heard = Mutex<[LearnEvent]>([])
    private let react: @Sendable (LearnEvent) throws -> Void

    init(react: @escaping @Sendable (LearnEvent) throws -> Void = { _ in }) {
        self.react = react
    }

    func onEvent(event: LearnEvent) throws {
        heard.withLock { $0.append(event) }
        try react(event)
    }

    /// All steps, and where they began.
    var course: (steps: [UInt64], all: UInt64, resumedAt: UInt64) {
        var course: (steps: [UInt64], all: UInt64, resumedAt: UInt64) = ([], 0, 0)
        for event in heard.withLock({ $0 }) {
            switch event {
            case .started(let steps, let resumedAt, _, _, _): (course.all, course.resumedAt) = (steps, resumedAt)
            case .step(let step, _, _, _): course.steps.append(step)
            default: break
            }
        }
        return course
    }
}

/// Hears a generation; `react` may cancel or throw.
final class Pieces: TextListener {
    private let heard = Mutex<[String]>([])
    private let react: @Sendable () throws -> Void

    init(react: @escaping @Sendable () throws -> Void = {}) {
        self.react = react
    }

    func onText(text: String) throws {
        heard.withLock { $0.append(text) }
        try react()
    }

    var pieces: [String] { heard.withLock { $0 } }
}

/// A key store whose key the engine never sees; one that refuses throws.
final class Vault: KeyStore {
    private let own: UInt8
    private let refuses: Bool

    init(_ own: UInt8, refuses: Bool = false) {
        (self.own, self.refuses) = (own, refuses)
    }

    func wrap(secret: Data) throws -> Data {
        try check(!refuses, "the device is locked")
        return Data(secret.map { $0 ^ own })
    }

    func unwrap(wrapped: Data) throws -> Data { try wrap(secret: wrapped) }
}

/// Hears a merge; `react` may cancel or throw.
final class Stages: MergeListener {
    private let heard = Mutex<[MergeStage]>([])
    private let react: @Sendable () throws -> Void

    init(react: @escaping @Sendable () throws -> Void = {}) {
        self.react = react
    }

    func onProgress(stage: MergeStage, done: UInt64, all: UInt64) throws {
        try check(done <= all, "\(done) of \(all)")
        heard.withLock { if $0.last != stage { $0.append(stage) } }
        try react()
    }

    var stages: [MergeStage] { heard.withLock { $0 } }
}

/// Work on a thread of its own.
final class Running<T: Sendable>: Sendable {
    private let result = Mutex<Result<T, Error>?>(nil)
    private let done = DispatchSemaphore(value: 0)

    init(_ work: @escaping @Sendable () throws -> T) {
        Thread.detachNewThread { [self] in
            let result = Result(catching: work)
            self.result.withLock { $0 = result }
            done.signal()
        }
    }

    var isDone: Bool { result.withLock { $0 != nil } }

    func soon() throws -> T {
        guard done.wait(timeout: .now() + 60) == .success else { throw Failure(what: "nothing came within a minute") }
        return try result.withLock { $0! }.get()
    }
}

struct Failure: Error { let what: String }

/// What a listener throws: nothing that the engine knows.
struct NotForTheEngine: Error {}

func check(_ holds: Bool, _ what: @autoclosure () -> String = "not so", line: Int = #line) throws {
    guard holds else { throw Failure(what: "line \(line): \(what())") }
}

func same<T: Equatable>(_ what: String, _ expected: T, _ found: T, line: Int = #line) throws {
    try check(expected == found, "\(what): \(found), not \(expected)", line: line)
}

/// The hint of the error that `body` has to end with: of this kind, with words that name `part`.
@discardableResult
func refused(_ kind: ErrorKind, _ part: String, line: Int = #line, _ body: () throws -> Void) throws -> String? {
    do {
        try body()
    } catch EngineError.Failed(let found, let detail, let hint) {
        try same("error's kind (\(detail))", kind, found, line: line)
        try check(part.isEmpty || detail.contains(part), "the error does not name \(part): \(detail)", line: line)
        return hint
    }
    throw Failure(what: "line \(line): no error, where \(kind) is due")
}

/// Prints a line at once, also into a pipe.
func say(_ line: String) {
    FileHandle.standardOutput.write(Data((line + "\n").utf8))
}

func seconds<T>(_ body: () throws -> T) rethrows -> (T, Double) {
    let begin = DispatchTime.now().uptimeNanoseconds
    let made = try body()
    return (made, Double(DispatchTime.now().uptimeNanoseconds - begin) / 1e9)
}

extension Engine {
    func learn(_ settings: LearnSettings, _ course: Course, _ cancel: CancelToken = CancelToken()) throws -> LearnOutcome {
        try train(settings: settings, cancel: cancel, listener: course)
    }

    func finished(_ settings: LearnSettings, _ course: Course) throws -> LearnReport {
        guard case .finished(let report) = try learn(settings, course) else { throw Failure(what: "it paused") }
        return report
    }

    /// A training on another thread, which has taken its first step.
    func learning(_ settings: LearnSettings) -> Running<LearnOutcome> {
        let begun = DispatchSemaphore(value: 0)
        let training = Running {
            defer { begun.signal() }
            return try self.learn(settings, Course { if case .step = $0 { begun.signal() } })
        }
        _ = begun.wait(timeout: .now() + 60)
        return training
    }

    func greedy(_ prompt: String) throws -> String {
        let options = GenerateOptions(maxTokens: 24, temperature: 0)
        return try generate(prompt: .text(text: prompt), options: options, cancel: CancelToken(), listener: Pieces()).text
    }
}
