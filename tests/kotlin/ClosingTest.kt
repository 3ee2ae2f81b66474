import io.github.idiolect.*
import java.io.File
import kotlin.concurrent.thread
import kotlin.random.Random
import kotlinx.coroutines.CompletableDeferred
import kotlinx.coroutines.async
import kotlinx.coroutines.awaitAll
import kotlinx.coroutines.cancelAndJoin
import kotlinx.coroutines.delay
import kotlinx.coroutines.flow.onEach
import kotlinx.coroutines.flow.toList
import kotlinx.coroutines.launch
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.io.TempDir

/** Closing, whatever is under way. */
class ClosingTest(@param:TempDir private val home: File) {
    private val long = LearnSettings(train = TrainSettings(steps = 5000u))

    @Test
    fun `during a generation it returns at once, and the answer ends`() = work {
        val engine = fresh(home)
        val begun = CompletableDeferred<Unit>()
        val answer = async {
            engine.generate(Prompt.Text("see you"), longOptions).onEach { begun.complete(Unit) }.toList()
        }
        begun.await()
        val took = milliseconds { engine.close() }
        check(took < 50) { "it took $took ms" }
        same<EngineState>("state", EngineState.Closed, engine.state)
        val end = answer.await().last() as Chunk.End
        same("finish", FinishReason.CANCELLED, end.generation.finishReason)
        engine.shutDown()
    }

    @Test
    fun `during a training, from several threads`() = work {
        val engine = fresh(home)
        val begun = CompletableDeferred<Unit>()
        val training = async { engine.train(long).onEach { if (it.step != null) begun.complete(Unit) }.toList() }
        begun.await()
        val closing = (1..8).map { async { if (it % 2 == 0) engine.close() else engine.shutDown() } }
        closing.awaitAll()
        same<TrainEvent>("outcome", TrainEvent.Paused(PauseReason.CLOSING), training.await().last())
        refused<EngineError.Closed>("closed") { engine.check() }
        refused<EngineError.Closed>("closed") { engine.history.stats() }
        refused<EngineError.Closed>("closed") { engine.adapters.list() }
        refused<EngineError.Closed>("closed") { engine.train(long).toList() }
        refused<EngineError.Closed>("closed") { engine.attend(AttendSettings(defaultPolicy())).toList() }
        engine.pushSignals(DeviceSignals())
        same<Attendance>("attendance", Attendance.Off, engine.attendance)
        PersonalEngine.open(options(File(home, "fresh"))).whileOpen { check(it.hasPausedTraining()) }
    }

    @Test
    fun `at any moment, with calls under way from many sides`() = work {
        fresh(home).shutDown()
        repeat(20) {
            val engine = PersonalEngine.open(options(File(home, "fresh")))
            val calls = (0..7).map { number ->
                async {
                    runCatching {
                        while (true) when (number % 4) {
                            0 -> engine.suggest("see y")
                            1 -> engine.history.stats()
                            2 -> engine.greedy("hello")
                            else -> engine.conversation().use { it.say("hello", greedyOptions).toList() }
                        }
                    }.exceptionOrNull()
                }
            }
            delay(Random.nextLong(60))
            val closer = thread { engine.close() }
            engine.shutDown()
            closer.join()
            for (ended in calls.awaitAll()) check(ended is EngineError.Closed) { "$ended" }
        }
    }

    @Test
    fun `an opening that is cancelled leaves nothing open`() = work {
        fresh(home).shutDown()
        repeat(20) {
            val opening = launch { PersonalEngine.open(options(File(home, "fresh"))) }
            delay(Random.nextLong(10))
            opening.cancelAndJoin()
        }
        PersonalEngine.eraseProfile(File(home, "fresh").path)
        check(!File(home, "fresh").exists())
    }

    @Test
    fun `two hundred times, without growth of memory`() = work {
        fresh(home).shutDown()
        suspend fun cycles(count: Int) = repeat(count) {
            PersonalEngine.open(options(File(home, "fresh"))).whileOpen { engine ->
                engine.suggest("see y")
                engine.conversation()
                engine.history.stats()
            }
        }
        cycles(40)
        val before = residentBytes()
        cycles(200)
        val grown = residentBytes() - before
        // An engine that stayed would be 4 MB of weights each time.
        check(grown < 24 shl 20) { "${grown shr 20} MB more after 200 engines" }
    }

    private fun residentBytes(): Long {
        repeat(3) {
            System.gc()
            Thread.sleep(50)
        }
        val line = File("/proc/self/status").readLines().single { it.startsWith("VmRSS:") }
        return line.split(Regex("\\s+"))[1].toLong() shl 10
    }
}
