package io.github.idiolect

import kotlinx.coroutines.flow.Flow

/** The device that computes: what it is, its name, and the reason why it was chosen, such as that a GPU was lost. */
public typealias Backend = DeviceInfo

/**
 * One person's profile with its model, ready to learn and to answer.
 *
 * No function blocks the thread that calls it, and all may be called from any thread, side by side: answers are given
 * while a training goes on. Functions suspend, and flows run, until the work is done; cancelling the coroutine ends the
 * work within a tenth of a second, and the coroutine ends once the work has. Work that cannot be ended midway (a change
 * of the history, opening the model) is waited for. A coroutine that is cancelled ends with its
 * `CancellationException`.
 *
 * Flows are cold: each collection is a piece of work of its own. Nothing waits for a slow collector, and nothing is
 * left out for one. Where a flow ends in an error, all that came before it arrives first.
 *
 * One engine is enough for an app: it is opened once, [unload]s when the system wants memory back, and is closed with
 * the app.
 *
 * @property history What the person wrote.
 * @property adapters What was learned.
 * @throws EngineError from every function, and from every flow while it is collected: `Closed` after [close],
 * [shutDown] and [eraseAll], `Suspended` between [suspendWork] and [resumeWork], and what each one says.
 */
public class PersonalEngine private constructor(opened: OpenEngine) : AutoCloseable {
    private val attending = Attending()
    private val engine = Lease(opened, end = ::end, free = OpenEngine::free)

    public val history: PersonalHistory = PersonalHistory(engine)
    public val adapters: PersonalAdapters = PersonalAdapters(engine)

    /** What it is doing. */
    public val state: EngineState
        get() = try {
            engine.use { it.engine.state() }
        } catch (_: EngineError.Closed) {
            EngineState.Closed
        }

    /** How the attendance stands, and why a training waits. */
    public val attendance: Attendance
        get() = try {
            engine.use { it.engine.attendance() }
        } catch (_: EngineError.Closed) {
            Attendance.Off
        }

    /**
     * Opens the model now, so that the first answer need not wait for it; `Io`, `BadFile`, `Unsupported`, `OverBudget`.
     */
    public suspend fun check(): Unit = asked { it.check() }

    /** The model, opened where it is not. */
    public suspend fun model(): ModelInfo = asked { it.model() }

    /** The device in use, and why it was chosen; the model is opened where it is not. */
    public suspend fun backend(): Backend = asked { it.device() }

    /** What a training would take, before it runs: steps, bytes, seconds. */
    public suspend fun plan(settings: LearnSettings = LearnSettings()): TrainingPlan =
        ended { engine, cancel -> engine.planTraining(settings, cancel) }

    /**
     * Learns from the history: trains, measures, asks the gate. It goes on where an earlier training was paused or
     * killed. A collection that ends early pauses the training, with a checkpoint. `TrainingBusy` while this or another
     * process trains on the profile; `BadData` where there is nothing to learn from.
     */
    public fun train(settings: LearnSettings = LearnSettings()): Flow<TrainEvent> = streaming { cancel, tell ->
        val listener = object : LearnListener {
            override fun onEvent(event: LearnEvent) = tell(TrainEvent.Progress(event))
        }
        tell(engine.use { it.engine.train(settings, cancel, listener) }.event)
    }

    /** Has a training under way write a checkpoint now. The training goes on; without one there is nothing to do. */
    public suspend fun saveProgress(): Unit = asked { it.saveProgress() }

    /**
     * Attends to trainings for as long as it is collected: one is begun, paused and gone on with as the rules have it,
     * by what [pushSignals] tells. The flow ends when the engine is closed, or another one attends in its place.
     * `BadOption` for a setting out of its range.
     */
    public fun attend(settings: AttendSettings): Flow<AttendEvent> = attending.by(engine, settings)

    /** Tells what the device says of itself now; it holds until it is told anew. */
    public fun pushSignals(signals: DeviceSignals) {
        try {
            engine.use { it.engine.pushSignals(signals) }
        } catch (_: EngineError.Closed) {
            // Nobody attends any more.
        }
    }

