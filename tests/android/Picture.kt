import android.graphics.Bitmap
import android.graphics.Canvas
import android.graphics.Color
import android.graphics.Rect
import android.view.View
import android.view.ViewGroup
import android.widget.AdapterView
import android.widget.Button
import android.widget.TextView
import java.io.File
import java.util.Locale
import kotlin.math.pow
import kotlin.math.roundToInt

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
            val ratio = ratio(view) ?: continue
            check(ratio >= 4.5) { "${named(view)}: contrast $ratio" }
        }
    }

    /** Ten letters stand side by side: each has a tenth of the width, the gap between two of them included. */
    fun checkLetters(gap: Int) {
        val letters = shown().filterIsInstance<Button>().filter { it.text.singleOrNull()?.isLetter() == true }
        check(letters.size == 26) { "${letters.size} letters" }
        for (letter in letters) check(letter.width + gap >= root.width / 10) { "“${letter.text}” is ${letter.width} wide" }
    }

    /** Every view that is shown, a line each: what it is, where in dp, its words, how they stand out. */
    fun lines(view: View = root.findViewById(android.R.id.content) ?: root, depth: Int = 0): List<String> {
        if (view.visibility != View.VISIBLE) return emptyList()
        val children = if (view is ViewGroup) (0 until view.childCount).map(view::getChildAt) else emptyList()
        return listOf("  ".repeat(depth) + described(view)) + children.flatMap { lines(it, depth + 1) }
    }

    private fun described(view: View): String {
        val density = root.resources.displayMetrics.density
        val (x, y, width, height) = place(view).run { listOf(left, top, width(), height()) }.map { (it / density).roundToInt() }
        val words = (view as? TextView)?.run { text.ifEmpty { hint } }?.takeIf { it.isNotBlank() }
        return listOfNotNull(
            named(view), "$x,$y $width×$height", words?.let { "“$it”" }, view.contentDescription?.let { "[$it]" },
            (view as? TextView)?.takeIf { it.text.isNotBlank() }?.let(::ratio)?.let { "%.1f to 1".format(Locale.ROOT, it) },
            "disabled".takeIf { !view.isEnabled },
        ).joinToString(" ")
    }

    private fun shown(view: View = root): List<View> = when {
        view.visibility != View.VISIBLE -> emptyList()
        view is ViewGroup -> listOf(view) + (0 until view.childCount).flatMap { shown(view.getChildAt(it)) }
        else -> listOf(view)
    }

    private fun ratio(view: TextView) = background(view)?.let { contrast(view.currentTextColor, it) }

    /** The commonest colour in a view's place; none where it lies outside the picture. */
    private fun background(view: View): Int? {
        val place = place(view)
        val columns = place.left.coerceAtLeast(0) until place.right.coerceAtMost(bitmap.width)
        val rows = place.top.coerceAtLeast(0) until place.bottom.coerceAtMost(bitmap.height)
        val counts = HashMap<Int, Int>()
        for (row in rows) for (column in columns) counts.merge(pixels[row * bitmap.width + column], 1, Int::plus)
        return counts.maxByOrNull { it.value }?.key
    }

    /** Where a view lies in the picture, also where it is in no window. */
    private fun place(view: View) = Rect(0, 0, view.width, view.height).also {
        // Its content's scrolling is not its own.
        it.offset(view.scrollX, view.scrollY)
        if (view !== root) (root as ViewGroup).offsetDescendantRectToMyCoords(view, it)
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
