import android.text.InputType
import android.view.View
import android.view.ViewGroup
import android.view.inputmethod.BaseInputConnection
import android.view.inputmethod.EditorInfo
import android.widget.Button
import android.widget.EditText
import android.widget.TextView
import io.github.idiolect.sample.KeyboardService
import io.github.idiolect.sample.R
import io.github.idiolect.sample.SampleApp
import org.junit.Before
import org.junit.Test
import org.junit.runner.RunWith
import org.robolectric.Robolectric
import org.robolectric.RobolectricTestRunner
import org.robolectric.RuntimeEnvironment

/** The keyboard, driven as the system drives it, in a field of Android's own, with the real engine. */
@RunWith(RobolectricTestRunner::class)
class KeyboardTest {
    private val app get() = RuntimeEnvironment.getApplication() as SampleApp
    private lateinit var keyboard: KeyboardService
    private lateinit var view: View
    private lateinit var field: EditText

    @Before
    fun open() {
        TestKeystore.install()
        keyboard = Robolectric.buildService(KeyboardService::class.java).create().get()
        view = keyboard.onCreateInputView()
        keyboard.setInputView(view)
    }

    @Test
    fun `it types, suggests, completes and learns once it may`() {
        app.consent.answer(true)
        enter(InputType.TYPE_CLASS_TEXT)
        same("status", app.getString(R.string.keyboard_learns), status())
        type("see you tom")
        same("typed", "see you tom", field.text.toString())
        until("suggestions") { suggestions().isNotEmpty() && suggestions().all { it.text.startsWith("tom") } }
        val word = suggestions().first().text
        check(suggestions().first().contentDescription.contains(word))
        suggestions().first().performClick()
        same("completed", "see you $word ", field.text.toString())
        leave()
        same("learned", listOf("see you $word"), history())
        same("source", listOf<String?>("org.example.chat"), awaited { app.engine().history.list(null, 9u) }.map { it.source })
    }

    @Test
    fun `it learns nothing before the person agrees, and says so`() {
        enter(InputType.TYPE_CLASS_TEXT)
        same("status", app.getString(R.string.keyboard_not_agreed), status())
        type("hello ")
        until("suggestions") { suggestions().isNotEmpty() }
        leave()
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
            enter(InputType.TYPE_CLASS_TEXT or type, options)
            same("status", app.getString(words), status())
            type("see you tom")
            same("typed", "see you tom", field.text.toString())
            // Longer than a suggestion takes.
            val until = System.nanoTime() + 1_000_000_000
            until("a second") { System.nanoTime() > until }
            same("suggestions", emptyList<String>(), suggestions().map { it.text.toString() })
            leave()
        }
        same("learned", emptyList<String>(), history())
    }

    private fun enter(type: Int, options: Int = 0) {
        field = EditText(app).apply { inputType = type; imeOptions = options }
        val info = EditorInfo().apply { packageName = "org.example.chat" }
        val connection = checkNotNull(field.onCreateInputConnection(info))
        info.packageName = "org.example.chat"
        @Suppress("DEPRECATION")
        keyboard.onCreateInputMethodInterface().startInput(connection as BaseInputConnection, info)
        keyboard.onStartInputView(info, false)
    }

    private fun leave() {
        keyboard.onFinishInput()
        val until = System.nanoTime() + 200_000_000
        until("what is learned is kept") { System.nanoTime() > until }
    }

    private fun type(text: String) = text.forEach { letter ->
        val name = if (letter == ' ') app.getString(R.string.key_space) else letter.toString()
        buttons(view.findViewById(R.id.keys)).single { (it.contentDescription ?: it.text).toString() == name }.performClick()
    }

    private fun suggestions() = buttons(view.findViewById(R.id.suggestions)).filter { it.visibility == View.VISIBLE }

    private fun status() = view.findViewById<TextView>(R.id.keyboard_status).text.toString()

    private fun history() = awaited { app.engine().history.list(null, 9u) }.map { it.text }

    private fun buttons(group: ViewGroup): List<Button> = (0 until group.childCount).flatMap {
        when (val child = group.getChildAt(it)) {
            is Button -> listOf(child)
            is ViewGroup -> buttons(child)
            else -> emptyList()
        }
    }
}
