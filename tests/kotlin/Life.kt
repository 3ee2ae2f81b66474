// The life of a profile through the Kotlin bindings, on the real library: `Life MODEL HISTORY.jsonl`.

import io.github.idiolect.ffi.*
import java.io.File
import java.nio.file.Files
import java.util.concurrent.CompletableFuture
import java.util.concurrent.CompletableFuture.supplyAsync
import kotlin.system.exitProcess

private const val MESSAGES = 400

/** The steps, in order: each goes on with what the ones before it left. */
private class Life(private val model: String, private val messages: List<NewSample>, private val home: File) {
    private val profile = File(home, "profile").path
    private val merged = File(home, "merged")
    private val settings = LearnSettings(train = TrainSettings(epochs = 2u, seed = 7uL))
    private val other = settings.copy(train = settings.train.copy(seed = 8uL))
    private val prompt = "see you"
    private var plain = ""

    private fun open(model: String = this.model, key: ByteArray? = Companion.key) =
        Engine.open(EngineOptions(profile, model, key, DeviceChoice.CPU, 2u))

    fun live() {
        policy()
        chats()
        rows()
        attending(model, messages, home)
        suspending(model, messages, home)
        val engine = open()
        beginning(engine)
        history(engine)
        learning(engine)
        answering(engine)
        conversing(engine)
        adapters(engine)
        merging(engine)
        moving(engine)
        forgetting(engine)
        ending(engine)
    }

    private fun policy() {
        step("says when training may run, and why not") {
            val calm = DeviceSignals(
                charging = true, battery = 0.8f, idle = true, thermal = 0.2f, lowPower = false,
                freeMemory = 2uL shl 30, foreground = false, localMinute = 120u, minutesToday = 3f,
            )
            val night = defaultPolicy().copy(window = TimeWindow(1320u, 360u))
            val (start, run) = TrainingPhase.STARTING to TrainingPhase.RUNNING
            val cases = listOf(
                Triple(calm, start, listOf()),
                Triple(calm.copy(charging = false), start, listOf(PolicyRule.CHARGING)),
                Triple(calm.copy(charging = false, idle = false), run, listOf(PolicyRule.CHARGING, PolicyRule.IDLE)),
                Triple(calm.copy(battery = 0.25f), start, listOf(PolicyRule.BATTERY)),
                Triple(calm.copy(battery = 0.25f), run, listOf()),
                Triple(calm.copy(thermal = 0.9f), run, listOf(PolicyRule.THERMAL)),
                Triple(calm.copy(lowPower = true), start, listOf(PolicyRule.LOW_POWER)),
                Triple(calm.copy(freeMemory = 1uL shl 20), start, listOf(PolicyRule.MEMORY)),
                Triple(calm.copy(localMinute = 720u), start, listOf(PolicyRule.TIME_WINDOW)),
                Triple(calm.copy(minutesToday = 30f), run, listOf(PolicyRule.DAILY_MINUTES)),
                Triple(DeviceSignals(), start, listOf()),
            )
            for ((signals, phase, rules) in cases) {
                val decision = decideTraining(signals, night, phase)
                val verdict = when {
                    rules.isEmpty() -> PolicyVerdict.RUN
                    phase == run -> PolicyVerdict.PAUSE
                    else -> PolicyVerdict.WAIT
                }
                same("decision on $signals", verdict to rules, decision.verdict to decision.reasons.map { it.rule })
                check(decision.reasons.all { it.words.isNotBlank() })
            }
            val off = explainTraining(calm, alwaysPolicy(), start)
            same("rules", PolicyRule.entries - PolicyRule.OTHER, off.map { it.rule })
            check(off.all { it.standing == Standing.OFF && it.words.isNotBlank() }) { "$off" }
            val strict = defaultPolicy().copy(allowUnknown = false)
            same("unknown", PolicyVerdict.WAIT, decideTraining(DeviceSignals(), strict, start).verdict)
            refused(ErrorKind.BAD_OPTION, "battery_to_start") {
                decideTraining(calm, defaultPolicy().copy(batteryToStart = 30f), start)
            }
            decideTraining(calm.copy(charging = false), night, start).reasons.single().words
        }
    }

