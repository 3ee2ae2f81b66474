import android.content.Intent
import android.os.UserManager
import android.text.InputType
import io.github.idiolect.AdapterWeight
import io.github.idiolect.EngineError
import io.github.idiolect.EngineOptions
import io.github.idiolect.LearnSettings
import io.github.idiolect.ModelSource
import io.github.idiolect.NewSample
import io.github.idiolect.PersonalEngine
import io.github.idiolect.PersonalHistory
import io.github.idiolect.SuggestOptions
import io.github.idiolect.TrainEvent
import io.github.idiolect.TrainSettings
import io.github.idiolect.android.AppModel
import io.github.idiolect.android.DirectBootSuggestions
import io.github.idiolect.android.awaitPerson
import io.github.idiolect.android.profileFolder
import io.github.idiolect.sample.ModelFolder
import io.github.idiolect.sample.R
import io.github.idiolect.sample.SampleApp
import java.io.File
import kotlinx.coroutines.CoroutineScope
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.flow.last
import kotlinx.coroutines.launch
import org.junit.Assert.assertThrows
import org.junit.Before
import org.junit.Test
import org.junit.runner.RunWith
import org.robolectric.RobolectricTestRunner
import org.robolectric.RuntimeEnvironment
import org.robolectric.Shadows.shadowOf

/** From the restart to the first unlock, and after it. */
@RunWith(RobolectricTestRunner::class)
class DirectBootTest {
    private val app get() = RuntimeEnvironment.getApplication() as SampleApp
    private val open get() = app.createDeviceProtectedStorageContext()
    private val empty get() = profileFolder(open, "direct-boot")
    private val model get() = AppModel.Stored(ModelFolder(app).unpacked())

    @Before
    fun keys() {
        TestKeystore.install()
        check(!app.dataDir.startsWith(open.dataDir) && !open.dataDir.startsWith(app.dataDir))
    }

    @Test
    fun `locked it suggests by the base and learns nothing, unlocked it is the person's again`() {
        app.consent.answer(true)
        val (base, own) = learnedWords()
        check(base != own) { "the person's words are the base's: $base" }
        val history = history()
        awaited { app.dropEngine() }
        restart()

        val typist = Typist(app)
        typist.enter(InputType.TYPE_CLASS_TEXT)
        same("status", app.getString(R.string.keyboard_locked), typist.status())
        typist.type(TEXT)
        until("the base's words") { typist.words() == base }
        same("open in the person's storage", emptyList<String>(), openBelow(app.dataDir))
        check(openBelow(open.dataDir).any { it.endsWith("model.safetensors") }) { "no model is open" }
        typist.leave()
        typist.enter(InputType.TYPE_CLASS_TEXT)
        typist.type(TEXT)
        same("messages", 0uL, messages())

        // The system knows before the keyboard is told.
        users().setUserUnlocked(true)
        typist.leave()
        same("learned of what was typed before", history, history())
        typist.enter(InputType.TYPE_CLASS_TEXT)
        typist.type(TEXT)
        unlock()
        until("the status") { typist.status() == app.getString(R.string.keyboard_learns) }
        until("the person's words") { typist.words() == own }
        until("its profile is gone") { !empty.exists() }
        typist.leave()
        same("learned of what was typed before", history, history())
        typist.enter(InputType.TYPE_CLASS_TEXT)
        typist.type("so be it")
        typist.leave()
        same("learned", listOf("so be it") + history, history())
    }

    @Test
    fun `what a killed process left is erased, and its profile with the unlock`() {
        restart()
        empty.mkdirs()
        beside { it.history.add(NewSample("left")) }
        val words = DirectBootSuggestions(app, model)
        check(awaited { words.suggest("see you ") }.isNotEmpty())
        same("messages", 0uL, messages())
        awaited { words.end() }
        check(!empty.exists())
        assertThrows(EngineError.Closed::class.java) { awaited { words.suggest("see you ") } }
        awaited { words.end() }
        check(!empty.exists())
    }

    @Test
    fun `the unlock is waited for, and not after it`() {
        awaited { app.awaitPerson() }
        restart()
        var came = false
        CoroutineScope(Dispatchers.Main).launch {
            app.awaitPerson()
            came = true
        }
        shadowOf(android.os.Looper.getMainLooper()).idle()
        check(!came) { "it did not wait" }
        unlock()
        until("it came") { came }
        check(shadowOf(app).registeredReceivers.none { it.intentFilter.hasAction(Intent.ACTION_USER_UNLOCKED) })
    }

    private fun restart() = users().setUserUnlocked(false)

    private fun unlock() {
        users().setUserUnlocked(true)
        app.sendBroadcast(Intent(Intent.ACTION_USER_UNLOCKED))
    }

    private fun users() = shadowOf(app.getSystemService(UserManager::class.java))

    /** What the base suggests, and what the person's own version does once it has learned. */
    private fun learnedWords(): Pair<List<String>, List<String>> = awaited {
        val engine = app.engine()
        engine.history.addAll(PersonalHistory.readJsonl(System.getProperty("idiolect.history")!!).samples.take(300))
        val settings = LearnSettings(train = TrainSettings(epochs = 1u, seed = 7uL))
        val report = (engine.train(settings).last() as TrainEvent.Finished).report
        check(report.version == 1u) { report.verdict.explanation }
        listOf(emptyList<AdapterWeight>(), null)
            .map { adapters -> engine.suggest(TEXT, SuggestOptions(adapters = adapters)).map { it.text.trim() } }
            .let { (base, own) -> base to own }
    }

    /** Another engine on the profile of the time before the unlock. */
    private fun <T> beside(look: suspend (PersonalEngine) -> T): T = awaited {
        val engine = PersonalEngine.open(EngineOptions(empty.path, ModelSource.Path(model.file.path)))
        try {
            look(engine)
        } finally {
            engine.shutDown()
        }
    }

    private fun messages() = beside { it.history.stats().total.messages }

    private fun history() = awaited { app.engine().history.list(null, 1000u) }.map { it.text }

    /** Files below [folder] that this process has open or mapped. */
    private fun openBelow(folder: File): List<String> {
        val opened = File("/proc/self/fd").listFiles().orEmpty().mapNotNull { runCatching { it.canonicalPath }.getOrNull() }
        val mapped = File("/proc/self/maps").readLines().map { it.substringAfter(" /", "").let { path -> "/$path" } }
        return (opened + mapped).filter { it.startsWith(folder.canonicalPath + "/") }.distinct()
    }

    private companion object {
        const val TEXT = "i am going to "
    }
}
