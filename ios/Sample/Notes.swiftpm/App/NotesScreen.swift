import Idiolect
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

/// All of the app: write, see what was learned from, train, compare, forget.
struct NotesScreen: View {
    @ObservedObject var notes: ObservedNotes
    @State private var text = ""
    @State private var words: [Suggestion] = []
    @State private var isForgetting = false

    private var model: NotesModel { notes.model }

    var body: some View {
        NavigationStack {
            Form {
                consent
                if model.isLearning { writing }
                learning
                if let version = model.version { adapter(version) }
                ledger
                Button("Forget everything", role: .destructive) { isForgetting = true }
            }
            .navigationTitle("Notes")
        }
        .confirmationDialog("Forget all notes and all that was learned?", isPresented: $isForgetting) {
            Button("Forget everything", role: .destructive) { Task { await model.forgetEverything() } }
        }
    }

    private var consent: some View {
        Section {
            Toggle("Learn from my notes", isOn: Binding(get: { model.isLearning }, set: model.setLearning))
        } footer: {
            Text("Notes are kept sealed on this device and never leave it. Turned off, nothing is kept.")
        }
    }

    private var writing: some View {
        Section("A note") {
            TextField("Write something", text: $text, axis: .vertical)
                .task(id: text) { words = text.isEmpty ? [] : await model.suggest(text) }
            HStack {
                ForEach(words, id: \.text) { word in
                    Button(word.text) {
                        text.unicodeScalars.removeLast(Int(word.replaces))
                        text += word.text
                    }
                    .buttonStyle(.bordered)
                }
            }
            Button("Keep") {
                let note = text
                text = ""
                Task { await model.write(note) }
            }
            .disabled(text.isEmpty)
        }
    }

    private var learning: some View {
        Section("Learning") {
            if let progress = model.progress {
                ProgressView(value: progress.share) { Text(left(progress)) }
                Button("Pause", action: model.pause)
            } else {
                Button("Train now") { model.train() }.disabled(!model.isLearning)
            }
            if let outcome = model.outcome { Text(outcome) }
            if let problem = model.problem { Text(problem).foregroundStyle(.red) }
        }
    }

    private func left(_ progress: TrainingProgress) -> String {
        guard let seconds = progress.secondsLeft() else { return "Step \(progress.step)" }
        let time = Duration.seconds(seconds).formatted(.units(allowed: [.minutes, .seconds]))
        return "Step \(progress.step) of \(progress.steps), \(time) left"
    }

    private func adapter(_ version: VersionInUse) -> some View {
        Section("What was learned") {
            Slider(
                value: Binding(get: { version.strength }, set: { new in Task { await model.setStrength(new) } })
            ) {
                Text("How strongly it is heard")
            }
            Button("Before and after") { Task { await model.compare("i was going to") } }
            if let comparison = model.comparison {
                LabeledContent("Before", value: comparison.before)
                LabeledContent("After", value: comparison.after)
            }
            Button("Export") {
                let file = URL.documentsDirectory.appending(path: "my-voice.tar")
                Task { await model.export(to: file.path()) }
            }
        }
    }

    private var ledger: some View {
        Section("What I learn from") {
            ForEach(model.ledger, id: \.id) { sample in
                Text(sample.text).swipeActions {
                    Button("Forget", role: .destructive) { Task { await model.forget(sample) } }
                }
            }
        }
    }
}
