#if canImport(NotesModel)
// The sample's screens on a stand-in for SwiftUI: that they do what they say, not how the real one shows it.

@testable import App
import Foundation
import Idiolect
import NotesModel
import SwiftUI
import Testing

extension AppleTests {
    @MainActor
    @Suite final class ScreenTests {
        let home = FileManager.default.temporaryDirectory.appendingPathComponent("idiolect-\(UUID())")
        var engine: PersonalEngine!
        var model: NotesModel!
        var forgotten: [String] = []

        deinit {
            try? FileManager.default.removeItem(at: home)
        }

        /// The screen of an engine whose profile has so many messages. With its key and this seed, what a training
        /// makes is good enough.
        func screen(messages: Int = 0, hasAgreed: Bool = true) async throws -> TestScreen {
            engine = try await PersonalEngine.open(options(home, key: Data(1...32)))
            if messages > 0 { try await engine.history.addAll(samples(messages)) }
            let settings = LearnSettings(train: TrainSettings(epochs: 1, seed: 7), gate: GateSettings(minUnits: 2))
            let preferences = try #require(UserDefaults(suiteName: "\(UUID())"))
            preferences.set(hasAgreed, forKey: NotesModel.agreed)
            model = NotesModel(engine, preferences: preferences, settings: settings)
            await model.load()
            return TestScreen(
                NotesScreen(notes: ObservedNotes(model), hasForgotten: { [unowned self] in forgotten.append($0) }))
        }

        /// The lines that begin so.
        func lines(_ screen: TestScreen, _ beginnings: String...) -> [String] {
            screen.lines.filter { line in beginnings.contains { line.hasPrefix($0) } }
        }

        @Test("Before the person agrees there is nothing to write in, and nothing to train")
        func agrees() async throws {
            let screen = try await screen(hasAgreed: false)
            let used = ["toggle", "field", "button"]
            let without = [
                "toggle Learn from what I write: off", "button Train now (disabled)", "button Forget everything",
            ]
            let with = [
                "toggle Learn from what I write: on", "field Write a note: ", "button Save (disabled)",
                "button Train now", "button Forget everything",
            ]
            for (agrees, expected) in [("off", without), ("on", with), ("off", without)] {
                try screen.set("Learn from what I write", to: agrees)
                #expect(screen.lines.filter { line in used.contains { line.hasPrefix($0) } } == expected)
            }
            #expect(throws: NotThere.self) { try screen.press("Train now") }
        }

        @Test("A note is kept once it is saved, and removed for good")
        func keeps() async throws {
            let screen = try await screen()
            #expect(screen.shows("Nothing has been written yet."))
            for note in ["  a secret of mine\n", "see you tomorrow", " "] {
                try screen.set("Write a note", to: note)
                let isBlank = note == " "
                #expect(screen.element(.button, "Save")?.isEnabled == !isBlank)
                if isBlank { continue }
                try screen.press("Save")
                #expect(screen.element(.field, "Write a note")?.value == "")
                let kept = note.trimmingCharacters(in: .whitespacesAndNewlines)
                try await eventually { screen.shows(kept) }
            }
            #expect(screen.shows("2 messages written; nothing is learned yet."))
            try screen.press("Remove", behind: "a secret of mine")
            try await eventually { !screen.shows("a secret of mine") }
            #expect(screen.shows("see you tomorrow"))
            #expect(try await engine.history.list().map(\.text) == ["see you tomorrow"])
        }

        @Test("Words to go on with take the place of what is begun, and of nothing else")
        func suggests() async throws {
            let screen = try await screen()
            let words = { screen.elements.filter { $0.kind == .button }.map(\.words).prefix { $0 != "Save" } }
            #expect(words().isEmpty)
            try screen.set("Write a note", to: "see y")
            try await eventually { !words().isEmpty }
            let word = try #require(words().first)
            try screen.press(word)
            #expect(screen.element(.field, "Write a note")?.value == "see " + word)
            // A word for a text that is another by now: nothing is taken from that.
            try screen.set("Write a note", to: "s")
            try screen.press(word)
            #expect(screen.element(.field, "Write a note")?.value == "s")
        }

