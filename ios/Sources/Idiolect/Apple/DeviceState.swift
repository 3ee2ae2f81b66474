#if canImport(UIKit)
import Foundation
import UIKit

/// What the device says of itself, for ``PersonalEngine/pushSignals(_:)``. Whether nobody uses it iOS does not tell:
/// that stays unknown, but in work that the system begins when the device is idle.
@MainActor
enum DeviceState {
    static func signals(foreground: Bool, idle: Bool?) -> DeviceSignals {
        let (device, process) = (UIDevice.current, ProcessInfo.processInfo)
        device.isBatteryMonitoringEnabled = true
        return DeviceSignals(
            charging: device.batteryState == .unknown ? nil : device.batteryState != .unplugged,
            battery: device.batteryLevel < 0 ? nil : device.batteryLevel,
            idle: idle,
            thermal: heat(process.thermalState),
            lowPower: process.isLowPowerModeEnabled,
            foreground: foreground)
    }

    /// 1 is where the device is slowed down. A policy begins below 0.7 and pauses above 0.85 unless told otherwise: it
    /// begins while the state is fair at most, and pauses when it is serious.
    nonisolated static func heat(_ state: ProcessInfo.ThermalState) -> Float? {
        switch state {
        case .nominal: 0.2
        case .fair: 0.6
        case .serious: 1
        case .critical: 1.3
        @unknown default: nil
        }
    }
}
#endif
