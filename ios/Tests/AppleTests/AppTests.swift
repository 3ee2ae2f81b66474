#if canImport(NotesModel)
// The sample app as a whole, on stand-ins.

@testable import App
import BackgroundTasks
import Foundation
import Idiolect
import NotesModel
import SwiftUI
import Testing

extension AppleTests {
    @MainActor
    @Suite final class AppTests {
        @Test("The app opens its profile, asks for its times once the person agrees, and begins anew")
        func lives() async throws {
            let folder = try #require(ProtectedFolder.ofApp())
            try #require(!FileManager.default.fileExists(atPath: folder.path), "not the test's: \(folder.path)")
            defer {
                try? FileManager.default.removeItem(at: folder)
                UserDefaults.standard.removeObject(forKey: NotesModel.agreed)
            }
            let screen = TestScreen(app: NotesApp())
            let requests = { BGTaskScheduler.shared.requests.keys.contains("io.github.idiolect.notes.training") }
            #expect(screen.lines == ["progress"])
            try await eventually { screen.shows("Notes") }
            for (agrees, asks) in [("off", false), ("on", true), ("off", false), ("on", true)] {
                try screen.set("Learn from what I write", to: agrees)
                for phase in [ScenePhase.inactive, .background, .active] { screen.phase = phase }
                #expect(requests() == asks)
            }
            let first = try KeychainKey().read()
            try screen.press("Forget everything")
            try screen.press("Forget")
            try await eventually { screen.lines.contains { $0.hasPrefix("text Forgotten: ") } }
            #expect(try KeychainKey().read() != first)
            try screen.set("Learn from what I write", to: "on")
            try screen.set("Write a note", to: "see you tomorrow")
            try screen.press("Save")
            try await eventually { screen.shows("see you tomorrow") }
            screen.close()
        }

        @Test("The screens say what the Android app's say, but for what is another's here")
        func counterparts() throws {
            let root = assets.appendingPathComponent("../../..")
            let android = try String(
                contentsOf: root.appendingPathComponent("android/sample/src/main/res/values/strings.xml"),
                encoding: .utf8)
            let sample = root.appendingPathComponent("ios/Sample/Notes.swiftpm")
            let swift = try ["App", "Model"].map { sample.appendingPathComponent($0) }
                .flatMap { try FileManager.default.contentsOfDirectory(at: $0, includingPropertiesForKeys: nil) }
                .filter { $0.pathExtension == "swift" }
                .map { try String(contentsOf: $0, encoding: .utf8).replacing(/\\\n\s*/, with: "") }
                .joined()
            let others = [
                "app_name": "the package's name",
                "nights_refused": "the next time is asked for on the way out, with nobody looking",
                "suggestion": "a button of its word",
                "consent_title": "a switch, and what it does", "consent_what": "the same", "consent_where": "the same",
                "consent_never": "the same", "consent_undo": "the same", "consent_agree": "the same",
                "consent_decline": "the same",
                "notes_voice": "one screen", "notes_empty": "the notes are the ledger", "notes_delete": "the same",
                "notes_delete_short": "the same",
                "voice_seconds": "the system's words", "voice_minutes": "the system's words",
                "voice_progress_bar": "the progress has its words", "voice_data": "one screen",
                "voice_forget_ask": "the notes go with it",
                "ledger_from": "one source", "ledger_from_learned": "one source", "ledger_here": "one source",
                "ledger_remove": "a swipe over the note",
            ]
            let strings = android.matches(of: /<string name="(\w+)">(.*?)<\/string>/)
            #expect(Set(others.keys).isSubset(of: strings.map { String($0.1) }))
            for (_, name, words) in strings.map(\.output)
            where others[String(name)] == nil && !name.hasPrefix("key_") && !name.hasPrefix("keyboard_") {
                let parts = words.replacing("%%", with: "%").split(separator: /%\d\$[sd]/)
                #expect(parts.allSatisfy { swift.contains($0) }, "\(name): \(words)")
            }
        }
    }
}
#endif
