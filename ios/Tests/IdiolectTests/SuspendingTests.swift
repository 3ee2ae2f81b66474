import Foundation
import Idiolect
import Testing

extension OneByOne {
    @Suite struct SuspendingTests {
        let home = try! Home()
        let settings = LearnSettings(train: TrainSettings(steps: 20, seed: 7))

        @Test("Suspended, a training rests and every call is refused; resumed, it goes on")
        func suspends() async throws {
            let engine = try await home.engine(messages: 120)
            var steps: [UInt64] = []
            for try await event in engine.train(settings) {
                switch event {
                case .progress(.step(let step, _, _, _)):
                    steps.append(step)
                    if step == 3 {
                        try await engine.suspendWork()
                        await refused("Suspended", "suspended") { _ = try await engine.greedy(prompt) }
                        await refused("Suspended") { _ = try await engine.finish(settings) }
                        await refused("Suspended") { _ = try await engine.history.stats() }
                        await refused("Suspended") { _ = try await engine.adapters.list() }
                        // Nobody holds the right to train: another engine may write, and gives it back.
                        let another = try await home.engine()
                        try await another.history.add([NewSample(text: "written meanwhile")])
                        await another.shutDown()
                        try await engine.resumeWork()
                    }
                case .finished(let report): #expect(report.resumed)
                case .paused(let reason): Issue.record("\(reason)")
                case .failed(let report): Issue.record("\(report.verdict)")
                case .progress: break
                }
            }
            #expect(steps == Array(1...20))
        }

        @Test("An open engine changes its device, and says which one it has")
        func changesDevice() async throws {
            let engine = try await home.engine()
            try await engine.setDevice(.auto)
            let backend = try await engine.backend()
            #expect(!backend.name.isEmpty && !backend.reason.isEmpty)
            try await engine.setDevice(.cpu)
            #expect(try await engine.backend().kind == .cpu)
            engine.close()
            await refused("Closed", "closed") { try await engine.suspendWork() }
            await refused("Closed", "closed") { try await engine.setDevice(.cpu) }
        }
    }
}
