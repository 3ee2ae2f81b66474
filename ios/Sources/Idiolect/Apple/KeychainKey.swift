#if canImport(Security)
import Foundation
import Security

/// A profile's key in the Keychain: 32 bytes, made at random when it is first asked for.
///
/// It can be read from the first unlock after a restart on, also while the device is locked, as work in the background
/// needs; it never leaves this device, neither in a backup nor by iCloud.
public struct KeychainKey: Sendable {
    /// The service that the item is kept under.
    public let service: String
    /// The account that the item is kept under: one a profile.
    public let account: String
    /// The group of apps that share it, as an app and its keyboard do; nil for the app alone.
    public let accessGroup: String?

    /// A key by its name in the Keychain; nothing is read or made yet.
    public init(service: String = "io.github.idiolect", account: String = "profile", accessGroup: String? = nil) {
        self.service = service
        self.account = account
        self.accessGroup = accessGroup
    }

    /// The key, for ``EngineOptions``; made where there is none.
    ///
    /// - Throws: `KeyStore`, with a hint where the device has not been unlocked since it was started.
    public func read() throws -> Data {
        if let key = try find() { return key }
        var generator = SystemRandomNumberGenerator()
        let key = Data((0..<32).map { _ in UInt8.random(in: 0...255, using: &generator) })
        var item = query
        item[kSecAttrAccessible as String] = kSecAttrAccessibleAfterFirstUnlockThisDeviceOnly
        item[kSecValueData as String] = key
        switch SecItemAdd(item as CFDictionary, nil) {
        case errSecSuccess: return key
        // Another process, the keyboard for one, was faster: its key counts.
        case errSecDuplicateItem:
            if let key = try find() { return key }
            throw Self.refused(errSecItemNotFound)
        case let status: throw Self.refused(status)
        }
    }

    /// Deletes the key, as the last step after ``PersonalEngine/eraseAll()``: no copy of the profile opens any more.
    ///
    /// - Throws: `KeyStore`.
    public func delete() throws {
        let status = SecItemDelete(query as CFDictionary)
        guard status == errSecSuccess || status == errSecItemNotFound else { throw Self.refused(status) }
    }

    private var query: [String: Any] {
        var query: [String: Any] = [
            kSecClass as String: kSecClassGenericPassword,
            kSecAttrService as String: service,
            kSecAttrAccount as String: account,
            kSecUseDataProtectionKeychain as String: true,
        ]
        if let accessGroup { query[kSecAttrAccessGroup as String] = accessGroup }
        return query
    }

    private func find() throws -> Data? {
        var search = query
        search[kSecReturnData as String] = true
        search[kSecMatchLimit as String] = kSecMatchLimitOne
        var found: CFTypeRef?
        switch SecItemCopyMatching(search as CFDictionary, &found) {
        case errSecSuccess: return found as? Data
        case errSecItemNotFound: return nil
        case let status: throw Self.refused(status)
        }
    }

    private static func refused(_ status: OSStatus) -> EngineError {
        if status == errSecInteractionNotAllowed {
            return .KeyStore(
                detail: "the Keychain cannot be read: the device has not been unlocked since it was started",
                hint: "open the profile after the first unlock; until then, work without it")
        }
        let words = SecCopyErrorMessageString(status, nil) as String? ?? "no words for it"
        return .KeyStore(detail: "the Keychain refused with \(status): \(words)", hint: nil)
    }
}
#endif
