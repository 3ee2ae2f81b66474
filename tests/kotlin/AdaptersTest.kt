import io.github.idiolect.*
import java.io.File
import kotlinx.coroutines.flow.first
import kotlinx.coroutines.flow.toList
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.io.TempDir

/** Versions of what was learned. */
class AdaptersTest(@param:TempDir private val home: File) {
    private val prompt = "see you"
    private val merged = File(home, "merged")

    private fun adapting(body: suspend (PersonalEngine) -> Unit) =
        work { PersonalEngine.open(options(Person.trained(home))).whileOpen(body) }

    @Test
    fun `lists adapters, switches to none and back`() = adapting { engine ->
        val adapters = engine.adapters
        val listed = adapters.list()
        same("active", 1u, listed.active)
        same("origin", AdapterOrigin.TRAINED, listed.versions.single().origin)
        same("report", engine.lastReport(), listed.versions.single().report)
        same("base", engine.model().fingerprint, listed.versions.single().baseFingerprint)
        same("stale", null, engine.staleVersion())
        val adapted = engine.greedy(prompt)
        adapters.use(null)
        val plain = engine.greedy(prompt)
        check(adapted != plain) { "the adapter does nothing" }
        same("by request", adapted, engine.greedy(prompt, listOf(AdapterWeight(1u, 1f))))
        same("rolled back to", 1u, adapters.rollback())
        same("text", adapted, engine.greedy(prompt))
        same("the base, by request", plain, engine.greedy(prompt, listOf()))
        refused<EngineError.BadOption>("9") { adapters.use(9u) }
    }

    @Test
    fun `strength 0 is the base itself`() = adapting { engine ->
        val adapters = engine.adapters
        val plain = engine.greedy(prompt, listOf())
        adapters.setStrength(1u, 0f)
        same("text", plain, engine.greedy(prompt))
        adapters.setStrength(1u, 1f)
        check(engine.greedy(prompt) != plain)
        refused<EngineError.BadOption>("1.5") { adapters.setStrength(1u, 1.5f) }
    }

    @Test
    fun `exports, imports and deletes`() = adapting { engine ->
        val adapters = engine.adapters
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
        refused<EngineError.BadOption>("$version") { adapters.delete(version) }
        same("versions", listOf(1u), adapters.list().versions.map { it.version })
        refused<EngineError.Io>("nothing-here") { adapters.importFrom(File(home, "nothing-here").path) }
    }

    @Test
    fun `a merge that ends early leaves nothing`() = adapting { engine ->
        engine.adapters.merge(1u, merged.path).first()
        refused<EngineError.BadOption>("9") { engine.adapters.merge(9u, merged.path).toList() }
        check(!merged.exists())
    }

    @Test
    fun `merges into a folder that opens and needs no adapter, and whose adapters are others`() = adapting { engine ->
        val events = engine.adapters.merge(1u, merged.path).toList()
        val heard = events.filterIsInstance<MergeEvent.Progress>()
        check(heard.all { it.done <= it.all })
        same("stages", MergeStage.entries.toSet(), heard.map { it.stage }.toSet())
        val report = (events.last() as MergeEvent.Finished).report
        check(report.matrices.isNotEmpty() && report.divergence.run { kl < klOfBase }) { "$report" }
        val texts = Person.messages.take(40).map { EvaluationText(it.text) }
        val with = engine.evaluate(texts).nll
        PersonalEngine.open(options(File(home, "alone"), merged.path, key = null)).whileOpen { alone ->
            same("fingerprint", report.fingerprint, alone.model().fingerprint)
            val without = alone.evaluate(texts).nll
            check(kotlin.math.abs(with - without) < 0.1) { "$with with the adapter, $without merged" }
            for (voice in listOf("voice", "voice.tar").map { File(home, it).path }) {
                engine.adapters.exportTo(1u, voice)
                refused<EngineError.AdapterMismatch>("") { alone.adapters.importFrom(voice) }
            }
            same("versions", 0, alone.adapters.list().versions.size)
        }
        // On another base, the adapter is of no use until it has learned again.
        val copy = File(home, "copy").also { File(home, "trained").copyRecursively(it) }
        PersonalEngine.open(options(copy, merged.path)).whileOpen { other ->
            same("stale", 1u, other.staleVersion())
            check(other.greedy(prompt).isNotEmpty())
        }
        refused<EngineError.TooLossy>("") {
            val strict = MergeOptions(maxDivergence = 1e-9, maxBits = 4u)
            engine.adapters.merge(1u, File(home, "strict").path, strict).toList()
        }
    }
}
