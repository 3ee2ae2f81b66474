import Foundation
import Idiolect
import Testing

extension OneByOne {
    @Suite struct MovingTests {
        let home = try! Home()

        @Test("A profile moves to another device under a passphrase")
        func moves() async throws {
            let engine = try await home.learned()
            let archived = try await engine.exportProfile(
                to: home.path("profile.archive"), passphrase: "a long passphrase")
            #expect(archived.files > 0)
            await refused("WrongKey", "passphrase") {
                try await PersonalEngine.importProfile(
                    from: home.path("profile.archive"), passphrase: "another", folder: home.path("moved"))
            }
            try await PersonalEngine.importProfile(
                from: home.path("profile.archive"), passphrase: "a long passphrase", folder: home.path("moved"),
                key: key)
            let moved = try await home.engine("moved")
            #expect(try await moved.history.stats().total == engine.history.stats().total)
            #expect(try await moved.adapters.list() == engine.adapters.list())
            #expect(try await moved.staleVersion() == nil)
        }

        @Test("A key store takes the place of a key, and a key that of the store")
        func changesKey() async throws {
            let engine = try await home.engine()
            try await engine.changeKey(keyStore: Vault(5))
            await engine.shutDown()
            func open(key: Data? = nil, _ store: Vault? = nil) async throws -> PersonalEngine {
                try await PersonalEngine.open(home.options(key: key), keyStore: store)
            }
            await refused("WrongKey", home.path("profile")) { _ = try await open(key: key) }
            await refused("WrongKey", home.path("profile")) { _ = try await open(Vault(6)) }
            await refused("KeyStore", "key store") { _ = try await open(Vault(5, refuses: true)) }
            await refused("BadOption", "a key and a key store") { _ = try await open(key: key, Vault(5)) }
            let vaulted = try await open(Vault(5))
            await refused("KeyStore", "key store") {
                try await vaulted.changeKey(keyStore: Vault(5, refuses: true))
            }
            try await vaulted.changeKey(key)
            await vaulted.shutDown()
            #expect(try await open(key: key).history.stats().total.messages == 0)
        }
    }
}
