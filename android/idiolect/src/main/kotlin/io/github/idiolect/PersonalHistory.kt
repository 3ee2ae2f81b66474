package io.github.idiolect

/**
 * What the person wrote: [PersonalEngine.history]. It needs no model.
 *
 * Every function suspends; a coroutine that is cancelled meanwhile waits for the call that is under way, so that a change
 * is made whole or not at all.
 *
 * @throws EngineError from every function: `Io` when the disk refuses, `Suspended`, `Closed`, and what each one says.
 */
public class PersonalHistory internal constructor(private val engine: Lease<OpenEngine>) {
    /**
     * Adds a batch, all of it or nothing; durable on return. Another text under a known id takes the old one's place; of
     * several with one id the last one stands, or the one with the latest time. A text without an id and without a time
     * is always another.
     */
    public suspend fun add(samples: List<NewSample>): Added = asked { it.add(samples) }

    /** Adds one text, as a batch of its own. */
    public suspend fun add(sample: NewSample): Added = add(listOf(sample))

    /**
     * Adds all messages of a file or an exported chat, in durable batches. Those without an id are known by what they say,
     * where and when: added again, or in a later export with more, nothing counts twice.
     */
    public suspend fun addAll(samples: List<NewSample>): Added = asked { it.addAll(samples) }

    /** Up to [limit] samples, latest added first; [before] is the number of the last of the page before. */
    public suspend fun list(before: Long? = null, limit: UInt = 100u): List<StoredSample> = asked { it.list(before, limit) }

    /** Figures of the whole history. */
    public suspend fun stats(): HistoryStats = asked { it.stats() }

    /**
     * Removes what is selected, for good, and with it all that a training under way has kept of it; adapters that learned
     * from it are marked.
     */
    public suspend fun remove(selection: Selection): Removed = asked { it.remove(selection) }

    /** Removes everything, as [remove] does. Exclusions and the retention cap stay. */
    public suspend fun clear(): Removed = asked { it.clear() }

    /** Cuts the write-ahead log after a removal that reported itself as pending; whether it is done. */
    public suspend fun finishRemoval(): Boolean = asked { it.finishRemoval() }

    /** Keeps a source or contact out from now on. */
    public suspend fun exclude(exclusion: Exclusion): Unit = asked { it.exclude(exclusion) }

    /** Lets a source or contact in again; whether it was excluded. */
    public suspend fun include(exclusion: Exclusion): Boolean = asked { it.include(exclusion) }

    /** All that is excluded. */
    public suspend fun exclusions(): List<Exclusion> = asked { it.exclusions() }

    /** The cap in force; none at first. */
    public suspend fun retention(): Retention = asked { it.retention() }

    /** Sets the cap and applies it; how many messages went. */
    public suspend fun setRetention(retention: Retention): ULong = asked { it.setRetention(retention) }

    /** Which adapter versions learned from it, oldest first. */
    public suspend fun learnedVersions(): List<LearnedVersion> = asked { it.learnedVersions() }

    /** The numbers of the samples, still there, that an adapter version learned from; `BadOption` where it did not. */
    public suspend fun learnedFrom(version: UInt): List<Long> = asked { it.learnedFrom(version) }

    private suspend fun <T> asked(call: (History) -> T): T = calling { engine.use { call(it.history) } }

    /** Reading files of what a person wrote; no engine is needed. */
    public companion object {
        /**
         * Reads JSON lines with `text` and, where there are, `context`, `id`, `timestamp`, `source`, `contact`,
         * `conversation`, `origin` and `incognito`. A bad row costs one row.
         */
        public suspend fun readJsonl(path: String): FileRows = calling { io.github.idiolect.readJsonl(path) }

        /**
         * Reads one text a line that is not empty; `BadOption` for what begins like an exported chat, in which others
         * wrote, too.
         */
        public suspend fun readLines(path: String): FileRows = calling { io.github.idiolect.readLines(path) }

        /** Reads one text a line that is not empty, whatever the file looks like. */
        public suspend fun readEveryLine(path: String): FileRows = calling { io.github.idiolect.readEveryLine(path) }

        /** Reads the messages of [name] in an exported chat; `BadOption` when none is by [name]. */
        public suspend fun readChat(path: String, name: String): ChatExport =
            calling { io.github.idiolect.readChat(path, name) }

        /** Who wrote in an exported chat, most messages first: to ask the person which of them they are. */
        public suspend fun chatAuthors(path: String): List<ChatAuthor> =
            calling { io.github.idiolect.chatAuthors(path) }

        /** The samples as the privacy filter leaves them, for an app that keeps no more; training sees no more anyway. */
        public suspend fun masked(samples: List<NewSample>, unmasked: List<PrivacyRule> = emptyList()): List<NewSample> =
            calling { io.github.idiolect.masked(samples, unmasked) }
    }
}
