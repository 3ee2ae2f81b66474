package io.github.idiolect.sample

/** What the training by hand is doing. */
sealed interface TrainingState {
    /** Nothing. */
    data object Idle : TrainingState

    /** It reads the history and opens the model. */
    data object Starting : TrainingState

    /** It takes steps; the time left is known after the first. */
    data class Running(val step: Int, val steps: Int, val secondsLeft: Int?) : TrainingState

    /** It measures what it made. */
    data object Measuring : TrainingState

    /** It left a checkpoint. */
    data object Paused : TrainingState

    /** It came to its end: the verdict in words. */
    data class Finished(val words: String) : TrainingState

    /** It could not be done. */
    data class Refused(val words: String) : TrainingState
}
