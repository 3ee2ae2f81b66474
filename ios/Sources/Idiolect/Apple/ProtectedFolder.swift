#if canImport(UIKit)
import Foundation

/// A folder for profiles that can be read while the device is locked, once it has been unlocked, and that no backup
/// takes.
public enum ProtectedFolder {
    /// Makes the folder where it is missing, and protects it and everything in it. What is made in it later has its
    /// protection.
    ///
    /// - Returns: its path, below which an app names its profile.
    /// - Throws: the file system's error.
    public static func make(_ url: URL) throws -> String {
        let protection: [FileAttributeKey: Any] = [
            .protectionKey: FileProtectionType.completeUntilFirstUserAuthentication
        ]
        let manager = FileManager.default
        try manager.createDirectory(at: url, withIntermediateDirectories: true, attributes: protection)
        try manager.setAttributes(protection, ofItemAtPath: url.path)
        for name in try manager.subpathsOfDirectory(atPath: url.path) {
            try manager.setAttributes(protection, ofItemAtPath: url.appendingPathComponent(name).path)
        }
        var values = URLResourceValues()
        values.isExcludedFromBackup = true
        var folder = url
        try folder.setResourceValues(values)
        return url.path
    }

    /// The folder of an app, in its own storage or, with a group, in that which it shares with its extensions.
    ///
    /// - Returns: nil for a group that the app is not entitled to.
    public static func ofApp(group: String? = nil) -> URL? {
        let manager = FileManager.default
        let root = group.map { manager.containerURL(forSecurityApplicationGroupIdentifier: $0) }
            ?? manager.urls(for: .applicationSupportDirectory, in: .userDomainMask).first
        return root?.appendingPathComponent("Idiolect", isDirectory: true)
    }
}
#endif
