#if canImport(UIKit)
import Foundation
import UIKit

/// Tells an engine what the device says of itself, at once and whenever it changes, for as long as it is kept.
@MainActor
final class DeviceWatch {
    private let engine: PersonalEngine
    private let idle: Bool?
    private let observers = Observers()
    /// Whether the app is what the person looks at.
    var isForeground: Bool {
        didSet { push() }
    }

    /// - Parameter idle: whether nobody uses the device, where that is known.
    init(_ engine: PersonalEngine, isForeground: Bool, idle: Bool? = nil) {
        self.engine = engine
        self.isForeground = isForeground
        self.idle = idle
        for name in [
            UIDevice.batteryStateDidChangeNotification, UIDevice.batteryLevelDidChangeNotification,
            ProcessInfo.thermalStateDidChangeNotification, .NSProcessInfoPowerStateDidChange,
        ] {
            observers.add(name) { [weak self] in self?.push() }
        }
        push()
    }

    private func push() {
        engine.pushSignals(DeviceState.signals(foreground: isForeground, idle: idle))
    }
}
#endif
