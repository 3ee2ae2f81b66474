// How the stand-in shows what a test looks at: see ../README.md.

/// What stands for itself on a screen, and has no body.
@MainActor
protocol Shown {
    func show(in walk: Walk)
}

/// A property of a view that outlives it, or comes from outside.
@MainActor
protocol Linked {
    func link(in walk: Walk, as name: String)
}

/// One look at all of a screen, in order. Each place has a name of its own, by which it is known at the next look.
@MainActor
final class Walk {
    private(set) var elements: [TestElement] = []
    var environment: EnvironmentValues
    /// Closes the dialog that is shown, if one is.
    var dismiss: () -> Void = {}
    private let old: [String: Any]
    private(set) var kept: [String: Any] = [:]
    private var place = ""

    /// - Parameter old: what the last look kept.
    init(_ old: [String: Any], environment: EnvironmentValues) {
        (self.old, self.environment) = (old, environment)
    }

    func visit(_ view: some View, as name: some Hashable) {
        enter(name) {
            if let shown = view as? any Shown { return shown.show(in: self) }
            link(view)
            visit(view.body, as: "body")
        }
    }

    func visit(_ scene: some Scene, as name: some Hashable) {
        enter(name) {
            if let shown = scene as? any Shown { return shown.show(in: self) }
            link(scene)
            visit(scene.body, as: "body")
        }
    }

    /// Gives the properties of a view, a scene or an app what they had.
    func link(_ part: Any) {
        for (name, value) in Mirror(reflecting: part).children {
            (value as? any Linked)?.link(in: self, as: name ?? "")
        }
    }

    /// The words of a view, as of a label.
    func words(of view: some View) -> String {
        let walk = Walk([:], environment: environment)
        walk.visit(view, as: "label")
        return walk.elements.map(\.words).joined(separator: " ")
    }

    func add(_ element: TestElement) {
        elements.append(element)
    }

    /// What was kept here at the last look.
    func recalled<Value>(_ name: String) -> Value? { old["\(place).\(name)"] as? Value }

    /// Keeps something for the next look.
    func keep(_ name: String, _ value: some Any) {
        kept["\(place).\(name)"] = value
    }

    private func enter(_ name: some Hashable, _ show: () -> Void) {
        let outer = place
        place += "/\(name)"
        show()
        place = outer
    }
}
