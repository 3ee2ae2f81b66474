import Idiolect
import NotesModel
import SwiftUI

/// What it learned from: every note with when it was written, each of which can be removed for good.
struct LedgerSection: View {
    @ObservedObject var notes: ObservedNotes

    private var model: NotesModel { notes.model }

    var body: some View {
        Section("What it learned from") {
            if model.ledger.isEmpty {
                Text("Nothing has been written yet.")
            } else {
                Text(
                    """
                    \(model.messages) messages. Removing one removes it for good; versions that learned from it are \
                    marked.
                    """)
            }
            ForEach(model.ledger, id: \.id) { sample in
                VStack(alignment: .leading) {
                    Text(sample.text)
                    Text(detail(of: sample)).foregroundStyle(.secondary)
                }
                .swipeActions {
                    Button("Remove", role: .destructive) { Task { await model.forget(sample) } }
                }
            }
        }
    }

    private func detail(of sample: StoredSample) -> String {
        let day = Date(timeIntervalSince1970: TimeInterval(sample.timestamp)).formatted(date: .long, time: .omitted)
        return model.learned.contains(sample.id) ? "\(day), learned" : day
    }
}
