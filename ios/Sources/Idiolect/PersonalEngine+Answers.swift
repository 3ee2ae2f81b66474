extension PersonalEngine {
    /// Continues a prompt, with the adapters of the options or else the version in use.
    ///
    /// - Returns: a stream that throws when the prompt is too long, an option is out of range or the model cannot be
    ///   opened, and `OverBudget` when the machine has no memory for it. Where the engine is closed or memory asked
    ///   back meanwhile, the answer ends with what there is.
    public nonisolated func generate(
        _ prompt: Prompt, options: GenerateOptions = GenerateOptions()
    ) -> AsyncThrowingStream<Chunk, Error> {
        calls.stream { cancel, chunks in
            let listener = Pieces { chunks.yield($0) }
            let generation = try self.lease.use {
                try $0.generate(prompt: prompt, options: options, cancel: cancel, listener: listener)
            }
            chunks.yield(.end(generation: generation, forgottenTurns: 0))
        }
    }

    /// Begins a conversation, with the adapter that is in use at each of its turns. Several may go on side by side.
    ///
    /// - Throws: `OverBudget`, saying what would fit, when its whole context does not; `BadOption` for a context
    ///   beyond what the engine was opened for; `Unsupported` when the model has no chat template, or one that takes
    ///   no instructions.
    public func conversation(
        _ options: ConversationOptions = ConversationOptions()
    ) async throws -> PersonalConversation {
        PersonalConversation(try await made { try $0.conversation(options: options) }, of: self)
    }

    /// The likeliest words that complete the one begun at the text's end, or the likeliest next ones; likeliest
    /// first.
    ///
    /// - Throws: an error when an option is out of range or the model cannot be opened; `OverBudget`;
    ///   `CancellationError`.
    public func suggest(_ text: String, options: SuggestOptions = SuggestOptions()) async throws -> [Suggestion] {
        try await made { engine, cancel in
            try engine.suggest(prompt: text, options: options, cancel: cancel)
        }
    }

    /// How likely the model finds each candidate behind the prompt, in the order given: for ranking. Of `adapters`, nil
    /// takes the version in use, an empty list the base alone.
    ///
    /// - Throws: an error when a text is too long or the model cannot be opened; `CancellationError`.
    public func score(
        _ prompt: Prompt, candidates: [String], adapters: [AdapterWeight]? = nil
    ) async throws -> [Score] {
        try await made { engine, cancel in
            try engine.score(prompt: prompt, candidates: candidates, cancel: cancel, adapters: adapters)
        }
    }

    /// How many tokens a text has.
    ///
    /// - Throws: an error when the model cannot be opened.
    public func countTokens(_ text: String) async throws -> UInt64 {
        try await made { try $0.countTokens(text: text) }
    }

    /// The loss of texts, of all together and of each. Of `adapters`, nil takes the version in use, an empty list the
    /// base alone.
    ///
    /// - Throws: an error when no text carries loss; `CancellationError`.
    public func evaluate(_ texts: [EvaluationText], adapters: [AdapterWeight]? = nil) async throws -> Evaluation {
        try await made { engine, cancel in
            try engine.evaluate(texts: texts, cancel: cancel, adapters: adapters)
        }
    }
}
