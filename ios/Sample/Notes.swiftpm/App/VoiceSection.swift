import Idiolect
import NotesModel
import SwiftUI

/// What was learned: how strongly it is used, how it sounds, and how it goes elsewhere.
struct VoiceSection: View {
    @ObservedObject var notes: ObservedNotes
    let version: VersionInUse
    @State private var exported: URL?
    @State private var isExporting = false

    private var model: NotesModel { notes.model }

    var body: some View {
        Section("My voice") {
            StrengthSlider(inUse: version.strength, set: model.setStrength)
            BeforeAndAfter(notes: notes)
            Button("Export my voice", action: export)
                .fileMover(isPresented: $isExporting, file: exported) { result in
                    let isThere = if case .success = result { true } else { false }
                    finish(isThere)
                } onCancellation: {
                    finish(nil)
                }
        }
    }

    private func export() {
        Task {
            exported = await model.export()
            isExporting = exported != nil
        }
    }

    private func finish(_ isThere: Bool?) {
        if let exported { model.exported(exported, isThere: isThere) }
        exported = nil
    }
}

/// Shows the strength while the slider moves, and sets it once it rests.
private struct StrengthSlider: View {
    let inUse: Float
    let set: @MainActor (Float) async -> Void
    @State private var moved: Float?

    private var strength: Float { moved ?? inUse }

    var body: some View {
        Text("Strength: \(Int((strength * 100).rounded())) %")
        Slider(value: Binding(get: { strength }, set: { moved = $0 })) { Text("How strongly your voice is used") }
            .task(id: moved) {
                guard let moved, (try? await Task.sleep(for: .milliseconds(300))) != nil else { return }
                await set(moved)
                self.moved = nil
            }
    }
}

/// The same beginning with the base alone and with the version in use.
private struct BeforeAndAfter: View {
    @ObservedObject var notes: ObservedNotes
    @State private var beginning = "i was going to"

    var body: some View {
        Text("Before and after")
        TextField("The beginning of a sentence", text: $beginning)
        Button("Compare") { Task { await notes.model.compare(beginning) } }.disabled(beginning.isEmpty)
        if let comparison = notes.model.comparison {
            Text("Before: \(comparison.before)")
            Text("With your voice: \(comparison.after)")
        }
    }
}
