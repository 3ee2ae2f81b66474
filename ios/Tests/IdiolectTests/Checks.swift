// What the tests are written with: expectations, short words for long calls, listeners that remember.

import Dispatch
import Foundation
import Idiolect
import Testing

/// What `body` has to end with: an error of this case, with words that name `part`.
@discardableResult
func refused(
    _ kind: String, _ part: String = "", at place: SourceLocation = #_sourceLocation,
    _ body: () async throws -> Void
) async -> EngineError? {
    do {
        try await body()
        Issue.record("no error, where \(kind) is due", sourceLocation: place)
    } catch let error as EngineError {
        #expect(kind == error.kind, "\(error.detail)", sourceLocation: place)
        let names = part.isEmpty || error.detail.contains(part)
        #expect(names, "it does not name \(part): \(error)", sourceLocation: place)
        return error
    } catch {
        Issue.record("\(error), where \(kind) is due", sourceLocation: place)
    }
    return nil
}

/// The seconds that passed since a moment.
func seconds(since moment: ContinuousClock.Instant) -> Double {
    let passed = (ContinuousClock.now - moment).components
    return Double(passed.seconds) + Double(passed.attoseconds) / 1e18
}

extension EngineError {
    /// The name of the case.
    var kind: String { Mirror(reflecting: self).children.first?.label ?? "\(self)" }
}

/// A key store whose key the engine never sees; one that refuses throws.
final class Vault: KeyStore {
    private let own: UInt8
    private let refuses: Bool

    init(_ own: UInt8, refuses: Bool = false) {
        (self.own, self.refuses) = (own, refuses)
    }

    func wrap(secret: Data) throws -> Data {
        if refuses { throw NotForTheEngine() }
        return Data(secret.map { $0 ^ own })
    }

    func unwrap(wrapped: Data) throws -> Data { try wrap(secret: wrapped) }
}

/// What a callback throws: nothing that the engine knows.
struct NotForTheEngine: Error {}

extension PersonalEngine {
    /// The answer to a prompt by the likeliest tokens.
    nonisolated func greedy(_ prompt: String, adapters: [AdapterWeight]? = nil) async throws -> String {
        let options = GenerateOptions(maxTokens: 24, temperature: 0, adapters: adapters)
        return try await generate(.text(text: prompt), options: options).answer().text
    }

    /// Trains to the end; nil where it paused.
    nonisolated func finish(_ settings: LearnSettings) async throws -> LearnReport {
        for try await event in train(settings) {
            switch event {
            case .finished(let report), .failed(let report): return report
            case .progress, .paused: continue
            }
        }
        throw Paused()
    }

    /// Trains until a step is taken, and pauses.
    nonisolated func train(_ settings: LearnSettings, untilStep last: UInt64) async throws {
        for try await event in train(settings) {
            if case .progress(.step(last..., _, _, _)) = event { return }
        }
    }
}

/// A training paused that was to come to its end.
struct Paused: Error {}

extension AsyncThrowingStream<Chunk, Error> {
    /// What a stream of chunks ends with; its pieces have to be the whole text.
    func answer() async throws -> Generation { try await reply().0 }

    /// The same, with the number of forgotten turns.
    func reply() async throws -> (Generation, UInt64) {
        var text = ""
        for try await chunk in self {
            switch chunk {
            case .text(let piece): text += piece
            case .end(let generation, let forgottenTurns):
                #expect(text == generation.text)
                return (generation, forgottenTurns)
            }
        }
        throw Paused()
    }
}
