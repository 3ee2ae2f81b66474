package io.github.idiolect.sample

import android.content.Context
import java.io.File

/**
 * The model that comes with the app, a folder among its assets: copied into the app's storage once, for files of a folder
 * are mapped by their paths. (A GGUF file needs no copy: `AppModel.Asset` maps it where it lies in the APK.) Nothing in it
 * is the person's, so it lies where it can be read before the phone is unlocked.
 */
class ModelFolder(private val context: Context) {
    private val storage get() = context.createDeviceProtectedStorageContext().noBackupFilesDir

    /** Where it is, once it is copied. */
    val folder: File get() = File(storage, "model-$VERSION")

    /** The folder, copied where it is not there yet; whole or not at all, whichever process comes first. */
    fun unpacked(): File {
        val folder = folder
        if (folder.exists()) return folder
        val making = File(storage, "model-${android.os.Process.myPid()}").apply { mkdirs() }
        for (name in checkNotNull(context.assets.list(ASSETS))) {
            context.assets.open("$ASSETS/$name").use { from -> File(making, name).outputStream().use(from::copyTo) }
        }
        if (!making.renameTo(folder)) making.deleteRecursively()
        return folder
    }

    private companion object {
        const val ASSETS = "base"

        /** Another with each other model that the app ships. */
        const val VERSION = 1
    }
}
