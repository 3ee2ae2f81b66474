#if canImport(BackgroundTasks) && !os(tvOS) && !os(visionOS)
import BackgroundTasks
import Foundation

/// A training that the person begins and that goes on when they leave the app, with its progress shown by the system
/// (iOS 26).
///
/// The app names `identifier` in `BGTaskSchedulerPermittedIdentifiers`.
@available(iOS 26.0, *)
public struct ContinuedTraining: Sendable {
    /// The task's name: the app's bundle identifier and something behind it.
    public let identifier: String
    private let settings: LearnSettings
    private let open: @Sendable () async throws -> PersonalEngine
    private let hear: @Sendable (TrainEvent) -> Void

    /// - Parameters: - settings: how it learns. - open: opens an engine of the task's own, by
    ///   ``EngineOptions/inBackground()`` unless the device grants the GPU in the background; it is shut down with
    ///   the task. - hear: what to tell the app's screen meanwhile.
    public init(
        identifier: String, settings: LearnSettings = LearnSettings(),
        open: @escaping @Sendable () async throws -> PersonalEngine,
        hear: @escaping @Sendable (TrainEvent) -> Void
    ) {
        self.identifier = identifier
        self.settings = settings
        self.open = open
        self.hear = hear
    }

    /// Whether the system grants this device the GPU for such work; it needs an entitlement as well.
    public static var hasGpu: Bool { BGTaskScheduler.supportedResources.contains(.gpu) }

    /// Tells the system what to call, once in the life of the process; whether the app may have it.
    @discardableResult
    public func register() -> Bool {
        BGTaskScheduler.shared.register(forTaskWithIdentifier: identifier, using: nil) { task in
            if let task = task as? BGContinuedProcessingTask { run(Grant(task), task.progress) }
        }
    }

    /// Begins, when the person asks for it; `title` and `subtitle` are what the system shows.
    ///
    /// - Throws: the scheduler's error, where there is no room for the task now or it is not declared.
    public func begin(title: String, subtitle: String) throws {
        let request = BGContinuedProcessingTaskRequest(identifier: identifier, title: title, subtitle: subtitle)
        request.strategy = .fail
        if Self.hasGpu { request.requiredResources = .gpu }
        try BGTaskScheduler.shared.submit(request)
    }

    private func run(_ grant: Grant, _ progress: Progress) {
        let training = Task {
            let isFinished = (try? await train(progress)) == true
            grant.complete(success: isFinished)
        }
        grant.onExpiration { training.cancel() }
    }

    /// Whether it came to its end.
    private func train(_ progress: Progress) async throws -> Bool {
        let engine = try await open()
        var isFinished = false
        do {
            for try await event in engine.train(settings) {
                switch event {
                case .progress(.started(let steps, let resumedAt, _, _, _)):
                    progress.totalUnitCount = Int64(steps)
                    progress.completedUnitCount = Int64(resumedAt)
                case .progress(.step(let step, _, _, _)): progress.completedUnitCount = Int64(step)
                case .finished: isFinished = true
                default: break
                }
                hear(event)
            }
        } catch {
            await engine.shutDown()
            throw error
        }
        await engine.shutDown()
        return isFinished
    }
}
#endif
