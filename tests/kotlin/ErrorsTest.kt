import io.github.idiolect.*
import java.io.File
import java.io.RandomAccessFile
import java.nio.ByteBuffer
import java.nio.ByteOrder
import kotlinx.coroutines.flow.toList
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.io.TempDir

/** An error of each kind that an app can meet; those of keys, removals, merges and closing stand with what they are about. */
class ErrorsTest(@param:TempDir private val home: File) {
    private val texts = listOf(EvaluationText("see you tomorrow"))

    /** A copy of the embedded model. */
    private fun model(name: String, change: (File) -> Unit): String =
        File(home, name).also { File(Person.model).copyRecursively(it) }.also(change).path

    private suspend fun opened(model: String) = PersonalEngine.open(options(File(home, "profile"), model))

    @Test
    fun `every case of the bindings has its own here`() {
        val cases = EngineException::class.java.declaredClasses.filter { EngineException::class.java.isAssignableFrom(it) }
        check(cases.size == 19) { "${cases.size} cases" }
        for (case in cases) {
            val thrown = case.getConstructor(String::class.java, String::class.java).newInstance("detail", "hint")
            // The facade's way from the one to the other, which apps do not see.
            val store = object : KeyStore {
                override fun wrap(secret: ByteArray): ByteArray = throw thrown as EngineException

                override fun unwrap(wrapped: ByteArray): ByteArray = throw thrown as EngineException
            }
            val expected = if (case.simpleName == "WrongKey") EngineError.WrongKey::class else EngineError.KeyStore::class
            work {
                try {
                    PersonalEngine.open(options(File(home, case.simpleName), key = null), store).shutDown()
                    error("no error")
                } catch (refused: EngineError) {
                    same("kind", expected, refused::class)
                }
            }
        }
        val own = EngineError::class.java.declaredClasses.filter { EngineError::class.java.isAssignableFrom(it) }
        same("names", cases.map { it.simpleName }.toSet(), own.map { it.simpleName }.toSet())
    }

    @Test
    fun `Io - no model where one should be`() = work {
        val nowhere = File(home, "nowhere").path
        opened(nowhere).whileOpen { engine ->
            val hint = refused<EngineError.Io>(nowhere) { engine.check() }.hint
            check(hint != null && "GGUF" in hint) { "hint: $hint" }
        }
    }

    @Test
    fun `WrongKey and BadOption - another key, one too short, and none at all`() = work {
        fresh(home).shutDown()
        val profile = File(home, "fresh")
        val other = options(profile, key = ByteArray(32) { 9 })
        check(refused<EngineError.WrongKey>(profile.path) { PersonalEngine.open(other) }.hint != null)
        refused<EngineError.WrongKey>(profile.path) { PersonalEngine.open(options(profile, key = null)) }
        refused<EngineError.BadOption>("31") { PersonalEngine.open(options(profile, key = ByteArray(31))) }
        refused<EngineError.BadOption>("key store") { PersonalEngine.open(options(profile), Vault(1)) }
    }

    @Test
    fun `BadFile - a model that is cut short`() = work {
        val cut = model("cut") { folder ->
            RandomAccessFile(File(folder, "model.safetensors"), "rw").use { it.setLength(it.length() / 2) }
        }
        opened(cut).whileOpen { engine -> refused<EngineError.BadFile>("model.safetensors") { engine.check() } }
    }

    @Test
    fun `Unsupported - a model of another family`() = work {
        val other = model("other") { folder ->
            val config = File(folder, "config.json")
            config.writeText(config.readText().replace(Regex("\"model_type\": *\"\\w+\""), "\"model_type\": \"unheard_of\""))
        }
        opened(other).whileOpen { engine -> refused<EngineError.Unsupported>("unheard_of") { engine.check() } }
    }

    @Test
    fun `BadData - nothing to learn from, and nothing to measure`() = work {
        fresh(home, 0).whileOpen { engine ->
            refused<EngineError.BadData>("") { engine.train().toList() }
            refused<EngineError.BadData>("") { engine.evaluate(listOf(EvaluationText(""))) }
        }
    }

    @Test
    fun `NotFinite - an adapter whose numbers are too large`() = work {
        PersonalEngine.open(options(Person.trained(home))).whileOpen { engine ->
            val voice = File(home, "voice")
            engine.adapters.exportTo(1u, voice.path)
            inflate(File(voice, "adapter_model.safetensors"))
            val version = engine.adapters.importFrom(voice.path)
            refused<EngineError.NotFinite>("finite") { engine.evaluate(texts, listOf(AdapterWeight(version, 1f))) }
        }
    }

    /** Makes every parameter as large as it gets. */
    private fun inflate(file: File) = RandomAccessFile(file, "rw").use { adapter ->
        val length = ByteArray(8).also(adapter::readFully)
        val begin = 8 + ByteBuffer.wrap(length).order(ByteOrder.LITTLE_ENDIAN).long
        adapter.seek(begin)
        val large = ByteBuffer.allocate(4).order(ByteOrder.LITTLE_ENDIAN).putFloat(3e38f).array()
        repeat(((adapter.length() - begin) / 4).toInt()) { adapter.write(large) }
    }

    @Test
    fun `OverBudget - a training in a kilobyte`() = work {
        fresh(home).whileOpen { engine ->
            val small = LearnSettings(train = TrainSettings(budgetBytes = 1024uL))
            refused<EngineError.OverBudget>("") { engine.plan(small) }
            refused<EngineError.OverBudget>("") { engine.train(small).toList() }
        }
    }

    @Test
    fun `Device - no GPU where one is asked for`() = work {
        val gpu = options(File(home, "profile")).copy(device = DeviceChoice.GPU)
        // The runner hides every driver from this process.
        PersonalEngine.open(gpu).whileOpen { engine -> refused<EngineError.Device>("") { engine.check() } }
    }

    @Test
    fun `BadOption - what is out of its range, before anything else`() = work {
        fresh(home).whileOpen { engine ->
            val hot = GenerateOptions(temperature = -1f)
            refused<EngineError.BadOption>("temperature") { engine.generate(Prompt.Text("hello"), hot).toList() }
            refused<EngineError.BadOption>("") { engine.suggest("hello", SuggestOptions(count = 65u)) }
            refused<EngineError.BadOption>("9") { engine.evaluate(texts, listOf(AdapterWeight(9u, 1f))) }
            refused<EngineError.BadOption>("") { engine.history.learnedFrom(9u) }
        }
    }
}
