package io.github.idiolect.sample

import android.app.AlertDialog
import android.content.Intent
import android.os.Bundle
import android.view.View
import android.widget.Button
import android.widget.EditText
import android.widget.ProgressBar
import android.widget.SeekBar
import android.widget.Switch
import android.widget.TextView
import io.github.idiolect.AdapterWeight
import io.github.idiolect.Chunk
import io.github.idiolect.GateSettings
import io.github.idiolect.GenerateOptions
import io.github.idiolect.Prompt

/** The person's voice: how it stands, training it, hearing it, how strongly it is used, taking it along, forgetting it. */
class VoiceActivity : Screen(R.layout.activity_voice) {
    private val train by lazy { findViewById<Button>(R.id.train) }
    private val pause by lazy { findViewById<View>(R.id.pause) }
    private val progress by lazy { findViewById<ProgressBar>(R.id.progress) }
    private val training by lazy { findViewById<TextView>(R.id.training) }
    private val strength by lazy { findViewById<SeekBar>(R.id.strength) }
    private val learning by lazy { findViewById<Switch>(R.id.learning) }
    private var version: UInt? = null

    override fun onCreate(savedInstanceState: Bundle?) {
        super.onCreate(savedInstanceState)
        learning.setOnClickListener { setLearning(learning.isChecked) }
        train.setOnClickListener { train() }
        pause.setOnClickListener { work { app.trainer.pause() } }
        findViewById<View>(R.id.compare).setOnClickListener { work { compare() } }
        findViewById<View>(R.id.ledger).setOnClickListener {
            startActivity(Intent(this, LedgerActivity::class.java))
        }
        findViewById<View>(R.id.export).setOnClickListener { chooseExport() }
        findViewById<View>(R.id.forget).setOnClickListener { askToForget() }
        strength.setOnSeekBarChangeListener(StrengthSlider(::showStrength, ::setStrength))
        work { app.trainer.state.collect(::show) }
    }

    override fun onResume() {
        super.onResume()
        learning.isChecked = app.consent.given
        work { showStatus() }
    }

    private fun train() {
        if (app.consent.given) app.trainer.start() else startActivity(Intent(this, ConsentActivity::class.java))
    }

    private suspend fun showStatus() {
        val status = app.engine().status(GateSettings(), false)
        val inUse = status.inUse
        version = inUse?.version
        findViewById<TextView>(R.id.status).text = when (inUse) {
            null -> getString(R.string.voice_status_base, status.messages.toLong())
            else -> getString(R.string.voice_status, status.messages.toLong(), inUse.version.toInt())
        }
        train.setText(if (status.pausedTraining) R.string.voice_go_on else R.string.voice_train)
        for (view in listOf<View>(strength, findViewById(R.id.export))) view.isEnabled = inUse != null
        strength.progress = inUse?.let { (it.strength * strength.max + 0.5f).toInt() } ?: 0
        showStrength(strength.progress)
    }

    private fun show(state: TrainingState) {
        val running = state is TrainingState.Running || state is TrainingState.Starting || state is TrainingState.Measuring
        train.visibility = if (running) View.GONE else View.VISIBLE
        pause.visibility = if (running) View.VISIBLE else View.GONE
        progress.visibility = if (running) View.VISIBLE else View.GONE
        progress.isIndeterminate = state !is TrainingState.Running
        if (state is TrainingState.Running) {
            progress.max = state.steps
            progress.progress = state.step
        }
        val words = words(state)
        training.text = words
        training.visibility = if (words == null) View.GONE else View.VISIBLE
        if (!running && state !is TrainingState.Idle) work { showStatus() }
    }

    private fun words(state: TrainingState): String? = when (state) {
        is TrainingState.Idle -> null
        is TrainingState.Starting -> getString(R.string.voice_starting)
        is TrainingState.Running -> when (val left = state.secondsLeft) {
            null -> getString(R.string.voice_starting)
            else -> getString(R.string.voice_progress, state.step, state.steps, duration(left))
        }
        is TrainingState.Measuring -> getString(R.string.voice_measuring)
        is TrainingState.Paused -> getString(R.string.voice_paused)
        is TrainingState.Finished -> state.words
        is TrainingState.Refused -> state.words
    }

    private fun duration(seconds: Int) =
        if (seconds < 60) getString(R.string.voice_seconds, seconds) else getString(R.string.voice_minutes, (seconds + 59) / 60)

    /** The same prompt with the base alone and with the version in use; both take the likeliest words. */
    private suspend fun compare() {
        val prompt = Prompt.Text(findViewById<EditText>(R.id.prompt).text.toString())
        val sides = listOf(
            Triple(R.id.before, R.string.voice_before, emptyList<AdapterWeight>()),
            Triple(R.id.after, R.string.voice_after, null),
        )
        for ((view, label, adapters) in sides) {
            val options = GenerateOptions(maxTokens = 24u, temperature = 0f, adapters = adapters)
            var text = ""
            findViewById<View>(view).visibility = View.VISIBLE
            app.engine().generate(prompt, options).collect { chunk ->
                if (chunk is Chunk.Text) text += chunk.text
                findViewById<TextView>(view).text = getString(label, prompt.text + text)
            }
        }
    }

    private fun showStrength(percent: Int) {
        findViewById<TextView>(R.id.strength_label).text = getString(R.string.voice_strength, percent)
    }

    private fun setStrength(percent: Int) {
        val version = version ?: return
        work { app.engine().adapters.setStrength(version, percent / 100f) }
    }

    private fun chooseExport() {
        val request = Intent(Intent.ACTION_CREATE_DOCUMENT)
            .addCategory(Intent.CATEGORY_OPENABLE)
            .setType("application/x-tar")
            .putExtra(Intent.EXTRA_TITLE, "my-voice.tar")
        startActivityForResult(request, EXPORT)
    }

    @Deprecated("The framework's own way; AndroidX has another")
    override fun onActivityResult(request: Int, result: Int, data: Intent?) {
        super.onActivityResult(request, result, data)
        val place = data?.data
        if (request != EXPORT || result != RESULT_OK || place == null) return
        work {
            val whole = VoiceExport(this@VoiceActivity).write(app.engine().adapters, place)
            training.setText(if (whole) R.string.voice_exported else R.string.voice_not_exported)
            training.visibility = View.VISIBLE
        }
    }

    private fun askToForget() {
        AlertDialog.Builder(this)
            .setMessage(R.string.voice_forget_ask)
            .setPositiveButton(R.string.voice_forget_yes) { _, _ -> workOn { forget() } }
            .setNegativeButton(R.string.voice_forget_no, null)
            .show()
    }

    private suspend fun forget() {
        val files = app.forgetEverything()
        learning.isChecked = false
        showStatus()
        training.text = getString(R.string.voice_forgotten, files.toLong())
        training.visibility = View.VISIBLE
    }

    private companion object {
        const val EXPORT = 1
    }
}