    /**
     * How the profile stands, and what would make the next training worthwhile; [gate] is what a candidate will have to
     * show. With [openModel] the model is opened where it is not, to say whether the version in use was made for it.
     */
    public suspend fun status(gate: GateSettings = GateSettings(), openModel: Boolean = false): ProfileStatus =
        asked { it.status(gate, openModel) }

    /** The report of the last training that came to its end; none before the first. */
    public suspend fun lastReport(): LearnReport? = asked { it.lastReport() }

    /** Whether a training was paused or killed, so that [train] goes on with it. */
    public suspend fun hasPausedTraining(): Boolean = asked { it.hasPausedTraining() }

    /** The version in use, where it was made for another base than the model: then the base alone answers. */
    public suspend fun staleVersion(): UInt? = asked { it.staleVersion() }

    /**
     * Continues a prompt with the adapter in use, or those of the options. `BadOption` when the prompt is too long or
     * an option is out of range; `OverBudget` when there is no memory for it.
     */
    public fun generate(prompt: Prompt, options: GenerateOptions = GenerateOptions()): Flow<Chunk> =
        streaming { cancel, tell ->
            val generation = engine.use { it.engine.generate(prompt, options, cancel, TextTeller(tell)) }
            tell(Chunk.End(generation, forgottenTurns = 0uL))
        }

    /**
     * Begins a conversation; several may go on side by side. `OverBudget`, saying what would fit, when its context does
     * not; `Unsupported` when the model has no chat template, or one that takes no instructions.
     */
    public suspend fun conversation(options: ConversationOptions = ConversationOptions()): PersonalConversation =
        making(PersonalConversation::close) {
            engine.use { PersonalConversation.of(it.engine.conversation(options)) }
        }

    /**
     * The likeliest words that complete the one begun at the text's end, or the likeliest next ones; likeliest first.
     */
    public suspend fun suggest(text: String, options: SuggestOptions = SuggestOptions()): List<Suggestion> =
        ended { engine, cancel -> engine.suggest(text, options, cancel) }

    /**
     * How likely the model finds each candidate behind the prompt, in the order given; [adapters] as in [evaluate].
     */
    public suspend fun score(
        prompt: Prompt,
        candidates: List<String>,
        adapters: List<AdapterWeight>? = null,
    ): List<Score> = ended { engine, cancel -> engine.score(prompt, candidates, cancel, adapters) }

    /** How many of the model's tokens a text has. */
    public suspend fun countTokens(text: String): ULong = asked { it.countTokens(text) }

    /**
     * The loss of texts, of all together and of each, under the model with [adapters]: null is the version in use, an
     * empty list the base alone. `BadData` when no text carries loss.
     */
    public suspend fun evaluate(texts: List<EvaluationText>, adapters: List<AdapterWeight>? = null): Evaluation =
        ended { engine, cancel -> engine.evaluate(texts, cancel, adapters) }

    /** Gives the model's memory back; a training under way pauses, an answer ends. The next call opens it again. */
    public suspend fun unload(): Unit = asked { it.unload() }

    /** Computes on another device from the next piece of work on, or tries the same one again. */
    public suspend fun setDevice(choice: DeviceChoice): Unit = asked { it.setDevice(choice) }

    /**
     * Has the engine hold no lock and no database of the profile's until [resumeWork]: a training under way rests with
     * a checkpoint, an answer ends, other calls are refused with `Suspended`.
     */
    public suspend fun suspendWork(): Unit = asked { it.suspend() }

    /** Goes on after [suspendWork], with the training that rests, too. */
    public suspend fun resumeWork(): Unit = asked { it.resume() }

    /**
     * Keeps the profile's key in another way from now on: under another key of the app's, by its key store, or, with
     * neither, in the folder. Whole or not at all. `BadOption` for a key that is none, and for both together;
     * `KeyStore`.
     */
    public suspend fun changeKey(key: ByteArray? = null, keyStore: KeyStore? = null): Unit =
        asked { it.changeKey(key, keyStore?.let(::AppKeyStore)) }

