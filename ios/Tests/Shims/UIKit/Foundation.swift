// What Apple's Foundation has and Linux's has not: see ../README.md.

import Foundation

public extension FileManager {
    func containerURL(forSecurityApplicationGroupIdentifier group: String) -> URL? {
        temporaryDirectory.appendingPathComponent(group)
    }
}

public extension ProcessInfo {
    enum ThermalState: Int, Sendable { case nominal, fair, serious, critical }

    static let thermalStateDidChangeNotification = Notification.Name("NSProcessInfoThermalStateDidChange")

    var thermalState: ThermalState { .nominal }
    var isLowPowerModeEnabled: Bool { false }

    func performExpiringActivity(withReason reason: String, using block: @escaping @Sendable (Bool) -> Void) {
        DispatchQueue.global().async { block(false) }
    }
}

public extension Notification.Name {
    static let NSProcessInfoPowerStateDidChange = Notification.Name("NSProcessInfoPowerStateDidChange")
    static let NSExtensionHostDidEnterBackground = Notification.Name("NSExtensionHostDidEnterBackground")
    static let NSExtensionHostWillEnterForeground = Notification.Name("NSExtensionHostWillEnterForeground")
}
