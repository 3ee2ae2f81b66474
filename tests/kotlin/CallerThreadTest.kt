import io.github.idiolect.*
import java.io.File
import java.lang.reflect.Modifier
import java.util.concurrent.Executors
import java.util.concurrent.TimeUnit
import kotlinx.coroutines.CompletableDeferred
import kotlinx.coroutines.CoroutineStart
import kotlinx.coroutines.asCoroutineDispatcher
import kotlinx.coroutines.cancelAndJoin
import kotlinx.coroutines.delay
import kotlinx.coroutines.flow.collect
import kotlinx.coroutines.flow.onEach
import kotlinx.coroutines.launch
import kotlinx.coroutines.withContext
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.io.TempDir

/** No call holds its caller's thread, whatever else goes on. */
class CallerThreadTest(@param:TempDir private val home: File) {
    private class Call(val name: String, val body: suspend () -> Unit)

    /** Every call of the facade; those that end others come last. */
    private fun calls(engine: PersonalEngine, talk: PersonalConversation): List<Call> {
        val (history, adapters) = engine.history to engine.adapters
        fun path(name: String) = File(home, name).path
        return listOf<Pair<String, suspend () -> Unit>>(
            "engine.getState" to { engine.state },
            "engine.getAttendance" to { engine.attendance },
            "engine.getHistory" to { engine.history },
            "engine.getAdapters" to { engine.adapters },
            "engine.pushSignals" to { engine.pushSignals(DeviceSignals(charging = false)) },
            "history.add" to { history.add(NewSample("written meanwhile")) },
            "history.addAll" to { history.addAll(listOf(NewSample("and this"))) },
            "history.list" to { history.list() },
            "history.stats" to { history.stats() },
            "history.remove" to { history.remove(Selection.Source("nowhere")) },
            "history.finishRemoval" to { history.finishRemoval() },
            "history.exclude" to { history.exclude(Exclusion.Source("bank")) },
            "history.include" to { history.include(Exclusion.Source("bank")) },
            "history.exclusions" to { history.exclusions() },
            "history.retention" to { history.retention() },
            "history.setRetention" to { history.setRetention(Retention(maxMessages = null)) },
            "history.learnedVersions" to { history.learnedVersions() },
            "history.learnedFrom" to { history.learnedFrom(1u) },
            "adapters.list" to { adapters.list() },
            "adapters.use" to { adapters.use(1u) },
            "adapters.setStrength" to { adapters.setStrength(1u, 0.9f) },
            "adapters.exportTo" to { adapters.exportTo(1u, path("voice")) },
            "adapters.importFrom" to { adapters.importFrom(path("nowhere")) },
            "adapters.merge" to { adapters.merge(1u, path("merged")).collect() },
            "conversation.say" to { talk.say("hello", greedyOptions).collect() },
            "conversation.turns" to { talk.turns() },
            "conversation.getPlannedBytes" to { talk.plannedBytes },
            "conversation.clear" to { talk.clear() },
            "engine.check" to { engine.check() },
            "engine.model" to { engine.model() },
            "engine.backend" to { engine.backend() },
            "engine.plan" to { engine.plan() },
            "engine.train" to { engine.train().collect() },
            "engine.attend" to { engine.attend(AttendSettings(defaultPolicy())).collect() },
            "engine.saveProgress" to { engine.saveProgress() },
            "engine.status" to { engine.status() },
            "engine.lastReport" to { engine.lastReport() },
            "engine.hasPausedTraining" to { engine.hasPausedTraining() },
            "engine.staleVersion" to { engine.staleVersion() },
            "engine.generate" to { engine.generate(Prompt.Text("see you"), longOptions).collect() },
            "engine.conversation" to { engine.conversation().close() },
            "engine.suggest" to { engine.suggest("see y") },
            "engine.score" to { engine.score(Prompt.Text("see"), listOf(" you")) },
            "engine.countTokens" to { engine.countTokens("see you") },
            "engine.evaluate" to { engine.evaluate(listOf(EvaluationText("see you"))) },
            "engine.changeKey" to { engine.changeKey(Person.key) },
            "engine.exportProfile" to { engine.exportProfile(path("archive"), "a passphrase") },
            "Engine.getLibraryVersion" to { PersonalEngine.libraryVersion },
            "Engine.open" to { PersonalEngine.open(options(File(home, "trained"))).close() },
            "Engine.importProfile" to { PersonalEngine.importProfile(path("nowhere"), "words", path("other")) },
            "Engine.acceptHistory" to { PersonalEngine.acceptHistory(path("trained"), Person.key) },
            "Engine.eraseProfile" to { PersonalEngine.eraseProfile(path("nowhere")) },
            "Engine.setLogListener" to { PersonalEngine.setLogListener(null) },
            "History.readJsonl" to { PersonalHistory.readJsonl(path("nowhere")) },
            "History.readLines" to { PersonalHistory.readLines(path("nowhere")) },
            "History.readEveryLine" to { PersonalHistory.readEveryLine(path("nowhere")) },
            "History.readChat" to { PersonalHistory.readChat(path("nowhere"), "Ana") },
            "History.chatAuthors" to { PersonalHistory.chatAuthors(path("nowhere")) },
            "History.masked" to { PersonalHistory.masked(listOf(NewSample("hello"))) },
            "engine.unload" to { engine.unload() },
            "engine.setDevice" to { engine.setDevice(DeviceChoice.CPU) },
            "adapters.rollback" to { adapters.rollback() },
            "adapters.delete" to { adapters.delete(9u) },
            "history.clear" to { history.clear() },
            "engine.suspendWork" to { engine.suspendWork() },
            "engine.resumeWork" to { engine.resumeWork() },
            "conversation.close" to { talk.close() },
            "engine.eraseAll" to { engine.eraseAll() },
            "engine.close" to { engine.close() },
            "engine.shutDown" to { engine.shutDown() },
        ).map { (name, body) -> Call(name, body) }
    }

