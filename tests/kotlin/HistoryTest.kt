import io.github.idiolect.*
import java.io.File
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.io.TempDir

/** What the person wrote, and what becomes of it. */
class HistoryTest(@param:TempDir private val home: File) {
    private val messages = Person.messages

    @Test
    fun `adds messages in batches, and the same again`() = work {
        fresh(home, 0).whileOpen { engine ->
            val history = engine.history
            val added = messages.chunked(150).map { history.add(it) }
            same("messages", messages.size.toULong(), added.sumOf { it.newTexts + it.repeated })
            same("known", messages.size.toULong(), history.add(messages).known)
            same("stats", messages.size.toULong(), history.stats().total.messages)
        }
    }

    @Test
    fun `keeps out what is excluded, incognito or blank`() = work {
        fresh(home, 0).whileOpen { engine ->
            val history = engine.history
            history.exclude(Exclusion.Source("bank"))
            val secret = NewSample("my secret", source = "bank")
            val added = history.add(listOf(secret, NewSample("my secret", incognito = true), NewSample("  ")))
            same("kept out", listOf(1uL, 1uL, 1uL, 0uL), added.run { listOf(excluded, incognito, blank, newTexts) })
            same("exclusions", listOf<Exclusion>(Exclusion.Source("bank")), history.exclusions())
            check(history.include(Exclusion.Source("bank")))
            check(!history.include(Exclusion.Source("bank")))
            same("now", 1uL, history.add(secret).newTexts)
        }
    }

    @Test
    fun `an edit takes the old text's place, and an origin of the app's own is kept`() = work {
        fresh(home).whileOpen { engine ->
            val history = engine.history
            val note = NewSample("the train leaves at nine", id = "note", origin = Origin.Other("dictated"))
            same("new", 1uL, history.add(note).newTexts)
            same("replaced", 1uL, history.add(note.copy(text = "the train leaves at ten")).replaced)
            val kept = history.list(limit = 1u).single()
            same("text", "the train leaves at ten", kept.text)
            same<Origin>("origin", Origin.Other("dictated"), kept.origin)
            same("removed", 1uL, history.remove(Selection.AppIds(listOf("note"))).messages)
            check(history.finishRemoval())
        }
    }

    @Test
    fun `lists pages, and shows no text where nobody asked for it`() = work {
        fresh(home).whileOpen { engine ->
            val first = engine.history.list(limit = 10u)
            val second = engine.history.list(first.last().id, 10u)
            same("samples", 20, (first + second).map { it.id }.toSet().size)
            val text = first[0].text
            check(messages.any { it.text == text }) { "the text is another one" }
            val shown = listOf(first[0], NewSample(text), Prompt.Text(text), Chunk.Text(text))
            for (value in shown) check(text !in "$value") { "a text is shown" }
        }
    }

    @Test
    fun `removes messages - the adapter that learned from them is marked, and forgotten when it is deleted`() = work {
        PersonalEngine.open(options(Person.trained(home))).whileOpen { engine ->
            val (history, adapters) = engine.history to engine.adapters
            check(history.learnedFrom(1u).isNotEmpty())
            val removed = history.remove(Selection.Time(0, Long.MAX_VALUE / 2))
            same("messages", messages.size.toULong(), removed.messages)
            same("marked", listOf(1u), removed.marked)
            check(adapters.list().versions.single().learnedFromRemoved)
            same("left", 0uL, history.stats().total.messages)
            val learned = history.learnedVersions().single()
            check(learned.version == 1u && learned.samples == learned.removed && learned.samples > 0uL) { "$learned" }
            same("samples left", listOf(), history.learnedFrom(1u))
            adapters.delete(1u)
            same("versions", listOf(), history.learnedVersions())
            same("adapters", AdapterList(listOf(), null), adapters.list())
        }
    }

    @Test
    fun `a cap holds, and clearing leaves nothing`() = work {
        fresh(home, 0).whileOpen { engine ->
            val history = engine.history
            history.setRetention(Retention(maxMessages = 300uL))
            same("expired", (messages.size - 300).toULong(), history.add(messages).expired)
            same("cap", 300uL, history.retention().maxMessages)
            same("cleared", 300uL, history.clear().messages)
            same("left", 0uL, history.stats().total.messages)
        }
    }
}
