import android.security.keystore.KeyGenParameterSpec
import java.io.InputStream
import java.io.OutputStream
import java.security.Key
import java.security.KeyStoreSpi
import java.security.Provider
import java.security.SecureRandom
import java.security.Security
import java.security.cert.Certificate
import java.security.spec.AlgorithmParameterSpec
import java.util.Collections
import java.util.Date
import java.util.Enumeration
import javax.crypto.KeyGenerator
import javax.crypto.KeyGeneratorSpi
import javax.crypto.SecretKey

/** Stands in for the Android Keystore, which a JVM has not: keys in memory, asked for through the same provider's name. */
object TestKeystore {
    val keys = HashMap<String, SecretKey>()

    /** What the last key was asked for with. */
    var spec: KeyGenParameterSpec? = null

    /** Hears that a key is deleted. */
    var deleted: () -> Unit = {}

    fun install() {
        keys.clear()
        deleted = {}
        Security.removeProvider(NAME)
        Security.addProvider(object : Provider(NAME, "1", "keys in memory") {
            init {
                put("KeyStore.$NAME", Store::class.java.name)
                put("KeyGenerator.AES", Generator::class.java.name)
            }
        })
    }

    private const val NAME = "AndroidKeyStore"

    class Generator : KeyGeneratorSpi() {
        override fun engineInit(parameters: AlgorithmParameterSpec, random: SecureRandom?) {
            spec = parameters as KeyGenParameterSpec
        }

        override fun engineInit(random: SecureRandom?) = error("no name")

        override fun engineInit(bits: Int, random: SecureRandom?) = error("no name")

        override fun engineGenerateKey(): SecretKey {
            val asked = checkNotNull(spec)
            val key = KeyGenerator.getInstance("AES", "SunJCE").apply { init(asked.keySize) }.generateKey()
            keys[asked.keystoreAlias] = key
            return key
        }
    }

    class Store : KeyStoreSpi() {
        override fun engineGetKey(alias: String, password: CharArray?): Key? = keys[alias]

        override fun engineDeleteEntry(alias: String) {
            keys.remove(alias)
            deleted()
        }

        override fun engineContainsAlias(alias: String) = alias in keys

        override fun engineIsKeyEntry(alias: String) = alias in keys

        override fun engineSize() = keys.size

        override fun engineAliases(): Enumeration<String> = Collections.enumeration(keys.keys)

        override fun engineLoad(stream: InputStream?, password: CharArray?) = Unit

        override fun engineStore(stream: OutputStream?, password: CharArray?) = Unit

        override fun engineGetCertificateChain(alias: String): Array<Certificate>? = null

        override fun engineGetCertificate(alias: String): Certificate? = null

        override fun engineGetCreationDate(alias: String): Date? = null

        override fun engineIsCertificateEntry(alias: String) = false

        override fun engineGetCertificateAlias(certificate: Certificate): String? = null

        override fun engineSetKeyEntry(alias: String, key: Key, word: CharArray?, chain: Array<Certificate>?) = no()

        override fun engineSetKeyEntry(alias: String, key: ByteArray, chain: Array<Certificate>?) = no()

        override fun engineSetCertificateEntry(alias: String, certificate: Certificate) = no()

        private fun no(): Unit = throw UnsupportedOperationException()
    }
}
