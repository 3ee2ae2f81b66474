#if canImport(BackgroundTasks) && canImport(UIKit)
import BackgroundTasks
import Foundation

/// Trains while the device is idle and charging, as the system finds the time: minutes at a time, going on where it was
/// ended. Heat, low-power mode, battery, memory and the minutes of the day are the policy's to judge.
///
/// The app names `identifier` in `BGTaskSchedulerPermittedIdentifiers`, has the background mode `processing`, calls
/// ``register()`` before it has finished launching, and ``schedule(earliest:)`` whenever it goes to the background.
public struct BackgroundTraining: Sendable {
    /// The task's name, as in the app's Info.plist.
    public let identifier: String
    private let settings: AttendSettings
    private let open: @Sendable () async throws -> PersonalEngine?

    /// - Parameters:
    ///   - identifier: the task's name.
    ///   - settings: when and how it trains.
    ///   - open: opens an engine of the task's own, by ``EngineOptions/inBackground()``; it is shut down with the
    ///     task. It gives nil where the person has not agreed to learning, or not any more: nothing is trained then,
    ///     and no other time is asked for.
    public init(
        identifier: String, settings: AttendSettings = AttendSettings(policy: defaultPolicy()),
        open: @escaping @Sendable () async throws -> PersonalEngine?
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
            var end = (try? await train()) ?? .error
            if Task.isCancelled && end != .refused { end = .expired }
            // Refused by the scheduler, it waits for the app to ask again.
            if let earliest = earliest(after: end) { try? schedule(earliest: earliest) }
            grant.complete(success: end != .error)
        }
        grant.onExpiration { training.cancel() }
    }

    /// How a run ended.
    private enum End {
        /// The system ended it in its midst.
        case expired
        /// A rule stands against it, somebody else trains, or it rests.
        case waiting
        /// A training came to its end, or would come to nothing.
        case done
        /// The person has not agreed.
        case refused
        /// It threw.
        case error
    }

    /// When to go on; nil for never.
    private func earliest(after end: End) -> Date? {
        switch end {
        case .expired: Date()
        case .waiting, .error: Date(timeIntervalSinceNow: 3600)
        case .done: Date(timeIntervalSinceNow: Double(settings.restMinutes ?? 20 * 60) * 60)
        case .refused: nil
        }
    }

    private func train() async throws -> End {
        guard let engine = try await open() else { return .refused }
        let watch = await DeviceWatch(engine, isForeground: false, idle: true)
        let end: Result<End, any Error>
        do { end = .success(try await attend(engine)) } catch { end = .failure(error) }
        withExtendedLifetime(watch) {}
        // The checkpoint is written, and nothing held, when the system goes on.
        await engine.shutDown()
        return try end.get()
    }

    /// Attends to one training.
    private func attend(_ engine: PersonalEngine) async throws -> End {
        for try await event in engine.attend(settings) {
            switch event {
            case .progress, .state(.off), .state(.preparing), .state(.training), .state(.pausing): continue
            case .ended(.finished), .ended(.failed), .state(.nothingToLearn): return .done
            case .ended(.paused), .state: return .waiting
            }
        }
        return .waiting
    }
}
#endif