    private fun chats() {
        step("takes in an exported chat; history and erasure need no model") {
            val file = File(home, "with Ben.txt").apply { writeText(chat) }.path
            same("authors", mapOf("Ana" to 3uL, "Ben" to 2uL), chatAuthors(file).associate { it.name to it.messages })
            val export = readChat(file, "Ana")
            same("texts", listOf("on my way\nin ten minutes", "see you", "bye"), export.samples.map { it.text })
            same("context", "are you coming", export.samples[0].context)
            same("contact", "Ben", export.samples[0].contact)
            same("read", Triple(DateOrder.DAY_FIRST, true, 1uL), Triple(export.dateOrder, export.orderIsSure, export.marks))
            val hint = refused(ErrorKind.BAD_OPTION, "name") { readChat(file, "Cleo") }
            check(hint != null && "authors" in hint && "Ana" !in hint) { "hint: $hint" }
            val place = File(home, "chats")
            val engine = Engine.open(EngineOptions(place.path, File(home, "nowhere").path))
            same("added", 3uL, engine.history().addAll(export.samples).newTexts)
            same("added again", 3uL, engine.history().addAll(export.samples).known)
            val status = engine.status(GateSettings(), false)
            same("messages", 3uL to listOf(3uL), status.messages to status.sources.map { it.messages })
            check(!status.nextTraining.worthwhile && status.nextTraining.explanation.isNotBlank()) { "$status" }
            engine.shutDown()
            same("after shutting down", 3uL, engine.history().stats().total.messages)
            same("history files", true, engine.erase().history.files > 0uL)
            check(!place.exists())
            engine.close()
            hint
        }
    }

    private fun rows() {
        step("reads rows, and names those that are bad") {
            val rows = listOf("""{"text":"ok"}""", """{"text":null}""", """{"text":"ok","timestamp":"1701990508000"}""")
            val file = File(home, "rows.jsonl").apply { writeText(rows.joinToString("\n")) }.path
            val read = readJsonl(file)
            same("rows", listOf(null, 1_701_990_508L), read.samples.map { it.timestamp })
            same("skipped", 1uL to listOf(2uL), read.skipped to read.skippedRows.map { it.line })
            read.skippedRows.single().why
        }
    }

    private fun beginning(engine: Engine) {
        step("opens a profile and a model") {
            same("state", EngineState.Idle, engine.state())
            engine.check()
        }
        step("a wrong path of the model: kind, message and hint") {
            val nowhere = File(home, "nowhere").path
            val missing = open(model = nowhere)
            val hint = refused(ErrorKind.IO, nowhere) { missing.check() }
            check(hint != null && "GGUF" in hint) { "hint: $hint" }
            missing.shutDown()
            missing.close()
            hint
        }
        step("a wrong key, one too short, and none at all") {
            val hint = checkNotNull(refused(ErrorKind.WRONG_KEY, profile) { open(key = ByteArray(32) { 9 }) }) { "no hint" }
            refused(ErrorKind.WRONG_KEY, profile) { open(key = null) }
            refused(ErrorKind.BAD_OPTION, "31") { open(key = ByteArray(31) { 9 }) }
            hint
        }
    }

