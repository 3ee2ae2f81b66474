import Foundation
import Testing

@testable import Idiolect

extension OneByOne {
    @Suite struct AttendingTests {
        let home = try! Home()
        // How many texts are held out is drawn by the profile's key: few are worth a training here.
        let attending = AttendSettings(
            policy: defaultPolicy(),
            learn: LearnSettings(train: TrainSettings(steps: 20, seed: 7), gate: GateSettings(minUnits: 2)))

        func signals(charging: Bool) -> DeviceSignals {
            DeviceSignals(
                charging: charging, battery: 0.8, idle: true, thermal: 0.2, lowPower: false, freeMemory: 8 << 30,
                localMinute: 720)
        }

        @Test("The charger starts, pauses and resumes a training", .timeLimit(.minutes(3)))
        func attends() async throws {
            let engine = try await home.engine(messages: 120)
            #expect(engine.attendance == .off)
            engine.pushSignals(signals(charging: false))
            var told: [String] = []
            var reasons: [PolicyReason] = []
            attendance: for try await event in engine.attend(attending) {
                switch event {
                case .state(.waiting(let found)):
                    told.append("waiting")
                    #expect(found.map(\.rule) == [.charging])
                    reasons = found
                    #expect(try await engine.hasPausedTraining() == (told.count > 1))
                    engine.pushSignals(signals(charging: true))
                case .state(.preparing): told.append("preparing")
                case .state(.training): told.append("training")
                case .state(.pausing(let found)):
                    told.append("pausing")
                    #expect(found == reasons)
                case .state(.nothingToLearn(let words)):
                    told.append("nothing to learn")
                    #expect(engine.attendance == .nothingToLearn(words: words) && !words.isEmpty)
                    break attendance
                case .state(let other): told.append("\(other)")
                case .progress(.step(3, _, _, _)): engine.pushSignals(signals(charging: false))
                case .progress: break
                case .ended(.paused(let reason)):
                    told.append("paused")
                    #expect(reason == .cancelled)
                case .ended(.finished(let report)):
                    told.append("finished")
                    #expect(report.resumed)
                case .ended(.failed): told.append("failed")
                }
            }
            let expected = [
                "waiting", "preparing", "training", "pausing", "paused", "waiting", "training", "finished",
                "nothing to learn",
            ]
            #expect(told.filter { $0 != "preparing" } == expected.filter { $0 != "preparing" })
            // Left, nobody attends any more.
            _ = try await engine.hasPausedTraining()
            #expect(engine.attendance == .off)
        }

        @Test("A second attendance takes the place of the first, whose stream is complete; closed, nobody attends")
        func replaces() async throws {
            let engine = try await home.engine(messages: 120)
            engine.pushSignals(signals(charging: false))
            var strict = attending
            strict.policy.batteryToStart = 30
            await refused("BadOption", "battery_to_start") { for try await _ in engine.attend(strict) {} }
            let first = engine.attend(attending)
            var iterator = first.makeAsyncIterator()
            #expect(try await iterator.next() != nil)
            let second = engine.attend(attending)
            while try await iterator.next() != nil {}
            var other = second.makeAsyncIterator()
            #expect(try await other.next() != nil)
            #expect(engine.attendance != .off)
            engine.close()
            while try await other.next() != nil {}
            await refused("Closed", "closed") { for try await _ in engine.attend(attending) {} }
            #expect(engine.attendance == .off)
        }

        @Test("A stream that was left before its turn came does not attend, nor end one that took its place")
        func leftBefore() async throws {
            let engine = try await home.engine(messages: 120)
            engine.pushSignals(signals(charging: false))
            // What was left has to end before another attends.
            await engine.calls.leave { Thread.sleep(forTimeInterval: 0.3) }
            _ = engine.attend(attending)
            try await Task.sleep(for: .milliseconds(600))
            #expect(engine.attendance == .off)
            let (first, second) = (CancelToken(), CancelToken())
            let attending = Attending()
            for stream in [first, second] { try attending.begin(stream) {} }
            var ended = 0
            for stream in [first, second, second] { attending.end(stream) { ended += 1 } }
            #expect(ended == 1)
        }

        @Test("A cancelled task stops attending")
        func cancels() async throws {
            let engine = try await home.engine(messages: 120)
            engine.pushSignals(signals(charging: false))
            let task = Task { for try await _ in engine.attend(attending) { withUnsafeCurrentTask { $0?.cancel() } } }
            await #expect(throws: CancellationError.self) { try await task.value }
            _ = try await engine.hasPausedTraining()
            #expect(engine.attendance == .off)
        }
    }
}
