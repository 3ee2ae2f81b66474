package io.github.idiolect.android

import android.content.Context
import io.github.idiolect.EngineError
import io.github.idiolect.EngineOptions
import io.github.idiolect.PersonalEngine
import io.github.idiolect.SuggestOptions
import io.github.idiolect.Suggestion
import io.github.idiolect.calling
import kotlinx.coroutines.NonCancellable
import kotlinx.coroutines.sync.Mutex
import kotlinx.coroutines.sync.withLock
import kotlinx.coroutines.withContext

/**
 * A keyboard's words before the first unlock after a restart: those of the base model, for nothing of the person's can be
 * read yet (see [isPersonReachable]).
 *
 * Its profile is empty and stays so, for here is nothing that adds to it or trains. It lies in device-protected storage with
 * its key beside it, as there is nothing to keep secret, and [end] erases it. An app has one of these, for as long as the
 * process in which its keyboard runs.
 *
 * @param model an asset, or a file in device-protected storage ([Context.createDeviceProtectedStorageContext]).
 * @param options the options to open with, given those with profile and model set.
 */
public class DirectBootSuggestions(
    private val context: Context,
    private val model: AppModel,
    private val options: (EngineOptions) -> EngineOptions = { it },
) {
    private class Open(val engine: PersonalEngine, val pressure: MemoryPressure)

    private val mutex = Mutex()
    private var open: Open? = null
    private var ended = false

    /**
     * The likeliest words, as [PersonalEngine.suggest] gives them. The model is opened with the first call, and its memory
     * given back under pressure.
     *
     * @throws EngineError `Closed` once it has ended, and what [PersonalEngine.suggest] refuses.
     */
    public suspend fun suggest(text: String, options: SuggestOptions = SuggestOptions()): List<Suggestion> =
        // The next key cancels this, and should find it open.
        mutex.withLock { withContext(NonCancellable) { opened() } }.suggest(text, options)

    /** Ends it for good and erases its profile, once the person has unlocked; also what a process left that was killed. */
    public suspend fun end(): Unit = withContext(NonCancellable) {
        mutex.withLock {
            ended = true
            val last = open
            open = null
            last?.pressure?.close()
            last?.engine?.eraseAll()
            eraseLeft()
        }
    }

    private suspend fun opened(): PersonalEngine {
        if (ended) throw EngineError.Closed("suggestions before the unlock have ended", "ask the person's own engine")
        open?.let { return it.engine }
        eraseLeft()
        val folder = calling { folder().path }
        val engine = model.opened(context) { source -> PersonalEngine.open(options(EngineOptions(folder, source))) }
        open = Open(engine, MemoryPressure(context, engine))
        return engine
    }

    private suspend fun eraseLeft() {
        // Killed at its beginning or its end it is an empty folder, which is no profile.
        val left = calling { folder().takeIf { it.exists() && !it.delete() }?.path }
        if (left != null) PersonalEngine.eraseProfile(left)
    }

    private fun folder() = profileFolder(context.createDeviceProtectedStorageContext(), "direct-boot")
}
