import android.app.Activity
import android.content.Intent
import android.view.View
import android.view.ViewGroup
import android.view.inputmethod.EditorInfo
import android.widget.EditText
import android.widget.ListView
import android.widget.SeekBar
import android.widget.TextView
import io.github.idiolect.EngineError
import io.github.idiolect.NewSample
import io.github.idiolect.PersonalHistory
import io.github.idiolect.android.FieldRefusal
import io.github.idiolect.android.TextFieldRules
import io.github.idiolect.android.profileFolder
import io.github.idiolect.sample.ConsentActivity
import io.github.idiolect.sample.LedgerActivity
import io.github.idiolect.sample.Notes
import io.github.idiolect.sample.NotesActivity
import io.github.idiolect.sample.R
import io.github.idiolect.sample.SampleApp
import io.github.idiolect.sample.TrainingState
import io.github.idiolect.sample.VoiceActivity
import java.io.File
import org.junit.Assert.assertThrows
import org.junit.Before
import org.junit.Test
import org.junit.runner.RunWith
import org.robolectric.Robolectric
import org.robolectric.RobolectricTestRunner
import org.robolectric.RuntimeEnvironment
import org.robolectric.Shadows.shadowOf
import org.robolectric.shadows.ShadowAlertDialog
import org.robolectric.shadows.ShadowToast

/** The screens: created, laid out, used and drawn, with the real engine. */
@RunWith(RobolectricTestRunner::class)
class ScreensTest {
    private val app get() = RuntimeEnvironment.getApplication() as SampleApp

    @Before
    fun keys() = TestKeystore.install()

    @Test
    fun `the first start asks before anything is learned`() {
        val notes = open(NotesActivity::class.java)
        same("asks", ConsentActivity::class.java.name, shadowOf(notes).nextStartedActivity.component?.className)
        val consent = open(ConsentActivity::class.java)
        val picture = Picture(consent.root(), "consent")
        same(
            "texts",
            listOf(
                R.string.consent_title, R.string.consent_what, R.string.consent_where, R.string.consent_never,
                R.string.consent_undo, R.string.consent_agree, R.string.consent_decline,
            ).map(app::getString),
            picture.texts,
        )
        picture.checkTargets()
        picture.checkContrast()
        check(!app.consent.given && !app.consent.answered)
        consent.findViewById<View>(R.id.decline).performClick()
        check(!app.consent.given && app.consent.answered && consent.isFinishing)
        write(notes, "not for learning")
        shadowOf(android.os.Looper.getMainLooper()).idle()
        same("learned", emptyList<String>(), history())
    }

    @Test
    fun `a note is learned from once the person agreed, and forgotten when it is deleted`() {
        app.setLearning(true)
        val notes = open(NotesActivity::class.java)
        write(notes, "the kettle is on")
        until("it is kept") { history() == listOf("the kettle is on") }
        val picture = Picture(notes.root(), "notes")
        same("texts", listOf("Notes", "My voice", "the kettle is on", "Delete", "Save"), picture.texts)
        picture.checkTargets()
        picture.checkContrast()

        val ledger = open(LedgerActivity::class.java)
        until("the ledger") { ledger.findViewById<ListView>(R.id.samples).childCount == 1 }
        Picture(ledger.root(), "ledger").run {
            check("the kettle is on" in texts) { "$texts" }
            checkTargets()
            checkContrast()
        }
        notes.remove(R.id.notes)
        until("it is forgotten") { history().isEmpty() }
        until("there is no note") { notes.findViewById<View>(R.id.empty).visibility == View.VISIBLE }
    }

    @Test
    fun `what is saved and deleted is done though the screen is gone`() {
        app.setLearning(true)
        // The keyboard must not add a note again, under no id.
        val field = open(NotesActivity::class.java).findViewById<EditText>(R.id.text)
        val info = EditorInfo().also { field.onCreateInputConnection(it) }
        same("what a keyboard may do", FieldRefusal.INCOGNITO, TextFieldRules.of(info).refusal)
        gone(NotesActivity::class.java) { write(it, "the kettle is on") }
        until("it is kept") { history() == listOf("the kettle is on") }
        gone(NotesActivity::class.java) { it.remove(R.id.notes) }
        until("it is forgotten") { history().isEmpty() && Notes(app).all().isEmpty() }
        awaited { app.engine().history.add(NewSample("from elsewhere")) }
        val ledger = Robolectric.buildActivity(LedgerActivity::class.java).setup()
        until("the ledger") { ledger.get().findViewById<ListView>(R.id.samples).childCount == 1 }
        ledger.get().remove(R.id.samples)
        ledger.close()
        until("it is removed") { history().isEmpty() }
    }

