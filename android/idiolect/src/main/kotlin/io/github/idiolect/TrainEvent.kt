package io.github.idiolect

/** What a training tells; the last one says how it ended. */
public sealed interface TrainEvent {
    /**
     * It goes on.
     *
     * @property event What happened.
     */
    public data class Progress(public val event: LearnEvent) : TrainEvent

    /**
     * It came to its end, through the gate or without a candidate.
     *
     * @property report What it came to: its verdict says whether there is a new version, and why.
     */
    public data class Finished(public val report: LearnReport) : TrainEvent

    /**
     * It left a checkpoint; the next training goes on from there.
     *
     * @property reason Why.
     */
    public data class Paused(public val reason: PauseReason) : TrainEvent

    internal companion object {
        fun of(outcome: LearnOutcome): TrainEvent = when (outcome) {
            is LearnOutcome.Finished -> Finished(outcome.report)
            is LearnOutcome.Failed -> Finished(outcome.report)
            is LearnOutcome.Paused -> Paused(outcome.reason)
        }
    }
}
