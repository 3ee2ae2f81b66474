import Foundation
import Idiolect
import Testing

extension OneByOne {
    @Suite struct EndingTests {
        let home = try! Home()

        @Test("Closing during a training is safe: it returns at once, and the training pauses")
        func closesTraining() async throws {
            let engine = try await home.engine(messages: 240)
            var last: TrainEvent?
            for try await event in engine.train(settings) {
                if case .progress(.step(2, _, _, _)) = event {
                    let moment = ContinuousClock.now
                    engine.close()
                    #expect(seconds(since: moment) < 0.02)
                }
                last = event
            }
            #expect(last == .paused(.closing))
            #expect(engine.state == .closed)
        }

        @Test("Closed, everything is refused, and nothing of the profile is held", arguments: [false, true])
        func closesAll(atOnce: Bool) async throws {
            let engine = try await home.learned()
            let (history, adapters) = (engine.history, engine.adapters)
            let conversation = try await engine.conversation()
            if atOnce { engine.close() } else { await engine.shutDown() }
            let calls: [() async throws -> Void] = [
                { try await engine.check() }, { _ = try await engine.status() }, { _ = try await engine.lastReport() },
                { _ = try await engine.suggest("hello") }, { _ = try await engine.finish(settings) },
                { _ = try await engine.greedy(prompt) }, { _ = try await engine.conversation() },
                { _ = try await conversation.say("hello").answer() }, { try await engine.suspendWork() },
                { _ = try await history.stats() }, { try await history.add(messages) },
                { _ = try await adapters.list() }, { try await adapters.use(nil) },
                { for try await _ in adapters.merge(1, destination: home.path("merged")) {} },
                { try await engine.eraseAll() },
            ]
            for call in calls { await refused("Closed", "closed") { try await call() } }
            #expect(engine.state == .closed && engine.attendance == .off)
            engine.pushSignals(DeviceSignals())
            engine.close()
            await engine.shutDown()
            #if os(Linux)
            let files = try FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd")
            let open = files.compactMap { try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/fd/\($0)") }
            #expect(!open.contains { $0.hasPrefix(home.path("profile")) })
            #endif
        }

        @Test("Closing during an answer is safe: it ends with what there is")
        func closesAnswer() async throws {
            let engine = try await home.learned()
            var (pieces, end): (Int, Generation?) = (0, nil)
            for try await chunk in engine.generate(.text(text: prompt), options: long) {
                switch chunk {
                case .text:
                    if pieces == 0 { engine.close() }
                    pieces += 1
                case .end(let generation, _): end = generation
                }
            }
            #expect(try #require(end).finishReason == .cancelled)
            await refused("Closed") { _ = try await engine.greedy(prompt) }
        }

        @Test("Freed with work under way, an engine ends when that does")
        func freed() async throws {
            var engine: PersonalEngine? = try await home.learned()
            weak var watched = engine
            let options = GenerateOptions(maxTokens: 200, ignoreEos: true)
            let answer = engine!.generate(.text(text: prompt), options: options)
            engine = nil
            #expect(try await answer.answer().tokens == 200)
            for _ in 0..<100 where watched != nil { try await Task.sleep(for: .milliseconds(10)) }
            #expect(watched == nil)
            // The profile is free for another engine, and the training of one that was freed in its midst goes on
            // there.
            let steps = LearnSettings(train: TrainSettings(steps: 200))
            func begin() async throws {
                for try await event in try await home.engine().train(steps) {
                    if case .progress(.step) = event { return }
                }
            }
            try await begin()
            let last = try await home.engine()
            while true {
                do {
                    for try await event in last.train(steps) {
                        if case .progress(.started(_, let resumedAt, _, _, _)) = event {
                            #expect(resumedAt >= 1)
                            return
                        }
                    }
                } catch EngineError.TrainingBusy {
                    // The other engine is still writing its checkpoint.
                    try await Task.sleep(for: .milliseconds(20))
                }
            }
        }

        @Test("Erased during a training, nothing is left and nothing comes back")
        func erases() async throws {
            let engine = try await home.learned()
            var last: TrainEvent?
            var erased: EraseReport?
            for try await event in engine.train(otherSettings) {
                if case .progress(.step(1, _, _, _)) = event { erased = try await engine.eraseAll() }
                last = event
            }
            let report = try #require(erased)
            #expect(last == .paused(.closing))
            #expect(report.keys.files == 1)
            #expect(report.history.files > 0 && report.adapters.files > 0 && report.left.isEmpty)
            #expect(!home.has("profile"))
            let (history, adapters) = (engine.history, engine.adapters)
            let calls: [() async throws -> Void] = [
                { try await engine.eraseAll() }, { try await engine.check() }, { _ = try await engine.lastReport() },
                { _ = try await engine.suggest("hello") }, { _ = try await engine.finish(settings) },
                { _ = try await history.stats() }, { try await history.add(messages) },
                { try await history.clear() }, { _ = try await adapters.list() }, { try await adapters.use(nil) },
                { try await adapters.delete(1) }, { _ = try await engine.greedy(prompt) },
                { _ = try await engine.conversation() },
            ]
            for call in calls { await refused("Closed") { try await call() } }
            #expect(!home.has("profile"))
            await refused("Io", home.path("profile")) { try await PersonalEngine.eraseProfile(home.path("profile")) }
        }

        @Test("A closed profile is erased without key and model")
        func erasesClosed() async throws {
            await (try home.engine(messages: 3)).shutDown()
            #expect(try await PersonalEngine.eraseProfile(home.path("profile")).total.files > 0)
            #expect(!home.has("profile"))
        }
    }
}
