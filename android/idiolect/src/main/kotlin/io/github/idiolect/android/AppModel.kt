package io.github.idiolect.android

import android.content.Context
import android.content.res.AssetFileDescriptor
import io.github.idiolect.EngineError
import io.github.idiolect.ModelSource
import io.github.idiolect.making
import java.io.File
import java.io.FileNotFoundException

/** Where an app keeps its base model. */
public sealed interface AppModel {
    /**
     * A GGUF file or a model folder in the app's own storage, as a download leaves it. Not in shared storage: another app
     * that cuts the file short while it is mapped would end the process.
     *
     * @property file the file or folder.
     */
    public data class Stored(public val file: File) : AppModel

    /**
     * A GGUF file among the app's assets. It is mapped where it lies in the APK and never copied, so the APK must hold it
     * uncompressed: `androidResources { noCompress += "gguf" }`.
     *
     * @property name its path below `assets`.
     */
    public data class Asset(public val name: String) : AppModel
}

/** Calls [use] with the model as the engine takes it; a descriptor of an asset is open meanwhile. */
internal suspend fun <T> AppModel.opened(context: Context, use: suspend (ModelSource) -> T): T = when (this) {
    is AppModel.Stored -> use(ModelSource.Path(file.path))
    is AppModel.Asset -> making(AssetFileDescriptor::close) { asset(context, name) }.use { asset ->
        val fd = asset.parcelFileDescriptor.fd
        use(ModelSource.Descriptor(fd, asset.startOffset.toULong(), asset.length.toULong()))
    }
}

private fun asset(context: Context, name: String) = try {
    context.assets.openFd(name)
} catch (error: FileNotFoundException) {
    throw EngineError.Io(
        "the asset $name cannot be mapped",
        "it is missing, or compressed: androidResources { noCompress += \"gguf\" } in the app's build file",
    )
}
