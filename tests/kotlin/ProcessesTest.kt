import io.github.idiolect.*
import java.io.File
import kotlinx.coroutines.async
import kotlinx.coroutines.cancelAndJoin
import kotlinx.coroutines.delay
import kotlinx.coroutines.flow.toList
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.io.TempDir

/** One profile in two processes: this one is the keyboard, the other the notes app. */
class ProcessesTest(@param:TempDir private val home: File) {
    private val place = File(home, "shared")
    private val prompt = "i am going to "

    @Test
    fun `each sees what the other wrote and trained, and one trains at a time`() = work {
        PersonalEngine.open(options(place)).whileOpen { keyboard ->
            keyboard.history.addAll(Person.messages.take(200).map { it.copy(source = "keyboard") })
            OtherProcess(place).use { notes ->
                same("read there", "messages 200", notes.asked("count"))
                same("added there", "added 200", notes.asked("add"))
                same("read here", mapOf("keyboard" to 200uL, "notes" to 200uL), keyboard.sources())

                notes.tell("train")
                notes.awaitLine("step 2")
                check(keyboard.suggest(prompt).isNotEmpty())
                val hint = refused<EngineError.TrainingBusy>("training") { keyboard.train(Person.learn).toList() }.hint
                check(hint != null)
                same("added here meanwhile", 1uL, keyboard.history.add(NewSample("written meanwhile")).newTexts)
                notes.awaitLine("PROMOTED")

                same("read there", "messages 401", notes.asked("count"))
                val adapters = keyboard.adapters.list()
                same("in use here", 1u, adapters.active)
                same("the same", "adapter ${adapters.versions.single().sha256}", notes.asked("adapter"))
                check(keyboard.greedy(prompt) != keyboard.greedy(prompt, listOf())) { "the adapter does nothing" }

                val training = async { keyboard.train(LearnSettings(train = TrainSettings(steps = 5000u))).toList() }
                while (keyboard.state !is EngineState.Training) delay(5)
                same("refused there", "busy: $hint", notes.asked("train"))
                training.cancelAndJoin()
            }
        }
    }

    @Test
    fun `a training whose process is killed goes on in the other one to the same bits`() = work {
        fresh(home).shutDown()
        File(home, "fresh").copyRecursively(place)
        val undisturbed = PersonalEngine.open(options(File(home, "fresh"))).whileOpen { it.train(short).report() }
        PersonalEngine.open(options(place)).whileOpen { keyboard ->
            val before = keyboard.history.stats().total
            OtherProcess(place).use { notes ->
                notes.tell("train, with a checkpoint at every step")
                notes.awaitLine("step 4")
                same("exit code", KILLED, notes.kill())
            }
            same("messages", before, keyboard.history.stats().total)
            check(keyboard.adapters.list().versions.isEmpty() && keyboard.hasPausedTraining())
            val course = keyboard.train(short).toList()
            val report = (course.last() as TrainEvent.Finished).report
            check(report.resumed && course.started.resumedAt >= 3uL) { "begun anew: ${course.started}" }
            same("last step", 12uL, course.steps.last())
            same("bits", undisturbed.candidateSha256, report.candidateSha256)
            same("added", 1uL, keyboard.history.add(NewSample("written afterwards")).newTexts)
        }
    }

    private suspend fun PersonalEngine.sources() = status().sources.associate { it.source to it.messages }

    private companion object {
        /** What a shell says of a process that SIGKILL ended. */
        const val KILLED = 137
    }
}
