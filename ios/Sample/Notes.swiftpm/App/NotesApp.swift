import Idiolect
import NotesModel
import SwiftUI

/// The profile's key, in the Keychain.
private let key = KeychainKey()

/// What an engine of the app is opened with: the profile in a protected folder, the model in the app's bundle (a copy
/// of `bindings/cli/assets/base`, laid beside this file).
@Sendable
private func options() throws -> EngineOptions {
    let folder = try ProtectedFolder.make(ProtectedFolder.ofApp()!)
    let model = Bundle.module.url(forResource: "base", withExtension: nil)!
    return EngineOptions(profile: folder + "/profile", model: .path(path: model.path), key: try key.read())
}

/// Nothing is trained before the person has agreed to it.
private struct NotAgreed: Error {}

private let training = BackgroundTraining(identifier: "io.github.idiolect.notes.training") {
    guard UserDefaults.standard.bool(forKey: "learning") else { throw NotAgreed() }
    return try await PersonalEngine.open(options().inBackground())
}

/// Notes that the app learns from, once the person has agreed.
@main
struct NotesApp: App {
    @State private var opened: (screen: NotesScreen, lifecycle: AppLifecycle)?
    @State private var problem: String?
    @Environment(\.scenePhase) private var phase

    init() {
        training.register()
    }

    var body: some Scene {
        WindowGroup {
            if let opened {
                opened.screen
            } else if let problem {
                ContentUnavailableView("The profile does not open", systemImage: "lock", description: Text(problem))
            } else {
                ProgressView().task { await open() }
            }
        }
        .onChange(of: phase) {
            if phase == .background { try? training.schedule() }
        }
    }

    private func open() async {
        do {
            let engine = try await PersonalEngine.open(options())
            let model = NotesModel(engine)
            await model.load()
            opened = (NotesScreen(notes: ObservedNotes(model)), AppLifecycle(engine))
        } catch {
            problem = error.localizedDescription
        }
    }
}
