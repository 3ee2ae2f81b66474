// A stand-in for what is used of Apple's UIKit: see ../README.md.

import Foundation

@MainActor
public class UIDevice {
    public enum BatteryState: Int, Sendable { case unknown, unplugged, charging, full }

    public static let current = UIDevice()
    nonisolated public static let batteryStateDidChangeNotification = Notification.Name("UIDeviceBatteryState")
    nonisolated public static let batteryLevelDidChangeNotification = Notification.Name("UIDeviceBatteryLevel")

    public var isBatteryMonitoringEnabled = false
    /// test: a real device's cannot be set.
    public var batteryState = BatteryState.unknown
    /// test: a real device's cannot be set.
    public var batteryLevel: Float = -1
}

@MainActor
public class UIApplication {
    nonisolated public static let didEnterBackgroundNotification = Notification.Name("UIApplicationDidEnterBackground")
    nonisolated public static let willEnterForegroundNotification = Notification.Name("UIWillEnterForeground")
    nonisolated public static let didReceiveMemoryWarningNotification = Notification.Name("UIApplicationMemoryWarning")
}
