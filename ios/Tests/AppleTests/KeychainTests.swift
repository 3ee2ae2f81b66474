#if canImport(UIKit)
import Foundation
import Idiolect
import Security
import Testing

/// Whether the process that runs the tests has a Keychain: in a simulator one without an app has none.
private let hasKeychain: Bool = {
    let key = KeychainKey(service: "test", account: "\(UUID())")
    defer { try? key.delete() }
    return (try? key.read()) != nil
}()

extension AppleTests {
    @Test("A key is made once, read while locked after the first unlock, and deleted", .enabled(if: hasKeychain))
    func keychain() throws {
        let key = KeychainKey(service: "test", account: "\(UUID())")
        let first = try key.read()
        #expect(first.count == 32)
        #expect(try key.read() == first)
        #if os(Linux)
        #expect(
            TestKeychain.accessible(service: "test", account: key.account)
                == kSecAttrAccessibleAfterFirstUnlockThisDeviceOnly)
        TestKeychain.isLocked = true
        #expect(throws: EngineError.self) { try key.read() }
        TestKeychain.isLocked = false
        #endif
        try key.delete()
        try key.delete()
        #expect(try key.read() != first)
        try key.delete()
    }

    @Test("The person's profile opens with a model alone, in a protected folder and under a key", .enabled(if: hasKeychain))
    func opens() async throws {
        let profile = "test-\(UUID())"
        func engine() async throws -> PersonalEngine {
            try await PersonalEngine.open(model: base, profile: profile) {
                var options = $0
                (options.device, options.threads) = (.cpu, 2)
                return options
            }
        }
        let first = try await engine()
        try await first.history.add([NewSample(text: "see you tomorrow")])
        await first.shutDown()
        let second = try await engine()
        #expect(try await second.history.stats().total.messages == 1)
        await second.shutDown()
        let folder = try #require(ProtectedFolder.ofApp()).appendingPathComponent(profile)
        let key = KeychainKey(account: profile)
        _ = try await PersonalEngine.open(EngineOptions(profile: folder.path, model: base, key: key.read())).eraseAll()
        #expect(!FileManager.default.fileExists(atPath: folder.path))
        // The folder of all profiles goes as well, where no other is in it.
        rmdir(folder.deletingLastPathComponent().path)
        try key.delete()
    }

    #if os(Linux)
    @Test("Before the first unlock the person's profile does not open, and says so")
    func opensLocked() async throws {
        TestKeychain.isLocked = true
        defer { TestKeychain.isLocked = false }
        do {
            _ = try await PersonalEngine.open(model: base, profile: "test-\(UUID())")
            Issue.record("it opened")
        } catch EngineError.KeyStore(let detail, _) {
            #expect(detail.contains("unlocked"))
        }
    }
    #endif
}
#endif
