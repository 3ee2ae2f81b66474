import android.os.Looper
import java.util.concurrent.TimeUnit
import kotlinx.coroutines.CoroutineScope
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.launch
import org.robolectric.Shadows.shadowOf

private val PATIENCE_NS = TimeUnit.MINUTES.toNanos(3)

/** Lets the main thread work until [holds]; the engine works meanwhile. */
fun until(what: String, holds: () -> Boolean) {
    val end = System.nanoTime() + PATIENCE_NS
    while (!holds()) {
        check(System.nanoTime() < end) { "in vain: $what" }
        shadowOf(Looper.getMainLooper()).idle()
        Thread.sleep(5)
    }
}

/** What [work] comes to, while the main thread goes on. */
fun <T> awaited(work: suspend () -> T): T {
    var result: Result<T>? = null
    CoroutineScope(Dispatchers.Default).launch { result = runCatching { work() } }
    until("a call of the engine's") { result != null }
    return checkNotNull(result).getOrThrow()
}

/** [got] is [wanted]. */
fun <T> same(what: String, wanted: T, got: T) = check(wanted == got) { "$what: $got instead of $wanted" }
