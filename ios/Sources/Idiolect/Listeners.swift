/// Hands the events of a training on.
final class LearnEvents: LearnListener {
    private let hear: @Sendable (LearnEvent) -> Void

    init(_ hear: @escaping @Sendable (LearnEvent) -> Void) {
        self.hear = hear
    }

    func onEvent(event: LearnEvent) {
        hear(event)
    }
}

/// Hands the stages of a merge on.
final class MergeStages: MergeListener {
    private let hear: @Sendable (MergeEvent) -> Void

    init(_ hear: @escaping @Sendable (MergeEvent) -> Void) {
        self.hear = hear
    }

    func onProgress(stage: MergeStage, done: UInt64, all: UInt64) {
        hear(.progress(stage: stage, done: done, all: all))
    }
}

/// Hands pieces of text on.
final class Pieces: TextListener {
    private let hear: @Sendable (Chunk) -> Void

    init(_ hear: @escaping @Sendable (Chunk) -> Void) {
        self.hear = hear
    }

    func onText(text: String) {
        hear(.text(text))
    }
}

/// Hands on what becomes of an attendance, and its end: when the engine frees it, nothing comes any more.
final class AttendEvents: AttendListener {
    private let continuation: AsyncThrowingStream<AttendEvent, Error>.Continuation

    init(_ continuation: AsyncThrowingStream<AttendEvent, Error>.Continuation) {
        self.continuation = continuation
    }

    deinit {
        continuation.finish()
    }

    func onState(state: Attendance) {
        continuation.yield(.state(state))
    }

    func onEvent(event: LearnEvent) {
        continuation.yield(.progress(event))
    }

    func onEnded(outcome: LearnOutcome) {
        continuation.yield(.ended(outcome))
    }
}
