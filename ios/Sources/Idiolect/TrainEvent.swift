/// What a training tells while it goes on; the last one is `finished` or `paused`.
public enum TrainEvent: Sendable, Equatable {
    /// It went on.
    case progress(LearnEvent)
    /// It came to its end: the report's verdict says what became of the candidate, or why there is none.
    case finished(LearnReport)
    /// It left a checkpoint, and the next training goes on from there.
    case paused(PauseReason)
}
