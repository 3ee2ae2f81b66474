package io.github.idiolect

/** What an engine tells that attends to trainings by itself. */
public sealed interface AttendEvent {
    /**
     * It stands otherwise than before.
     *
     * @property attendance How it stands, and why a training waits.
     */
    public data class State(public val attendance: Attendance) : AttendEvent

    /**
     * A training goes on.
     *
     * @property event What happened.
     */
    public data class Progress(public val event: LearnEvent) : AttendEvent

    /**
     * A training ended. What it failed for without an outcome, the state tells.
     *
     * @property outcome How.
     */
    public data class Ended(public val outcome: LearnOutcome) : AttendEvent
}
