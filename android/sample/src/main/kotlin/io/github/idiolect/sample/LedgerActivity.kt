package io.github.idiolect.sample

import android.os.Bundle
import android.text.format.DateUtils
import android.widget.ListView
import android.widget.TextView
import io.github.idiolect.Selection
import io.github.idiolect.StoredSample

/** What was learned from: every message with where and when it was written, each of which can be removed for good. */
class LedgerActivity : Screen(R.layout.activity_ledger) {
    private val rows by lazy { Rows(this, ::remove) }

    override fun onCreate(savedInstanceState: Bundle?) {
        super.onCreate(savedInstanceState)
        findViewById<ListView>(R.id.samples).adapter = rows
        work { show() }
    }

    private fun remove(sample: StoredSample) {
        workOn {
            app.engine().history.remove(Selection.Samples(listOf(sample.id)))
            work { show() }
        }
    }

    private suspend fun show() {
        val engine = app.engine()
        val history = engine.history
        val learned = history.learnedVersions().lastOrNull()?.let { history.learnedFrom(it.version).toSet() }.orEmpty()
        val samples = history.list(null, PAGE)
        val total = history.stats().total.messages
        findViewById<TextView>(R.id.total).text =
            if (total == 0uL) getString(R.string.ledger_none) else getString(R.string.ledger_total, total.toLong())
        rows.show(samples.map { row(it, it.id in learned) })
    }

    private fun row(sample: StoredSample, learned: Boolean): Row<StoredSample> {
        val day = DateUtils.formatDateTime(this, sample.timestamp * 1000, DateUtils.FORMAT_SHOW_DATE)
        val place = when (sample.source) {
            null, packageName -> getString(R.string.ledger_here)
            else -> sample.source
        }
        val detail = getString(if (learned) R.string.ledger_from_learned else R.string.ledger_from, place, day)
        val button = getString(R.string.ledger_remove_short)
        return Row(sample, sample.text, detail, button, getString(R.string.ledger_remove, sample.text))
    }

    private companion object {
        /** The latest ones; an app with a long history asks for more pages as its list is scrolled. */
        val PAGE = 200u
    }
}
