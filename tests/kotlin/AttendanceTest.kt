import io.github.idiolect.*
import java.io.File
import kotlinx.coroutines.CoroutineScope
import kotlinx.coroutines.async
import kotlinx.coroutines.cancelAndJoin
import kotlinx.coroutines.channels.Channel
import kotlinx.coroutines.channels.ReceiveChannel
import kotlinx.coroutines.channels.produce
import kotlinx.coroutines.flow.buffer
import kotlinx.coroutines.flow.first
import kotlinx.coroutines.flow.produceIn
import kotlinx.coroutines.flow.toList
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.io.TempDir

/** An engine that attends to trainings by itself, on signals that the app pushes. */
class AttendanceTest(@param:TempDir private val home: File) {
    private val calm = DeviceSignals(
        charging = true, battery = 0.8f, idle = true, thermal = 0.2f, lowPower = false,
        freeMemory = 8uL shl 30, localMinute = 720u,
    )
    private val pulled = calm.copy(charging = false)

    // How many texts are held out is drawn by the profile's key: few are worth a training here.
    private val learn = LearnSettings(train = TrainSettings(steps = 20u, seed = 7uL), gate = GateSettings(minUnits = 2u))
    private val settings = AttendSettings(defaultPolicy(), learn)

    private val Attendance.rules get() = when (this) {
        is Attendance.Waiting -> reasons.map { it.rule }
        is Attendance.Pausing -> reasons.map { it.rule }
        else -> listOf()
    }

    /** The next event that is not a training's progress. */
    private suspend fun ReceiveChannel<AttendEvent>.next(): AttendEvent {
        while (true) receive().let { if (it !is AttendEvent.Progress) return it }
    }

    private suspend fun ReceiveChannel<AttendEvent>.state() = (next() as AttendEvent.State).attendance

    private suspend fun ReceiveChannel<AttendEvent>.ended() = (next() as AttendEvent.Ended).outcome

    @Test
    fun `the charger starts, pauses and resumes a training`() = work {
        fresh(home).whileOpen { engine ->
            same<Attendance>("before", Attendance.Off, engine.attendance)
            engine.pushSignals(pulled)
            val events = engine.attend(settings).produceIn(this)
            val waiting = events.state()
            same("waiting", listOf(PolicyRule.CHARGING), waiting.rules)
            engine.pushSignals(calm)
            same<Attendance>("calm", Attendance.Preparing, events.state())
            same<Attendance>("prepared", Attendance.Training, events.state())
            while ((events.receive() as AttendEvent.Progress).event.let { it !is LearnEvent.Step || it.step < 3uL });
            engine.pushSignals(pulled)
            val pausing = events.state()
            check(pausing is Attendance.Pausing && pausing.rules == listOf(PolicyRule.CHARGING)) { "$pausing" }
            same<LearnOutcome>("outcome", LearnOutcome.Paused(PauseReason.CANCELLED), events.ended())
            same("paused", waiting, events.state())
            check(engine.hasPausedTraining())
            engine.pushSignals(calm)
            same<Attendance>("again", Attendance.Training, events.state())
            val outcome = events.ended()
            check(outcome is LearnOutcome.Finished && outcome.report.resumed) { "$outcome" }
            val over = events.state()
            check(over is Attendance.NothingToLearn && over.words.isNotBlank()) { "$over" }
            same("now", over, engine.attendance)
            events.cancel()
        }
    }

    @Test
    fun `it attends for as long as somebody collects`() = work {
        fresh(home).whileOpen { engine ->
            engine.pushSignals(pulled)
            engine.attend(settings).first()
            same<Attendance>("after", Attendance.Off, engine.attendance)
            val wrong = settings.copy(policy = defaultPolicy().copy(batteryToStart = 30f))
            refused<EngineError.BadOption>("battery_to_start") { engine.attend(wrong).toList() }
        }
    }

    @Test
    fun `another collection takes its place, and closing ends it`() = work {
        val engine = fresh(home)
        engine.pushSignals(pulled)
        val first = engine.attend(settings).produceIn(this)
        first.state()
        val second = engine.attend(settings).produceIn(this)
        second.state()
        // The first one ends by itself, and does not end the second.
        for (event in first);
        check(engine.attendance is Attendance.Waiting) { "${engine.attendance}" }
        engine.shutDown()
        for (event in second);
        same<Attendance>("shut down", Attendance.Off, engine.attendance)
    }

    @Test
    fun `a collection that is cancelled pauses its training`() = work {
        fresh(home).whileOpen { engine ->
            engine.pushSignals(calm)
            val attending = async { engine.attend(settings).collect { } }
            while (engine.state !is EngineState.Training) Thread.sleep(5)
            attending.cancelAndJoin()
            same<Attendance>("after", Attendance.Off, engine.attendance)
            same<EngineState>("state", EngineState.Idle, engine.state)
        }
    }
}
