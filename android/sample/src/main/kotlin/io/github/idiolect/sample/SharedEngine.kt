package io.github.idiolect.sample

import android.content.Context
import io.github.idiolect.EngineError
import io.github.idiolect.PersonalEngine
import io.github.idiolect.SuggestOptions
import io.github.idiolect.Suggestion
import io.github.idiolect.android.AppModel
import io.github.idiolect.android.DirectBootSuggestions
import io.github.idiolect.android.KeystoreKeys
import io.github.idiolect.android.MemoryPressure
import io.github.idiolect.android.isPersonReachable
import io.github.idiolect.android.open
import io.github.idiolect.android.profileFolder
import java.io.File
import java.io.IOException
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.sync.Mutex
import kotlinx.coroutines.sync.withLock
import kotlinx.coroutines.withContext

/** The one engine of a process: opened with the first need, its memory given back under pressure. */
class SharedEngine(private val context: Context) {
    private class Open(val engine: PersonalEngine, val pressure: MemoryPressure)

    private val mutex = Mutex()
    private var open: Open? = null
    private val model = ModelFolder(context)
    private val locked by lazy { DirectBootSuggestions(context, AppModel.Stored(model.folder)) }

    /** The engine, opened where it is not. */
    suspend fun get(): PersonalEngine = mutex.withLock { opened().engine }

    /** Words by the person's own engine; before the first unlock after a restart by the base alone. */
    suspend fun suggest(text: String, options: SuggestOptions): List<Suggestion> {
        if (context.isPersonReachable) return get().suggest(text, options)
        mutex.withLock { unpacked() }
        return locked.suggest(text, options)
    }

    /** The phone is unlocked: what suggested till then is erased. */
    suspend fun unlocked() = locked.end()

    /** Closes the engine; the next [get] opens another. */
    suspend fun drop() {
        mutex.withLock { close() }
    }

    /** Erases the profile, be it damaged or its key lost; how many files went. */
    suspend fun erase(): ULong = mutex.withLock {
        // The key that sealed its key goes first: nothing opens it any more, and what the other process makes meanwhile has
        // another.
        withContext(Dispatchers.IO) { KeystoreKeys().delete() }
        close()?.shutDown()
        val left = withContext(Dispatchers.IO) { profileFolder(context).takeIf { it.exists() && !it.delete() }?.path }
        if (left == null) 0uL else PersonalEngine.eraseProfile(left).total.files
    }

    private suspend fun opened(): Open = open ?: run {
        val engine = PersonalEngine.open(context, AppModel.Stored(unpacked()))
        Open(engine, MemoryPressure(context, engine)).also { open = it }
    }

    private suspend fun unpacked(): File = withContext(Dispatchers.IO) {
        try {
            model.unpacked()
        } catch (_: IOException) {
            throw EngineError.Io("the model cannot be copied out of the app", "make room on the phone")
        }
    }

    private fun close(): PersonalEngine? = open?.run {
        open = null
        pressure.close()
        engine.also(PersonalEngine::close)
    }
}
