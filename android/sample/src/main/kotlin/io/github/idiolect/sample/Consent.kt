package io.github.idiolect.sample

import android.content.Context
import io.github.idiolect.android.isPersonReachable
import java.io.File

/**
 * Whether the person agreed that it is learned from them. Until they have, nothing is. It is a file, for the keyboard's
 * process reads it too, and preferences are cached by each.
 */
class Consent(private val context: Context) {
    private val file get() = File(context.noBackupFilesDir, "consent")

    /** Whether they agreed. */
    val given: Boolean get() = answer() == AGREED

    /** Whether they were asked and answered. */
    val answered: Boolean get() = answer() != null

    /** Keeps their answer. */
    fun answer(agreed: Boolean) = file.writeText(if (agreed) AGREED else DECLINED)

    private fun answer(): String? = file.takeIf { context.isPersonReachable && it.exists() }?.readText()

    private companion object {
        const val AGREED = "agreed"
        const val DECLINED = "declined"
    }
}
