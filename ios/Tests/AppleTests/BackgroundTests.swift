// The system alone begins tasks: these run on its stand-in.
#if os(Linux)
import BackgroundTasks
import Foundation
import Idiolect
import Testing
import UIKit

private let learn = LearnSettings(
    train: TrainSettings(steps: 12), gate: GateSettings(minUnits: 2), checkpointEveryMs: 1)

/// The device as the system begins a task on it.
@MainActor
private func onCharger(_ batteryState: UIDevice.BatteryState = .charging, _ heat: ProcessInfo.ThermalState = .nominal) {
    UIDevice.current.batteryState = batteryState
    TestSystem.thermalState = heat
}

/// Runs a task to its end; what it was completed with, and when the next one may begin.
private func run(_ training: BackgroundTraining) async throws -> (isSuccess: Bool, hours: Double?) {
    let task = BGProcessingTask(identifier: training.identifier)
    BGTaskScheduler.shared.begin(task)
    try await eventually { task.isSuccess != nil }
    let request = BGTaskScheduler.shared.requests[training.identifier]
    training.cancel()
    return (task.isSuccess == true, request.map { ($0.earliestBeginDate?.timeIntervalSinceNow ?? 0) / 3600 })
}

extension AppleTests {
    private func learnable() async throws {
        let engine = try await PersonalEngine.open(options(home))
        try await engine.history.addAll(samples(120))
        await engine.shutDown()
    }

    @Test("A training in the background is ended in its midst, goes on the next time, and asks for its times")
    func background() async throws {
        await onCharger()
        try await learnable()
        let (home, scheduler) = (home, BGTaskScheduler.shared)
        let settings = AttendSettings(policy: defaultPolicy(), learn: learn)
        let training = BackgroundTraining(identifier: "\(UUID())", settings: settings) {
            var options = options(home).inBackground()
            #expect(options.cpuShare == 0.7 && options.device == .cpu)
            options.cpuShare = nil
            return try await PersonalEngine.open(options)
        }
        #expect(training.register())
        try training.schedule()
        let request = try #require(scheduler.requests[training.identifier] as? BGProcessingTaskRequest)
        #expect(request.requiresExternalPower && !request.requiresNetworkConnectivity)
        let first = BGProcessingTask(identifier: training.identifier)
        scheduler.begin(first)
        let watching = try await PersonalEngine.open(options(home))
        try await eventually { try await watching.hasPausedTraining() }
        first.expirationHandler?()
        try await eventually { first.isSuccess != nil }
        #expect(try await watching.hasPausedTraining())
        #expect(try #require(scheduler.requests[training.identifier]?.earliestBeginDate) <= Date())
        let second = try await run(training)
        #expect(second.isSuccess && (19.9...20).contains(second.hours ?? 0))
        #expect(try await watching.lastReport()?.resumed == true)
    }

    @Test("What stands against a training in the background says when to ask again")
    func backgroundWaits() async throws {
        let home = home
        let engine: @Sendable () async throws -> PersonalEngine? = { try await PersonalEngine.open(options(home)) }
        func settings(restMinutes: UInt32? = nil) -> AttendSettings {
            AttendSettings(policy: defaultPolicy(), learn: learn, restMinutes: restMinutes)
        }
        let empty: [(AttendSettings, hours: Double)] = [(settings(), 20), (settings(restMinutes: 60), 1)]
        for (settings, hours) in empty {
            await onCharger()
            let training = BackgroundTraining(identifier: "\(UUID())", settings: settings, open: engine)
            training.register()
            let end = try await run(training)
            #expect(end.isSuccess && (hours - 0.1...hours).contains(end.hours ?? 0))
        }
        try await learnable()
        let cases: [(
            what: String, UIDevice.BatteryState, ProcessInfo.ThermalState, open: @Sendable () async throws -> PersonalEngine?,
            isSuccess: Bool, hours: Double?
        )] = [
            ("unplugged", .unplugged, .nominal, engine, true, 1),
            ("hot", .charging, .serious, engine, true, 1),
            ("not agreed", .charging, .nominal, { nil }, true, nil),
            ("locked", .charging, .nominal, { throw EngineError.KeyStore(detail: "locked", hint: nil) }, false, 1),
        ]
        for (what, battery, heat, open, isSuccess, hours) in cases {
            await onCharger(battery, heat)
            let training = BackgroundTraining(identifier: "\(UUID())", settings: settings(), open: open)
            training.register()
            let end = try await run(training)
            #expect(end.isSuccess == isSuccess, "\(what)")
            #expect(end.hours.map { ($0 * 10).rounded() / 10 } == hours, "\(what)")
        }
        let watching = try await PersonalEngine.open(options(home))
        #expect(try await !watching.hasPausedTraining())
        #expect(try await watching.lastReport() == nil)
    }

