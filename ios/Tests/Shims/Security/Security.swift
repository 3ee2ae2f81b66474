// A stand-in for Apple's Security, in memory: see ../README.md.

import Foundation

public typealias CFString = String
public typealias CFDictionary = [String: Any]
public typealias CFTypeRef = Any
public typealias OSStatus = Int32

public let kSecClass: CFString = "class"
public let kSecClassGenericPassword: CFString = "genp"
public let kSecAttrService: CFString = "svce"
public let kSecAttrAccount: CFString = "acct"
public let kSecAttrAccessGroup: CFString = "agrp"
public let kSecAttrAccessible: CFString = "pdmn"
public let kSecAttrAccessibleAfterFirstUnlockThisDeviceOnly: CFString = "cku"
public let kSecUseDataProtectionKeychain: CFString = "nleg"
public let kSecValueData: CFString = "v_Data"
public let kSecReturnData: CFString = "r_Data"
public let kSecMatchLimit: CFString = "m_Limit"
public let kSecMatchLimitOne: CFString = "m_LimitOne"

public let errSecSuccess: OSStatus = 0
public let errSecDuplicateItem: OSStatus = -25299
public let errSecItemNotFound: OSStatus = -25300
public let errSecInteractionNotAllowed: OSStatus = -25308

public func SecItemAdd(_ attributes: CFDictionary, _ result: UnsafeMutablePointer<CFTypeRef?>?) -> OSStatus {
    TestKeychain.with { items in
        if items[TestKeychain.name(attributes)] != nil { return errSecDuplicateItem }
        items[TestKeychain.name(attributes)] = attributes
        return errSecSuccess
    }
}

public func SecItemCopyMatching(_ query: CFDictionary, _ result: UnsafeMutablePointer<CFTypeRef?>?) -> OSStatus {
    TestKeychain.with { items in
        guard let item = items[TestKeychain.name(query)] else { return errSecItemNotFound }
        result?.pointee = item[kSecValueData]
        return errSecSuccess
    }
}

public func SecItemDelete(_ query: CFDictionary) -> OSStatus {
    TestKeychain.with { items in
        items.removeValue(forKey: TestKeychain.name(query)) == nil ? errSecItemNotFound : errSecSuccess
    }
}

public func SecCopyErrorMessageString(_ status: OSStatus, _ reserved: UnsafeMutableRawPointer?) -> CFString? {
    "error \(status)"
}

/// test: what the Keychain holds, and whether the device was never unlocked since it started.
public enum TestKeychain {
    nonisolated(unsafe) private static var items: [String: CFDictionary] = [:]
    nonisolated(unsafe) public static var isLocked = false
    private static let lock = NSLock()

    static func with(_ work: (inout [String: CFDictionary]) -> OSStatus) -> OSStatus {
        lock.withLock { isLocked ? errSecInteractionNotAllowed : work(&items) }
    }

    static func name(_ query: CFDictionary) -> String {
        [kSecClass, kSecAttrService, kSecAttrAccount, kSecAttrAccessGroup]
            .map { query[$0] as? String ?? "" }.joined(separator: "/")
    }

    /// test: how an item may be read.
    public static func accessible(service: String, account: String) -> String? {
        lock.withLock { items["\(kSecClassGenericPassword)/\(service)/\(account)/"]?[kSecAttrAccessible] as? String }
    }
}
