import java.io.BufferedReader
import java.io.File
import java.util.Timer
import java.util.concurrent.TimeUnit
import kotlin.concurrent.schedule

/** The notes app on the profile in [place], in a process of its own with this one's classes, library and model. */
class OtherProcess(place: File) : AutoCloseable {
    private val process = ProcessBuilder(java() + listOf("NotesProcessKt", place.path))
        .redirectError(ProcessBuilder.Redirect.INHERIT)
        .start()
    private val told: BufferedReader = process.inputReader()
    private val limit = Timer(true)

    init {
        // What waits for a line of its hears of its end.
        limit.schedule(LIMIT) { process.destroyForcibly() }
        awaitLine("open")
    }

    /** Tells it what to do. */
    fun tell(line: String) = process.outputWriter().run {
        write("$line\n")
        flush()
    }

    /** What it answers. */
    fun asked(line: String): String {
        tell(line)
        return nextLine()
    }

    private fun nextLine(): String = checkNotNull(told.readLine()) { "the other process has ended" }

    /** Waits until it says so; till then it may tell of its steps. */
    fun awaitLine(line: String) {
        do {
            val next = nextLine()
            check(next == line || next.startsWith("step ")) { "“$next”, not “$line”" }
        } while (next != line)
    }

    /** Ends it as the system does, by SIGKILL; its exit code. */
    fun kill(): Int {
        process.destroyForcibly()
        return process.waitFor()
    }

    /** It ends with its input. */
    override fun close() {
        limit.cancel()
        process.outputStream.close()
        if (!process.waitFor(1, TimeUnit.MINUTES)) kill()
    }

    private fun java(): List<String> {
        val properties = listOf("jna.library.path", "idiolect.model", "idiolect.history")
            .map { "-D$it=${System.getProperty(it)}" }
        val program = File(System.getProperty("java.home"), "bin/java").path
        return listOf(program) + properties + listOf("-cp", System.getProperty("java.class.path"))
    }

    private companion object {
        /** Milliseconds that it may take for all that it is asked. */
        const val LIMIT = 180_000L
    }
}
