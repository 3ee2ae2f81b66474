// What the steps of a life are checked with: listeners that remember, expectations.

import io.github.idiolect.ffi.*
import java.util.concurrent.CompletableFuture
import java.util.concurrent.TimeUnit

/** Hears a training; [react] may cancel or throw. */
class Course(private val react: (LearnEvent) -> Unit = {}) : LearnListener {
    val events = mutableListOf<LearnEvent>()

    override fun onEvent(event: LearnEvent) {
        events += event
        react(event)
    }

    val started get() = events.filterIsInstance<LearnEvent.Started>().single()
    val steps get() = events.filterIsInstance<LearnEvent.Step>().map { it.step }
}

/** Hears a generation; [react] may cancel or throw. */
class Pieces(private val react: (String) -> Unit = {}) : TextListener {
    val pieces = mutableListOf<String>()

    override fun onText(text: String) {
        pieces += text
        react(text)
    }
}

/** Hears a merge; [react] may cancel or throw. */
class Stages(private val react: () -> Unit = {}) : MergeListener {
    val stages = mutableListOf<MergeStage>()

    override fun onProgress(stage: MergeStage, done: ULong, all: ULong) {
        check(done <= all) { "$done of $all" }
        if (stages.lastOrNull() != stage) stages += stage
        react()
    }
}

/** A key store whose key the engine never sees; [refuses] makes it throw. */
class Vault(private val own: Byte) : KeyStore {
    var refuses = false

    override fun wrap(secret: ByteArray): ByteArray = veiled(secret)

    override fun unwrap(wrapped: ByteArray): ByteArray = veiled(wrapped)

    private fun veiled(bytes: ByteArray): ByteArray {
        check(!refuses) { "the device is locked" }
        return ByteArray(bytes.size) { (bytes[it].toInt() xor own.toInt()).toByte() }
    }
}

/** Steps that have passed. */
var passed = 0
    private set

/** One step of the life; what it returns is printed beside it. */
fun step(what: String, body: () -> Any?) {
    val begin = System.nanoTime()
    val note = body()
    println("ok  %-72s %6.2f s  %s".format(what, (System.nanoTime() - begin) / 1e9, note.takeUnless { it == Unit } ?: ""))
    passed++
}

fun <T> same(what: String, expected: T, found: T) = check(expected == found) { "$what: $found, not $expected" }

/** The hint of the error that [body] has to end with: of this kind, with words that name [part]. */
fun refused(kind: ErrorKind, part: String, body: () -> Unit): String? {
    try {
        body()
    } catch (error: EngineException.Failed) {
        same("error's kind (${error.detail})", kind, error.kind)
        check(part in error.detail) { "the error does not name $part: ${error.detail}" }
        return error.hint
    }
    error("no error, where $kind is due")
}

fun <T> CompletableFuture<T>.soon(): T = get(60, TimeUnit.SECONDS)

fun Engine.learn(settings: LearnSettings, course: Course, cancel: CancelToken = CancelToken()) =
    train(settings, cancel, course)

fun Engine.greedy(prompt: String, tokens: Int = 24): String =
    generate(Prompt.Text(prompt), GenerateOptions(maxTokens = tokens.toUInt(), temperature = 0f), CancelToken(), Pieces()).text
