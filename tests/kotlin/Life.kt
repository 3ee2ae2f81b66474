// The life of a profile through the Kotlin bindings, on the real library: `Life MODEL HISTORY.jsonl`.

import io.github.idiolect.ffi.*
import java.io.File
import java.nio.file.Files
import java.util.concurrent.CompletableFuture
import java.util.concurrent.CompletableFuture.supplyAsync
import java.util.concurrent.TimeUnit
import kotlin.system.exitProcess

private const val MESSAGES = 400

/** Hears a training; [react] may cancel or throw. */
private class Course(private val react: (LearnEvent) -> Unit = {}) : LearnListener {
    val events = mutableListOf<LearnEvent>()

    override fun onEvent(event: LearnEvent) {
        events += event
        react(event)
    }

    val started get() = events.filterIsInstance<LearnEvent.Started>().single()
    val steps get() = events.filterIsInstance<LearnEvent.Step>().map { it.step }
}

/** Hears a generation; [react] may cancel or throw. */
private class Pieces(private val react: (String) -> Unit = {}) : TextListener {
    val pieces = mutableListOf<String>()

    override fun onText(text: String) {
        pieces += text
        react(text)
    }
}

private var passed = 0

/** One step of the life; what it returns is printed beside it. */
private fun step(what: String, body: () -> Any?) {
    val begin = System.nanoTime()
    val note = body()
    println("ok  %-72s %6.2f s  %s".format(what, (System.nanoTime() - begin) / 1e9, note.takeUnless { it == Unit } ?: ""))
    passed++
}

private fun <T> same(what: String, expected: T, found: T) = check(expected == found) { "$what: $found, not $expected" }

/** The hint of the error that [body] has to end with: of this kind, with words that name [part]. */
private fun refused(kind: ErrorKind, part: String, body: () -> Unit): String? {
    try {
        body()
    } catch (error: EngineException.Failed) {
        same("error's kind (${error.detail})", kind, error.kind)
        check(part in error.detail) { "the error does not name $part: ${error.detail}" }
        return error.hint
    }
    error("no error, where $kind is due")
}

private fun <T> CompletableFuture<T>.soon(): T = get(60, TimeUnit.SECONDS)

private fun Engine.learn(settings: LearnSettings, course: Course, cancel: CancelToken = CancelToken()) =
    train(settings, cancel, course)

private fun Engine.greedy(prompt: String, tokens: Int = 24): String =
    generate(Prompt.Text(prompt), GenerateOptions(maxTokens = tokens.toUInt(), temperature = 0f), CancelToken(), Pieces()).text

/** The steps, in order: each goes on with what the ones before it left. */
private class Life(private val model: String, private val messages: List<NewSample>, private val home: File) {
    private val profile = File(home, "profile").path
    private val settings = LearnSettings(train = TrainSettings(epochs = 2u, seed = 7uL))
    private val other = settings.copy(train = settings.train.copy(seed = 8uL))
    private val prompt = "see you"
    private var plain = ""

    private fun open(model: String = this.model, key: ByteArray? = Companion.key) =
        Engine.open(EngineOptions(profile, model, key, DeviceChoice.CPU, 2u))

    fun live() {
        val engine = open()
        beginning(engine)
        history(engine)
        learning(engine)
        answering(engine)
        adapters(engine)
        forgetting(engine)
        ending(engine)
    }

    private fun beginning(engine: Engine) {
        step("opens a profile and a model") {
            same("state", EngineState.Idle, engine.state())
            engine.check()
        }
        step("a wrong path of the model: kind, message and hint") {
            val nowhere = File(home, "nowhere").path
            val missing = open(model = nowhere)
            val hint = refused(ErrorKind.IO, nowhere) { missing.check() }
            missing.shutDown()
            missing.close()
            hint
        }
        step("a wrong key, one too short, and none at all") {
            val hint = checkNotNull(refused(ErrorKind.WRONG_KEY, profile) { open(key = ByteArray(32) { 9 }) }) { "no hint" }
            refused(ErrorKind.WRONG_KEY, profile) { open(key = null) }
            refused(ErrorKind.BAD_OPTION, "31") { open(key = ByteArray(31) { 9 }) }
            hint
        }
    }

