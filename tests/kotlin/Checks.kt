// What the tests are checked with.

import io.github.idiolect.*
import kotlinx.coroutines.flow.Flow
import kotlinx.coroutines.flow.collect
import kotlinx.coroutines.flow.filterIsInstance
import kotlinx.coroutines.flow.first
import kotlinx.coroutines.flow.last
import kotlinx.coroutines.flow.toList

fun <T> same(what: String, expected: T, found: T) = check(expected == found) { "$what: $found, not $expected" }

/** The error that [body] has to end with, of this kind, in words that name [part]. */
inline fun <reified E : EngineError> refused(part: String, body: () -> Unit): E {
    try {
        body()
    } catch (error: EngineError) {
        check(error is E) { "${error::class.simpleName} (${error.message}), not ${E::class.simpleName}" }
        check(part in error.detail) { "the error does not name $part: ${error.detail}" }
        same("message", listOfNotNull(error.detail, error.hint).joinToString(": "), error.message)
        return error
    }
    error("no error, where ${E::class.simpleName} is due")
}

/** How long [body] takes, in milliseconds. */
inline fun milliseconds(body: () -> Unit): Long {
    val begin = System.nanoTime()
    body()
    return (System.nanoTime() - begin) / 1_000_000
}

/** The report of a training that has to come to its end. */
suspend fun Flow<TrainEvent>.report(): LearnReport = (last() as TrainEvent.Finished).report

val List<TrainEvent>.progress get() = filterIsInstance<TrainEvent.Progress>().map { it.event }
val List<TrainEvent>.started get() = progress.filterIsInstance<LearnEvent.Started>().single()
val List<TrainEvent>.steps get() = progress.filterIsInstance<LearnEvent.Step>().map { it.step }

/** The step that an event tells of. */
val TrainEvent.step get() = ((this as? TrainEvent.Progress)?.event as? LearnEvent.Step)?.step

/** Waits until a training has taken [step] steps, and ends its collection. */
suspend fun Flow<TrainEvent>.until(step: ULong): TrainEvent = first { (it.step ?: 0uL) >= step }

/** The end of an answer whose pieces have to make up its text. */
suspend fun Flow<Chunk>.whole(): Chunk.End {
    val chunks = toList()
    val end = chunks.last() as Chunk.End
    same("pieces", end.generation.text, chunks.text)
    return end
}

val List<Chunk>.text get() = filterIsInstance<Chunk.Text>().joinToString("") { it.text }

/** The likeliest text behind [prompt]. */
suspend fun PersonalEngine.greedy(prompt: String, adapters: List<AdapterWeight>? = null): String =
    generate(Prompt.Text(prompt), greedyOptions.copy(adapters = adapters)).whole().generation.text

val greedyOptions = GenerateOptions(maxTokens = 24u, temperature = 0f)

/** So long that it cannot be over before it is ended. */
val longOptions = GenerateOptions(maxTokens = 1500u, temperature = 0.7f, ignoreEos = true)

/** A key store whose key the engine never sees; [refuses] is thrown where it is set. */
class Vault(private val own: Byte) : KeyStore {
    var refuses: Exception? = null

    override fun wrap(secret: ByteArray): ByteArray = veiled(secret)

    override fun unwrap(wrapped: ByteArray): ByteArray = veiled(wrapped)

    private fun veiled(bytes: ByteArray): ByteArray {
        refuses?.let { throw it }
        return ByteArray(bytes.size) { (bytes[it].toInt() xor own.toInt()).toByte() }
    }
}
