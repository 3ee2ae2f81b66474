// An engine that attends to trainings by itself, on signals that the app pushes.

import io.github.idiolect.ffi.*
import java.io.File
import java.util.concurrent.CompletableFuture
import java.util.concurrent.LinkedBlockingQueue
import java.util.concurrent.TimeUnit

/** Hears the attendance; [react] may throw. */
private class Attended(private val react: (LearnEvent) -> Unit = {}) : AttendListener {
    val states = LinkedBlockingQueue<Attendance>()
    val outcomes = LinkedBlockingQueue<LearnOutcome>()

    override fun onState(state: Attendance) {
        states += state
    }

    override fun onEvent(event: LearnEvent) = react(event)

    override fun onEnded(outcome: LearnOutcome) {
        outcomes += outcome
    }
}

private fun <T> LinkedBlockingQueue<T>.soon(): T = checkNotNull(poll(120, TimeUnit.SECONDS)) { "nothing came in two minutes" }

private val Attendance.rules get() = when (this) {
    is Attendance.Waiting -> reasons.map { it.rule }
    is Attendance.Pausing -> reasons.map { it.rule }
    else -> listOf()
}

fun attending(model: String, messages: List<NewSample>, home: File) {
    val calm = DeviceSignals(
        charging = true, battery = 0.8f, idle = true, thermal = 0.2f, lowPower = false, freeMemory = 8uL shl 30, localMinute = 720u,
    )
    val pulled = calm.copy(charging = false)
    val charging = listOf(PolicyRule.CHARGING)
    // How many texts are held out is drawn by the profile's key: few are worth a training here.
    val learn = LearnSettings(train = TrainSettings(steps = 20u, seed = 7uL), gate = GateSettings(minUnits = 2u))
    val settings = AttendSettings(defaultPolicy(), learn)
    val engine = Engine.open(EngineOptions(File(home, "attended").path, model, null, DeviceChoice.CPU, 2u))
    engine.history().addAll(messages.take(120))

    step("attends to trainings: the charger starts, pauses and resumes one") {
        same("before", Attendance.Off, engine.attendance())
        val begun = CompletableFuture<Unit>()
        val listener = Attended { if (it is LearnEvent.Step && it.step == 3uL) begun.complete(Unit) }
        engine.pushSignals(pulled)
        engine.attend(settings, listener)
        val waiting = listener.states.soon()
        check(waiting is Attendance.Waiting && waiting.rules == charging) { "$waiting" }
        engine.pushSignals(calm)
        same<Attendance>("calm", Attendance.Preparing, listener.states.soon())
        same<Attendance>("prepared", Attendance.Training, listener.states.soon())
        begun.soon()
        engine.pushSignals(pulled)
        val pausing = listener.states.soon()
        check(pausing is Attendance.Pausing && pausing.rules == charging) { "$pausing" }
        same<LearnOutcome>("outcome", LearnOutcome.Paused(PauseReason.CANCELLED), listener.outcomes.soon())
        same("paused", waiting, listener.states.soon())
        check(engine.hasPausedTraining())
        engine.pushSignals(calm)
        same<Attendance>("again", Attendance.Training, listener.states.soon())
        val outcome = listener.outcomes.soon()
        check(outcome is LearnOutcome.Finished && outcome.report.resumed) { "$outcome" }
        val ended = listener.states.soon()
        check(ended is Attendance.NothingToLearn && ended.words.isNotBlank()) { "$ended" }
        same("now", ended, engine.attendance())
        (waiting as Attendance.Waiting).reasons.single().words
    }
    step("a listener that throws changes nothing; closed, nobody attends") {
        val throwing = object : AttendListener {
            val called = CompletableFuture<Unit>()

            override fun onState(state: Attendance) {
                called.complete(Unit)
                error("not for the engine")
            }

            override fun onEvent(event: LearnEvent) = Unit

            override fun onEnded(outcome: LearnOutcome) = Unit
        }
        refused(ErrorKind.BAD_OPTION, "battery_to_start") {
            engine.attend(settings.copy(policy = defaultPolicy().copy(batteryToStart = 30f)), throwing)
        }
        engine.attend(settings, throwing)
        throwing.called.soon()
        check(engine.attendance() != Attendance.Off)
        engine.stopAttending()
        same("stopped", Attendance.Off, engine.attendance())
        engine.attend(settings, Attended())
        engine.shutDown()
        same("shut down", Attendance.Off, engine.attendance())
        refused(ErrorKind.CLOSED, "closed") { engine.attend(settings, Attended()) }
        engine.close()
    }
}
