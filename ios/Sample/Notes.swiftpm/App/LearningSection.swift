import NotesModel
import SwiftUI

/// How it stands, and a training: when to begin, how far it is, what came of it.
struct LearningSection: View {
    @ObservedObject var notes: ObservedNotes

    private var model: NotesModel { notes.model }

    var body: some View {
        Section("Learning") {
            Text(status)
            if let progress = model.progress {
                ProgressView(value: progress.step == 0 || progress.isMeasuring ? nil : progress.share) {
                    Text(words(of: progress))
                }
                Button("Pause", action: model.pause)
            } else {
                Button(model.isPaused ? "Go on training" : "Train now") { model.train() }.disabled(!model.isLearning)
            }
            if let outcome = model.outcome { Text(outcome) }
            if let problem = model.problem { Text(problem).foregroundStyle(.red) }
        }
    }

    private var status: LocalizedStringKey {
        if let version = model.version {
            "\(model.messages) messages written, version \(version.version) in use."
        } else {
            "\(model.messages) messages written; nothing is learned yet."
        }
    }

    private func words(of progress: TrainingProgress) -> LocalizedStringKey {
        if progress.isMeasuring { return "Measuring on messages that it has not seen …" }
        guard let seconds = progress.secondsLeft() else { return "Preparing …" }
        let left = Duration.seconds(seconds).formatted(.units(allowed: [.minutes, .seconds], maximumUnitCount: 1))
        return "Step \(progress.step) of \(progress.steps), about \(left) left"
    }
}
