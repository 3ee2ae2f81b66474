import Foundation

extension PersonalEngine {
    /// Keeps the profile's key in another way from now on: under another key of the app's, by its key store or, with
    /// neither, in the folder. It happens whole or not at all, and this engine goes on.
    ///
    /// - Throws: `BadOption` for a key that is none, and for both together; `KeyStore` when the store refuses; `Io`.
    public func changeKey(_ key: Data? = nil, keyStore: KeyStore? = nil) async throws {
        try await made { try $0.changeKey(key: key, keyStore: keyStore) }
    }

    /// Writes the whole profile, its key included, to one file sealed under a passphrase, for another device.
    ///
    /// - Throws: `BadOption` for an empty passphrase, `TrainingBusy` while a training runs, `Io`.
    @discardableResult
    public func exportProfile(to archive: String, passphrase: String) async throws -> ArchivedProfile {
        try await made(afterLeft: true) { try $0.exportProfile(archive: archive, passphrase: passphrase) }
    }

    /// Makes a profile in a folder that is not there yet of an archive, under a key or a key store of this device's.
    ///
    /// - Throws: `WrongKey` for a wrong passphrase, `BadFile` for a damaged archive, `KeyStore`, `Unsupported`, `Io`.
    public static func importProfile(
        from archive: String, passphrase: String, folder: String, key: Data? = nil, keyStore: KeyStore? = nil
    ) async throws {
        try await Calls().make {
            try Idiolect.importProfile(
                archive: archive, passphrase: passphrase, folder: folder, key: key, keyStore: keyStore)
        }
    }

    /// Takes a profile's history, which was put back from a backup, as it is: from then on the engine opens. Ask the
    /// person before: what they removed since then is there again.
    ///
    /// - Throws: what opening an engine on the profile throws, but for `PutBack`.
    public static func acceptHistory(_ folder: String, key: Data? = nil, keyStore: KeyStore? = nil) async throws {
        try await Calls().make { try Idiolect.acceptHistory(folder: folder, key: key, keyStore: keyStore) }
    }

    /// Erases the profile in a folder that no engine of this process has open. It needs neither key nor model.
    ///
    /// - Throws: `Io` when there is no profile or something cannot be removed; `TrainingBusy` while a training runs.
    @discardableResult
    public static func eraseProfile(_ folder: String) async throws -> EraseReport {
        try await Calls().make { try Idiolect.eraseProfile(folder: folder) }
    }

    /// Tells a listener what the library tells a developer, up to a level, and never a text of the person's; nil ends
    /// it. One for the whole process.
    ///
    /// - Throws: an error when another logger has the process already.
    public static func setLogListener(_ listener: LogListener?, level: LogLevel = .info) async throws {
        try await Calls().make { try Idiolect.setLogListener(level: level, listener: listener) }
    }
}
