#if canImport(UIKit)
import Foundation

/// A folder for profiles that can be read while the device is locked, once it has been unlocked, and that no backup
/// takes.
public enum ProtectedFolder {
    /// Makes the folder where it is missing, and protects it and everything in it; a profile in it may be in use. What is
    /// made in it later has its protection. It blocks for as long as the disk takes, which
    /// ``PersonalEngine/open(model:key:group:profile:options:)`` spares the caller.
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
        let names = manager.enumerator(atPath: url.path)?.compactMap { $0 as? String } ?? []
        try forEach(names) {
            try manager.setAttributes(protection, ofItemAtPath: url.appendingPathComponent($0).path)
        }
        var values = URLResourceValues()
        values.isExcludedFromBackup = true
        var folder = url
        try folder.setResourceValues(values)
        return url.path
    }

    /// Does something to each file that is there still: a profile in use takes its files away as it goes on.
    static func forEach(_ names: [String], _ protect: (String) throws -> Void) throws {
        for name in names {
            do { try protect(name) } catch CocoaError.fileNoSuchFile, CocoaError.fileReadNoSuchFile { continue }
        }
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