    private fun history(engine: Engine) {
        val history = engine.history()
        step("adds messages in batches, and the same again") {
            val added = messages.chunked(150).map(history::add)
            same("messages", MESSAGES.toULong(), added.sumOf { it.newTexts + it.repeated })
            same("known", MESSAGES.toULong(), history.add(messages).known)
            same("stats", MESSAGES.toULong(), history.stats().total.messages)
        }
        step("keeps out what is excluded, incognito or blank") {
            history.exclude(Exclusion.Source("bank"))
            val secret = NewSample("my secret", source = "bank")
            val added = history.add(listOf(secret, NewSample("my secret", incognito = true), NewSample("  ")))
            same("kept out", listOf(1uL, 1uL, 1uL, 0uL), added.run { listOf(excluded, incognito, blank, newTexts) })
            same("exclusions", listOf<Exclusion>(Exclusion.Source("bank")), history.exclusions())
            check(history.include(Exclusion.Source("bank")))
            same("masked", "write to ***", masked(listOf(NewSample("write to ana@example.com")), listOf())[0].text)
            val place = listOf(NewSample("cpf 111.222.333-96 at 52.520008, 13.404954"))
            same("masked by rule", "cpf 111.222.333-96 at ***", masked(place, listOf(PrivacyRule.NATIONAL_ID))[0].text)
        }
        step("an edit takes the old text's place, and an origin of the app's own is kept") {
            val note = NewSample("the train leaves at nine", id = "note", origin = Origin.Other("dictated"))
            same("new", 1uL, history.add(listOf(note)).newTexts)
            same("replaced", 1uL, history.add(listOf(note.copy(text = "the train leaves at ten"))).replaced)
            val kept = history.list(null, 1u).single()
            same("text", "the train leaves at ten", kept.text)
            same<Origin>("origin", Origin.Other("dictated"), kept.origin)
            same("removed", 1uL, history.remove(Selection.AppIds(listOf("note"))).messages)
        }
        step("lists pages, and shows no text where nobody asked for it") {
            val first = history.list(null, 10u)
            val second = history.list(first.last().id, 10u)
            same("samples", 20, (first + second).map { it.id }.toSet().size)
            check(messages.any { it.text == first[0].text }) { "the text is another one" }
            for (shown in listOf(first[0], NewSample(first[0].text), Prompt.Text(first[0].text))) {
                check(first[0].text !in shown.toString()) { "a text is shown" }
            }
            first[0]
        }
    }

    private fun learning(engine: Engine) {
        step("trains with progress, and pauses when it is cancelled") {
            val cancel = CancelToken()
            var cancelled = 0L
            val course = Course {
                if (it is LearnEvent.Step && it.step == 5uL) {
                    check(engine.state() is EngineState.Training) { "state: ${engine.state()}" }
                    cancelled = System.nanoTime()
                    cancel.cancel()
                }
            }
            same<LearnOutcome>("outcome", LearnOutcome.Paused(PauseReason.CANCELLED), engine.learn(settings, course, cancel))
            val milliseconds = (System.nanoTime() - cancelled) / 1_000_000
            check(milliseconds < 1000) { "it took $milliseconds ms to end" }
            check(cancel.isCancelled())
            same("state", EngineState.Idle, engine.state())
            check(engine.hasPausedTraining() && engine.lastReport() == null)
            "$milliseconds ms from cancelling to the end, a checkpoint written"
        }
        step("saves when it is called to, and goes on") {
            engine.saveProgress()
            val cancel = CancelToken()
            var saved = 0uL
            val course = Course {
                if (it is LearnEvent.Step && saved == 0uL) {
                    engine.saveProgress()
                    check(engine.hasPausedTraining()) { "no checkpoint" }
                    saved = it.step
                } else if (it is LearnEvent.Step && it.step > saved) cancel.cancel()
            }
            same<LearnOutcome>("outcome", LearnOutcome.Paused(PauseReason.CANCELLED), engine.learn(settings, course, cancel))
        }
        step("an error in the listener ends it, and arrives") {
            refused(ErrorKind.LISTENER, "callback") { engine.learn(settings, Course { error("not for the engine") }) }
            same("state", EngineState.Idle, engine.state())
        }
        step("goes on to the end, through the gate") {
            val course = Course()
            val report = (engine.learn(settings, course) as LearnOutcome.Finished).report
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
            val status = engine.status(GateSettings(), true)
            val version = checkNotNull(status.inUse) { "none in use" }
            same("in use", 1u to AdapterOrigin.TRAINED, version.version to version.origin)
            same("its report", report, version.report)
            same("stale", false, status.stale)
            val parts = listOf(status.trains, status.validates, status.heldOut).sumOf { it.samples }
            same("texts", status.texts, parts)
            same<NextTrainingReason>("next", NextTrainingReason.Unchanged, status.nextTraining.reason)
            report.verdict.explanation
        }
        step("nothing changed: the same report at once") {
            val report = (engine.learn(settings, Course()) as LearnOutcome.Finished).report
            check(report.unchanged && report.version == 1u)
        }
    }

