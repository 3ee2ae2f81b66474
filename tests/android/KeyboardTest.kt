import android.text.InputType
import android.view.inputmethod.EditorInfo
import io.github.idiolect.sample.R
import io.github.idiolect.sample.SampleApp
import org.junit.Before
import org.junit.Test
import org.junit.runner.RunWith
import org.robolectric.RobolectricTestRunner
import org.robolectric.RuntimeEnvironment

/** The keyboard, with the real engine. */
@RunWith(RobolectricTestRunner::class)
class KeyboardTest {
    private val app get() = RuntimeEnvironment.getApplication() as SampleApp
    private val typist by lazy { Typist(app) }

    @Before
    fun keys() = TestKeystore.install()

    @Test
    fun `it types, suggests, completes and learns once it may`() {
        app.consent.answer(true)
        typist.enter(InputType.TYPE_CLASS_TEXT)
        same("status", app.getString(R.string.keyboard_learns), typist.status())
        typist.type("see you tom")
        same("typed", "see you tom", typist.field.text.toString())
        until("suggestions") { typist.suggestions().isNotEmpty() && typist.suggestions().all { it.text.startsWith("tom") } }
        val word = typist.suggestions().first().text
        check(typist.suggestions().first().contentDescription.contains(word))
        typist.suggestions().first().performClick()
        same("completed", "see you $word ", typist.field.text.toString())
        typist.leave()
        same("learned", listOf("see you $word"), history())
        same("source", listOf<String?>("org.example.chat"), awaited { app.engine().history.list(null, 9u) }.map { it.source })
    }

    @Test
    fun `it learns nothing before the person agrees, and says so`() {
        typist.enter(InputType.TYPE_CLASS_TEXT)
        same("status", app.getString(R.string.keyboard_not_agreed), typist.status())
        typist.type("hello ")
        until("suggestions") { typist.suggestions().isNotEmpty() }
        typist.leave()
        same("learned", emptyList<String>(), history())
    }

    @Test
    fun `it neither learns nor suggests where it must not`() {
        app.consent.answer(true)
        for ((type, options, words) in listOf(
            Triple(InputType.TYPE_TEXT_VARIATION_PASSWORD, 0, R.string.keyboard_password),
            Triple(0, EditorInfo.IME_FLAG_NO_PERSONALIZED_LEARNING, R.string.keyboard_incognito),
            Triple(InputType.TYPE_TEXT_FLAG_NO_SUGGESTIONS, 0, R.string.keyboard_no_suggestions),
        )) {
            typist.enter(InputType.TYPE_CLASS_TEXT or type, options)
            same("status", app.getString(words), typist.status())
            typist.type("see you tom")
            same("typed", "see you tom", typist.field.text.toString())
            // Longer than a suggestion takes.
            val until = System.nanoTime() + 1_000_000_000
            until("a second") { System.nanoTime() > until }
            same("suggestions", emptyList<String>(), typist.words())
            typist.leave()
        }
        same("learned", emptyList<String>(), history())
    }

    @Test
    fun `it learns nothing of a field that was or becomes another's`() {
        app.consent.answer(true)
        val text = InputType.TYPE_CLASS_TEXT
        val password = text or InputType.TYPE_TEXT_VARIATION_PASSWORD
        val quiet = EditorInfo.IME_FLAG_NO_PERSONALIZED_LEARNING
        for ((case, before, after) in listOf(
            Triple("a password that is shown", password to 0, text to 0),
            Triple("a password from now on", text to 0, password to 0),
            Triple("a private window till now", text to quiet, text to 0),
            Triple("an address till now", (text or InputType.TYPE_TEXT_VARIATION_URI) to 0, text to 0),
        )) {
            typist.enter(before.first, before.second)
            typist.type("open se")
            typist.become(after.first, after.second)
            typist.type("same")
            // Told so twice, it is still the same field.
            typist.become(after.first, after.second)
            typist.type(" now")
            same(case, "open sesame now", typist.field.text.toString())
            typist.leave()
            same("learned of $case", emptyList<String>(), history())
        }
        typist.enter(text)
        typist.type("so be")
        typist.become(text or InputType.TYPE_TEXT_FLAG_MULTI_LINE)
        typist.type(" it")
        typist.leave()
        same("learned", listOf("so be it"), history())
        typist.enter(password)
        typist.become(text)
        typist.type("and so on")
        typist.leave()
        same("learned of a field that was empty", listOf("and so on", "so be it"), history())
    }

    @Test
    fun `what was typed is learned though the keyboard ends at once`() {
        app.consent.answer(true)
        typist.enter(InputType.TYPE_CLASS_TEXT)
        typist.type("so be it")
        typist.end()
        until("it is kept") { history() == listOf("so be it") }
    }

    private fun history() = awaited { app.engine().history.list(null, 9u) }.map { it.text }
}
