import io.github.idiolect.*
import java.io.File
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.io.TempDir

/** Files of what a person wrote. */
class FilesTest(@param:TempDir private val home: File) {
    private val chat = """
        [30/12/23, 21:40:01] Ben: are you coming
        [30/12/23, 21:41:00] Ana: on my way
        in ten minutes
        [30/12/23, 21:42:00] Ana: <Media omitted>
        [30/12/23, 21:43:00] Ben: great
        [30/12/23, 21:44:00] Ana: see you
        [31/12/23, 09:00:00] Ana: bye
    """.trimIndent()

    @Test
    fun `takes in an exported chat - history and erasure need no model`() = work {
        val file = File(home, "with Ben.txt").apply { writeText(chat) }.path
        val authors = PersonalHistory.chatAuthors(file).associate { it.name to it.messages }
        same("authors", mapOf("Ana" to 3uL, "Ben" to 2uL), authors)
        val export = PersonalHistory.readChat(file, "Ana")
        same("texts", listOf("on my way\nin ten minutes", "see you", "bye"), export.samples.map { it.text })
        same("context", "are you coming", export.samples[0].context)
        same("contact", "Ben", export.samples[0].contact)
        same("read", Triple(DateOrder.DAY_FIRST, true, 1uL), Triple(export.dateOrder, export.orderIsSure, export.marks))
        val hint = refused<EngineError.BadOption>("name") { PersonalHistory.readChat(file, "Cleo") }.hint
        check(hint != null && "authors" in hint && "Ana" !in hint) { "hint: $hint" }
        refused<EngineError.BadOption>("chat") { PersonalHistory.readLines(file) }
        check(PersonalHistory.readEveryLine(file).samples.size == 7)

        val place = File(home, "chats")
        val engine = PersonalEngine.open(options(place, File(home, "nowhere").path, key = null))
        same("added", 3uL, engine.history.addAll(export.samples).newTexts)
        same("added again", 3uL, engine.history.addAll(export.samples).known)
        val status = engine.status()
        same("messages", 3uL to listOf(3uL), status.messages to status.sources.map { it.messages })
        check(!status.nextTraining.worthwhile && status.nextTraining.explanation.isNotBlank()) { "$status" }
        same("history files", true, engine.eraseAll().history.files > 0uL)
        check(!place.exists())
    }

    @Test
    fun `reads rows, and names those that are bad`() = work {
        val rows = listOf("""{"text":"ok"}""", """{"text":null}""", """{"text":"ok","timestamp":"1701990508000"}""")
        val file = File(home, "rows.jsonl").apply { writeText(rows.joinToString("\n")) }.path
        val read = PersonalHistory.readJsonl(file)
        same("rows", listOf(null, 1_701_990_508L), read.samples.map { it.timestamp })
        same("skipped", 1uL to listOf(2uL), read.skipped to read.skippedRows.map { it.line })
        check(read.skippedRows.single().why.isNotBlank())
    }

    @Test
    fun `masks what training must not see`() = work {
        val mail = listOf(NewSample("write to ana@example.com"))
        same("masked", "write to ***", PersonalHistory.masked(mail)[0].text)
        val place = listOf(NewSample("cpf 111.222.333-96 at 52.520008, 13.404954"))
        val masked = PersonalHistory.masked(place, listOf(PrivacyRule.NATIONAL_ID))[0].text
        same("masked by rule", "cpf 111.222.333-96 at ***", masked)
    }
}
