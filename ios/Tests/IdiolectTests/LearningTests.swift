import Foundation
import Idiolect
import Testing

extension OneByOne {
    @Suite struct LearningTests {
        let home = try! Home()

        @Test("A training goes through the gate, and says what it learned")
        func learns() async throws {
            let engine = try await home.learned()
            let report = try await Learned.shared.value.report
            #expect(try #require(report.lastLoss) < #require(report.firstLoss))
            #expect(report.bytesWritten > 0 && report.setbacks.isEmpty && report.counts.refused == 0)
            #expect(report.verdict.decision == .promoted, "\(report.verdict.explanation)")
            #expect(report.version == 1)
            #expect(report.verdict.forgettingIn.map(\.language) == ["eng"])
            #expect(try await engine.lastReport() == report)
            #expect(try await !engine.hasPausedTraining())
            let status = try await engine.status(openModel: true)
            #expect(status.inUse?.version == 1)
            #expect(status.inUse?.report == report)
            #expect(status.stale == false)
            #expect(status.texts == status.trains.samples + status.validates.samples + status.heldOut.samples)
            #expect(status.nextTraining.reason == .unchanged)
        }

        @Test("Nothing changed: the same report at once")
        func unchanged() async throws {
            let report = try await home.learned().finish(settings)
            #expect(report.unchanged && report.version == 1)
        }

        @Test("A plan tells what a training takes before it runs")
        func plans() async throws {
            let engine = try await home.learned()
            let report = try await Learned.shared.value.report
            let plan = try await engine.plan(settings)
            #expect(plan.steps == report.steps && plan.texts > 0 && plan.tokens > 0)
            #expect(plan.plannedBytes > 0)
            await refused("OverBudget") {
                _ = try await engine.plan(LearnSettings(train: TrainSettings(budgetBytes: 1000)))
            }
        }

        @Test("Its progress comes in order, and leaving the loop pauses it with a checkpoint")
        func leaves() async throws {
            let engine = try await home.engine(messages: 240)
            var steps: [UInt64] = []
            for try await event in engine.train(settings) {
                guard case .progress(.step(let step, _, _, _)) = event else { continue }
                guard case .training = engine.state else {
                    Issue.record("state: \(engine.state)")
                    break
                }
                steps.append(step)
                if step == 5 { break }
            }
            #expect(steps == [1, 2, 3, 4, 5])
            let left = ContinuousClock.now
            #expect(try await engine.hasPausedTraining())
            #expect(seconds(since: left) < 1)
            #expect(try await engine.lastReport() == nil)
            #expect(engine.state == .idle)
        }

        @Test("A cancelled task pauses it within a tenth of a second, and hears a CancellationError")
        func cancels() async throws {
            let engine = try await home.engine(messages: 240)
            let began = AsyncStream<Void>.makeStream()
            let task = Task {
                defer { began.continuation.finish() }
                for try await event in engine.train(settings) {
                    if case .progress(.step(3, _, _, _)) = event { began.continuation.yield() }
                }
            }
            for await _ in began.stream { break }
            let moment = ContinuousClock.now
            task.cancel()
            await #expect(throws: CancellationError.self) { try await task.value }
            #expect(seconds(since: moment) < 0.1)
            while engine.state != .idle { try await Task.sleep(for: .milliseconds(2)) }
            #expect(seconds(since: moment) < 0.3, "a tenth of a second to end, and the time of writing")
            #expect(try await engine.hasPausedTraining())
        }

        @Test("Paused at any step, it goes on to the same bits", arguments: [UInt64.random(in: 1...12)])
        func resumes(step: UInt64) async throws {
            let whole = try await Learned.shared.value.report
            let engine = try await home.unlearned()
            try await engine.train(settings, untilStep: step)
            await engine.shutDown()
            let again = try await home.engine()
            var (resumedAt, steps): (UInt64, [UInt64]) = (0, [])
            for try await event in again.train(settings) {
                switch event {
                case .progress(.started(_, let at, _, _, _)): resumedAt = at
                case .progress(.step(let step, _, _, _)): steps.append(step)
                case .finished(let report):
                    #expect(report.resumed)
                    #expect(report.candidateSha256 == whole.candidateSha256, "paused at step \(step)")
                    #expect(report.verdict == whole.verdict)
                case .failed, .paused: Issue.record("\(event)")
                default: break
                }
            }
            #expect(resumedAt >= step)
            #expect(steps.first == resumedAt + 1 && steps.last == whole.steps)
        }

        @Test("It saves when it is called to, and goes on")
        func saves() async throws {
            let engine = try await home.engine(messages: 240)
            try await engine.saveProgress()
            var saved: UInt64?
            for try await event in engine.train(settings) {
                guard case .progress(.step(let step, _, _, _)) = event else { continue }
                if let saved, step > saved { break }
                if saved == nil {
                    try await engine.saveProgress()
                    #expect(engine.state != .idle)
                    saved = step
                }
            }
            #expect(try await engine.hasPausedTraining())
        }

        @Test("Answers are given beside it; a second training is refused; unloading pauses it")
        func answersBeside() async throws {
            let engine = try await home.learned()
            var events = engine.train(otherSettings).makeAsyncIterator()
            while let event = try await events.next() {
                if case .progress(.step) = event { break }
            }
            #expect(try await !engine.greedy(prompt).isEmpty)
            guard case .training = engine.state else {
                Issue.record("the answer waited for the training to end")
                return
            }
            await refused("TrainingBusy", "training") { _ = try await engine.finish(settings) }
            try await engine.unload()
            var last: TrainEvent?
            while let event = try await events.next() { last = event }
            #expect(last == .paused(.memoryPressure))
        }

        @Test("A stream that nobody reads ends with it")
        func unread() async throws {
            let engine = try await home.engine(messages: 240)
            _ = engine.train(settings)
            // It is not in the way of the next one.
            let report = try await engine.finish(LearnSettings(train: TrainSettings(steps: 2)))
            #expect(report.steps == 2)
        }
    }
}
