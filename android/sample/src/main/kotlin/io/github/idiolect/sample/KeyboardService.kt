package io.github.idiolect.sample

import android.inputmethodservice.InputMethodService
import android.view.KeyEvent
import android.view.View
import android.view.inputmethod.EditorInfo
import android.widget.TextView
import io.github.idiolect.EngineError
import io.github.idiolect.NewSample
import io.github.idiolect.SuggestOptions
import io.github.idiolect.Suggestion
import io.github.idiolect.android.FieldRefusal
import io.github.idiolect.android.TextFieldRules
import io.github.idiolect.android.awaitPerson
import io.github.idiolect.android.isPersonReachable
import kotlinx.coroutines.CoroutineScope
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.Job
import kotlinx.coroutines.SupervisorJob
import kotlinx.coroutines.cancel
import kotlinx.coroutines.launch

/**
 * A keyboard that suggests the person's words, and learns from what they write where it may: in fields of prose, once they
 * have agreed. A line above the words says what it does in this field, and why not where it does not. Before the first unlock
 * after a restart it suggests by the base model, and learns nothing.
 */
class KeyboardService : InputMethodService() {
    private val scope = CoroutineScope(SupervisorJob() + Dispatchers.Main)

    /** What was typed where it may be learned. */
    private val typed = TypedText()
    private var rules = TextFieldRules.of(null)
    private var suggesting: Job? = null
    private var keys: KeysView? = null
    private var bar: SuggestionBar? = null
    private var status: TextView? = null

    override fun onCreate() {
        super.onCreate()
        work {
            awaitPerson()
            unlocked()
        }
    }

    override fun onCreateInputView(): View = layoutInflater.inflate(R.layout.keyboard, null).also {
        keys = KeysView(it.findViewById(R.id.keys), ::press)
        bar = SuggestionBar(it.findViewById(R.id.suggestions), ::accept)
        status = it.findViewById(R.id.keyboard_status)
    }

    override fun onEvaluateFullscreenMode() = false

    override fun onStartInput(info: EditorInfo?, restarting: Boolean) {
        super.onStartInput(info, restarting)
        val now = TextFieldRules.of(info)
        // The same field, under other rules: a password that is shown is one still.
        val begunUnlearned = restarting && !rules.mayLearn && !isFieldEmpty()
        rules = if (begunUnlearned) now.copy(mayLearn = false) else now
        if (!rules.mayLearn) typed.take()
    }

    override fun onStartInputView(info: EditorInfo?, restarting: Boolean) {
        super.onStartInputView(info, restarting)
        keys?.capital = false
        status?.text = words()
        suggest()
    }

    override fun onFinishInput() {
        learn()
        bar?.show(emptyList())
        super.onFinishInput()
    }

    override fun onUpdateSelection(oldStart: Int, oldEnd: Int, start: Int, end: Int, composingStart: Int, composingEnd: Int) {
        super.onUpdateSelection(oldStart, oldEnd, start, end, composingStart, composingEnd)
        // Somewhere else, or sent: what was typed is complete.
        if (!typed.isBefore(currentInputConnection?.getTextBeforeCursor(typed.length, 0))) learn()
        suggest()
    }

    override fun onDestroy() {
        scope.cancel()
        super.onDestroy()
    }

    private fun press(key: Key) {
        val connection = currentInputConnection ?: return
        when (key) {
            is Key.Character -> type((keys?.shown(key.character) ?: key.character).toString())
            Key.Shift -> keys?.run { capital = !capital }
            Key.Delete -> {
                typed.delete(1)
                connection.deleteSurroundingTextInCodePoints(1, 0)
            }
            Key.Enter -> enter()
        }
        if (key !is Key.Shift) suggest()
    }

    private fun type(text: String) {
        // Before the unlock the line above the words says that nothing is learned.
        if (rules.mayLearn && isPersonReachable) typed.add(text)
        currentInputConnection?.commitText(text, 1)
        keys?.capital = false
    }

    private fun enter() {
        learn()
        if (!sendDefaultEditorAction(true)) sendDownUpKeyEvents(KeyEvent.KEYCODE_ENTER)
    }

    private fun accept(suggestion: Suggestion) {
        val connection = currentInputConnection ?: return
        connection.beginBatchEdit()
        typed.delete(suggestion.replaces.toInt())
        connection.deleteSurroundingTextInCodePoints(suggestion.replaces.toInt(), 0)
        type(suggestion.text + " ")
        connection.endBatchEdit()
        suggest()
    }

    private fun suggest() {
        suggesting?.cancel()
        val before = currentInputConnection?.getTextBeforeCursor(CONTEXT, 0)?.toString()
        if (!rules.maySuggest || before == null) {
            bar?.show(emptyList())
            return
        }
        suggesting = work {
            bar?.show(app.suggest(before, SuggestOptions(count = SuggestionBar.PLACES.toUInt())))
        }
    }

    private suspend fun unlocked() {
        suggesting?.cancel()
        // The line said so till now.
        typed.take()
        app.unlocked()
        status?.text = words()
        suggest()
    }

    private fun isFieldEmpty() = currentInputConnection?.run {
        listOf(getTextBeforeCursor(1, 0), getTextAfterCursor(1, 0)).all { it?.isEmpty() == true }
    } ?: true

    private fun learn() {
        val text = typed.take() ?: return
        if (!isPersonReachable || !app.consent.given) return
        val source = currentInputEditorInfo?.packageName
        // The system ends this service whenever another keyboard is chosen.
        work(app.scope) { app.engine().history.add(listOf(NewSample(text, source = source))) }
    }

    private fun work(scope: CoroutineScope = this.scope, block: suspend () -> Unit): Job = scope.launch {
        try {
            block()
        } catch (error: EngineError) {
            bar?.show(emptyList())
            status?.text = getString(R.string.keyboard_unavailable, error.detail)
            app.dropEngine()
        }
    }

    private fun words(): String = getString(
        when (rules.refusal) {
            FieldRefusal.PASSWORD -> R.string.keyboard_password
            FieldRefusal.INCOGNITO -> R.string.keyboard_incognito
            FieldRefusal.NO_SUGGESTIONS -> R.string.keyboard_no_suggestions
            FieldRefusal.NOT_TEXT -> R.string.keyboard_not_text
            null -> when {
                !isPersonReachable -> R.string.keyboard_locked
                !app.consent.given -> R.string.keyboard_not_agreed
                !rules.mayLearn -> R.string.keyboard_no_prose
                else -> R.string.keyboard_learns
            }
        },
    )

    private companion object {
        /** Characters before the cursor that the words follow from. */
        const val CONTEXT = 400
    }
}