    private fun history(engine: Engine) {
        val history = engine.history()
        step("adds messages in batches, and the same again") {
            val added = messages.chunked(150).map(history::add)
            same("messages", MESSAGES.toULong(), added.sumOf { it.newTexts + it.repeated })
            same("known", MESSAGES.toULong(), history.add(messages).known)
            same("stats", MESSAGES.toULong(), history.stats().total.messages)
        }
        step("keeps out what is excluded, incognito or blank") {
            history.exclude(Exclusion.Source("bank"))
            val secret = NewSample("my secret", source = "bank")
            val added = history.add(listOf(secret, NewSample("my secret", incognito = true), NewSample("  ")))
            same("kept out", listOf(1uL, 1uL, 1uL, 0uL), added.run { listOf(excluded, incognito, blank, newTexts) })
            same("exclusions", listOf<Exclusion>(Exclusion.Source("bank")), history.exclusions())
            check(history.include(Exclusion.Source("bank")))
        }
        step("lists pages, and shows no text where nobody asked for it") {
            val first = history.list(null, 10u)
            val second = history.list(first.last().id, 10u)
            same("samples", 20, (first + second).map { it.id }.toSet().size)
            check(messages.any { it.text == first[0].text }) { "the text is another one" }
            for (shown in listOf(first[0], NewSample(first[0].text), Prompt.Text(first[0].text))) {
                check(first[0].text !in shown.toString()) { "a text is shown" }
            }
            first[0]
        }
    }

    private fun learning(engine: Engine) {
        step("trains with progress, and pauses when it is cancelled") {
            val cancel = CancelToken()
            var cancelled = 0L
            val course = Course {
                if (it is LearnEvent.Step && it.step == 5uL) {
                    check(engine.state() is EngineState.Training) { "state: ${engine.state()}" }
                    cancelled = System.nanoTime()
                    cancel.cancel()
                }
            }
            same<LearnOutcome>("outcome", LearnOutcome.Paused(PauseReason.CANCELLED), engine.learn(settings, course, cancel))
            val milliseconds = (System.nanoTime() - cancelled) / 1_000_000
            check(milliseconds < 1000) { "it took $milliseconds ms to end" }
            check(cancel.isCancelled())
            same("state", EngineState.Idle, engine.state())
            "$milliseconds ms from cancelling to the end, a checkpoint written"
        }
        step("an error in the listener ends it, and arrives") {
            refused(ErrorKind.LISTENER, "callback") { engine.learn(settings, Course { error("not for the engine") }) }
            same("state", EngineState.Idle, engine.state())
        }
        step("goes on to the end, through the gate") {
            val course = Course()
            val report = (engine.learn(settings, course) as LearnOutcome.Finished).report
            check(course.started.resumedAt >= 5uL) { "went on at ${course.started.resumedAt}" }
            same("first step", course.started.resumedAt + 1uL, course.steps.first())
            same("steps", course.started.steps, course.steps.last())
            check(report.resumed && report.lastLoss!! < report.firstLoss!!) { "it did not learn" }
            same("decision: ${report.verdict.explanation}", Decision.PROMOTED, report.verdict.decision)
            same("version", 1u, report.version)
            report.verdict.explanation
        }
        step("nothing changed: the same report at once") {
            val report = (engine.learn(settings, Course()) as LearnOutcome.Finished).report
            check(report.unchanged && report.version == 1u)
        }
    }

    private fun answering(engine: Engine) {
        step("streams whole text") {
            val heard = Pieces()
            val options = GenerateOptions(maxTokens = 40u, temperature = 0.7f, seed = 3uL)
            val made = engine.generate(Prompt.Text(prompt), options, CancelToken(), heard)
            same("pieces", made.text, heard.pieces.joinToString(""))
            check(made.tokens > 0uL && heard.pieces.size <= made.tokens.toInt())
            check(made.finishReason in setOf(FinishReason.MAX_TOKENS, FinishReason.END_OF_TURN))
            "${made.tokens} tokens in ${heard.pieces.size} callbacks"
        }
        step("a cancelled generation gives what there is; a listener's error arrives") {
            val cancel = CancelToken()
            val options = GenerateOptions(maxTokens = 400u, temperature = 0.7f)
            val heard = Pieces { cancel.cancel() }
            val made = engine.generate(Prompt.Chat(prompt), options, cancel, heard)
            same("finish", FinishReason.CANCELLED, made.finishReason)
            same("pieces", made.text, heard.pieces.joinToString(""))
            refused(ErrorKind.LISTENER, "callback") {
                engine.generate(Prompt.Text(prompt), options, CancelToken(), Pieces { error("not for the engine") })
            }
        }
        step("suggests whole words, likeliest first") {
            val words = engine.suggest("i am going to", 3u, CancelToken())
            check(words.size in 1..3 && words.all { it.text.isNotBlank() && it.probability in 0.0..1.0 }) { "$words" }
            same("order", words.sortedByDescending { it.probability }.map { it.text }, words.map { it.text })
            words.joinToString { it.text.trim() }
        }
        step("measures texts with and without the adapter") {
            val texts = messages.take(40).map { EvaluationText(it.text) }
            val (before, after) = listOf(false, true).map { engine.evaluate(texts, it, CancelToken()).nll }
            check(after < before) { "$before to $after" }
            "%.2f to %.2f nats a token".format(before, after)
        }
        step("answers while it trains; a second training is refused; unloading pauses") {
            val begun = CompletableFuture<Unit>()
            val training = supplyAsync { engine.learn(other, Course { if (it is LearnEvent.Step) begun.complete(Unit) }) }
            begun.soon()
            val begin = System.nanoTime()
            check(engine.greedy(prompt).isNotEmpty())
            val milliseconds = (System.nanoTime() - begin) / 1_000_000
            check(!training.isDone) { "it did not wait for the training to end" }
            refused(ErrorKind.TRAINING_BUSY, "training") { engine.learn(settings, Course()) }
            engine.unload()
            same<LearnOutcome>("outcome", LearnOutcome.Paused(PauseReason.MEMORY_PRESSURE), training.soon())
            "an answer of 24 tokens in $milliseconds ms"
        }
    }

