package io.github.idiolect.android

import android.security.keystore.KeyGenParameterSpec
import android.security.keystore.KeyPermanentlyInvalidatedException
import android.security.keystore.KeyProperties
import io.github.idiolect.EngineError
import io.github.idiolect.KeyStore
import java.security.GeneralSecurityException
import java.security.ProviderException
import javax.crypto.AEADBadTagException
import javax.crypto.Cipher
import javax.crypto.KeyGenerator
import javax.crypto.SecretKey
import javax.crypto.spec.GCMParameterSpec

/**
 * Seals a profile's key under an AES-256-GCM key of the Android Keystore, which never leaves it: a copy of the profile's
 * folder opens nowhere else, not even on the same phone after the app was removed.
 *
 * The key asks for no fingerprint and no screen lock, so that trainings run at night; what it seals lies in storage that
 * is closed until the first unlock after a restart (see [isPersonReachable]).
 *
 * @property alias the name of the key among the app's own. Each profile may have one.
 */
public class KeystoreKeys(public val alias: String = DEFAULT_ALIAS) : KeyStore {

    /** Seals [secret]; the key is made with the first call. */
    override fun wrap(secret: ByteArray): ByteArray = refusing {
        val cipher = Cipher.getInstance(TRANSFORMATION)
        cipher.init(Cipher.ENCRYPT_MODE, key() ?: makeKey())
        cipher.iv + cipher.doFinal(secret)
    }

    /** Opens what [wrap] made; `WrongKey` where the key is gone or another. */
    override fun unwrap(wrapped: ByteArray): ByteArray = refusing {
        val key = key() ?: throw wrongKey("the Android Keystore has no key “$alias”")
        if (wrapped.size < NONCE_BYTES) throw wrongKey("the sealed key is too short")
        val cipher = Cipher.getInstance(TRANSFORMATION)
        cipher.init(Cipher.DECRYPT_MODE, key, GCMParameterSpec(TAG_BITS, wrapped, 0, NONCE_BYTES))
        cipher.doFinal(wrapped, NONCE_BYTES, wrapped.size - NONCE_BYTES)
    }

    /** Deletes the key: what it sealed opens nowhere any more. Without one there is nothing to do. */
    public fun delete(): Unit = refusing { keystore().deleteEntry(alias) }

    private fun keystore() = java.security.KeyStore.getInstance(PROVIDER).apply { load(null) }

    private fun key(): SecretKey? = keystore().getKey(alias, null) as SecretKey?

    private fun makeKey(): SecretKey {
        val purposes = KeyProperties.PURPOSE_ENCRYPT or KeyProperties.PURPOSE_DECRYPT
        val spec = KeyGenParameterSpec.Builder(alias, purposes)
            .setBlockModes(KeyProperties.BLOCK_MODE_GCM)
            .setEncryptionPaddings(KeyProperties.ENCRYPTION_PADDING_NONE)
            .setKeySize(KEY_BITS)
            .setUserAuthenticationRequired(false)
            .build()
        val generator = KeyGenerator.getInstance(KeyProperties.KEY_ALGORITHM_AES, PROVIDER)
        generator.init(spec)
        return generator.generateKey()
    }

    /** The engine tells only errors of its own on; of others it keeps the words to itself, for they may quote a secret. */
    private inline fun <T> refusing(work: () -> T): T = try {
        work()
    } catch (error: AEADBadTagException) {
        throw wrongKey("the key “$alias” of the Android Keystore did not seal this profile")
    } catch (error: KeyPermanentlyInvalidatedException) {
        throw wrongKey("the key “$alias” of the Android Keystore was invalidated")
    } catch (error: GeneralSecurityException) {
        throw refused(error)
    } catch (error: ProviderException) {
        throw refused(error)
    }

    private fun wrongKey(detail: String) = EngineError.WrongKey(
        detail,
        "keys do not move with a backup or to another phone: import an archive of the profile, or erase it and begin anew",
    )

    private fun refused(error: Exception) = EngineError.KeyStore(
        "the Android Keystore refused: ${error.javaClass.simpleName}",
        "it is not reachable before the first unlock after a restart; else try again",
    )

    public companion object {
        /** The name of the key where the app gives none. */
        public const val DEFAULT_ALIAS: String = "io.github.idiolect.profile"

        private const val PROVIDER = "AndroidKeyStore"
        private const val TRANSFORMATION = "AES/GCM/NoPadding"
        private const val KEY_BITS = 256
        private const val TAG_BITS = 128
        private const val NONCE_BYTES = 12
    }
}
