import io.github.idiolect.*
import java.io.File
import java.util.concurrent.CancellationException
import kotlinx.coroutines.CompletableDeferred
import kotlinx.coroutines.CoroutineStart
import kotlinx.coroutines.Job
import kotlinx.coroutines.async
import kotlinx.coroutines.cancelAndJoin
import kotlinx.coroutines.coroutineScope
import kotlinx.coroutines.delay
import kotlinx.coroutines.flow.Flow
import kotlinx.coroutines.flow.collect
import kotlinx.coroutines.flow.onEach
import kotlinx.coroutines.launch
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.io.TempDir

/** Cancelling a coroutine ends its work, within a tenth of a second where nothing else is at it. */
class CancellationTest(@param:TempDir private val home: File) {
    /** Begins [work] five times, and cancels it when [begun] says so. */
    private suspend fun endsSoon(what: String, work: suspend (begun: () -> Unit) -> Unit) = coroutineScope {
        val took = (1..5).map {
            val begun = CompletableDeferred<Unit>()
            val ended = async(start = CoroutineStart.LAZY) {
                runCatching { work { begun.complete(Unit) } }.exceptionOrNull()
            }
            ended.start()
            begun.await()
            delay(20)
            check(ended.isActive) { "$what was over before it was cancelled" }
            milliseconds { ended.cancelAndJoin() }.also { check(it <= 1000) { "$what took $it ms to end" } }
        }.sorted()
        check(took[2] <= 100) { "$what took $took ms to end" }
    }

    @Test
    fun `a generation`() = work {
        fresh(home).whileOpen { engine ->
            endsSoon("a generation") { begun ->
                engine.generate(Prompt.Text("see you"), longOptions).onEach { begun() }.collect()
            }
        }
    }

    @Test
    fun `a turn of a conversation`() = work {
        fresh(home).whileOpen { engine ->
            engine.conversation().use { conversation ->
                endsSoon("a turn") { begun -> conversation.say("hello", longOptions).onEach { begun() }.collect() }
            }
        }
    }

    @Test
    fun `a measurement`() = work {
        fresh(home).whileOpen { engine ->
            engine.check()
            val texts = (1..20).flatMap { Person.messages.map { EvaluationText(it.text) } }
            endsSoon("a measurement") { begun -> begun().also { engine.evaluate(texts) } }
        }
    }

    @Test
    fun `suggestions that wait behind an answer`() = work {
        fresh(home).whileOpen { engine ->
            engine.check()
            val texts = (1..20).flatMap { Person.messages.map { EvaluationText(it.text) } }
            val measured = launch { engine.evaluate(texts) }
            delay(100)
            endsSoon("suggestions") { begun -> begun().also { while (true) engine.suggest("see y") } }
            measured.cancelAndJoin()
        }
    }

    @Test
    fun `the coroutine's own exception arrives, and none of the engine's`() = work {
        fresh(home).whileOpen { engine ->
            var caught: Throwable? = null
            val begun = CompletableDeferred<Unit>()
            val answer: Job = launch {
                try {
                    engine.generate(Prompt.Text("see you"), longOptions).collect { begun.complete(Unit) }
                } catch (thrown: Throwable) {
                    caught = thrown
                    throw thrown
                }
            }
            begun.await()
            answer.cancelAndJoin()
            check(caught is CancellationException) { "$caught" }
        }
    }
}
