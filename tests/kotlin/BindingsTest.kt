import io.github.idiolect.*
import java.io.File
import java.util.concurrent.CompletableFuture
import java.util.concurrent.TimeUnit
import org.junit.jupiter.api.AfterEach
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.io.TempDir

/** What listeners of the bindings' own do to a call when they throw; the facade's never do. */
class BindingsTest(@TempDir home: File) {
    private val engine = Engine.open(options(Person.trained(home)))
    private val merged = File(home, "merged")
    private val text = object : TextListener {
        override fun onText(text: String) = error("not for the engine")
    }

    @AfterEach
    fun close() {
        engine.shutDown()
        engine.close()
    }

    private fun thrown(call: () -> Unit) {
        try {
            call()
        } catch (refused: EngineException.Listener) {
            check("callback" in refused.detail && "not for the engine" !in "$refused") { "$refused" }
            same<EngineState>("state", EngineState.Idle, engine.state())
            return
        }
        error("no error")
    }

    @Test
    fun `a training's`() = thrown {
        val listener = object : LearnListener {
            override fun onEvent(event: LearnEvent) = error("not for the engine")
        }
        val settings = LearnSettings(train = TrainSettings(steps = 20u))
        engine.train(settings, CancelToken(), listener)
    }

    @Test
    fun `an answer's`() = thrown { engine.generate(Prompt.Text("see you"), longOptions, CancelToken(), text) }

    @Test
    fun `a conversation's, which goes on`() {
        engine.conversation(ConversationOptions()).use { conversation ->
            thrown { conversation.say("and then?", greedyOptions.copy(ignoreEos = true), CancelToken(), text) }
            val quiet = object : TextListener {
                override fun onText(text: String) = Unit
            }
            check(conversation.say("bye", greedyOptions, CancelToken(), quiet).generation.tokens > 0uL)
        }
    }

    @Test
    fun `a merge's, which leaves nothing`() {
        thrown {
            val listener = object : MergeListener {
                override fun onProgress(stage: MergeStage, done: ULong, all: ULong) = error("not for the engine")
            }
            engine.adapters().merge(1u, merged.path, MergeOptions(), CancelToken(), listener)
        }
        check(!merged.exists())
    }

    @Test
    fun `an attendance's, which changes nothing`() {
        val called = CompletableFuture<Unit>()
        val listener = object : AttendListener {
            override fun onState(state: Attendance) {
                called.complete(Unit)
                error("not for the engine")
            }

            override fun onEvent(event: LearnEvent) = Unit

            override fun onEnded(outcome: LearnOutcome) = Unit
        }
        engine.attend(AttendSettings(defaultPolicy()), listener)
        called.get(60, TimeUnit.SECONDS)
        check(engine.attendance() != Attendance.Off)
        engine.stopAttending()
        same<Attendance>("stopped", Attendance.Off, engine.attendance())
    }

    @Test
    fun `a token that is set stays set, and ends what it is given to`() {
        val cancel = CancelToken()
        check(!cancel.isCancelled())
        cancel.cancel()
        check(cancel.isCancelled())
        val options = longOptions
        val quiet = object : TextListener {
            override fun onText(text: String) = Unit
        }
        val made = engine.generate(Prompt.Text("see you"), options, cancel, quiet)
        same("finish", FinishReason.CANCELLED, made.finishReason)
    }
}
