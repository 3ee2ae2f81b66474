#if canImport(UIKit)
import Foundation
import UIKit

/// Ties an engine to its app, for as long as it is kept: the GPU in the foreground; no lock and no database held when
/// the app is suspended; the model's memory given back on a warning; battery, heat and low-power mode told to the
/// policy.
///
/// It uses nothing that an app extension must not use, so that a keyboard may keep one as well.
@MainActor
public final class AppLifecycle {
    private let engine: PersonalEngine
    private let device: DeviceChoice
    private var isForeground = true
    private let observers = Observers()

    /// Begins at once.
    ///
    /// - Parameter device: where the engine computes in the foreground.
    public init(_ engine: PersonalEngine, device: DeviceChoice = .auto) {
        self.engine = engine
        self.device = device
        for name in [UIApplication.didEnterBackgroundNotification, .NSExtensionHostDidEnterBackground] {
            observers.add(name) { [weak self] in self?.enterBackground() }
        }
        for name in [UIApplication.willEnterForegroundNotification, .NSExtensionHostWillEnterForeground] {
            observers.add(name) { [weak self] in self?.enterForeground() }
        }
        observers.add(UIApplication.didReceiveMemoryWarningNotification) { [engine] in
            Task { try? await engine.unload() }
        }
        for name in [
            UIDevice.batteryStateDidChangeNotification, UIDevice.batteryLevelDidChangeNotification,
            ProcessInfo.thermalStateDidChangeNotification, .NSProcessInfoPowerStateDidChange,
        ] {
            observers.add(name) { [weak self] in self?.pushSignals() }
        }
        pushSignals()
    }

    private func pushSignals() {
        engine.pushSignals(DeviceState.signals(foreground: isForeground))
    }

    private func enterBackground() {
        isForeground = false
        pushSignals()
        let surface = engine.surface
        // The system suspends the process no sooner than this has returned, on a thread of its own.
        ProcessInfo.processInfo.performExpiringActivity(withReason: "a training writes a checkpoint") { isExpired in
            if !isExpired { try? surface.suspend() }
        }
    }

    private func enterForeground() {
        isForeground = true
        Task { [engine, device] in
            try? await engine.resumeWork()
            try? await engine.setDevice(device)
        }
        pushSignals()
    }
}

/// Observers of notifications, which react on the main actor and end with it.
private final class Observers {
    private var tokens: [any NSObjectProtocol] = []

    @MainActor
    func add(_ name: Notification.Name, _ react: @escaping @MainActor @Sendable () -> Void) {
        let token = NotificationCenter.default.addObserver(forName: name, object: nil, queue: nil) { _ in
            // UIKit posts on the main thread, and goes on when this returns; heat and power come from anywhere.
            if Thread.isMainThread {
                MainActor.assumeIsolated(react)
            } else {
                Task { @MainActor in react() }
            }
        }
        tokens.append(token)
    }

    deinit {
        tokens.forEach(NotificationCenter.default.removeObserver)
    }
}
#endif