    @Test("It pauses where the device grows hot meanwhile, and waits for it to cool")
    func backgroundHeats() async throws {
        await onCharger()
        try await learnable()
        let home = home
        let settings = AttendSettings(policy: defaultPolicy(), learn: learn)
        let training = BackgroundTraining(identifier: "\(UUID())", settings: settings) {
            try await PersonalEngine.open(options(home))
        }
        training.register()
        let watching = try await PersonalEngine.open(options(home))
        async let end = run(training)
        try await eventually { try await watching.hasPausedTraining() }
        TestSystem.thermalState = .critical
        NotificationCenter.default.post(name: ProcessInfo.thermalStateDidChangeNotification, object: nil)
        let found = try await end
        #expect(found.isSuccess && (0.9...1).contains(found.hours ?? 0))
        #expect(try await watching.hasPausedTraining())
        await onCharger()
    }

    @Test("A training that the person began asks for the GPU only where the app says so")
    func continuedGpu() throws {
        defer { BGTaskScheduler.hasGpu = false }
        for (usesGpu, hasGpu) in [(false, false), (false, true), (true, false), (true, true)] {
            BGTaskScheduler.hasGpu = hasGpu
            let training = ContinuedTraining(
                identifier: "\(UUID())", usesGpu: usesGpu, open: { throw CancellationError() }, hear: { _ in })
            try training.begin(title: "Learning", subtitle: "from your notes")
            let request = BGTaskScheduler.shared.requests[training.identifier] as? BGContinuedProcessingTaskRequest
            #expect(request?.requiredResources == (usesGpu && hasGpu ? .gpu : []))
        }
    }

    @Test("A training that the person began tells how far it is, through the gate as well")
    func continuedProgress() async throws {
        try await learnable()
        let home = home
        let (shares, told) = AsyncStream.makeStream(of: (isMeasured: Bool, done: Double).self)
        let identifier = "\(UUID())"
        let task = BGContinuedProcessingTask(identifier: identifier)
        let progress = task.progress
        let training = ContinuedTraining(identifier: identifier, settings: learn) {
            #expect(!progress.isIndeterminate)
            return try await PersonalEngine.open(options(home))
        } hear: { event in
            if case .progress(.measuring) = event { told.yield((true, progress.fractionCompleted)) }
            if case .progress(.step) = event { told.yield((false, progress.fractionCompleted)) }
        }
        training.register()
        BGTaskScheduler.shared.begin(task)
        try await eventually { task.isSuccess != nil }
        #expect(task.isSuccess == true)
        told.finish()
        var (steps, measured): ([Double], [Double]) = ([], [])
        for await share in shares {
            if share.isMeasured { measured.append(share.done) } else { steps.append(share.done) }
        }
        #expect(steps == steps.sorted() && measured == measured.sorted())
        #expect(try #require(steps.last) <= #require(measured.first))
        #expect(try #require(measured.last) > #require(measured.first) && progress.fractionCompleted == 1)
    }
}
#endif
