package io.github.idiolect

/** What a merge tells; the last one has its report. */
public sealed interface MergeEvent {
    /**
     * It goes on.
     *
     * @property stage What it is at.
     * @property done How much of that is done, in what the stage is counted in.
     * @property all Of how much.
     */
    public data class Progress(public val stage: MergeStage, public val done: ULong, public val all: ULong) : MergeEvent

    /**
     * The model folder is there.
     *
     * @property report What the merge did.
     */
    public data class Finished(public val report: MergeReport) : MergeEvent
}