        @Test("A training tells how far it is, pauses and goes on; what was learned is compared, set and taken along")
        func learns() async throws {
            let screen = try await screen(messages: 240)
            #expect(screen.shows("240 messages written; nothing is learned yet."))
            #expect(!screen.lines.contains { $0.hasSuffix("learned") })
            try screen.press("Train now")
            #expect(lines(screen, "progress", "button P") == ["progress Preparing …", "button Pause"])
            try await eventually { !lines(screen, "progress Step ").isEmpty }
            let progress = try #require(lines(screen, "progress").first)
            #expect(progress.contains(/Step \d+ of \d+, about .+ left: 0\.\d+$/))
            try screen.press("Pause")
            try await eventually { screen.shows("Go on training") }
            #expect(screen.shows("Paused. It goes on from here, tonight or when you ask."))
            try screen.press("Go on training")
            try await eventually { screen.shows("My voice") }
            #expect(screen.shows("240 messages written, version 1 in use.") && screen.shows("Train now"))
            #expect(screen.lines.contains { $0.hasSuffix(", learned") })
            try await compares(screen)
            try await setsStrength(screen)
            try await exports(screen)
        }

        private func compares(_ screen: TestScreen) async throws {
            #expect(screen.element(.field, "The beginning of a sentence")?.value == "i was going to")
            try screen.set("The beginning of a sentence", to: "see you")
            try screen.press("Compare")
            try await eventually { !lines(screen, "text With your voice: see you").isEmpty }
            #expect(lines(screen, "text Before: see you").count == 1)
        }

        private func setsStrength(_ screen: TestScreen) async throws {
            let slider = "How strongly your voice is used"
            #expect(screen.shows("Strength: 100 %"))
            try screen.set(slider, to: "0.2")
            #expect(screen.shows("Strength: 20 %"))
            try screen.set(slider, to: "0.5")
            try await eventually { model.version?.strength == 0.5 }
            #expect(screen.shows("Strength: 50 %") && screen.element(.slider, slider)?.value == "0.5")
            #expect(try await engine.adapters.list().versions.map(\.strength) == [0.5])
        }

        private func exports(_ screen: TestScreen) async throws {
            let inside = FileManager.default.temporaryDirectory.appendingPathComponent("my-voice.tar").path
            let there = home.appendingPathComponent("my-voice.tar").path
            let cases: [(place: String?, words: String?)] = [
                (there, "Exported."),
                (home.path + "/no/folder", "Not exported: there is no room for it, or it may not be written there."),
                (nil, nil),
            ]
            for (place, words) in cases {
                try screen.press("Export my voice")
                try await eventually { screen.shows("my-voice.tar") }
                #expect(FileManager.default.fileExists(atPath: inside))
                if let place { try screen.set("my-voice.tar", to: place) } else { try screen.press("Cancel") }
                #expect(model.outcome == words)
                #expect(words.map(screen.shows) ?? true)
                #expect(!screen.shows("my-voice.tar") && !FileManager.default.fileExists(atPath: inside))
            }
            #expect(try await engine.adapters.importFrom(there) == 2)
        }

        @Test("Everything is forgotten once the person has said so twice")
        func forgets() async throws {
            let screen = try await screen()
            try screen.set("Write a note", to: "a secret of mine")
            try screen.press("Save")
            try await eventually { screen.shows("a secret of mine") }
            try screen.press("Forget everything")
            #expect(lines(screen, "dialog") == ["dialog Forget everything"])
            try screen.press("Keep")
            #expect(lines(screen, "dialog").isEmpty && screen.shows("a secret of mine"))
            try screen.press("Forget everything")
            try screen.press("Forget")
            try await eventually { !forgotten.isEmpty }
            #expect(forgotten[0].contains(/^Forgotten: \d+ files\.$/))
            #expect(!screen.shows("a secret of mine"))
            #expect(screen.element(.toggle, "Learn from what I write")?.value == "off")
            #expect(!FileManager.default.fileExists(atPath: home.appendingPathComponent("profile").path))
        }

        @Test("The screens are told of what is new")
        func tells() async throws {
            _ = try await screen(hasAgreed: false)
            let notes = ObservedNotes(model)
            model.setLearning(true)
            #expect(notes.objectWillChange.sent == 1)
            await model.write("see you tomorrow")
            #expect(notes.objectWillChange.sent == 2)
        }
    }
}
#endif
