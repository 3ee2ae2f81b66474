// An engine that is suspended as the system suspends the app, and one whose device is changed.

import io.github.idiolect.ffi.*
import java.io.File
import java.util.concurrent.CompletableFuture
import java.util.concurrent.CompletableFuture.supplyAsync

fun suspending(model: String, messages: List<NewSample>, home: File) {
    val settings = LearnSettings(train = TrainSettings(steps = 20u, seed = 7uL))
    val profile = File(home, "suspended").path
    val engine = Engine.open(EngineOptions(profile, model, null, DeviceChoice.CPU, 2u))
    engine.history().addAll(messages.take(120))

    step("suspended, a training rests and every call is refused; resumed, it goes on") {
        val begun = CompletableFuture<Unit>()
        val course = Course { if (it is LearnEvent.Step && it.step == 3uL) begun.complete(Unit) }
        val training = supplyAsync { engine.learn(settings, course) }
        begun.soon()
        val began = System.nanoTime()
        engine.suspend()
        val took = (System.nanoTime() - began) / 1e9
        for (call in listOf<() -> Unit>(
            { engine.greedy("see you") },
            { engine.learn(settings, Course()) },
            { engine.history().stats() },
            { engine.adapters().list() },
        )) refused(ErrorKind.SUSPENDED, "suspended", call)
        check(!training.isDone)
        // Nobody holds the right to train: another engine may, and gives it back.
        val another = Engine.open(EngineOptions(profile, model, null, DeviceChoice.CPU, 2u))
        another.history().add(listOf(NewSample("written meanwhile")))
        another.shutDown()
        another.close()
        engine.resume()
        val outcome = training.soon()
        check(outcome is LearnOutcome.Finished && outcome.report.resumed) { "$outcome" }
        same("steps", (1uL..20uL).toList(), course.steps)
        "at rest in %.2f s".format(took)
    }
    step("another device on an open engine, and which one it is") {
        engine.setDevice(DeviceChoice.AUTO)
        val device = engine.device()
        check(device.name.isNotBlank() && device.reason.isNotBlank()) { "$device" }
        engine.setDevice(DeviceChoice.CPU)
        same("kind", DeviceKind.CPU, engine.device().kind)
        engine.shutDown()
        refused(ErrorKind.CLOSED, "closed") { engine.suspend() }
        refused(ErrorKind.CLOSED, "closed") { engine.setDevice(DeviceChoice.CPU) }
        engine.close()
        "${device.name}: ${device.reason}"
    }
}
