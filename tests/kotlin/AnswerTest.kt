import io.github.idiolect.*
import java.io.File
import kotlinx.coroutines.delay
import kotlinx.coroutines.flow.onEach
import kotlinx.coroutines.flow.toList
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.io.TempDir

/** Generated text, suggestions and measurements. */
class AnswerTest(@param:TempDir private val home: File) {
    private val prompt = "see you"

    private fun answering(body: suspend (PersonalEngine) -> Unit) =
        work { PersonalEngine.open(options(Person.trained(home))).whileOpen(body) }

    @Test
    fun `streams whole text`() = answering { engine ->
        val chunks = engine.generate(Prompt.Text(prompt), GenerateOptions(40u, 0.7f, seed = 3uL)).toList()
        val made = (chunks.last() as Chunk.End).generation
        same("pieces", made.text, chunks.text)
        check(made.tokens > 0uL && chunks.size - 1 <= made.tokens.toInt())
        check(made.finishReason in setOf(FinishReason.MAX_TOKENS, FinishReason.END_OF_TURN))
    }

    @Test
    fun `a flow that is collected twice answers twice`() = answering { engine ->
        val answer = engine.generate(Prompt.Text(prompt), greedyOptions)
        same("text", answer.whole().generation.text, answer.whole().generation.text)
    }

    @Test
    fun `a slow collector loses nothing and holds nobody up`() = answering { engine ->
        val options = GenerateOptions(maxTokens = 300u, temperature = 0f, ignoreEos = true)
        val slow = engine.generate(Prompt.Text(prompt), options).onEach { chunk ->
            if (chunk is Chunk.End) return@onEach
            // Were the engine held up here, it could not answer meanwhile.
            engine.greedy("meanwhile")
            delay(100)
        }
        val expected = engine.generate(Prompt.Text(prompt), options).whole().generation.text
        same("text", expected, slow.whole().generation.text)
    }

    @Test
    fun `a collector that throws ends the answer, and its error arrives as it is`() = answering { engine ->
        val thrown = IllegalStateException("the collector's own")
        val took = milliseconds {
            try {
                engine.generate(Prompt.Text(prompt), longOptions).collect { throw thrown }
                error("no error")
            } catch (caught: IllegalStateException) {
                check(generateSequence<Throwable>(caught) { it.cause }.any { it === thrown }) { "$caught" }
            }
        }
        check(took < 3000) { "it took $took ms" }
        same<EngineState>("state", EngineState.Idle, engine.state)
        check(engine.greedy(prompt).isNotEmpty())
    }

    @Test
    fun `suggests whole words, likeliest first`() = answering { engine ->
        val words = engine.suggest("i am going to ")
        check(words.size in 1..3 && words.all { it.text.isNotBlank() && it.probability in 0.0..1.0 }) { "$words" }
        check(words.all { it.replaces == 0u }) { "$words" }
        same("order", words.sortedByDescending { it.probability }.map { it.text }, words.map { it.text })
        val completed = engine.suggest("i am go", SuggestOptions(count = 2u))
        val fit = completed.all { it.replaces == 2u && it.text.startsWith("go", ignoreCase = true) }
        check(completed.size in 1..2 && fit) { "$completed" }
    }

    @Test
    fun `measures texts with and without the adapter, each one and all`() = answering { engine ->
        val texts = Person.messages.take(40).map { EvaluationText(it.text) }
        val (before, after) = engine.evaluate(texts, adapters = listOf()) to engine.evaluate(texts)
        check(after.nll < before.nll) { "${before.nll} to ${after.nll}" }
        same("texts", texts.size, after.texts.size)
        same("tokens", after.tokens, after.texts.sumOf { it.tokens })
        val named = engine.evaluate(texts, listOf(AdapterWeight(1u, 1f)))
        same("named", after.nll, named.nll)
        same("at no weight", before.nll, engine.evaluate(texts, listOf(AdapterWeight(1u, 0f))).nll)
    }

    @Test
    fun `scores what may come next, and counts tokens`() = answering { engine ->
        val candidates = listOf(" you soon", " zebra quantum")
        val scores = engine.score(Prompt.Text("see"), candidates)
        check(scores[0].logProbability > scores[1].logProbability) { "$scores" }
        for (score in scores) {
            same("tokens", score.tokens.toInt(), score.tokenLogProbabilities.size)
            check(kotlin.math.abs(score.logProbability - score.tokenLogProbabilities.sum()) < 1e-3) { "$score" }
        }
        check(engine.score(Prompt.Text("see"), candidates, listOf())[0] != scores[0]) { "the adapter does nothing" }
        val few = engine.countTokens("see you")
        check(few in 1uL..7uL && engine.countTokens("see you see you") > few)
    }

    @Test
    fun `tells what it computes with`() = answering { engine ->
        val model = engine.model()
        check(model.run { fingerprint.isNotBlank() && family.isNotBlank() && parameters > 1_000_000uL }) { "$model" }
        val backend: Backend = engine.backend()
        check(backend.kind == DeviceKind.CPU && backend.name.isNotBlank() && backend.reason.isNotBlank()) { "$backend" }
        check(PersonalEngine.libraryVersion == libraryVersion() && profileVersion() > 0u)
        val answered = engine.generate(Prompt.Chat("hello"), greedyOptions).whole().generation
        check(answered.promptTokens > engine.countTokens("hello")) { "no chat template: $answered" }
    }
}
