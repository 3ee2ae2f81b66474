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
    private let usesGpu: Bool
    private let open: @Sendable () async throws -> PersonalEngine
    private let hear: @Sendable (TrainEvent) -> Void

    /// - Parameters:
    ///   - identifier: the task's name.
    ///   - settings: how it learns.
    ///   - usesGpu: whether to ask for the GPU where ``hasGpu``, for which the app needs the entitlement of
    ///     background GPU access.
    ///   - open: opens an engine of the task's own, by ``EngineOptions/inBackground()`` unless it has the GPU; it is
    ///     shut down with the task.
    ///   - hear: what to tell the app's screen meanwhile.
    public init(
        identifier: String, settings: LearnSettings = LearnSettings(), usesGpu: Bool = false,
        open: @escaping @Sendable () async throws -> PersonalEngine,
        hear: @escaping @Sendable (TrainEvent) -> Void
    ) {
        self.identifier = identifier
        self.settings = settings
        self.usesGpu = usesGpu
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
        if usesGpu && Self.hasGpu { request.requiredResources = .gpu }
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
        progress.totalUnitCount = 1000
        let engine = try await open()
        var isFinished = false
        var share = TrainingShare()
        do {
            for try await event in engine.train(settings) {
                switch event {
                case .progress(let event):
                    share.hear(event)
                    progress.completedUnitCount = Int64(share.done * Double(progress.totalUnitCount))
                case .finished:
                    progress.completedUnitCount = progress.totalUnitCount
                    isFinished = true
                case .paused, .failed: break
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
