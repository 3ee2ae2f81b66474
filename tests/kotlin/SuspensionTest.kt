import io.github.idiolect.*
import java.io.File
import kotlinx.coroutines.CompletableDeferred
import kotlinx.coroutines.async
import kotlinx.coroutines.flow.onEach
import kotlinx.coroutines.flow.toList
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.io.TempDir

/** An engine that is suspended as the system suspends the app, and one whose device is changed. */
class SuspensionTest(@param:TempDir private val home: File) {
    private val settings = LearnSettings(train = TrainSettings(steps = 20u, seed = 7uL))

    @Test
    fun `suspended, a training rests and every call is refused - resumed, it goes on`() = work {
        fresh(home).whileOpen { engine ->
            val begun = CompletableDeferred<Unit>()
            val training = async {
                engine.train(settings).onEach { if (it.step == 3uL) begun.complete(Unit) }.toList()
            }
            begun.await()
            val took = milliseconds { engine.suspendWork() }
            check(took < 2000) { "at rest after $took ms" }
            refused<EngineError.Suspended>("suspended") { engine.greedy("see you") }
            refused<EngineError.Suspended>("suspended") { engine.train(settings).toList() }
            refused<EngineError.Suspended>("suspended") { engine.history.stats() }
            refused<EngineError.Suspended>("suspended") { engine.adapters.list() }
            check(!training.isCompleted)
            // Nobody holds the right to train: another engine may, and gives it back.
            PersonalEngine.open(options(File(home, "fresh"))).whileOpen {
                it.history.add(NewSample("written meanwhile"))
            }
            engine.resumeWork()
            val course = training.await()
            check((course.last() as TrainEvent.Finished).report.resumed)
            same("steps", (1uL..20uL).toList(), course.steps)
        }
    }

    @Test
    fun `another device on an open engine, and which one it is`() = work {
        val engine = fresh(home)
        engine.setDevice(DeviceChoice.AUTO)
        val device = engine.backend()
        check(device.name.isNotBlank() && device.reason.isNotBlank()) { "$device" }
        engine.setDevice(DeviceChoice.CPU)
        same("kind", DeviceKind.CPU, engine.backend().kind)
        engine.shutDown()
        refused<EngineError.Closed>("closed") { engine.suspendWork() }
        refused<EngineError.Closed>("closed") { engine.setDevice(DeviceChoice.CPU) }
    }
}
