// What comes before a screen and goes again: see ../README.md.

public enum Visibility: Sendable { case automatic, visible, hidden }

extension View {
    nonisolated public func confirmationDialog<A: View, M: View>(
        _ titleKey: LocalizedStringKey, isPresented: Binding<Bool>, titleVisibility: Visibility = .automatic,
        @ViewBuilder actions: () -> A, @ViewBuilder message: () -> M
    ) -> some View {
        Asking(
            content: self, title: Text(titleKey), isPresented: isPresented, actions: actions(), message: message())
    }

    nonisolated public func fileMover(
        isPresented: Binding<Bool>, file: URL?, onCompletion: @escaping (Result<URL, any Error>) -> Void,
        onCancellation: @escaping () -> Void
    ) -> some View {
        Moving(
            content: self, isPresented: isPresented, file: file, onCompletion: onCompletion,
            onCancellation: onCancellation)
    }
}

private struct Asking<Content: View, Actions: View, Message: View>: View, Shown {
    typealias Body = Never

    nonisolated(unsafe) var content: Content
    let title: Text
    let isPresented: Binding<Bool>
    nonisolated(unsafe) var actions: Actions
    nonisolated(unsafe) var message: Message

    nonisolated init(content: Content, title: Text, isPresented: Binding<Bool>, actions: Actions, message: Message) {
        (self.content, self.title, self.isPresented) = (content, title, isPresented)
        (self.actions, self.message) = (actions, message)
    }

    func show(in walk: Walk) {
        walk.visit(content, as: "content")
        guard isPresented.wrappedValue else { return }
        walk.add(TestElement(.dialog, walk.words(of: title)))
        walk.visit(message, as: "message")
        walk.dismiss = { [isPresented] in isPresented.wrappedValue = false }
        walk.visit(actions, as: "actions")
        walk.dismiss = {}
    }
}

private struct Moving<Content: View>: View, Shown {
    typealias Body = Never

    nonisolated(unsafe) var content: Content
    let isPresented: Binding<Bool>
    let file: URL?
    nonisolated(unsafe) var onCompletion: (Result<URL, any Error>) -> Void
    nonisolated(unsafe) var onCancellation: () -> Void

    nonisolated init(
        content: Content, isPresented: Binding<Bool>, file: URL?,
        onCompletion: @escaping (Result<URL, any Error>) -> Void, onCancellation: @escaping () -> Void
    ) {
        (self.content, self.isPresented, self.file) = (content, isPresented, file)
        (self.onCompletion, self.onCancellation) = (onCompletion, onCancellation)
    }

    func show(in walk: Walk) {
        walk.visit(content, as: "content")
        guard isPresented.wrappedValue, let file else { return }
        var place = TestElement(.file, file.lastPathComponent)
        place.use = { [isPresented, onCompletion] path in
            let destination = URL(fileURLWithPath: path)
            isPresented.wrappedValue = false
            onCompletion(
                Result {
                    try FileManager.default.moveItem(at: file, to: destination)
                    return destination
                })
        }
        walk.add(place)
        var cancel = TestElement(.button, "Cancel")
        cancel.use = { [isPresented, onCancellation] _ in
            isPresented.wrappedValue = false
            onCancellation()
        }
        walk.add(cancel)
    }
}
