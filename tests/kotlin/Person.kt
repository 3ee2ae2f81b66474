// What the tests share: the embedded model, what one person wrote, and a profile that has learned from it.

import io.github.idiolect.*
import java.io.File
import java.nio.file.Files
import kotlin.time.Duration.Companion.minutes
import kotlinx.coroutines.CoroutineScope
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.flow.last
import kotlinx.coroutines.runBlocking
import kotlinx.coroutines.withTimeout

object Person {
    val model: String = checkNotNull(System.getProperty("idiolect.model")) { "-Didiolect.model is missing" }
    val key = ByteArray(32) { (it + 1).toByte() }
    val learn = LearnSettings(train = TrainSettings(epochs = 2u, seed = 7uL))

    val messages: List<NewSample> by lazy { readJsonl(System.getProperty("idiolect.history")).samples.take(400) }

    /** A profile that has learned once, in a folder of its own. */
    fun trained(home: File): File = File(home, "trained").also { learned.copyRecursively(it) }

    private val learned: File by lazy {
        val folder = Files.createTempDirectory("idiolect-learned").toFile()
        Runtime.getRuntime().addShutdownHook(Thread { folder.deleteRecursively() })
        work {
            val engine = PersonalEngine.open(options(folder))
            engine.history.addAll(messages)
            val report = engine.train(learn).report()
            check(report.version == 1u) { report.verdict.explanation }
            engine.shutDown()
        }
        folder
    }
}

fun options(profile: File, model: String = Person.model, key: ByteArray? = Person.key) =
    EngineOptions(profile.path, ModelSource.Path(model), key, DeviceChoice.CPU, 2u)

/** A test's body, away from its thread, for two minutes at most. */
fun work(body: suspend CoroutineScope.() -> Unit) = runBlocking(Dispatchers.Default) { withTimeout(2.minutes) { body() } }

/** An engine for as long as [body] takes. */
suspend fun <T> PersonalEngine.whileOpen(body: suspend (PersonalEngine) -> T): T = try {
    body(this)
} finally {
    shutDown()
}

/** A small profile that has learned nothing yet. */
suspend fun fresh(home: File, messages: Int = 120): PersonalEngine =
    PersonalEngine.open(options(File(home, "fresh"))).also { it.history.addAll(Person.messages.take(messages)) }