    private fun answering(engine: Engine) {
        step("streams whole text") {
            val heard = Pieces()
            val options = GenerateOptions(maxTokens = 40u, temperature = 0.7f, seed = 3uL)
            val made = engine.generate(Prompt.Text(prompt), options, CancelToken(), heard)
            same("pieces", made.text, heard.pieces.joinToString(""))
            check(made.tokens > 0uL && heard.pieces.size <= made.tokens.toInt())
            check(made.finishReason in setOf(FinishReason.MAX_TOKENS, FinishReason.END_OF_TURN))
            "${made.tokens} tokens in ${heard.pieces.size} callbacks"
        }
        step("a cancelled generation gives what there is; a listener's error arrives") {
            val cancel = CancelToken()
            // So long that it cannot be over before the cancelling comes.
            val options = GenerateOptions(maxTokens = 400u, temperature = 0.7f, ignoreEos = true)
            val heard = Pieces { cancel.cancel() }
            val made = engine.generate(Prompt.Chat(prompt), options, cancel, heard)
            same("finish", FinishReason.CANCELLED, made.finishReason)
            same("pieces", made.text, heard.pieces.joinToString(""))
            refused(ErrorKind.LISTENER, "callback") {
                engine.generate(Prompt.Text(prompt), options, CancelToken(), Pieces { error("not for the engine") })
            }
        }
        step("suggests whole words, likeliest first") {
            val words = engine.suggest("i am going to ", SuggestOptions(), CancelToken())
            check(words.size in 1..3 && words.all { it.text.isNotBlank() && it.probability in 0.0..1.0 }) { "$words" }
            check(words.all { it.replaces == 0u }) { "$words" }
            same("order", words.sortedByDescending { it.probability }.map { it.text }, words.map { it.text })
            val completed = engine.suggest("i am go", SuggestOptions(count = 2u), CancelToken())
            check(completed.size in 1..2 && completed.all { it.replaces == 2u && it.text.startsWith("go", true) }) {
                "$completed"
            }
            (words + completed).joinToString { it.text }
        }
        step("measures texts with and without the adapter") {
            val texts = messages.take(40).map { EvaluationText(it.text) }
            val (before, after) = listOf(false, true).map { engine.evaluate(texts, it, CancelToken()).nll }
            check(after < before) { "$before to $after" }
            "%.2f to %.2f nats a token".format(before, after)
        }
        step("answers while it trains; a second training is refused; unloading pauses") {
            val begun = CompletableFuture<Unit>()
            val training = supplyAsync { engine.learn(other, Course { if (it is LearnEvent.Step) begun.complete(Unit) }) }
            begun.soon()
            val begin = System.nanoTime()
            check(engine.greedy(prompt).isNotEmpty())
            val milliseconds = (System.nanoTime() - begin) / 1_000_000
            check(!training.isDone) { "it did not wait for the training to end" }
            refused(ErrorKind.TRAINING_BUSY, "training") { engine.learn(settings, Course()) }
            engine.unload()
            same<LearnOutcome>("outcome", LearnOutcome.Paused(PauseReason.MEMORY_PRESSURE), training.soon())
            "an answer of 24 tokens in $milliseconds ms"
        }
    }

    private fun adapters(engine: Engine) {
        val adapters = engine.adapters()
        step("lists adapters, switches to none and back") {
            val listed = adapters.list()
            same("active", 1u, listed.active)
            same("origin", AdapterOrigin.TRAINED, listed.versions.single().origin)
            same("report", engine.lastReport(), listed.versions.single().report)
            same("base", engine.model().fingerprint, listed.versions.single().baseFingerprint)
            same("stale", null, engine.staleVersion())
            val adapted = engine.greedy(prompt)
            adapters.activate(null)
            plain = engine.greedy(prompt)
            check(adapted != plain) { "the adapter does nothing" }
            same("rolled back to", 1u, adapters.rollback())
            same("text", adapted, engine.greedy(prompt))
            refused(ErrorKind.BAD_OPTION, "9") { adapters.activate(9u) }
        }
        step("strength 0 is the base itself") {
            adapters.setStrength(1u, 0f)
            same("text", plain, engine.greedy(prompt))
            adapters.setStrength(1u, 1f)
            refused(ErrorKind.BAD_OPTION, "1.5") { adapters.setStrength(1u, 1.5f) }
        }
        step("exports, imports and deletes") {
            val archive = File(home, "voice.tar").path
            adapters.setStrength(1u, 0.5f)
            adapters.exportTo(1u, archive)
            adapters.setStrength(1u, 1f)
            val version = adapters.importFrom(archive)
            val (first, imported) = adapters.list().versions
            same("imported", AdapterOrigin.IMPORTED to first.sha256, imported.origin to imported.sha256)
            same("its strength", 0.5f, imported.strength)
            check(imported.report == null)
            adapters.delete(version)
            refused(ErrorKind.BAD_OPTION, "$version") { adapters.delete(version) }
            same("versions", listOf(1u), adapters.list().versions.map { it.version })
            refused(ErrorKind.IO, "nothing-here") { adapters.importFrom(File(home, "nothing-here").path) }
        }
    }

