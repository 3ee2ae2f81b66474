// What is done to views: see ../README.md.

public protocol ShapeStyle: Sendable {}

public struct Color: ShapeStyle {}

extension ShapeStyle where Self == Color {
    public static var red: Color { Color() }
}

public struct HierarchicalShapeStyle: ShapeStyle {}

extension ShapeStyle where Self == HierarchicalShapeStyle {
    public static var secondary: HierarchicalShapeStyle { HierarchicalShapeStyle() }
}

@MainActor @preconcurrency
public protocol PrimitiveButtonStyle {}

public struct BorderedButtonStyle: PrimitiveButtonStyle {
    nonisolated public init() {}
}

extension PrimitiveButtonStyle where Self == BorderedButtonStyle {
    nonisolated public static var bordered: BorderedButtonStyle { BorderedButtonStyle() }
}

public enum HorizontalEdge: Sendable { case leading, trailing }

extension View {
    nonisolated public func foregroundStyle<S: ShapeStyle>(_ style: S) -> some View { self }

    nonisolated public func buttonStyle<S: PrimitiveButtonStyle>(_ style: S) -> some View { self }

    nonisolated public func navigationTitle(_ titleKey: LocalizedStringKey) -> some View {
        Titled(content: self, title: Text(titleKey))
    }

    nonisolated public func disabled(_ disabled: Bool) -> some View {
        Disabled(content: self, isDisabled: disabled)
    }

    nonisolated public func swipeActions<T: View>(
        edge: HorizontalEdge = .trailing, allowsFullSwipe: Bool = true, @ViewBuilder content: () -> T
    ) -> some View {
        Swiped(content: self, actions: content())
    }

    nonisolated public func task(
        priority: TaskPriority = .userInitiated, @_inheritActorContext _ action: @escaping @Sendable () async -> Void
    ) -> some View {
        Tasked(content: self, id: 0, priority: priority, action: action)
    }

    nonisolated public func task<T: Equatable>(
        id value: T, priority: TaskPriority = .userInitiated,
        @_inheritActorContext _ action: @escaping @Sendable () async -> Void
    ) -> some View {
        Tasked(content: self, id: value, priority: priority, action: action)
    }
}

private struct Titled<Content: View>: View, Shown {
    typealias Body = Never

    nonisolated(unsafe) var content: Content
    let title: Text

    nonisolated init(content: Content, title: Text) {
        (self.content, self.title) = (content, title)
    }

    func show(in walk: Walk) {
        walk.add(TestElement(.title, walk.words(of: title)))
        walk.visit(content, as: "content")
    }
}

private struct Disabled<Content: View>: View, Shown {
    typealias Body = Never

    nonisolated(unsafe) var content: Content
    let isDisabled: Bool

    nonisolated init(content: Content, isDisabled: Bool) {
        (self.content, self.isDisabled) = (content, isDisabled)
    }

    func show(in walk: Walk) {
        let outer = walk.environment
        walk.environment.isEnabled = outer.isEnabled && !isDisabled
        walk.visit(content, as: "content")
        walk.environment = outer
    }
}

private struct Swiped<Content: View, Actions: View>: View, Shown {
    typealias Body = Never

    nonisolated(unsafe) var content: Content
    nonisolated(unsafe) var actions: Actions

    nonisolated init(content: Content, actions: Actions) {
        (self.content, self.actions) = (content, actions)
    }

    func show(in walk: Walk) {
        walk.visit(content, as: "content")
        walk.visit(actions, as: "actions")
    }
}

private struct Tasked<Content: View, ID: Equatable>: View, Shown {
    typealias Body = Never

    nonisolated(unsafe) var content: Content
    nonisolated(unsafe) var id: ID
    let priority: TaskPriority
    let action: @Sendable () async -> Void

    nonisolated init(content: Content, id: ID, priority: TaskPriority, action: @escaping @Sendable () async -> Void) {
        (self.content, self.id, self.priority, self.action) = (content, id, priority, action)
    }

    func show(in walk: Walk) {
        let running: RunningTask? = walk.recalled("task")
        let goesOn = running.flatMap { $0.id as? ID == id ? $0 : nil }
        walk.keep("task", goesOn ?? RunningTask(id: id, task: Task(priority: priority, operation: action)))
        walk.visit(content, as: "content")
    }
}
