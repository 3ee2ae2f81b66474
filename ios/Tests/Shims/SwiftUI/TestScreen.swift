// What is there for tests alone: see ../README.md.

/// test: a screen as a person has it before them, who reads, presses and writes.
@MainActor
public final class TestScreen {
    /// test: where the app stands.
    public var phase = ScenePhase.active {
        didSet { _ = elements }
    }
    private let visit: (Walk) -> Void
    private var kept: [String: Any] = [:]

    /// test: shows a view.
    public init(_ view: some View) {
        visit = { $0.visit(view, as: "") }
        _ = elements
    }

    /// test: shows an app.
    public init(app: some App) {
        visit = { walk in
            walk.link(app)
            walk.visit(app.body, as: "")
        }
        _ = elements
    }

    /// test: takes it away; its tasks end.
    public func close() {
        remember([:])
    }

    /// test: everything on it now, in order.
    public var elements: [TestElement] {
        var environment = EnvironmentValues()
        environment.scenePhase = phase
        let walk = Walk(kept, environment: environment)
        visit(walk)
        remember(walk.kept)
        return walk.elements
    }

    /// test: the same in words.
    public var lines: [String] { elements.map(\.description) }

    /// test: whether these words are on it.
    public func shows(_ words: String) -> Bool { elements.contains { $0.words == words } }

    /// test: presses a button; of several alike, that which comes behind these words.
    public func press(_ words: String, behind others: String? = nil) throws {
        try use(.button, words, behind: others, "")
    }

    /// test: sets a toggle ("on", "off"), a field, a slider (a number) or where a file is to go (its path).
    public func set(_ words: String, to value: String) throws {
        for kind in [TestElement.Kind.toggle, .field, .slider, .file] where has(kind, words) {
            return try use(kind, words, value)
        }
        throw NotThere(words: words, lines: lines)
    }

    /// test: an element by its words.
    public func element(_ kind: TestElement.Kind, _ words: String) -> TestElement? {
        elements.first { $0.kind == kind && $0.words == words }
    }

    private func has(_ kind: TestElement.Kind, _ words: String) -> Bool { element(kind, words) != nil }

    private func use(
        _ kind: TestElement.Kind, _ words: String, behind others: String? = nil, _ value: String
    ) throws {
        let elements = elements
        let from = others.map { others in elements.firstIndex { $0.words == others } ?? elements.endIndex } ?? 0
        guard let found = elements[from...].first(where: { $0.kind == kind && $0.words == words }), found.isEnabled
        else { throw NotThere(words: words, lines: elements.map(\.description)) }
        found.use(value)
    }

    /// Tasks of what is not there any more end.
    private func remember(_ new: [String: Any]) {
        for (name, task) in kept {
            guard let task = task as? RunningTask, (new[name] as? RunningTask)?.task != task.task else { continue }
            task.task.cancel()
        }
        kept = new
    }
}

/// test: something on a screen that a person reads or uses.
public struct TestElement: CustomStringConvertible {
    /// test: what it is.
    public enum Kind: Sendable {
        case title, header, footer, text, progress, dialog
        case button, toggle, field, slider, file
    }

    /// test: what it is.
    public let kind: Kind
    /// test: what it says.
    public let words: String
    /// test: what it stands at.
    public var value: String?
    /// test: whether it can be used.
    public var isEnabled = true
    var use: (String) -> Void = { _ in }

    init(_ kind: Kind, _ words: String) {
        (self.kind, self.words) = (kind, words)
    }

    /// test: `toggle Learn: off`.
    public var description: String {
        "\(kind)" + (words.isEmpty ? "" : " \(words)") + (value.map { ": \($0)" } ?? "")
            + (isEnabled ? "" : " (disabled)")
    }
}

/// test: nothing to use has these words, or it is disabled.
public struct NotThere: Error, CustomStringConvertible {
    let words: String
    let lines: [String]

    /// test: what there is instead.
    public var description: String { "no \(words) among \(lines)" }
}

/// A task of a view's.
struct RunningTask {
    let id: Any
    let task: Task<Void, Never>
}
