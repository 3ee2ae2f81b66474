/// A piece of an answer; the last one is `end`.
public enum Chunk: Sendable, Equatable {
    /// The text goes on: whole characters, gathered over about 40 ms.
    case text(String)
    /// The answer is complete. Of a conversation, `forgottenTurns` of its first turns do not fit the context any more.
    case end(generation: Generation, forgottenTurns: UInt64)
}

extension Chunk: CustomStringConvertible {
    /// Never what was said.
    public var description: String {
        switch self {
        case .text(let text): "text(\(text.unicodeScalars.count) characters)"
        case .end(let generation, let forgottenTurns): "end(\(generation), forgottenTurns: \(forgottenTurns))"
        }
    }
}
