import io.github.idiolect.*
import java.io.File
import kotlin.random.Random
import kotlin.random.nextULong
import kotlinx.coroutines.async
import kotlinx.coroutines.flow.onEach
import kotlinx.coroutines.flow.toList
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.io.TempDir

/** Learning, from the plan to the report. */
class TrainingTest(@param:TempDir private val home: File) {
    private val settings = Person.learn
    private val few = LearnSettings(
        train = TrainSettings(steps = 12u, seed = 7uL), mostValidation = 8u, mostHeldOut = 8u,
    )

    @Test
    fun `plans before it runs`() = work {
        fresh(home).whileOpen { engine ->
            val plan = engine.plan(few)
            same("steps", 12uL, plan.steps)
            check(plan.texts > 0uL && plan.tokens > 0uL && plan.seconds > 0) { "$plan" }
            val started = engine.train(few).toList().started
            same("steps", plan.steps, started.steps)
            same("bytes", plan.plannedBytes, started.plannedBytes)
        }
    }

    @Test
    fun `trains with progress, pauses when it is cancelled, and goes on to the end, through the gate`() = work {
        fresh(home, messages = 400).whileOpen { engine ->
            var cancelled = 0L
            engine.train(settings).onEach {
                if (it.step == 5uL) {
                    check(engine.state is EngineState.Training) { "state: ${engine.state}" }
                    cancelled = System.nanoTime()
                }
            }.until(5uL)
            val milliseconds = (System.nanoTime() - cancelled) / 1_000_000
            check(milliseconds < 1000) { "it took $milliseconds ms to end" }
            same<EngineState>("state", EngineState.Idle, engine.state)
            check(engine.hasPausedTraining() && engine.lastReport() == null)

            val course = engine.train(settings).toList()
            val report = (course.last() as TrainEvent.Finished).report
            check(course.started.resumedAt >= 5uL) { "went on at ${course.started.resumedAt}" }
            same("first step", course.started.resumedAt + 1uL, course.steps.first())
            same("steps", course.started.steps, course.steps.last())
            check(report.resumed && report.lastLoss!! < report.firstLoss!!) { "it did not learn" }
            check(report.bytesWritten > 0uL && report.setbacks.isEmpty() && report.counts.refused == 0uL) { "$report" }
            same("decision: ${report.verdict.explanation}", Decision.PROMOTED, report.verdict.decision)
            same("version", 1u, report.version)
            same("measured", listOf("eng"), report.verdict.forgettingIn.map { it.language })
            same("last report", report, engine.lastReport())
            check(!engine.hasPausedTraining())

            val status = engine.status(openModel = true)
            val version = checkNotNull(status.inUse) { "none in use" }
            same("in use", 1u to AdapterOrigin.TRAINED, version.version to version.origin)
            same("its report", report, version.report)
            same("stale", false, status.stale)
            same("texts", status.texts, listOf(status.trains, status.validates, status.heldOut).sumOf { it.samples })
            same<NextTrainingReason>("next", NextTrainingReason.Unchanged, status.nextTraining.reason)

            val again = engine.train(settings).report()
            check(again.unchanged && again.version == 1u) { "it trained again on the same" }
        }
    }

    @Test
    fun `cancelled at a random step and opened again, it goes on to the same bits`() = work {
        fresh(home).shutDown()
        val profiles = listOf("through", "paused").map { name ->
            File(home, name).also { File(home, "fresh").copyRecursively(it) }
        }
        val through = PersonalEngine.open(options(profiles[0])).whileOpen { it.train(few).report() }
        val at = Random.nextULong(1uL, 12uL)
        PersonalEngine.open(options(profiles[1])).whileOpen { it.train(few).until(at) }
        val resumed = PersonalEngine.open(options(profiles[1])).whileOpen { it.train(few).report() }
        check(resumed.resumed) { "begun anew after step $at" }
        same("candidate, cancelled at step $at", through.candidateSha256, resumed.candidateSha256)
    }

    @Test
    fun `saves when it is called to, and goes on`() = work {
        fresh(home).whileOpen { engine ->
            engine.saveProgress()
            var saved = 0uL
            val last = engine.train(few).onEach {
                if (it.step != null && saved == 0uL) {
                    engine.saveProgress()
                    check(engine.hasPausedTraining()) { "no checkpoint" }
                    saved = it.step!!
                }
            }.toList().steps.last()
            same("last step", 12uL, last)
            check(saved > 0uL)
        }
    }

    @Test
    fun `answers while it trains - a second training is refused - unloading pauses`() = work {
        fresh(home).whileOpen { engine ->
            val long = LearnSettings(train = TrainSettings(steps = 5000u))
            val training = async { engine.train(long).toList() }
            while (engine.state !is EngineState.Training) Thread.sleep(5)
            check(engine.greedy("see you").isNotEmpty())
            check(!training.isCompleted) { "it did not wait for the training to end" }
            refused<EngineError.TrainingBusy>("training") { engine.train(few).toList() }
            engine.unload()
            same<TrainEvent>("outcome", TrainEvent.Paused(PauseReason.MEMORY_PRESSURE), training.await().last())
        }
    }
}