    @Test
    fun `a note that cannot be forgotten stays`() {
        app.setLearning(true)
        val notes = open(NotesActivity::class.java)
        write(notes, "the kettle is on")
        until("it is kept") { history() == listOf("the kettle is on") }
        loseKey()
        notes.remove(R.id.notes)
        until("it says so") { ShadowToast.getTextOfLatestToast()?.contains("Keystore") == true }
        same("notes", listOf("the kettle is on"), Notes(app).all().map { it.text })
    }

    @Test
    fun `nothing is trained without consent, and no longer than it is given`() {
        val voice = open(VoiceActivity::class.java)
        voice.click(R.id.train)
        same("asks", ConsentActivity::class.java.name, shadowOf(voice).nextStartedActivity.component?.className)
        app.trainer.start()
        same("trains", TrainingState.Idle, app.trainer.state.value)
        app.setLearning(true)
        awaited { app.engine().history.addAll(PersonalHistory.readJsonl(System.getProperty("idiolect.history")!!).samples.take(300)) }
        voice.click(R.id.train)
        until("its steps") { (app.trainer.state.value as? TrainingState.Running)?.let { it.step >= 2 } == true }
        app.setLearning(false)
        until("it has paused") { app.trainer.state.value is TrainingState.Paused }
        check(awaited { app.engine().hasPausedTraining() }) { "no checkpoint" }
    }

    @Test
    fun `everything is forgotten, whatever has become of the profile`() {
        for ((trouble, make) in listOf<Pair<String, () -> Unit>>(
            "none" to {},
            "nothing there" to { awaited { app.forgetEverything() } },
            "not open" to ::close,
            "a lost key" to ::loseKey,
            "a damaged one" to ::damage,
            "a history that was put back" to ::putBack,
        )) {
            awaited { app.engine().history.add(NewSample("the kettle is on")) }
            make()
            var wasThere: Boolean? = null
            TestKeystore.deleted = { wasThere = profileFolder(app).exists() }
            val files = awaited { app.forgetEverything() }
            val nothing = trouble == "nothing there"
            // Its key first: what opens it before it is gone finds none.
            same("there when the key went, $trouble", !nothing, wasThere)
            same("there, $trouble", false, profileFolder(app).exists())
            same("files, $trouble", nothing, files == 0uL)
            same("history, $trouble", emptyList<String>(), history())
        }
    }

    /** The engine is closed, and another one is opened with the next need. */
    private fun close() = awaited {
        app.engine().shutDown()
        app.dropEngine()
    }

    private fun loseKey() {
        close()
        TestKeystore.keys.clear()
    }

    private fun damage() {
        close()
        profileFolder(app).listFiles().orEmpty().filter { it.isFile }.forEach { it.writeText("damaged") }
    }

    private fun putBack() {
        close()
        val folder = profileFolder(app)
        val names = listOf("history.db", "history.db-wal", "history.db-shm")
        val backup = names.map { File(folder, it) }.filter { it.exists() }.associate { it.name to it.readBytes() }
        awaited { app.engine().history.clear() }
        close()
        names.forEach { File(folder, it).delete() }
        backup.forEach { (name, bytes) -> File(folder, name).writeBytes(bytes) }
        assertThrows(EngineError.PutBack::class.java) { awaited { app.engine() } }
    }

