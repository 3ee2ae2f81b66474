package io.github.idiolect.sample

import android.content.Context
import java.io.File
import java.util.UUID

/** A note: its file's name is the id that the history knows it by. */
data class Note(val id: String, val text: String)

/** The notes, a file each. */
class Notes(context: Context) {
    private val folder = File(context.filesDir, "notes").apply { mkdirs() }

    /** All of them, latest first. */
    fun all(): List<Note> = folder.listFiles().orEmpty()
        .sortedByDescending { it.lastModified() }
        .map { Note(it.name, it.readText()) }

    /** Keeps a text as a new note. */
    fun add(text: String): Note = Note("note-${UUID.randomUUID()}", text).also { File(folder, it.id).writeText(text) }

    /** Deletes a note. */
    fun delete(note: Note) {
        File(folder, note.id).delete()
    }
}
