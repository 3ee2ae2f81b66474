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
    private let suspension: Suspension
    private let watch: DeviceWatch
    private let observers = Observers()

    /// Begins at once.
    ///
    /// - Parameters:
    ///   - engine: the app's; it is kept for as long as this is.
    ///   - device: where the engine computes in the foreground.
    ///   - failed: hears, on any thread, why the engine was not suspended or did not go on. To go on is tried again
    ///     every second while the app is in the foreground; until then calls fail with `Suspended`.
    public init(
        _ engine: PersonalEngine, device: DeviceChoice = .auto,
        failed: @escaping @Sendable (any Error) -> Void = { _ in }
    ) {
        let lease = engine.lease
        suspension = Suspension(
            .init(
                suspend: { try lease.use { try $0.suspend() } },
                resume: { try lease.use { try $0.resume() } },
                returned: { try lease.use { try $0.setDevice(device: device) } }),
            failed: failed)
        watch = DeviceWatch(engine, isForeground: true)
        for name in [UIApplication.didEnterBackgroundNotification, .NSExtensionHostDidEnterBackground] {
            observers.add(name) { [weak self] in self?.enterBackground() }
        }
        for name in [UIApplication.willEnterForegroundNotification, .NSExtensionHostWillEnterForeground] {
            observers.add(name) { [weak self] in self?.enterForeground() }
        }
        observers.add(UIApplication.didReceiveMemoryWarningNotification) {
            // It fails where the engine is closed, and holds nothing then.
            Task { try? await engine.unload() }
        }
    }

    private func enterBackground() {
        watch.isForeground = false
        suspension.leave()
        // The system suspends the process no sooner than this has returned, on a thread of its own. Where it grants no
        // time, or that is over, it says so by a call as well: there is none to lose then.
        ProcessInfo.processInfo.performExpiringActivity(withReason: "a training writes a checkpoint") { [suspension] _ in
            suspension.settle()
        }
    }

    private func enterForeground() {
        suspension.comeBack()
        watch.isForeground = true
    }
}
#endif
