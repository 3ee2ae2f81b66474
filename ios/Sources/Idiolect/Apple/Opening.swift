#if canImport(UIKit) && canImport(Security)
import Foundation

extension PersonalEngine {
    /// Opens the person's profile with a model of the app's: in a protected folder of the app's own, under a key of the
    /// Keychain. Both are made where they are missing.
    ///
    /// - Parameters:
    ///   - model: where the model lies.
    ///   - key: the profile's key; nil is one of the profile's name.
    ///   - group: the container that the app shares with its extensions, where they have the profile in common; the
    ///     key needs an access group then.
    ///   - profile: the name of the profile's folder.
    ///   - options: the options to open with, given those with profile, model and key set.
    /// - Throws: `KeyStore` before the first unlock after a restart, as ``BaseSuggestions`` are for; `BadOption` for a
    ///   group that the app is not entitled to; `Io`, and what ``open(_:keyStore:)`` refuses.
    public static func open(
        model: ModelSource, key: KeychainKey? = nil, group: String? = nil, profile: String = "profile",
        options: @escaping @Sendable (EngineOptions) -> EngineOptions = { $0 }
    ) async throws -> PersonalEngine {
        try await Calls().make {
            let secret = try (key ?? KeychainKey(account: profile)).read()
            guard let folder = ProtectedFolder.ofApp(group: group) else {
                throw EngineError.BadOption(
                    detail: "the app has no container of the group \(group ?? "")",
                    hint: "add the group to the app's entitlements, and to the extension's")
            }
            let path: String
            do {
                path = try ProtectedFolder.make(folder)
            } catch {
                throw EngineError.Io(detail: "\(folder.path): \(error.localizedDescription)", hint: nil)
            }
            let home = EngineOptions(profile: "\(path)/\(profile)", model: model, key: secret)
            return PersonalEngine(try Engine.open(options: options(home), keyStore: nil))
        }
    }
}
#endif
