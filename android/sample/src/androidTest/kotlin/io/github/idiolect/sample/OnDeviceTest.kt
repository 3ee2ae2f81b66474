package io.github.idiolect.sample

import android.app.Instrumentation
import android.app.job.JobScheduler
import android.content.ContextWrapper
import android.os.ParcelFileDescriptor
import android.util.Log
import androidx.test.platform.app.InstrumentationRegistry
import io.github.idiolect.EngineError
import io.github.idiolect.EngineState
import io.github.idiolect.LearnEvent
import io.github.idiolect.LearnSettings
import io.github.idiolect.PersonalEngine
import io.github.idiolect.PersonalHistory
import io.github.idiolect.TrainEvent
import io.github.idiolect.TrainSettings
import io.github.idiolect.android.AppModel
import io.github.idiolect.android.KeystoreKeys
import io.github.idiolect.android.open
import java.io.File
import kotlin.time.Duration.Companion.minutes
import kotlin.time.measureTime
import kotlinx.coroutines.delay
import kotlinx.coroutines.flow.first
import kotlinx.coroutines.flow.last
import kotlinx.coroutines.runBlocking
import kotlinx.coroutines.withTimeout
import org.junit.After
import org.junit.Assert.assertArrayEquals
import org.junit.Assert.assertEquals
import org.junit.Assert.assertThrows
import org.junit.Assert.assertTrue
import org.junit.Assume.assumeTrue
import org.junit.Test

/** What only a device has: the library built for it, its Keystore, its JobScheduler, the assets of an APK. */
class OnDeviceTest {
    private val instrumentation: Instrumentation get() = InstrumentationRegistry.getInstrumentation()
    private val app get() = instrumentation.targetContext.app

    @After
    fun forget() = runBlocking { app.forgetEverything() }.let { }

    @Test
    fun theKeystoreSealsAndOpens() {
        val keys = KeystoreKeys("on-device-test")
        val secret = ByteArray(32) { it.toByte() }
        val sealed = keys.wrap(secret)
        assertArrayEquals(secret, keys.unwrap(sealed))
        keys.delete()
        assertThrows(EngineError.WrongKey::class.java) { keys.unwrap(sealed) }
    }

    @Test
    fun theEngineSuggestsPausesAndTrains() = runBlocking {
        val engine = app.engine()
        assertCompletes(engine)
        write(engine)
        val step = engine.train(settings).first { it is TrainEvent.Progress && it.event is LearnEvent.Step }
        assertTrue("$step", step is TrainEvent.Progress)
        // The collection ended there: a checkpoint is left.
        assertTrue(engine.hasPausedTraining())
        lateinit var end: TrainEvent
        val took = measureTime { end = engine.train(settings).last() }
        val backend = engine.backend()
        Log.i(TAG, "trained in ${took.inWholeSeconds} s on ${backend.name}: ${backend.reason}")
        assertTrue("$end", end is TrainEvent.Finished)
    }

    @Test
    fun aModelAmongTheAssetsSuggests() = runBlocking {
        val assets = instrumentation.context.assets
        assumeTrue("tests/get-model has fetched it", MODEL in assets.list("").orEmpty())
        // The test's APK has it, and the app's folder the profile.
        val context = object : ContextWrapper(app) {
            override fun getAssets() = assets
        }
        val engine = PersonalEngine.open(context, AppModel.Asset(MODEL), profile = "asset")
        try {
            assertCompletes(engine)
        } finally {
            engine.eraseAll()
        }
    }

    @Test
    fun agreeingSchedulesTheNightAndTheSystemRunsIt() = runBlocking {
        val engine = app.engine()
        write(engine)
        assertTrue(app.setLearning(true))
        val job = app.getSystemService(JobScheduler::class.java).allPendingJobs.single()
        assertTrue(job.isRequireCharging && job.isRequireDeviceIdle && job.isPersisted)
        val said = shell("cmd jobscheduler run -f ${app.packageName} ${job.id}")
        assertTrue(said, "Running job" in said)
        withTimeout(2.minutes) {
            while (engine.state !is EngineState.Training && engine.lastReport() == null) delay(20)
        }
    }

    private suspend fun assertCompletes(engine: PersonalEngine) {
        val words = engine.suggest("see you tom").map { it.text }
        assertTrue("$words", words.isNotEmpty() && words.all { it.startsWith("tom") })
    }

    private suspend fun write(engine: PersonalEngine) {
        val file = File(app.cacheDir, HISTORY)
        instrumentation.context.assets.open(HISTORY).use { from -> file.outputStream().use(from::copyTo) }
        assertEquals(300uL, engine.history.addAll(PersonalHistory.readJsonl(file.path).samples.take(300)).newTexts)
    }

    private fun shell(command: String): String {
        val said = instrumentation.uiAutomation.executeShellCommand(command)
        return ParcelFileDescriptor.AutoCloseInputStream(said).bufferedReader().use { it.readText() }
    }

    private companion object {
        val settings = LearnSettings(train = TrainSettings(epochs = 1u))
        const val TAG = "OnDeviceTest"
        const val MODEL = "SmolLM2-135M-Instruct.Q4_1.gguf"
        const val HISTORY = "history.jsonl"
    }
}