    /** The public functions and properties of the facade, as the class files have them. */
    private fun public(name: String, type: Class<*>) = type.declaredMethods
        .filter { Modifier.isPublic(it.modifiers) && !it.isSynthetic && '$' !in it.name }
        .map { "$name.${it.name.substringBefore('-')}" }

    @Test
    fun `every call returns or suspends at once while others have the worker and the database's lock`() = work {
        val profile = Person.trained(home)
        val engine = PersonalEngine.open(options(profile))
        val talk = engine.conversation()
        val calls = calls(engine, talk)
        val all = listOf(
            "engine" to PersonalEngine::class.java, "Engine" to PersonalEngine.Companion::class.java,
            "history" to PersonalHistory::class.java, "History" to PersonalHistory.Companion::class.java,
            "adapters" to PersonalAdapters::class.java, "conversation" to PersonalConversation::class.java,
        ).flatMap { (name, type) -> public(name, type) }.toSet()
        same("calls", all.sorted(), calls.map { it.name }.sorted())

        val begun = CompletableDeferred<Unit>()
        val long = LearnSettings(train = TrainSettings(steps = 5000u, seed = 3uL))
        // It has the worker; one of the calls, which take the texts away, may end it once the lock is released.
        val training = launch {
            runCatching { engine.train(long).onEach { if (it.step != null) begun.complete(Unit) }.collect() }
        }
        begun.await()
        val lock = DatabaseLock(File(profile, "history.db"))
        val thread = Executors.newSingleThreadExecutor { Thread(it, "main thread").apply { isDaemon = true } }
        withContext(thread.asCoroutineDispatcher()) {
            val jobs = calls.map { call ->
                lateinit var job: kotlinx.coroutines.Job
                // Not dispatched: on this thread until it suspends.
                val took = milliseconds {
                    job = launch(start = CoroutineStart.UNDISPATCHED) { runCatching { call.body() } }
                }
                if (call.name == "history.add") delay(300).also { check(job.isActive) { "the lock holds nobody up" } }
                check(took < 200) { "${call.name} held its caller's thread for $took ms" }
                job
            }
            lock.release()
            jobs.forEach { it.cancelAndJoin() }
        }
        training.cancelAndJoin()
        thread.shutdown()
    }

    /** Another process that holds the lock of a database for writing. */
    private class DatabaseLock(file: File) {
        private val process = ProcessBuilder("python3", "-c", SCRIPT, file.path)
            .redirectError(ProcessBuilder.Redirect.INHERIT).start()

        init {
            same("the lock's holder", "held", process.inputStream.bufferedReader().readLine())
        }

        fun release() {
            process.outputStream.close()
            check(process.waitFor(10, TimeUnit.SECONDS)) { "the lock's holder does not end" }
        }

        private companion object {
            const val SCRIPT = """
import sqlite3, sys
database = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=10)
database.execute("BEGIN EXCLUSIVE")
print("held", flush=True)
sys.stdin.read()
database.execute("ROLLBACK")
"""
        }
    }
}
