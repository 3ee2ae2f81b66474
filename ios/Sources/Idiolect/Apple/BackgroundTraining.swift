#if canImport(BackgroundTasks)
import BackgroundTasks
import Foundation

/// Trains while the device is idle and charging, as the system finds the time: minutes at a time, going on where it was
/// ended.
///
/// The app names `identifier` in `BGTaskSchedulerPermittedIdentifiers`, has the background mode `processing`, calls
/// ``register()`` before it has finished launching, and ``schedule()`` whenever it goes to the background.
public struct BackgroundTraining: Sendable {
    /// The task's name, as in the app's Info.plist.
    public let identifier: String
    private let settings: LearnSettings
    private let open: @Sendable () async throws -> PersonalEngine

    /// - Parameters: - settings: how it learns. - open: opens an engine of the task's own, by
    ///   ``EngineOptions/inBackground()``; it is shut down with the task. It throws where the person has not agreed
    ///   to learning, or not any more: nothing is trained then.
    public init(
        identifier: String, settings: LearnSettings = LearnSettings(),
        open: @escaping @Sendable () async throws -> PersonalEngine
    ) {
        self.identifier = identifier
        self.settings = settings
        self.open = open
    }

    /// Tells the system what to call; whether the app may have it.
    @discardableResult
    public func register() -> Bool {
        BGTaskScheduler.shared.register(forTaskWithIdentifier: identifier, using: nil) { task in
            run(Grant(task))
        }
    }

    /// Asks for a time, not before `earliest`. A request that waits already is replaced.
    ///
    /// - Throws: the scheduler's error: too many requests, or an identifier that the app has not declared.
    public func schedule(earliest: Date? = nil) throws {
        let request = BGProcessingTaskRequest(identifier: identifier)
        request.requiresExternalPower = true
        request.requiresNetworkConnectivity = false
        request.earliestBeginDate = earliest
        try BGTaskScheduler.shared.submit(request)
    }

    /// Takes the request back, as when the person does not agree to learning any more.
    public func cancel() {
        BGTaskScheduler.shared.cancel(taskRequestWithIdentifier: identifier)
    }

    private func run(_ grant: Grant) {
        let training = Task {
            let ended = try? await train()
            // What was ended in its midst goes on as soon as may be, what came to its end a day later.
            try? schedule(earliest: ended == .paused ? nil : Date(timeIntervalSinceNow: 20 * 3600))
            grant.complete(success: ended != nil)
        }
        grant.onExpiration { training.cancel() }
    }

    private enum End { case finished, paused, nothingToLearn }

    private func train() async throws -> End {
        let engine = try await open()
        let ended = await Result { () async throws in
            guard try await engine.status(gate: settings.gate).nextTraining.worthwhile else { return End.nothingToLearn }
            var ended = End.paused
            for try await event in engine.train(settings) {
                if case .finished = event { ended = .finished }
            }
            return ended
        }
        // The checkpoint is written, and nothing held, when the system goes on.
        await engine.shutDown()
        return Task.isCancelled ? .paused : try ended.get()
    }
}

extension Result where Failure == any Error {
    /// What asynchronous work gives or throws.
    fileprivate init(_ work: () async throws -> Success) async {
        do { self = .success(try await work()) } catch { self = .failure(error) }
    }
}
#endif
