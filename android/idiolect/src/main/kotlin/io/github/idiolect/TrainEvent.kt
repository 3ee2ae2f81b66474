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
     * It went through the gate.
     *
     * @property report What it came to: its verdict says whether there is a new version, and why.
     */
    public data class Finished(public val report: LearnReport) : TrainEvent

    /**
     * It came to no candidate; on the same history it is not tried again.
     *
     * @property report Its verdict says why, and its setbacks what was tried.
     */
    public data class Failed(public val report: LearnReport) : TrainEvent

    /**
     * It left a checkpoint; the next training goes on from there.
     *
     * @property reason Why.
     */
    public data class Paused(public val reason: PauseReason) : TrainEvent
}

/** How a training ended, as its last event. */
internal val LearnOutcome.event: TrainEvent
    get() = when (this) {
        is LearnOutcome.Finished -> TrainEvent.Finished(report)
        is LearnOutcome.Failed -> TrainEvent.Failed(report)
        is LearnOutcome.Paused -> TrainEvent.Paused(reason)
    }