    @Test
    fun `the voice is trained, paused, gone on with, compared, weakened and forgotten`() {
        app.setLearning(true)
        val messages = System.getProperty("idiolect.history")!!
        awaited { app.engine().history.addAll(PersonalHistory.readJsonl(messages).samples.take(300)) }
        val voice = open(VoiceActivity::class.java)
        until("how it stands") { voice.text(R.id.status).startsWith("300 ") }
        voice.click(R.id.train)
        until("its steps") { (app.trainer.state.value as? TrainingState.Running)?.let { it.step >= 2 } == true }
        until("they are shown") { voice.text(R.id.training).startsWith("Step ") }
        Picture(voice.root(), "voice-training").run {
            checkTargets()
            checkContrast()
        }
        voice.click(R.id.pause)
        until("it has paused") { app.trainer.state.value is TrainingState.Paused }
        until("it may go on") { voice.text(R.id.train) == app.getString(R.string.voice_go_on) }
        voice.click(R.id.train)
        until("its end") { app.trainer.state.value is TrainingState.Finished }
        until("the version") { voice.text(R.id.status).endsWith("version 1 in use.") }
        until("its words") { voice.text(R.id.training) == (app.trainer.state.value as TrainingState.Finished).words }

        voice.click(R.id.compare)
        until("before and after") { voice.text(R.id.after).length > app.getString(R.string.voice_after).length + 20 }
        val slider = voice.findViewById<SeekBar>(R.id.strength)
        same("strength", 100, slider.progress)
        slider.progress = 40
        shadowOf(slider).onSeekBarChangeListener.onStopTrackingTouch(slider)
        until("the strength") { awaited { app.engine().adapters.list() }.versions.single().strength == 0.4f }
        same("says", "Strength: 40 %", voice.text(R.id.strength_label))
        Picture(voice.root(), "voice-trained").run {
            checkTargets()
            checkContrast()
        }

        export(voice)
        voice.click(R.id.forget)
        val dialog = ShadowAlertDialog.getLatestAlertDialog()
        dialog.getButton(android.content.DialogInterface.BUTTON_POSITIVE).performClick()
        until("it is forgotten") { voice.text(R.id.training).startsWith("Forgotten: ") }
        check(!app.consent.given && TestKeystore.keys.size <= 1)
        same("learned", emptyList<String>(), history())
    }

    /** The voice goes to a document whole, and to one on a full disk not at all. */
    private fun export(voice: VoiceActivity) {
        Robolectric.setupContentProvider(Documents::class.java, Documents.AUTHORITY)
        val taken = File.createTempFile("voice", ".tar")
        for ((place, words) in listOf(taken to R.string.voice_exported, File("/dev/full") to R.string.voice_not_exported)) {
            Documents.place = place
            Documents.deleted = false
            voice.click(R.id.export)
            val asked = shadowOf(voice).nextStartedActivityForResult.intent
            same("asks for", Intent.ACTION_CREATE_DOCUMENT, asked.action)
            shadowOf(voice).receiveResult(asked, Activity.RESULT_OK, Intent().setData(Documents.uri))
            until("its words") { voice.text(R.id.training) == app.getString(words) }
            same("deleted there", words == R.string.voice_not_exported, Documents.deleted)
            same("left in the app", emptyList<String>(), app.cacheDir.list().orEmpty().filter { "voice" in it })
        }
        val (own, imported) = awaited {
            app.engine().adapters.run {
                val version = importFrom(taken.path)
                list().versions.also { delete(version) }
            }
        }
        same("bits", own.sha256, imported.sha256)
        check(taken.delete())
    }

    private fun <T : Activity> open(screen: Class<T>): T = Robolectric.buildActivity(screen).setup().get()

    /** A screen that is gone as soon as it was used. */
    private fun <T : Activity> gone(screen: Class<T>, use: (T) -> Unit) {
        val shown = Robolectric.buildActivity(screen).setup()
        use(shown.get())
        shown.close()
    }

    private fun Activity.remove(list: Int) {
        findViewById<ListView>(list).getChildAt(0).findViewById<View>(R.id.row_remove).performClick()
    }

    private fun Activity.root(): ViewGroup = window.decorView as ViewGroup

    private fun Activity.text(id: Int) = findViewById<TextView>(id).text.toString()

    private fun Activity.click(id: Int) = check(findViewById<View>(id).performClick())

    private fun write(notes: NotesActivity, text: String) {
        notes.findViewById<EditText>(R.id.text).setText(text)
        notes.findViewById<View>(R.id.save).performClick()
    }

    private fun history() = awaited { app.engine().history.list(null, 9u) }.map { it.text }
}
