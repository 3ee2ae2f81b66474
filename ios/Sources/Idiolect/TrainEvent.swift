/// What a training tells while it goes on; the last one is `finished`, `paused` or `failed`.
public enum TrainEvent: Sendable, Equatable {
    /// It went on.
    case progress(LearnEvent)
    /// It came to its end: the report's verdict says what became of the candidate.
    case finished(LearnReport)
    /// It left a checkpoint, and the next training goes on from there.
    case paused(PauseReason)
    /// It came to no candidate: the report's verdict says why. On the same history it is not tried again.
    case failed(LearnReport)
}
