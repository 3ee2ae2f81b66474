package io.github.idiolect.android

import android.content.Context
import io.github.idiolect.EngineError
import io.github.idiolect.EngineOptions
import io.github.idiolect.KeyStore
import io.github.idiolect.ModelSource
import io.github.idiolect.PersonalEngine
import io.github.idiolect.calling
import java.io.File

/**
 * The folder of a profile: in storage that no backup takes (its key would not move along) and that every process of the
 * app shares, a keyboard's own process among them.
 */
public fun profileFolder(context: Context, name: String = "profile"): File =
    File(context.noBackupFilesDir, "idiolect/$name")

/**
 * Opens the person's profile with a model of the app's, under a key of the Android Keystore.
 *
 * @param model where the model lies.
 * @param keyStore what seals the profile's key; none leaves the key in the folder.
 * @param profile the profile's folder.
 * @param options the options to open with, given those with profile and model set.
 * @throws EngineError `KeyStore` before the first unlock after a restart (see [isPersonReachable]), `WrongKey` when the key
 *   is another one, and whatever [PersonalEngine.Companion.open] refuses.
 */
public suspend fun PersonalEngine.Companion.open(
    context: Context,
    model: AppModel,
    keyStore: KeyStore? = KeystoreKeys(),
    profile: String = "profile",
    options: (EngineOptions) -> EngineOptions = { it },
): PersonalEngine {
    if (!context.isPersonReachable) {
        throw EngineError.KeyStore(
            "the device has not been unlocked since it started",
            "awaitPerson() waits for it; DirectBootSuggestions has words till then",
        )
    }
    val folder = calling { profileFolder(context, profile).path }
    return model.opened(context) { source: ModelSource -> open(options(EngineOptions(folder, source)), keyStore) }
}
