import Foundation
import Idiolect
import Testing

/// A listener whose callbacks throw.
private final class Throwing: LearnListener, TextListener, MergeListener, AttendListener {
    func onEvent(event: LearnEvent) throws { throw NotForTheEngine() }
    func onText(text: String) throws { throw NotForTheEngine() }
    func onProgress(stage: MergeStage, done: UInt64, all: UInt64) throws { throw NotForTheEngine() }
    func onState(state: Attendance) throws { throw NotForTheEngine() }
    func onEnded(outcome: LearnOutcome) throws { throw NotForTheEngine() }
}

extension OneByOne {
    /// The generated calls beneath the facade, for what that never does: listeners that throw.
    @Suite struct SurfaceTests {
        let home = try! Home()

        @Test("An error in a listener ends the work, and arrives")
        func throwing() async throws {
            await (try home.learned()).shutDown()
            let engine = try Engine.open(options: home.options())
            let cancel = CancelToken()
            await refused("Listener", "callback") {
                _ = try engine.train(settings: otherSettings, cancel: cancel, listener: Throwing())
            }
            #expect(engine.state() == .idle)
            await refused("Listener", "callback") {
                _ = try engine.generate(
                    prompt: .text(text: prompt), options: long, cancel: CancelToken(), listener: Throwing())
            }
            let conversation = try engine.conversation(options: ConversationOptions())
            await refused("Listener", "callback") {
                _ = try conversation.say(
                    message: "and then?", options: long, cancel: CancelToken(), listener: Throwing())
            }
            await refused("Listener", "callback") {
                _ = try engine.adapters().merge(
                    version: 1, destination: home.path("merged"), options: MergeOptions(), cancel: CancelToken(),
                    listener: Throwing())
            }
            #expect(!home.has("merged"))
            engine.shutDown()
        }

        @Test("A listener of an attendance that throws changes nothing")
        func throwingAttendance() async throws {
            let engine = try Engine.open(options: home.options())
            try engine.attend(settings: AttendSettings(policy: defaultPolicy()), listener: Throwing())
            try await Task.sleep(for: .milliseconds(200))
            #expect(engine.attendance() != .off)
            engine.stopAttending()
            #expect(engine.attendance() == .off)
            engine.shutDown()
        }
    }
}
