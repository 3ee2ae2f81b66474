import android.content.ContentProvider
import android.content.ContentValues
import android.database.Cursor
import android.net.Uri
import android.os.Bundle
import android.os.ParcelFileDescriptor
import android.provider.DocumentsContract
import java.io.File

/** The app that keeps a person's documents: one file, at [place]. */
class Documents : ContentProvider() {
    override fun openFile(uri: Uri, mode: String): ParcelFileDescriptor =
        ParcelFileDescriptor.open(place, ParcelFileDescriptor.parseMode(mode))

    override fun call(method: String, argument: String?, extras: Bundle?): Bundle? {
        same("asked to", "android:deleteDocument", method)
        deleted = checkNotNull(extras).getParcelable("uri", Uri::class.java) == uri
        return null
    }

    override fun onCreate() = true

    override fun getType(uri: Uri): String? = null

    override fun query(uri: Uri, columns: Array<String>?, where: String?, values: Array<String>?, order: String?): Cursor? = null

    override fun insert(uri: Uri, values: ContentValues?): Uri? = null

    override fun delete(uri: Uri, where: String?, values: Array<String>?) = 0

    override fun update(uri: Uri, values: ContentValues?, where: String?, arguments: Array<String>?) = 0

    companion object {
        const val AUTHORITY = "org.example.documents"
        val uri: Uri get() = DocumentsContract.buildDocumentUri(AUTHORITY, "my-voice.tar")
        lateinit var place: File
        var deleted = false
    }
}
