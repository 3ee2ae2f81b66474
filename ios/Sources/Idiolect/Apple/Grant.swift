#if canImport(BackgroundTasks)
import BackgroundTasks

/// The system's leave to work: completed once, on whatever thread. `BGTask` may be used from any; its headers do not
/// say so in Swift's terms.
final class Grant: @unchecked Sendable {
    let task: BGTask

    init(_ task: BGTask) {
        self.task = task
    }

    func onExpiration(_ end: @escaping @Sendable () -> Void) {
        task.expirationHandler = end
    }

    func complete(success: Bool) {
        task.setTaskCompleted(success: success)
    }
}
#endif
