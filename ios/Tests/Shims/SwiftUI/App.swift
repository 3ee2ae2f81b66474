// An app and its scenes: see ../README.md.

@MainActor @preconcurrency
public protocol App {
    associatedtype Body: Scene
    @SceneBuilder var body: Body { get }
    init()
}

extension App {
    /// Nothing shows it but a test.
    public static func main() {}
}

@MainActor @preconcurrency
public protocol Scene {
    associatedtype Body: Scene
    @SceneBuilder var body: Body { get }
}

extension Never: Scene {}

extension Scene where Body == Never {
    public var body: Never { fatalError("it stands for itself") }
}

@resultBuilder
public struct SceneBuilder {
    public static func buildExpression<Content: Scene>(_ content: Content) -> Content { content }

    public static func buildBlock<Content: Scene>(_ content: Content) -> Content { content }
}

public enum ScenePhase: Comparable, Sendable { case background, inactive, active }

public struct WindowGroup<Content: View>: Scene, Shown {
    public typealias Body = Never

    nonisolated(unsafe) private var content: Content

    nonisolated public init(@ViewBuilder content: () -> Content) {
        self.content = content()
    }

    func show(in walk: Walk) {
        walk.visit(content, as: "window")
    }
}

extension Scene {
    nonisolated public func onChange<Value: Equatable>(
        of value: Value, initial: Bool = false, _ action: @escaping () -> Void
    ) -> some Scene {
        OnChange(content: self, value: value, isInitial: initial, action: action)
    }
}

private struct OnChange<Content: Scene, Value: Equatable>: Scene, Shown {
    typealias Body = Never

    nonisolated(unsafe) var content: Content
    nonisolated(unsafe) var value: Value
    let isInitial: Bool
    nonisolated(unsafe) var action: () -> Void

    nonisolated init(content: Content, value: Value, isInitial: Bool, action: @escaping () -> Void) {
        (self.content, self.value, self.isInitial, self.action) = (content, value, isInitial, action)
    }

    func show(in walk: Walk) {
        let old: Value? = walk.recalled("value")
        walk.keep("value", value)
        if old.map({ $0 != value }) ?? isInitial { action() }
        walk.visit(content, as: "content")
    }
}
