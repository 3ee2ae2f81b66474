import android.content.ComponentCallbacks2
import android.text.InputType
import android.view.inputmethod.EditorInfo
import io.github.idiolect.EngineError
import io.github.idiolect.PersonalEngine
import io.github.idiolect.android.AppModel
import io.github.idiolect.android.FieldRefusal
import io.github.idiolect.android.KeystoreKeys
import io.github.idiolect.android.MemoryPressure
import io.github.idiolect.android.TextFieldRules
import io.github.idiolect.android.open
import org.junit.Assert.assertArrayEquals
import org.junit.Assert.assertThrows
import org.junit.Before
import org.junit.Test
import org.junit.runner.RunWith
import org.robolectric.RobolectricTestRunner
import org.robolectric.RuntimeEnvironment
import org.robolectric.Shadows.shadowOf

/** The pieces that meet the platform, one by one. */
@RunWith(RobolectricTestRunner::class)
class PlatformTest {
    private val context get() = RuntimeEnvironment.getApplication()
    private val secret = ByteArray(32) { it.toByte() }

    @Before
    fun keys() = TestKeystore.install()

    @Test
    fun `a key seals and opens, is asked for once, and needs nobody to unlock it`() {
        val keys = KeystoreKeys()
        val sealed = keys.wrap(secret)
        assertArrayEquals(secret, keys.unwrap(sealed))
        assertArrayEquals(secret, KeystoreKeys().unwrap(keys.wrap(secret)))
        same("keys", setOf(KeystoreKeys.DEFAULT_ALIAS), TestKeystore.keys.keys.toSet())
        val spec = checkNotNull(TestKeystore.spec)
        same("bits", 256, spec.keySize)
        same("modes", listOf("GCM"), spec.blockModes.toList())
        check(!spec.isUserAuthenticationRequired && !spec.isUnlockedDeviceRequired)
    }

    @Test
    fun `another key, a changed seal and none at all are a wrong key`() {
        val keys = KeystoreKeys()
        val sealed = keys.wrap(secret)
        val changed = sealed.clone().apply { this[size - 1] = (this[size - 1] + 1).toByte() }
        assertThrows(EngineError.WrongKey::class.java) { keys.unwrap(changed) }
        assertThrows(EngineError.WrongKey::class.java) { keys.unwrap(sealed.copyOf(5)) }
        keys.delete()
        assertThrows(EngineError.WrongKey::class.java) { keys.unwrap(sealed) }
        keys.wrap(secret)
        assertThrows(EngineError.WrongKey::class.java) { keys.unwrap(sealed) }
    }

    @Test
    fun `before the first unlock nothing opens`() {
        shadowOf(context.getSystemService(android.os.UserManager::class.java)).setUserUnlocked(false)
        val refused = assertThrows(EngineError.KeyStore::class.java) {
            awaited { PersonalEngine.open(context, AppModel.Asset("none.gguf")) }
        }
        check("unlocked" in refused.detail && refused.hint != null)
    }

    @Test
    fun `an asset that is missing says what to do`() {
        val refused = assertThrows(EngineError.Io::class.java) {
            awaited { PersonalEngine.open(context, AppModel.Asset("none.gguf")) }
        }
        check("none.gguf" in refused.detail && "noCompress" in refused.hint.orEmpty())
    }

    @Test
    fun `fields of prose are learned from, secrets are not even suggested in`() {
        val text = InputType.TYPE_CLASS_TEXT
        val quiet = EditorInfo.IME_FLAG_NO_PERSONALIZED_LEARNING
        for ((type, options, wanted) in listOf(
            Triple(text, 0, TextFieldRules(true, true, null)),
            Triple(text or InputType.TYPE_TEXT_FLAG_MULTI_LINE, 0, TextFieldRules(true, true, null)),
            Triple(text or InputType.TYPE_TEXT_VARIATION_URI, 0, TextFieldRules(false, true, null)),
            Triple(text, quiet, refused(FieldRefusal.INCOGNITO)),
            Triple(text or InputType.TYPE_TEXT_VARIATION_PASSWORD, 0, refused(FieldRefusal.PASSWORD)),
            Triple(text or InputType.TYPE_TEXT_VARIATION_VISIBLE_PASSWORD, quiet, refused(FieldRefusal.PASSWORD)),
            Triple(text or InputType.TYPE_TEXT_VARIATION_WEB_PASSWORD, 0, refused(FieldRefusal.PASSWORD)),
            Triple(text or InputType.TYPE_TEXT_FLAG_NO_SUGGESTIONS, 0, refused(FieldRefusal.NO_SUGGESTIONS)),
            Triple(InputType.TYPE_CLASS_NUMBER or InputType.TYPE_NUMBER_VARIATION_PASSWORD, 0, refused(FieldRefusal.PASSWORD)),
            Triple(InputType.TYPE_CLASS_PHONE, 0, refused(FieldRefusal.NOT_TEXT)),
            Triple(InputType.TYPE_NULL, 0, refused(FieldRefusal.NOT_TEXT)),
        )) {
            val info = EditorInfo().apply { inputType = type; imeOptions = options }
            same("type $type, options $options", wanted, TextFieldRules.of(info))
        }
        same("no field", refused(FieldRefusal.NOT_TEXT), TextFieldRules.of(null))
    }

    @Test
    fun `only levels that ask for memory are heard`() {
        for ((level, wanted) in mapOf(
            ComponentCallbacks2.TRIM_MEMORY_UI_HIDDEN to false,
            ComponentCallbacks2.TRIM_MEMORY_BACKGROUND to true,
            80 to true,
            15 to true,
            10 to false,
        )) same("level $level", wanted, MemoryPressure.asksForMemory(level))
    }

    private fun refused(why: FieldRefusal) = TextFieldRules(false, false, why)
}
