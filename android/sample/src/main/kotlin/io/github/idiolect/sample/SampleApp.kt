package io.github.idiolect.sample

import android.app.Application
import io.github.idiolect.PersonalEngine
import io.github.idiolect.SuggestOptions
import io.github.idiolect.Suggestion
import kotlinx.coroutines.CoroutineScope
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.SupervisorJob
import kotlinx.coroutines.launch

/** The application, in each of its two processes: the notes app's and the keyboard's. */
class SampleApp : Application() {
    /** Work that outlives a screen. */
    val scope = CoroutineScope(SupervisorJob() + Dispatchers.Main)

    /** What the person has agreed to. */
    val consent by lazy { Consent(this) }

    /** The training by hand, which the screens show. */
    val trainer by lazy { Trainer(this) }

    private val shared by lazy { SharedEngine(this) }

    override fun onCreate() {
        super.onCreate()
        // A force stop took the job. Where the system refuses it, the next start asks again.
        if (consent.given) TrainingJob.schedule(this)
    }

    /** The engine of this process, opened where it is not. */
    suspend fun engine(): PersonalEngine = shared.get()

    /** Words that follow, before the first unlock after a restart too. */
    suspend fun suggest(text: String, options: SuggestOptions): List<Suggestion> = shared.suggest(text, options)

    /** The phone is unlocked. */
    suspend fun unlocked() = shared.unlocked()

    /** Lets go of an engine that is of no use any more, as one whose profile the other process has erased. */
    suspend fun dropEngine() = shared.drop()

    /** Turns learning on or off: the consent first, then all training. False where the system refuses the nightly one. */
    fun setLearning(agreed: Boolean): Boolean {
        consent.answer(agreed)
        if (agreed) return TrainingJob.schedule(this)
        TrainingJob.cancel(this)
        scope.launch { trainer.pause() }
        return true
    }

    /** Erases the profile, its key and the consent; how many files went. */
    suspend fun forgetEverything(): ULong {
        setLearning(false)
        trainer.pause()
        return shared.erase()
    }
}

/** The application of a component. */
val android.content.Context.app: SampleApp get() = applicationContext as SampleApp
