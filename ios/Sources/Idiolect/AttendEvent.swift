/// What an engine tells that attends to trainings by itself.
public enum AttendEvent: Sendable, Equatable {
    /// It stands otherwise than before, with the reasons where a training waits.
    case state(Attendance)
    /// A training went on.
    case progress(LearnEvent)
    /// A training ended.
    case ended(LearnOutcome)
}