    private fun merging(engine: Engine) {
        val adapters = engine.adapters()
        fun merge(version: UInt, listener: Stages, cancel: CancelToken = CancelToken()) =
            adapters.merge(version, merged.path, MergeOptions(), cancel, listener)
        step("a merge that is cancelled, or whose listener fails, leaves nothing") {
            val cancel = CancelToken()
            refused(ErrorKind.CANCELLED, "") { merge(1u, Stages { cancel.cancel() }, cancel) }
            refused(ErrorKind.LISTENER, "callback") { merge(1u, Stages { error("not for the engine") }) }
            refused(ErrorKind.BAD_OPTION, "9") { merge(9u, Stages()) }
            check(!merged.exists())
        }
        step("merges into a folder that opens and needs no adapter") {
            val heard = Stages()
            val report = merge(1u, heard)
            same("stages", MergeStage.entries, heard.stages.take(3))
            check(report.matrices.isNotEmpty() && report.divergence.run { kl < klOfBase }) { "$report" }
            val texts = messages.take(40).map { EvaluationText(it.text) }
            val alone = Engine.open(EngineOptions(File(home, "alone").path, merged.path, device = DeviceChoice.CPU))
            same("fingerprint", report.fingerprint, alone.model().fingerprint)
            val (with, without) = listOf(engine to true, alone to false)
                .map { (of, adapter) -> of.evaluate(texts, adapter, CancelToken()).nll }
            check(kotlin.math.abs(with - without) < 0.1) { "$with with the adapter, $without merged" }
            alone.erase()
            alone.close()
            "${report.bytesBefore} to ${report.bytes} bytes; %.3f and %.3f nats a token".format(with, without)
        }
    }

    private fun moving(engine: Engine) {
        step("moves to another device under a passphrase") {
            val archive = File(home, "profile.archive").path
            val archived = engine.exportProfile(archive, "a long passphrase")
            check(archived.files > 0uL)
            val place = File(home, "moved").path
            refused(ErrorKind.WRONG_KEY, "passphrase") { importProfile(archive, "another", place) }
            importProfile(archive, "a long passphrase", place, key)
            Engine.open(EngineOptions(place, model, key)).use { moved ->
                same("stats", engine.history().stats().total, moved.history().stats().total)
                same("adapters", engine.adapters().list(), moved.adapters().list())
                same("stale", null, moved.staleVersion())
                moved.changeKey(keyStore = Vault(5))
                moved.shutDown()
            }
            refused(ErrorKind.WRONG_KEY, place) { Engine.open(EngineOptions(place, model, key)) }
            refused(ErrorKind.WRONG_KEY, place) { Engine.open(EngineOptions(place, model), Vault(6)) }
            val locked = Vault(5).also { it.refuses = true }
            refused(ErrorKind.KEY_STORE, "key store") { Engine.open(EngineOptions(place, model), locked) }
            Engine.open(EngineOptions(place, model), Vault(5)).use { moved ->
                refused(ErrorKind.KEY_STORE, "key store") { moved.changeKey(keyStore = locked) }
                moved.changeKey(key)
                moved.shutDown()
            }
            // On another base, the adapter is of no use until it has learned again.
            Engine.open(EngineOptions(place, merged.path, key, DeviceChoice.CPU)).use { other ->
                same("stale", 1u, other.staleVersion())
                check(other.greedy(prompt).isNotEmpty())
                other.erase()
            }
            "${archived.files} files, ${archived.bytes} bytes"
        }
    }

