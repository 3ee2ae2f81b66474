/// A conversation with an engine's model and the adapter that is in use at each turn.
///
/// What was computed is kept, so that a turn costs what is new in it. Turns that do not fit the context any more are
/// forgotten by whole exchanges from the beginning on; the instructions stay. Its memory is freed with its last
/// reference.
public final class PersonalConversation: Sendable {
    private let surface: Conversation
    /// Keeps the engine open.
    private let engine: PersonalEngine
    private let calls = Calls()

    init(_ surface: Conversation, of engine: PersonalEngine) {
        self.surface = surface
        self.engine = engine
    }

    /// Answers a message. Left or cancelled, what there is so far is what was said; a message that got no word of an
    /// answer is no part of the conversation.
    ///
    /// - Returns: a stream that throws `BadOption` when the message is too long for the context or an option is out
    ///   of range, `OverBudget` when there is no memory for it, and `Closed`.
    public func say(
        _ message: String, options: GenerateOptions = GenerateOptions()
    ) -> AsyncThrowingStream<Chunk, Error> {
        calls.stream(afterLeft: true) { cancel, chunks in
            let listener = Pieces { chunks.yield($0) }
            let reply = try self.engine.lease.use { _ in
                try self.surface.say(message: message, options: options, cancel: cancel, listener: listener)
            }
            chunks.yield(.end(generation: reply.generation, forgottenTurns: reply.forgottenTurns))
        }
    }

    /// All turns, oldest first, those that the model does not see any more among them; once an answer that was left has
    /// ended.
    public func turns() async -> [Turn] {
        await calls.make(afterLeft: true) { [surface] in surface.turns() }
    }

    /// Begins anew under the same instructions. An answer under way is given to the end, and is no part of it.
    public func clear() async {
        await calls.make { [surface] in surface.clear() }
    }

    /// Bytes that it takes with its whole context in use, the model included: of the process on the CPU, of the
    /// device on a GPU.
    public var plannedBytes: UInt64 { surface.plannedBytes() }
}
