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
import org.robolectric.Robolectric

/** Somebody who types: the keyboard driven as the system drives it, in a field of Android's own. */
class Typist(private val app: SampleApp) {
    private val keyboard = Robolectric.buildService(KeyboardService::class.java).create().get()
    private val view = keyboard.onCreateInputView().also(keyboard::setInputView)
    lateinit var field: EditText
        private set

    fun enter(type: Int, options: Int = 0) {
        field = EditText(app)
        start(type, options, restarting = false)
    }

    /** The app makes another kind of field of it, with what stands in it. */
    fun become(type: Int, options: Int = 0) {
        start(type, options, restarting = true)
        // Android's field has put the cursor to its beginning.
        field.setSelection(field.length())
    }

    private fun start(type: Int, options: Int, restarting: Boolean) {
        field.inputType = type
        field.imeOptions = options
        val info = EditorInfo()
        val connection = checkNotNull(field.onCreateInputConnection(info)) as BaseInputConnection
        info.packageName = "org.example.chat"
        @Suppress("DEPRECATION")
        val method = keyboard.onCreateInputMethodInterface()
        if (restarting) method.restartInput(connection, info) else method.startInput(connection, info)
        keyboard.onStartInputView(info, restarting)
    }

    /** The system ends the keyboard, as it does when another is chosen. */
    fun end() {
        keyboard.onFinishInput()
        keyboard.onDestroy()
    }

    fun leave() {
        keyboard.onFinishInput()
        val until = System.nanoTime() + 200_000_000
        until("what is learned is kept") { System.nanoTime() > until }
    }

    fun type(text: String) = text.forEach { letter ->
        val name = if (letter == ' ') app.getString(R.string.key_space) else letter.toString()
        buttons(view.findViewById(R.id.keys)).single { (it.contentDescription ?: it.text).toString() == name }.performClick()
    }

    fun suggestions() = buttons(view.findViewById(R.id.suggestions)).filter { it.visibility == View.VISIBLE }

    /** The words that are suggested. */
    fun words() = suggestions().map { it.text.toString() }

    fun status() = view.findViewById<TextView>(R.id.keyboard_status).text.toString()

    private fun buttons(group: ViewGroup): List<Button> = (0 until group.childCount).flatMap {
        when (val child = group.getChildAt(it)) {
            is Button -> listOf(child)
            is ViewGroup -> buttons(child)
            else -> emptyList()
        }
    }
}