    private fun forgetting(engine: Engine) {
        val history = engine.history()
        step("removes messages; the adapter that learned from them is marked") {
            val removed = history.remove(Selection.Time(0, Long.MAX_VALUE / 2))
            same("messages", MESSAGES.toULong(), removed.messages)
            same("marked", listOf(1u), removed.marked)
            check(engine.adapters().list().versions.single().learnedFromRemoved)
            same("left", 0uL, history.stats().total.messages)
        }
        step("a deleted adapter is forgotten by the history as well") {
            val learned = history.learnedVersions().single()
            check(learned.version == 1u && learned.samples == learned.removed && learned.samples > 0uL) { "$learned" }
            same("samples left", listOf(), history.learnedFrom(1u))
            engine.adapters().delete(1u)
            same("versions", listOf(), history.learnedVersions())
            same("adapters", AdapterList(listOf(), null), engine.adapters().list())
        }
        step("a cap holds") {
            history.setRetention(Retention(maxMessages = 300uL))
            same("expired", (MESSAGES - 300).toULong(), history.add(messages).expired)
            same("cap", 300uL, history.retention().maxMessages)
        }
    }

    private fun ending(engine: Engine) {
        step("closing from another thread during a training is safe") {
            val begun = CompletableFuture<Unit>()
            val training = supplyAsync { engine.learn(other, Course { if (it is LearnEvent.Step) begun.complete(Unit) }) }
            begun.soon()
            supplyAsync { engine.shutDown() }.soon()
            same<LearnOutcome>("outcome", LearnOutcome.Paused(PauseReason.CLOSING), training.soon())
            same("state", EngineState.Closed, engine.state())
            refused(ErrorKind.CLOSED, "closed") { engine.check() }
            same("history", 300uL, engine.history().stats().total.messages)
            engine.close()
        }
        step("erases during a training: nothing is left") {
            val again = open()
            val begun = CompletableFuture<Unit>()
            val training = supplyAsync { again.learn(other, Course { if (it is LearnEvent.Step) begun.complete(Unit) }) }
            begun.soon()
            val report = again.erase()
            same<LearnOutcome>("outcome", LearnOutcome.Paused(PauseReason.CLOSING), training.soon())
            same("keys", 1uL, report.keys.files)
            check(report.run { history.files > 0uL && adapters.files > 0uL && left.isEmpty() }) { "$report" }
            check(!File(profile).exists())
            val (history, adapters) = again.history() to again.adapters()
            val calls = listOf(
                { again.erase() }, { again.check() }, { again.lastReport() }, { again.suggest(prompt, SuggestOptions(), CancelToken()) },
                { again.learn(settings, Course()) }, { history.stats() }, { history.add(messages) }, { history.clear() },
                { adapters.list() }, { adapters.activate(null) }, { adapters.delete(1u) },
            )
            for (call in calls) refused(ErrorKind.CLOSED, "") { call() }
            check(!File(profile).exists()) { "a file came back" }
            again.close()
            refused(ErrorKind.IO, profile) { eraseProfile(profile) }
            "${report.total.files} files, ${report.total.bytes} bytes"
        }
    }

    private companion object {
        val key = ByteArray(32) { (it + 1).toByte() }

        val chat = """
            [30/12/23, 21:40:01] Ben: are you coming
            [30/12/23, 21:41:00] Ana: on my way
            in ten minutes
            [30/12/23, 21:42:00] Ana: <Media omitted>
            [30/12/23, 21:43:00] Ben: great
            [30/12/23, 21:44:00] Ana: see you
            [31/12/23, 09:00:00] Ana: bye
        """.trimIndent()
    }
}

fun main(args: Array<String>) {
    val (model, history) = args
    val home = Files.createTempDirectory("idiolect-kotlin").toFile()
    val failed = try {
        Life(model, readJsonl(history).samples.take(MESSAGES), home).live()
        0
    } catch (failure: Throwable) {
        failure.printStackTrace()
        1
    } finally {
        home.deleteRecursively()
    }
    println("kotlin: $passed passed, $failed failed")
    exitProcess(failed)
}
