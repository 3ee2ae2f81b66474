package io.github.idiolect.sample

import android.content.Context
import android.view.LayoutInflater
import android.view.View
import android.view.ViewGroup
import android.widget.BaseAdapter
import android.widget.Button
import android.widget.TextView

/** A row of a list: a text, a detail below it, and what its button says. */
data class Row<T>(val of: T, val text: String, val detail: String?, val button: String, val description: String)

/** A list of texts, each with a button that takes it away. */
class Rows<T>(private val context: Context, private val remove: (T) -> Unit) : BaseAdapter() {
    private var rows = emptyList<Row<T>>()

    /** Shows other rows. */
    fun show(rows: List<Row<T>>) {
        this.rows = rows
        notifyDataSetChanged()
    }

    override fun getCount() = rows.size

    override fun getItem(position: Int) = rows[position]

    override fun getItemId(position: Int) = position.toLong()

    override fun getView(position: Int, old: View?, parent: ViewGroup): View {
        val view = old ?: LayoutInflater.from(context).inflate(R.layout.row, parent, false)
        val row = rows[position]
        view.findViewById<TextView>(R.id.row_text).text = row.text
        view.findViewById<TextView>(R.id.row_detail).apply {
            text = row.detail
            visibility = if (row.detail == null) View.GONE else View.VISIBLE
        }
        view.findViewById<Button>(R.id.row_remove).apply {
            text = row.button
            contentDescription = row.description
            setOnClickListener { remove(row.of) }
        }
        return view
    }
}
