import io.github.idiolect.*
import java.io.File
import java.io.RandomAccessFile
import kotlinx.coroutines.CoroutineScope
import kotlinx.coroutines.async
import kotlinx.coroutines.cancelAndJoin
import kotlinx.coroutines.delay
import kotlinx.coroutines.flow.toList
import kotlinx.coroutines.launch
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.io.TempDir

/** What leaves a profile, whole or not at all: an adapter as a folder or as a file, and the profile as an archive. */
class ExportTest(@param:TempDir private val home: File) {
    private val prompt = "see you"
    private val forms = listOf(File(home, "voice"), File(home, "voice.tar"))
    private val archive = File(home, "profile.archive")
    private val moved = File(home, "moved")
    private val occupied = File(home, "occupied").apply { mkdir() }
    private val letter = File(occupied, "letter").apply { writeText("somebody else's") }

    /** Where nobody may write, root included. */
    private val system = File("/proc")

    private fun exporting(body: suspend CoroutineScope.(PersonalEngine) -> Unit) =
        work { PersonalEngine.open(options(Person.trained(home))).whileOpen { body(it) } }

    @Test
    fun `either form opens again to the same bits, and takes the place of an earlier one`() = exporting { engine ->
        val adapted = engine.greedy(prompt)
        val sha256 = engine.adapters.list().versions.single().sha256
        for (voice in forms) {
            repeat(2) { engine.adapters.exportTo(1u, voice.path) }
            val version = engine.adapters.importFrom(voice.path)
            same("bits of $voice", sha256, engine.adapters.list().versions.single { it.version == version }.sha256)
            same("text by $voice", adapted, engine.greedy(prompt, listOf(AdapterWeight(version, 1f))))
        }
        val files = forms[0].list().orEmpty().toSet()
        same("missing", setOf(), setOf("adapter_config.json", "adapter_model.safetensors") - files)
    }

    @Test
    fun `what is cut short is refused, and no version comes of it`() = exporting { engine ->
        for ((voice, file) in forms zip listOf(File(forms[0], "adapter_model.safetensors"), forms[1])) {
            engine.adapters.exportTo(1u, voice.path)
            cut(file)
            refused<EngineError.BadFile>(voice.name) { engine.adapters.importFrom(voice.path) }
        }
        same("versions", listOf(1u), engine.adapters.list().versions.map { it.version })
    }

    @Test
    fun `an export that cannot be made leaves nothing`() = exporting { engine ->
        val folders = listOf(occupied, File(letter, "voice"), File(system, "voice"))
        val folder = File(home, "a-folder.tar").apply { mkdir() }
        val files = listOf(folder, File(letter, "voice.tar"), File(system, "voice.tar"))
        val before = everything()
        for (place in folders + files) {
            val detail = refused<EngineError.Io>("") { engine.adapters.exportTo(1u, place.path) }.detail
            check(place.path in detail || place.parent in detail) { "which place? $detail" }
            same("files after $place", before, everything())
        }
        for (voice in forms) refused<EngineError.BadOption>("9") { engine.adapters.exportTo(9u, voice.path) }
        same("files", before, everything())
        same("letter", "somebody else's", letter.readText())
    }

    @Test
    fun `an export whose coroutine is cancelled is whole or not there`() = exporting { engine ->
        engine.check()
        val before = everything()
        for (voice in forms) for (milliseconds in listOf(0L, 1L, 5L, 20L)) {
            val export = launch { engine.adapters.exportTo(1u, voice.path) }
            delay(milliseconds)
            export.cancelAndJoin()
            if (voice.exists()) engine.adapters.delete(engine.adapters.importFrom(voice.path))
            voice.deleteRecursively()
            same("files after $milliseconds ms", before, everything())
        }
    }

    @Test
    fun `an archive that cannot be made leaves what lay there`() = exporting { engine ->
        engine.exportProfile(archive.path, "a passphrase")
        val bytes = archive.readBytes()
        val before = everything().besideCheckpoints()
        refused<EngineError.BadOption>("passphrase") { engine.exportProfile(archive.path, "") }
        for (place in listOf(occupied, File(letter, "archive"), File(system, "archive"))) {
            refused<EngineError.Io>("") { engine.exportProfile(place.path, "a passphrase") }
        }
        val training = async { engine.train(LearnSettings(train = TrainSettings(steps = 5000u))).toList() }
        while (engine.state !is EngineState.Training) delay(5)
        refused<EngineError.TrainingBusy>("training") { engine.exportProfile(archive.path, "a passphrase") }
        training.cancelAndJoin()
        check(bytes.contentEquals(archive.readBytes())) { "what lay there is another" }
        same("files", before, everything().besideCheckpoints())
    }

    @Test
    fun `an archive that cannot be taken in leaves no profile`() = exporting { engine ->
        engine.exportProfile(archive.path, "a passphrase")
        val before = everything()
        refused<EngineError.WrongKey>("passphrase") { takeIn(moved, "another") }
        refused<EngineError.Io>(occupied.path) { takeIn(occupied, "a passphrase") }
        refused<EngineError.Io>("") { takeIn(File(system, "profile"), "a passphrase") }
        cut(archive)
        refused<EngineError.BadFile>(archive.path) { takeIn(moved, "a passphrase") }
        same("files", before, everything())
    }

    private suspend fun takeIn(folder: File, passphrase: String) =
        PersonalEngine.importProfile(archive.path, passphrase, folder.path, Person.key)

    private fun cut(file: File) = RandomAccessFile(file, "rw").use { it.setLength(it.length() / 2) }

    /** The names of all files and folders, the profile's own among them. */
    private fun everything(): Set<String> = home.walk().map { it.relativeTo(home).path }.toSet()

    private fun Set<String>.besideCheckpoints() = filterNot { "checkpoints" in it }
}