    /**
     * Writes the whole profile, its key included, to one file sealed under a passphrase, for another device, where
     * [importProfile] takes it in. `BadOption` for an empty passphrase, `TrainingBusy` while a training runs.
     */
    public suspend fun exportProfile(archive: String, passphrase: String): ArchivedProfile =
        asked { it.exportProfile(archive, passphrase) }

    /**
     * Forgets everything: ends all work, closes the engine and erases key, history, checkpoints and adapters.
     * `TrainingBusy` while another process trains: nothing is erased then. `Io` when a file cannot be removed:
     * [eraseProfile] takes what is left.
     */
    public suspend fun eraseAll(): EraseReport = asked { it.erase().also { close() } }

    /**
     * Closes it, and returns at once: work under way ends, a training with a checkpoint, and then all is freed. Later
     * calls end with `Closed`. Closed already, it does nothing.
     */
    override fun close(): Unit = engine.close()

    /** The same as [close], and waits until all is freed. */
    public suspend fun shutDown() {
        close()
        engine.awaitFreed()
    }

    private fun end(opened: OpenEngine) {
        opened.engine.shutDown()
        attending.end()
    }

    private suspend fun <T> asked(call: (Engine) -> T): T = calling { engine.use { call(it.engine) } }

    private suspend fun <T> ended(call: (Engine, CancelToken) -> T): T =
        cancelling { cancel -> engine.use { call(it.engine, cancel) } }

    /** Opening engines, and what needs none. */
    public companion object {
        /** The version of the native library, which is loaded for it where it is not. */
        public val libraryVersion: String get() = io.github.idiolect.libraryVersion()

        /**
         * Opens the profile, which is made where it is missing, by the key of the options, by the app's key store, or
         * by the key that lies in the folder. The model is opened with the first call that needs it. The native library
         * is loaded where it is not, away from the caller's thread.
         *
         * `WrongKey` when it opens not with this key, `KeyStore` when the key store refuses, `PutBack` for a history
         * from a backup.
         */
        public suspend fun open(options: EngineOptions, keyStore: KeyStore? = null): PersonalEngine =
            making(PersonalEngine::close) {
                PersonalEngine(OpenEngine(Engine.open(options, keyStore?.let(::AppKeyStore))))
            }

        /**
         * Makes a profile in a folder that is not there yet of an archive, whole or not at all. `WrongKey` for a wrong
         * passphrase, `BadFile` when the archive is damaged, `Unsupported` when a newer version wrote it.
         */
        public suspend fun importProfile(
            archive: String,
            passphrase: String,
            folder: String,
            key: ByteArray? = null,
            keyStore: KeyStore? = null,
        ): Unit = calling {
            io.github.idiolect.importProfile(archive, passphrase, folder, key, keyStore?.let(::AppKeyStore))
        }

        /**
         * Takes a profile's history, which was put back from a backup, as it is. Ask the person before: what they
         * removed since then is there again.
         */
        public suspend fun acceptHistory(folder: String, key: ByteArray? = null, keyStore: KeyStore? = null): Unit =
            calling { io.github.idiolect.acceptHistory(folder, key, keyStore?.let(::AppKeyStore)) }

        /**
         * Erases the profile in a folder that no engine of this process has open; it needs neither key nor model. `Io`
         * when there is none, `TrainingBusy` while a training runs.
         */
        public suspend fun eraseProfile(folder: String): EraseReport =
            calling { io.github.idiolect.eraseProfile(folder) }

        /**
         * Has [listener] hear of the library's work, up to [level], in counts, sizes and words of its own: nothing of
         * what the person wrote is ever in it. It takes the place of the one before; with none, nothing is told.
         * Records come on whatever thread they arise on.
         */
        public suspend fun setLogListener(listener: LogListener?, level: LogLevel = LogLevel.INFO): Unit =
            calling { io.github.idiolect.setLogListener(level, listener) }
    }
}

/** An engine of the bindings' with its parts, which are freed together. */
internal class OpenEngine(val engine: Engine) {
    val history: History = engine.history()
    val adapters: Adapters = engine.adapters()

    fun free() {
        history.close()
        adapters.close()
        engine.close()
    }
}