    private fun adapters(engine: Engine) {
        val adapters = engine.adapters()
        step("lists adapters, switches to none and back") {
            val listed = adapters.list()
            same("active", 1u, listed.active)
            same("origin", AdapterOrigin.TRAINED, listed.versions.single().origin)
            val adapted = engine.greedy(prompt)
            adapters.activate(null)
            plain = engine.greedy(prompt)
            check(adapted != plain) { "the adapter does nothing" }
            same("rolled back to", 1u, adapters.rollback())
            same("text", adapted, engine.greedy(prompt))
            refused(ErrorKind.BAD_OPTION, "9") { adapters.activate(9u) }
        }
        step("strength 0 is the base itself") {
            adapters.setStrength(1u, 0f)
            same("text", plain, engine.greedy(prompt))
            adapters.setStrength(1u, 1f)
            refused(ErrorKind.BAD_OPTION, "1.5") { adapters.setStrength(1u, 1.5f) }
        }
        step("exports, imports and deletes") {
            val archive = File(home, "voice.tar").path
            adapters.exportTo(1u, archive)
            val version = adapters.importFrom(archive)
            val (first, imported) = adapters.list().versions
            same("imported", AdapterOrigin.IMPORTED to first.sha256, imported.origin to imported.sha256)
            adapters.delete(version)
            same("versions", listOf(1u), adapters.list().versions.map { it.version })
            refused(ErrorKind.IO, "nothing-here") { adapters.importFrom(File(home, "nothing-here").path) }
        }
    }

    private fun forgetting(engine: Engine) {
        val history = engine.history()
        step("removes messages; the adapter that learned from them is marked") {
            val removed = history.remove(Selection.Time(0, Long.MAX_VALUE / 2))
            same("messages", MESSAGES.toULong(), removed.messages)
            check(engine.adapters().list().versions.single().learnedFromRemoved)
            same("left", 0uL, history.stats().total.messages)
        }
        step("a cap holds") {
            history.setRetention(Retention(maxMessages = 300uL))
            same("expired", (MESSAGES - 300).toULong(), history.add(messages).expired)
            same("cap", 300uL, history.retention().maxMessages)
        }
    }

    private fun ending(engine: Engine) {
        step("closing from another thread during a training is safe") {
            val begun = CompletableFuture<Unit>()
            val training = supplyAsync { engine.learn(other, Course { if (it is LearnEvent.Step) begun.complete(Unit) }) }
            begun.soon()
            supplyAsync { engine.shutDown() }.soon()
            same<LearnOutcome>("outcome", LearnOutcome.Paused(PauseReason.CLOSING), training.soon())
            same("state", EngineState.Closed, engine.state())
            refused(ErrorKind.CLOSED, "closed") { engine.check() }
            engine.close()
        }
        step("erases during a training: nothing is left") {
            val again = open()
            val begun = CompletableFuture<Unit>()
            val training = supplyAsync { again.learn(other, Course { if (it is LearnEvent.Step) begun.complete(Unit) }) }
            begun.soon()
            val report = again.erase()
            same<LearnOutcome>("outcome", LearnOutcome.Paused(PauseReason.CLOSING), training.soon())
            same("keys", 1uL, report.keys.files)
            check(report.history.files > 0uL && report.adapters.files > 0uL && report.left.isEmpty()) { "$report" }
            check(!File(profile).exists())
            refused(ErrorKind.CLOSED, "erased") { again.history().stats() }
            again.close()
            refused(ErrorKind.IO, profile) { eraseProfile(profile) }
            "${report.total.files} files, ${report.total.bytes} bytes"
        }
    }

    private companion object {
        val key = ByteArray(32) { (it + 1).toByte() }
    }
}

fun main(args: Array<String>) {
    val (model, history) = args
    val home = Files.createTempDirectory("idiolect-kotlin").toFile()
    val failed = try {
        Life(model, readJsonl(history).take(MESSAGES), home).live()
        0
    } catch (failure: Throwable) {
        failure.printStackTrace()
        1
    } finally {
        home.deleteRecursively()
    }
    println("kotlin: $passed passed, $failed failed")
    exitProcess(failed)
}
