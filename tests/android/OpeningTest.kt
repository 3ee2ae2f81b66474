import android.content.Context
import android.content.ContextWrapper
import android.content.res.AssetManager
import io.github.idiolect.EngineError
import io.github.idiolect.PersonalEngine
import io.github.idiolect.android.AppModel
import io.github.idiolect.android.DirectBootSuggestions
import io.github.idiolect.android.open
import io.github.idiolect.sample.ModelFolder
import java.io.File
import java.util.concurrent.CopyOnWriteArrayList
import kotlinx.coroutines.runBlocking
import org.junit.Before
import org.junit.Test
import org.junit.runner.RunWith
import org.robolectric.RobolectricTestRunner
import org.robolectric.RuntimeEnvironment

/** Opening by the app's own context: what it asks of the disk, and of an APK's assets. */
@RunWith(RobolectricTestRunner::class)
class OpeningTest {
    private val app get() = RuntimeEnvironment.getApplication()
    private val asked = CopyOnWriteArrayList<Thread>()

    @Before
    fun keys() = TestKeystore.install()

    /** A context that knows on which threads the disk was asked for. */
    private inner class Watched(base: Context) : ContextWrapper(base) {
        override fun getNoBackupFilesDir(): File = super.getNoBackupFilesDir().also { asked += Thread.currentThread() }

        override fun getAssets(): AssetManager = super.getAssets().also { asked += Thread.currentThread() }

        override fun createDeviceProtectedStorageContext() = Watched(super.createDeviceProtectedStorageContext())
    }

    @Test
    fun `a GGUF file among the assets suggests from where it lies in the APK`() {
        val apk = File(checkNotNull(javaClass.classLoader!!.getResource("model.apk")).toURI())
        @Suppress("DEPRECATION")
        check(app.assets.addAssetPath(apk.path) != 0) { "the APK was not taken" }
        app.assets.openFd("model.gguf").use { check(it.startOffset > 0 && it.length in 50_000_000 until apk.length()) }
        val engine = awaited { PersonalEngine.open(app, AppModel.Asset("model.gguf")) }
        val words = awaited { engine.suggest("see you tom") }.map { it.text }
        check(words.isNotEmpty() && words.all { it.startsWith("tom") }) { "$words" }
        val kept = app.dataDir.walk().filter { it.isFile }.sumOf { it.length() }
        check(kept < 10_000_000) { "$kept bytes lie in the app's storage" }
        check(File("/proc/self/maps").readLines().any { it.endsWith(apk.path) }) { "it is not mapped from the APK" }
        awaited { engine.shutDown() }
    }

    @Test
    fun `no call asks the disk on its caller's thread`() {
        val model = AppModel.Stored(ModelFolder(app).unpacked())
        val context = Watched(app)
        for ((call, make) in listOf<Pair<String, suspend () -> Unit>>(
            "a stored model" to { PersonalEngine.open(context, model).shutDown() },
            "an asset" to { PersonalEngine.open(context, AppModel.Asset("none.gguf")).shutDown() },
            "before the unlock" to { DirectBootSuggestions(context, model).run { suggest("see you "); end() } },
        )) {
            asked.clear()
            // On this thread alone but for what the library does on its own.
            runBlocking {
                try {
                    make()
                } catch (_: EngineError.Io) {
                    // There is no such asset.
                }
            }
            check(asked.isNotEmpty()) { "$call asked for nothing" }
            check(Thread.currentThread() !in asked) { "$call asked on its caller's thread" }
        }
    }
}
