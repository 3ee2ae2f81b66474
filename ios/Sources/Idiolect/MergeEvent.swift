/// What a merge tells while it goes on; the last one is `finished`.
public enum MergeEvent: Sendable, Equatable {
    /// So much of a stage is done, and of how much in all.
    case progress(stage: MergeStage, done: UInt64, all: UInt64)
    /// The folder is there.
    case finished(MergeReport)
}
