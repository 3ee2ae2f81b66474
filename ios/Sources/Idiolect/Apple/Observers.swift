#if canImport(UIKit)
import Foundation

/// Observers of notifications, which react on the main actor and end with it.
final class Observers {
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
