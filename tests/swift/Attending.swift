// An engine that attends to trainings by itself, on signals that the app pushes.

import Dispatch
import Foundation
import IdiolectFFI
import Synchronization

/// Hears the attendance; `react` may throw.
final class Attended: AttendListener {
    private struct Heard {
        var states: [Attendance] = []
        var outcomes: [LearnOutcome] = []
    }

    private let heard = Mutex(Heard())
    private let stateCame = DispatchSemaphore(value: 0)
    private let outcomeCame = DispatchSemaphore(value: 0)
    private let react: @Sendable (LearnEvent) throws -> Void

    init(react: @escaping @Sendable (LearnEvent) throws -> Void = { _ in }) {
        self.react = react
    }

    func onState(state: Attendance) throws {
        heard.withLock { $0.states.append(state) }
        stateCame.signal()
    }

    func onEvent(event: LearnEvent) throws { try react(event) }

    func onEnded(outcome: LearnOutcome) throws {
        heard.withLock { $0.outcomes.append(outcome) }
        outcomeCame.signal()
    }

    /// The next state that nobody has seen.
    func state() throws -> Attendance {
        try wait(stateCame)
        return heard.withLock { $0.states.removeFirst() }
    }

    /// The next outcome that nobody has seen.
    func outcome() throws -> LearnOutcome {
        try wait(outcomeCame)
        return heard.withLock { $0.outcomes.removeFirst() }
    }

    private func wait(_ came: DispatchSemaphore) throws {
        try check(came.wait(timeout: .now() + 120) == .success, "nothing came in two minutes")
    }
}

/// A listener that throws.
final class Throwing: AttendListener {
    let called = DispatchSemaphore(value: 0)

    func onState(state: Attendance) throws {
        called.signal()
        throw NotForTheEngine()
    }

    func onEvent(event: LearnEvent) throws {}

    func onEnded(outcome: LearnOutcome) throws {}
}

extension Life {
    mutating func attending() throws {
        let calm = DeviceSignals(
            charging: true, battery: 0.8, idle: true, thermal: 0.2, lowPower: false, freeMemory: 8 << 30,
            localMinute: 720)
        var pulled = calm
        pulled.charging = false
        // How many texts are held out is drawn by the profile's key: few are worth a training here.
        let learn = LearnSettings(train: TrainSettings(steps: 20, seed: 7), gate: GateSettings(minUnits: 2))
        let settings = AttendSettings(policy: defaultPolicy(), learn: learn)
        let place = home.appendingPathComponent("attended").path
        let engine = try Engine.open(
            options: EngineOptions(profile: place, model: model, key: nil, device: .cpu, threads: 2))
        _ = try engine.history().addAll(samples: Array(messages.prefix(120)))

        try step("attends to trainings: the charger starts, pauses and resumes one") {
            try same("before", .off, engine.attendance())
            let begun = DispatchSemaphore(value: 0)
            let listener = Attended { if case .step(3, _, _, _) = $0 { begun.signal() } }
            engine.pushSignals(signals: pulled)
            try engine.attend(settings: settings, listener: listener)
            let waiting = try listener.state()
            guard case .waiting(let reasons) = waiting else { throw Failure(what: "\(waiting)") }
            try same("reasons", [.charging], reasons.map(\.rule))
            engine.pushSignals(signals: calm)
            try same("calm", .preparing, listener.state())
            try same("prepared", .training, listener.state())
            try check(begun.wait(timeout: .now() + 120) == .success, "no third step")
            engine.pushSignals(signals: pulled)
            try same("pausing", .pausing(reasons: reasons), listener.state())
            try same("outcome", .paused(reason: .cancelled), listener.outcome())
            try same("paused", waiting, listener.state())
            try check(engine.hasPausedTraining())
            engine.pushSignals(signals: calm)
            try same("again", .training, listener.state())
            guard case .finished(let report) = try listener.outcome() else { throw Failure(what: "it did not finish") }
            try check(report.resumed)
            let ended = try listener.state()
            guard case .nothingToLearn(let words) = ended else { throw Failure(what: "\(ended)") }
            try check(!words.isEmpty)
            try same("now", ended, engine.attendance())
            return reasons[0].words
        }
        try step("a listener that throws changes nothing; closed, nobody attends") {
            let throwing = Throwing()
            var strict = settings
            strict.policy.batteryToStart = 30
            try refused(.badOption, "battery_to_start") { try engine.attend(settings: strict, listener: throwing) }
            try engine.attend(settings: settings, listener: throwing)
            try check(throwing.called.wait(timeout: .now() + 120) == .success, "no state came")
            try check(engine.attendance() != .off)
            engine.stopAttending()
            try same("stopped", .off, engine.attendance())
            try engine.attend(settings: settings, listener: Attended())
            engine.shutDown()
            try same("shut down", .off, engine.attendance())
            try refused(.closed, "closed") { try engine.attend(settings: settings, listener: Attended()) }
            return nil
        }
    }
}
