package io.github.idiolect

/** The app's key store as the bindings ask it: what it throws as an [EngineError] is told in their terms. */
internal class AppKeyStore(private val store: KeyStore) : KeyStore {
    override fun wrap(secret: ByteArray): ByteArray = asked { store.wrap(secret) }

    override fun unwrap(wrapped: ByteArray): ByteArray = asked { store.unwrap(wrapped) }

    private fun asked(ask: () -> ByteArray): ByteArray = try {
        ask()
    } catch (wrong: EngineError.WrongKey) {
        throw EngineException.WrongKey(wrong.detail, wrong.hint)
    } catch (refused: EngineError) {
        throw EngineException.KeyStore(refused.detail, refused.hint)
    }
}
