import android.view.View
import android.widget.TextView
import io.github.idiolect.sample.ConsentActivity
import io.github.idiolect.sample.KeyboardService
import io.github.idiolect.sample.NotesActivity
import io.github.idiolect.sample.R
import io.github.idiolect.sample.SampleApp
import io.github.idiolect.sample.VoiceActivity
import java.io.File
import org.junit.Before
import org.junit.Test
import org.junit.runner.RunWith
import org.robolectric.Robolectric
import org.robolectric.RobolectricTestRunner
import org.robolectric.RuntimeEnvironment

/**
 * Each screen in each mode of the phone's: it can be touched and read, and is laid out as it is written down, so that what
 * moves shows in what is reviewed. With `IDIOLECT_WRITE_SCREENS` in the environment it is written anew.
 */
@RunWith(RobolectricTestRunner::class)
class ModesTest {
    private val app get() = RuntimeEnvironment.getApplication() as SampleApp
    private val written = File("tests/android/screens.txt")
    private val drawn = mutableListOf<String>()

    @Before
    fun keys() = TestKeystore.install()

    @Test
    fun `each screen holds in the dark, small, large, from right to left and with large letters`() {
        app.consent.answer(true)
        for ((name, qualifiers, scale) in listOf(
            Triple("light", "w411dp-h891dp-notnight-mdpi", 1f),
            Triple("dark", "w411dp-h891dp-night-mdpi", 1f),
            Triple("small", "w320dp-h480dp-notnight-mdpi", 1f),
            Triple("large", "w800dp-h1280dp-notnight-mdpi", 1f),
            Triple("rtl", "ar-ldrtl-w411dp-h891dp-notnight-mdpi", 1f),
            Triple("large-font", "w411dp-h891dp-notnight-mdpi", 2f),
        )) {
            RuntimeEnvironment.setQualifiers(qualifiers)
            RuntimeEnvironment.setFontScale(scale)
            for (screen in listOf(NotesActivity::class.java, ConsentActivity::class.java, VoiceActivity::class.java)) {
                val shown = Robolectric.buildActivity(screen).setup().get()
                val status = shown.findViewById<TextView?>(R.id.status)
                if (status != null) until("how it stands") { status.text.isNotEmpty() }
                holds("${screen.simpleName}-$name", shown.window.decorView, wide = true)
            }
            val gap = app.resources.getDimensionPixelSize(R.dimen.key_gap)
            holds("Keyboard-$name", keyboard(), wide = false).checkLetters(gap)
        }
        if (System.getenv("IDIOLECT_WRITE_SCREENS") != null) written.writeText(drawn.joinToString("") { "$it\n" })
        val before = written.readLines()
        val other = drawn.indices.filter { drawn[it] != before.getOrNull(it) }
        check(before == drawn) {
            "${other.size} lines of ${drawn.size}, ${before.size} before; the first: " +
                "${other.take(5).map { "${it + 1}: ${drawn[it]} instead of ${before.getOrNull(it)}" }}\n" +
                "IDIOLECT_WRITE_SCREENS=1 tests/run android writes them down"
        }
    }

    private fun holds(name: String, root: View, wide: Boolean) = Picture(root, name).apply {
        check(texts.isNotEmpty())
        checkTargets(wide = wide)
        checkContrast()
        drawn += listOf(name) + lines(depth = 1)
    }

    private fun keyboard(): View {
        val keyboard = Robolectric.buildService(KeyboardService::class.java).create().get()
        val keys = keyboard.onCreateInputView()
        keyboard.setInputView(keys)
        val width = app.resources.displayMetrics.widthPixels
        keys.measure(View.MeasureSpec.makeMeasureSpec(width, View.MeasureSpec.EXACTLY), View.MeasureSpec.UNSPECIFIED)
        keys.layout(0, 0, keys.measuredWidth, keys.measuredHeight)
        return keys
    }
}
