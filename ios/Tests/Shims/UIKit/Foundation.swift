// What Apple's Foundation has and Linux's has not: see ../README.md.

import Foundation

public extension FileManager {
    func containerURL(forSecurityApplicationGroupIdentifier group: String) -> URL? {
        temporaryDirectory.appendingPathComponent(group)
    }
}

/// test: what the system finds, and how it answers who asks it for time.
public enum TestSystem {
    nonisolated(unsafe) public static var thermalState = ProcessInfo.ThermalState.nominal
    nonisolated(unsafe) public static var refusesTime = false
    /// Set, activities wait here to be begun.
    nonisolated(unsafe) public static var waiting: [@Sendable () -> Void]?
}

public extension ProcessInfo {
    enum ThermalState: Int, Sendable { case nominal, fair, serious, critical }

    static let thermalStateDidChangeNotification = Notification.Name("NSProcessInfoThermalStateDidChange")

    var thermalState: ThermalState { TestSystem.thermalState }
    var isLowPowerModeEnabled: Bool { false }

    func performExpiringActivity(withReason reason: String, using block: @escaping @Sendable (Bool) -> Void) {
        let isExpired = TestSystem.refusesTime
        if TestSystem.waiting?.append({ block(isExpired) }) == nil {
            DispatchQueue.global().async { block(isExpired) }
        }
    }
}

public extension Notification.Name {
    static let NSProcessInfoPowerStateDidChange = Notification.Name("NSProcessInfoPowerStateDidChange")
    static let NSExtensionHostDidEnterBackground = Notification.Name("NSExtensionHostDidEnterBackground")
    static let NSExtensionHostWillEnterForeground = Notification.Name("NSExtensionHostWillEnterForeground")
}
