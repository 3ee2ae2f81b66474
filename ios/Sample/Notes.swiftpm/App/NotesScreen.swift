import NotesModel
import SwiftUI

/// Tells SwiftUI when the model has something new.
@MainActor
final class ObservedNotes: ObservableObject {
    let model: NotesModel

    init(_ model: NotesModel) {
        self.model = model
        model.changed = { [weak self] in self?.objectWillChange.send() }
    }
}

/// All of the app: agree, write, train, compare, see what it learned from, forget.
struct NotesScreen: View {
    @ObservedObject var notes: ObservedNotes
    /// Called once everything is forgotten, with what to tell the person: the engine is of no use any more.
    let hasForgotten: (String) -> Void
    @State private var isForgetting = false

    private var model: NotesModel { notes.model }

    var body: some View {
        NavigationStack {
            Form {
                consent
                if model.isLearning { WritingSection(notes: notes) }
                LearningSection(notes: notes)
                if let version = model.version { VoiceSection(notes: notes, version: version) }
                LedgerSection(notes: notes)
                Button("Forget everything", role: .destructive) { isForgetting = true }
            }
            .navigationTitle("Notes")
        }
        .confirmationDialog("Forget everything", isPresented: $isForgetting) {
            Button("Forget", role: .destructive, action: forget)
            Button("Keep", role: .cancel) {}
        } message: {
            Text("Forget everything that was learned, and all notes that it was learned from? This cannot be undone.")
        }
    }

    private var consent: some View {
        Section {
            Toggle("Learn from what I write", isOn: Binding(get: { model.isLearning }, set: model.setLearning))
        } footer: {
            Text(
                """
                It learns how you write from your notes, and suggests your words. Notes are kept sealed on this device \
                and never leave it; card numbers, codes and phone numbers are masked. You see everything that it \
                learned from, and can remove any of it, or all, at any time. Turned off, nothing is kept.
                """)
        }
    }

    private func forget() {
        Task {
            if let forgotten = await model.forgetEverything() { hasForgotten(forgotten) }
        }
    }
}
