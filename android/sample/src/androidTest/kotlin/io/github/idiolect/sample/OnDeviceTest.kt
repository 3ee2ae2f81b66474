package io.github.idiolect.sample

import android.app.job.JobScheduler
import androidx.test.ext.junit.runners.AndroidJUnit4
import androidx.test.platform.app.InstrumentationRegistry
import io.github.idiolect.EngineError
import io.github.idiolect.LearnEvent
import io.github.idiolect.NewSample
import io.github.idiolect.TrainEvent
import io.github.idiolect.android.KeystoreKeys
import kotlinx.coroutines.flow.first
import kotlinx.coroutines.runBlocking
import org.junit.After
import org.junit.Assert.assertArrayEquals
import org.junit.Assert.assertEquals
import org.junit.Assert.assertThrows
import org.junit.Assert.assertTrue
import org.junit.Test
import org.junit.runner.RunWith

/** What only a device has: the library built for it, its Keystore, its JobScheduler. */
@RunWith(AndroidJUnit4::class)
class OnDeviceTest {
    private val app get() = InstrumentationRegistry.getInstrumentation().targetContext.app

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
    fun theEngineSuggestsAndTrains() = runBlocking {
        val engine = app.engine()
        assertTrue(engine.suggest("see you tom").all { it.text.startsWith("tom") })
        val texts = List(120) { NewSample("kettle is on if youre passing flower, number $it", id = "m$it") }
        assertEquals(120uL, engine.history.addAll(texts).newTexts)
        val step = engine.train().first { it is TrainEvent.Progress && it.event is LearnEvent.Step }
        assertTrue(step is TrainEvent.Progress)
        // The collection ended there: a checkpoint is left.
        assertTrue(engine.hasPausedTraining())
    }

    @Test
    fun agreeingSchedulesTheNight() {
        app.setLearning(true)
        val job = app.getSystemService(JobScheduler::class.java).allPendingJobs.single()
        assertTrue(job.isRequireCharging && job.isRequireDeviceIdle && job.isPersisted)
    }
}
