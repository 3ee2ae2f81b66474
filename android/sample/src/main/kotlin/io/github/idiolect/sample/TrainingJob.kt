package io.github.idiolect.sample

import android.content.Context
import io.github.idiolect.android.PersonalTrainingJob

/** The nightly training, with the engine that the screens use. */
class TrainingJob : PersonalTrainingJob() {
    override suspend fun engine() = app.engine()

    companion object {
        private const val ID = 1

        /** Schedules it, where the person has agreed and it is not; false where the system refuses. */
        fun schedule(context: Context) = schedule(context, TrainingJob::class.java, ID)

        /** Has it run no more. */
        fun cancel(context: Context) = cancel(context, ID)
    }
}
