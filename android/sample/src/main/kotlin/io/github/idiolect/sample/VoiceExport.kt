package io.github.idiolect.sample

import android.content.Context
import android.net.Uri
import android.provider.DocumentsContract
import io.github.idiolect.PersonalAdapters
import java.io.File
import java.io.IOException
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.NonCancellable
import kotlinx.coroutines.sync.Mutex
import kotlinx.coroutines.sync.withLock
import kotlinx.coroutines.withContext

/** The person's voice on its way out of the app, to a document that they chose: whole, or not there. */
class VoiceExport(private val context: Context) {
    /** Writes the version in use to [document]; whether there is one, and that took it. */
    suspend fun write(adapters: PersonalAdapters, document: Uri): Boolean = one.withLock {
        // It is not sealed, and stays no longer than it has to.
        val file = File(context.cacheDir, "my-voice.tar")
        var whole = false
        try {
            withContext(Dispatchers.IO) { file.delete() }
            adapters.list().active?.let { version ->
                adapters.exportTo(version, file.path)
                withContext(Dispatchers.IO) { copy(file, document) }
                whole = true
            }
        } catch (_: IOException) {
            // Where it was to go is full, or gone.
        } finally {
            withContext(NonCancellable + Dispatchers.IO) {
                file.delete()
                if (!whole) discard(document)
            }
        }
        whole
    }

    private fun copy(file: File, document: Uri) {
        val stream = try {
            context.contentResolver.openOutputStream(document, "wt")
        } catch (refused: RuntimeException) {
            // What the app that keeps it threw.
            throw IOException(refused)
        }
        (stream ?: throw IOException("it takes nothing")).use { to -> file.inputStream().use { it.copyTo(to) } }
    }

    private fun discard(document: Uri) {
        try {
            DocumentsContract.deleteDocument(context.contentResolver, document)
        } catch (_: Exception) {
            // The app that keeps it does not let others delete.
        }
    }

    private companion object {
        /** One at a time: each has the same file. */
        val one = Mutex()
    }
}
