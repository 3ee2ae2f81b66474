import android.graphics.Bitmap
import android.graphics.Canvas
import android.graphics.Color
import android.view.View
import android.view.ViewGroup
import android.widget.AdapterView
import android.widget.TextView
import java.io.File
import kotlin.math.pow

/** A view as it is drawn: kept as a PNG for people, and measured. */
class Picture(private val root: View, name: String) {
    private val bitmap = Bitmap.createBitmap(root.width, root.height, Bitmap.Config.ARGB_8888).also { root.draw(Canvas(it)) }
    private val pixels = IntArray(root.width * root.height).also {
        bitmap.getPixels(it, 0, root.width, 0, 0, root.width, root.height)
    }

    init {
        File(checkNotNull(System.getProperty("idiolect.pictures")), "$name.png").outputStream().use {
            bitmap.compress(Bitmap.CompressFormat.PNG, 100, it)
        }
    }

    /** Every text that is shown, from top to bottom as it stands in the layout. */
    val texts: List<String> get() = shown().filterIsInstance<TextView>().map { it.text.toString() }.filter { it.isNotBlank() }

    /** What is touched is at least [dp] high (and wide, where [wide]), and says what it is. */
    fun checkTargets(dp: Int = 48, wide: Boolean = true) {
        val least = dp * root.resources.displayMetrics.density - 0.5f
        for (view in shown().filter { it.isClickable && it.isEnabled && it !is AdapterView<*> }) {
            check(view.height >= least && (!wide || view.width >= least)) { "${named(view)} is ${view.width} × ${view.height}" }
            val words = view.contentDescription ?: (view as? TextView)?.run { text.ifEmpty { hint } }
            check(!words.isNullOrBlank()) { "${named(view)} says nothing" }
        }
    }

    /** Each text stands out from what is behind it, as WCAG 2 asks: 4.5 to 1. */
    fun checkContrast() {
        for (view in shown().filterIsInstance<TextView>().filter { it.text.isNotBlank() && it.isEnabled }) {
            val ratio = contrast(view.currentTextColor, background(view) ?: continue)
            check(ratio >= 4.5) { "${named(view)}: contrast $ratio" }
        }
    }

    private fun shown(view: View = root): List<View> = when {
        view.visibility != View.VISIBLE -> emptyList()
        view is ViewGroup -> listOf(view) + (0 until view.childCount).flatMap { shown(view.getChildAt(it)) }
        else -> listOf(view)
    }

    /** The commonest colour in a view's place; none where it lies outside the picture. */
    private fun background(view: View): Int? {
        val (left, top) = IntArray(2).also(view::getLocationInWindow)
        val columns = left.coerceAtLeast(0) until (left + view.width).coerceAtMost(bitmap.width)
        val rows = top.coerceAtLeast(0) until (top + view.height).coerceAtMost(bitmap.height)
        val counts = HashMap<Int, Int>()
        for (row in rows) for (column in columns) counts.merge(pixels[row * bitmap.width + column], 1, Int::plus)
        return counts.maxByOrNull { it.value }?.key
    }

    private fun contrast(one: Int, other: Int): Double {
        val (dark, light) = listOf(luminance(one), luminance(other)).sorted()
        return (light + 0.05) / (dark + 0.05)
    }

    private fun luminance(colour: Int): Double {
        fun part(value: Int) = (value / 255.0).let { if (it <= 0.04045) it / 12.92 else ((it + 0.055) / 1.055).pow(2.4) }
        return 0.2126 * part(Color.red(colour)) + 0.7152 * part(Color.green(colour)) + 0.0722 * part(Color.blue(colour))
    }

    private fun named(view: View) =
        if (view.id == View.NO_ID) view.javaClass.simpleName else view.resources.getResourceEntryName(view.id)
}
