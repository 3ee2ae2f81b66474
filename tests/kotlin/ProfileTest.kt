import io.github.idiolect.*
import java.io.File
import kotlinx.coroutines.async
import kotlinx.coroutines.flow.toList
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.io.TempDir

/** A profile as a whole: its key, its way to another device, its end. */
class ProfileTest(@param:TempDir private val home: File) {
    private val place = File(home, "moved")
    private val archive = File(home, "profile.archive").path

    @Test
    fun `moves to another device under a passphrase`() = work {
        PersonalEngine.open(options(Person.trained(home))).whileOpen { engine ->
            check(engine.exportProfile(archive, "a long passphrase").files > 0uL)
            refused<EngineError.WrongKey>("passphrase") { PersonalEngine.importProfile(archive, "another", place.path) }
            PersonalEngine.importProfile(archive, "a long passphrase", place.path, Person.key)
            PersonalEngine.open(options(place)).whileOpen { moved ->
                same("stats", engine.history.stats().total, moved.history.stats().total)
                same("adapters", engine.adapters.list(), moved.adapters.list())
                same("stale", null, moved.staleVersion())
            }
        }
    }

    @Test
    fun `is kept under a key, or by a key store that may refuse`() = work {
        fresh(home).whileOpen { it.changeKey(keyStore = Vault(5)) }
        val folder = File(home, "fresh")
        val options = options(folder, key = null)
        refused<EngineError.WrongKey>(folder.path) { PersonalEngine.open(options(folder)) }
        refused<EngineError.WrongKey>(folder.path) { PersonalEngine.open(options, Vault(6)) }
        val vault = Vault(5)
        PersonalEngine.open(options, vault).whileOpen { engine ->
            vault.refuses = IllegalStateException("my secret")
            refused<EngineError.KeyStore>("key store") { engine.changeKey(keyStore = vault) }
            engine.changeKey(Person.key)
        }
        PersonalEngine.open(options(folder)).whileOpen { it.changeKey(keyStore = vault.apply { refuses = null }) }
        vault.refuses = EngineError.Io("the device is locked")
        refused<EngineError.KeyStore>("the device is locked") { PersonalEngine.open(options, vault) }
        vault.refuses = EngineError.WrongKey("the key is gone", "restore it")
        val hint = refused<EngineError.WrongKey>("the key is gone") { PersonalEngine.open(options, vault) }.hint
        same("hint", "restore it", hint)
        vault.refuses = null
        PersonalEngine.open(options, vault).whileOpen { check(it.history.stats().total.messages > 0uL) }
    }

    @Test
    fun `a history that was put back is taken when the person says so`() = work {
        val folder = File(home, "fresh")
        fresh(home).shutDown()
        val backup = folder.listFiles { file -> file.name in listOf("history.db", "history.db-wal") }!!
            .associate { it.name to it.readBytes() }
        PersonalEngine.open(options(folder)).whileOpen { it.history.clear() }
        for (name in listOf("history.db", "history.db-wal", "history.db-shm")) File(folder, name).delete()
        for ((name, bytes) in backup) File(folder, name).writeBytes(bytes)
        check(refused<EngineError.PutBack>("") { PersonalEngine.open(options(folder)).shutDown() }.hint != null)
        PersonalEngine.acceptHistory(folder.path, Person.key)
        PersonalEngine.open(options(folder)).whileOpen { check(it.history.stats().total.messages == 120uL) }
    }

    @Test
    fun `erases during a training - nothing is left`() = work {
        val engine = PersonalEngine.open(options(Person.trained(home)))
        val folder = File(home, "trained")
        val long = LearnSettings(train = TrainSettings(steps = 5000u))
        val training = async { engine.train(long).toList() }
        while ((engine.state as? EngineState.Training)?.step?.let { it > 0uL } != true) Thread.sleep(5)
        val report = engine.eraseAll()
        same<TrainEvent>("outcome", TrainEvent.Paused(PauseReason.CLOSING), training.await().last())
        same("keys", 1uL, report.keys.files)
        check(report.run { history.files > 0uL && adapters.files > 0uL && left.isEmpty() }) { "$report" }
        check(!folder.exists())
        val (history, adapters) = engine.history to engine.adapters
        val calls = listOf<suspend () -> Any?>(
            engine::eraseAll, engine::check, engine::lastReport, { engine.suggest("see you") }, { engine.train().toList() },
            history::stats, { history.add(NewSample("hello")) }, history::clear,
            adapters::list, { adapters.use(null) }, { adapters.delete(1u) }, { engine.conversation() },
        )
        for (call in calls) refused<EngineError.Closed>("") { call() }
        same<EngineState>("state", EngineState.Closed, engine.state)
        check(!folder.exists()) { "a file came back" }
        refused<EngineError.Io>(folder.path) { PersonalEngine.eraseProfile(folder.path) }
        engine.shutDown()
    }

    @Test
    fun `a profile that nobody opens is erased without its key`() = work {
        fresh(home).shutDown()
        check(PersonalEngine.eraseProfile(File(home, "fresh").path).total.files > 0uL)
        check(!File(home, "fresh").exists())
    }
}
