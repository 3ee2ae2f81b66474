import io.github.idiolect.*
import java.io.File
import java.util.concurrent.ConcurrentLinkedQueue
import kotlin.concurrent.thread
import kotlinx.coroutines.runBlocking
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.io.TempDir

/** Calls from many threads at once. */
class ThreadsTest(@param:TempDir private val home: File) {
    @Test
    fun `eight threads call everything side by side, and each has its own answer`() = work {
        PersonalEngine.open(options(Person.trained(home))).whileOpen { engine ->
            val expected = engine.greedy("see you") to engine.suggest("see y")
            val failures = ConcurrentLinkedQueue<Throwable>()
            (0..7).map { number ->
                thread {
                    runBlocking {
                        runCatching {
                            repeat(6) { round ->
                                same("text", expected.first, engine.greedy("see you"))
                                same("words", expected.second, engine.suggest("see y"))
                                val own = NewSample("thread $number, round $round")
                                same("added", 1uL, engine.history.add(own).newTexts)
                                same("active", 1u, engine.adapters.list().active)
                                engine.conversation().use { it.say("hello $number", greedyOptions).whole() }
                                engine.pushSignals(DeviceSignals(idle = true))
                                check(engine.state != EngineState.Closed)
                            }
                        }.onFailure(failures::add)
                    }
                }
            }.forEach(Thread::join)
            failures.firstOrNull()?.let { throw it }
            same("messages", (Person.messages.size + 48).toULong(), engine.history.stats().total.messages)
        }
    }
}
