package io.github.idiolect

import kotlinx.coroutines.flow.Flow

/**
 * What was learned, in numbered versions, the one in use, and how strongly it is used: [PersonalEngine.adapters].
 *
 * @throws EngineError from every function: `BadOption` where there is no such version, `Io` when the disk refuses,
 * `Suspended`, `Closed`, and what each one says.
 */
public class PersonalAdapters internal constructor(private val engine: Lease<OpenEngine>) {
    /** Every version, and the one in use. */
    public suspend fun list(): AdapterList = asked { it.list() }

    /** Puts a version to use, from the next answer on; null is the base alone. */
    public suspend fun use(version: UInt?): Unit = asked { it.activate(version) }

    /** Goes back to what was in use before, and says what that is. */
    public suspend fun rollback(): UInt? = asked { it.rollback() }

    /** Sets the share of its effect that a version has, from 0 (the base's own bits) to 1. */
    public suspend fun setStrength(version: UInt, strength: Float): Unit = asked { it.setStrength(version, strength) }

    /**
     * Writes a version unsealed, at its strength: a folder that PEFT loads, or one file of it where [destination] ends in
     * `.tar`. It opens the model where it is not.
     */
    public suspend fun exportTo(version: UInt, destination: String): Unit =
        asked { it.exportTo(version, destination) }

    /**
     * Takes in an adapter's folder, or a `.tar` file of one, as a new version; its number. It is not in use yet. `BadFile`
     * when it is damaged, `AdapterMismatch` when it does not fit the model.
     */
    public suspend fun importFrom(source: String): UInt = asked { it.importFrom(source) }

    /**
     * Writes the base with a version at its strength merged in as a model folder that needs no adapter, whole or not at
     * all; each collection merges once. A collection that ends early leaves no folder. `TooLossy` when rounding would
     * swallow too much.
     */
    public fun merge(version: UInt, destination: String, options: MergeOptions = MergeOptions()): Flow<MergeEvent> =
        streaming { cancel, tell ->
            val listener = object : MergeListener {
                override fun onProgress(stage: MergeStage, done: ULong, all: ULong) =
                    tell(MergeEvent.Progress(stage, done, all))
            }
            val report = engine.use { it.adapters.merge(version, destination, options, cancel, listener) }
            tell(MergeEvent.Finished(report))
        }

    /** Deletes a version, and what the history's ledger has of it; where it was in use, the base alone is. */
    public suspend fun delete(version: UInt): Unit = asked { it.delete(version) }

    private suspend fun <T> asked(call: (Adapters) -> T): T = calling { engine.use { call(it.adapters) } }
}
