package io.github.idiolect.sample

import android.content.Intent
import android.os.Bundle
import android.view.View
import android.widget.EditText
import android.widget.ListView
import io.github.idiolect.NewSample
import io.github.idiolect.Selection

/** Writes notes. What is saved is learned from, once the person has agreed; what is deleted is forgotten. */
class NotesActivity : Screen(R.layout.activity_notes) {
    private val notes by lazy { Notes(this) }
    private val rows by lazy { Rows(this, ::delete) }
    private val text by lazy { findViewById<EditText>(R.id.text) }

    override fun onCreate(savedInstanceState: Bundle?) {
        super.onCreate(savedInstanceState)
        findViewById<ListView>(R.id.notes).adapter = rows
        findViewById<View>(R.id.save).setOnClickListener { save() }
        findViewById<View>(R.id.voice).setOnClickListener { startActivity(Intent(this, VoiceActivity::class.java)) }
        if (!app.consent.answered && savedInstanceState == null) {
            startActivity(Intent(this, ConsentActivity::class.java))
        }
        show()
    }

    private fun save() {
        val written = text.text.toString().trim()
        if (written.isEmpty()) return
        val note = notes.add(written)
        text.text.clear()
        show()
        if (app.consent.given) {
            workOn { app.engine().history.add(listOf(NewSample(note.text, id = note.id, source = packageName))) }
        }
    }

    private fun delete(note: Note) {
        workOn {
            // While it is not forgotten the note stays, to be deleted again.
            app.engine().history.remove(Selection.AppIds(listOf(note.id)))
            notes.delete(note)
            show()
        }
    }

    private fun show() {
        val all = notes.all()
        findViewById<View>(R.id.empty).visibility = if (all.isEmpty()) View.VISIBLE else View.GONE
        rows.show(
            all.map {
                Row(it, it.text, null, getString(R.string.notes_delete_short), getString(R.string.notes_delete, it.text))
            },
        )
    }
}
