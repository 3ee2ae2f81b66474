// The notes app of the tests on two processes: a process of its own that does what it reads, a line each, and tells what
// came of it.

import io.github.idiolect.*
import java.io.File
import kotlinx.coroutines.flow.onEach
import kotlinx.coroutines.flow.toList

fun main(arguments: Array<String>) = work {
    PersonalEngine.open(options(File(arguments.single()))).whileOpen { engine ->
        println("open")
        for (line in generateSequence(::readLine)) {
            when (line) {
                "add" -> println("added ${engine.history.addAll(notes).newTexts}")
                "count" -> println("messages ${engine.history.stats().total.messages}")
                "adapter" -> println("adapter ${engine.adapters.list().versions.singleOrNull()?.sha256}")
                "train" -> println(trained(engine, Person.learn))
                "train, with a checkpoint at every step" -> println(trained(engine, short.copy(checkpointEveryMs = 0uL)))
            }
        }
    }
}

/** What the notes app has. */
val notes get() = Person.messages.drop(200).map { it.copy(source = "notes") }

/** As long as a kill in its midst needs. */
val short = LearnSettings(train = TrainSettings(steps = 12u, seed = 7uL), mostValidation = 8u, mostHeldOut = 8u)

private suspend fun trained(engine: PersonalEngine, settings: LearnSettings): String = try {
    val course = engine.train(settings).onEach { event -> event.step?.let { println("step $it") } }.toList()
    "${(course.last() as TrainEvent.Finished).report.verdict.decision}"
} catch (refused: EngineError.TrainingBusy) {
    "busy: ${refused.hint}"
}
