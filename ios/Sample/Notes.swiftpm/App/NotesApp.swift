import Idiolect
import NotesModel
import SwiftUI

/// The model in the app's bundle: a copy of `bindings/cli/assets/base`, laid beside this file.
private let model = ModelSource.path(path: Bundle.module.url(forResource: "base", withExtension: nil)!.path)

/// Whether the person has agreed that the app learns.
@Sendable
private func hasAgreed() -> Bool { UserDefaults.standard.bool(forKey: NotesModel.agreed) }

/// Nothing is trained before the person has agreed to it.
private let training = BackgroundTraining(identifier: "io.github.idiolect.notes.training") {
    guard hasAgreed() else { return nil }
    return try await PersonalEngine.open(model: model) { $0.inBackground() }
}

/// Notes that the app learns from, once the person has agreed.
@main
struct NotesApp: App {
    @State private var opened: (notes: ObservedNotes, lifecycle: AppLifecycle)?
    @State private var problem: String?
    /// What was forgotten, in words, while a new profile takes the old one's place.
    @State private var forgotten: String?
    @Environment(\.scenePhase) private var phase

    init() {
        training.register()
    }

    var body: some Scene {
        WindowGroup {
            if let opened {
                NotesScreen(notes: opened.notes, hasForgotten: beginAnew)
            } else if let problem {
                ContentUnavailableView("The profile does not open", systemImage: "lock", description: Text(problem))
            } else {
                ProgressView().task { await open() }
            }
        }
        .onChange(of: phase) {
            guard phase == .background else { return }
            if hasAgreed() { try? training.schedule() } else { training.cancel() }
        }
    }

    private func open() async {
        do {
            let engine = try await PersonalEngine.open(model: model)
            let notes = NotesModel(engine, outcome: forgotten)
            await notes.load()
            opened = (ObservedNotes(notes), AppLifecycle(engine))
        } catch {
            problem = error.localizedDescription
        }
    }

    /// The profile is erased, and its engine closed: without the key no copy of it opens any more, and what is written
    /// from now on goes into another profile.
    private func beginAnew(_ forgotten: String) {
        try? KeychainKey().delete()
        self.forgotten = forgotten
        opened = nil
    }
}
