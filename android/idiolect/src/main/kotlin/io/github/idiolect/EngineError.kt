package io.github.idiolect

/**
 * An error of any call: a case for each kind. It names files, fields and numbers, never what a person wrote.
 *
 * @property detail What went wrong, for people: a sentence without a final full stop.
 * @property hint What to do next, where there is something.
 */
public sealed class EngineError(public val detail: String, public val hint: String?) :
    Exception(if (hint == null) detail else "$detail: $hint") {

    /** A file or folder is missing or cannot be read or written. */
    public class Io(detail: String, hint: String? = null) : EngineError(detail, hint)

    /** A file is not what its format promises: truncated, lying header, wrong type. */
    public class BadFile(detail: String, hint: String? = null) : EngineError(detail, hint)

    /** A valid file that this library does not know how to use. */
    public class Unsupported(detail: String, hint: String? = null) : EngineError(detail, hint)

    /** An adapter that does not belong to this model, or to another adapter that it should be used with. */
    public class AdapterMismatch(detail: String, hint: String? = null) : EngineError(detail, hint)

    /** Text that cannot be used, such as a history in which nothing can be learned from. */
    public class BadData(detail: String, hint: String? = null) : EngineError(detail, hint)

    /** A loss or a gradient that is not finite: weights are damaged or too large, or the learning rate is too high. */
    public class NotFinite(detail: String, hint: String? = null) : EngineError(detail, hint)

    /** An option out of its range, or one that contradicts another. */
    public class BadOption(detail: String, hint: String? = null) : EngineError(detail, hint)

    /** What is asked for would lose more than the options allow. */
    public class TooLossy(detail: String, hint: String? = null) : EngineError(detail, hint)

    /** The memory budget cannot hold the work. */
    public class OverBudget(detail: String, hint: String? = null) : EngineError(detail, hint)

    /** The device is missing, was lost, or ran out of memory. */
    public class Device(detail: String, hint: String? = null) : EngineError(detail, hint)

    /** The key does not open the profile. */
    public class WrongKey(detail: String, hint: String? = null) : EngineError(detail, hint)

    /** The history is older than it was, or records of it were put back: [PersonalEngine.acceptHistory] takes it as it is. */
    public class PutBack(detail: String, hint: String? = null) : EngineError(detail, hint)

    /** The app's key store refused, or does not give back what it was given. */
    public class KeyStore(detail: String, hint: String? = null) : EngineError(detail, hint)

    /** Another process, or this one, is already training on the profile. */
    public class TrainingBusy(detail: String, hint: String? = null) : EngineError(detail, hint)

    /** The work was cancelled from within the engine. A coroutine that is cancelled ends with its own exception. */
    public class Cancelled(detail: String, hint: String? = null) : EngineError(detail, hint)

    /** The engine is suspended, until it is resumed. */
    public class Suspended(detail: String, hint: String? = null) : EngineError(detail, hint)

    /** The engine was closed or erased. */
    public class Closed(detail: String, hint: String? = null) : EngineError(detail, hint)

    /** A callback of the app's failed; the work was ended. */
    public class Listener(detail: String, hint: String? = null) : EngineError(detail, hint)

    /** A kind that this release does not know yet: the text says what it is. */
    public class Other(detail: String, hint: String? = null) : EngineError(detail, hint)

    internal companion object {
        /** The same, as the bindings have it. */
        fun of(refused: EngineException): EngineError = when (refused) {
            is EngineException.Io -> Io(refused.detail, refused.hint)
            is EngineException.BadFile -> BadFile(refused.detail, refused.hint)
            is EngineException.Unsupported -> Unsupported(refused.detail, refused.hint)
            is EngineException.AdapterMismatch -> AdapterMismatch(refused.detail, refused.hint)
            is EngineException.BadData -> BadData(refused.detail, refused.hint)
            is EngineException.NotFinite -> NotFinite(refused.detail, refused.hint)
            is EngineException.BadOption -> BadOption(refused.detail, refused.hint)
            is EngineException.TooLossy -> TooLossy(refused.detail, refused.hint)
            is EngineException.OverBudget -> OverBudget(refused.detail, refused.hint)
            is EngineException.Device -> Device(refused.detail, refused.hint)
            is EngineException.WrongKey -> WrongKey(refused.detail, refused.hint)
            is EngineException.PutBack -> PutBack(refused.detail, refused.hint)
            is EngineException.KeyStore -> KeyStore(refused.detail, refused.hint)
            is EngineException.TrainingBusy -> TrainingBusy(refused.detail, refused.hint)
            is EngineException.Cancelled -> Cancelled(refused.detail, refused.hint)
            is EngineException.Suspended -> Suspended(refused.detail, refused.hint)
            is EngineException.Closed -> Closed(refused.detail, refused.hint)
            is EngineException.Listener -> Listener(refused.detail, refused.hint)
            is EngineException.Other -> Other(refused.detail, refused.hint)
        }
    }
}
