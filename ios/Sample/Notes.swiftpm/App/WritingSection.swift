import Idiolect
import NotesModel
import SwiftUI

/// Writes a note, with words to go on with.
struct WritingSection: View {
    @ObservedObject var notes: ObservedNotes
    @State private var text = ""
    @State private var suggested: (words: [Suggestion], text: String) = ([], "")

    var body: some View {
        Section("A note") {
            TextField("Write a note", text: $text, axis: .vertical)
                .task(id: text) {
                    let words = await notes.model.suggest(text)
                    if !Task.isCancelled { suggested = (words, text) }
                }
            HStack {
                ForEach(suggested.words, id: \.text) { word in
                    Button(word.text) { take(word) }.buttonStyle(.bordered)
                }
            }
            Button("Save", action: save).disabled(written.isEmpty)
        }
    }

    private var written: String { text.trimmingCharacters(in: .whitespacesAndNewlines) }

    /// Takes a word in the place of what it replaces, unless the text is another by now.
    private func take(_ word: Suggestion) {
        guard suggested.text == text else { return }
        text.unicodeScalars.removeLast(Int(word.replaces))
        text += word.text
    }

    private func save() {
        let note = written
        text = ""
        Task { await notes.model.write(note) }
    }
}
