// A stand-in for what is used of Apple's SwiftUI, which shows its screens to a test: see ../README.md.

// Apple's module brings Foundation along.
@_exported import Foundation

@MainActor @preconcurrency
public protocol View {
    associatedtype Body: View
    @ViewBuilder var body: Body { get }
}

extension Never: View {
    public typealias Body = Never

    public var body: Never { fatalError("nobody makes one") }
}

extension View where Body == Never {
    public var body: Never { fatalError("it stands for itself") }
}

@resultBuilder
public struct ViewBuilder {
    public static func buildExpression<Content: View>(_ content: Content) -> Content { content }

    public static func buildBlock<Content: View>(_ content: Content) -> Content { content }

    public static func buildBlock<each Content: View>(
        _ content: repeat each Content
    ) -> TupleView<(repeat each Content)> {
        var parts: [any View] = []
        for part in repeat each content { parts.append(part) }
        return TupleView((repeat each content), parts: parts)
    }

    public static func buildIf<Content: View>(_ content: Content?) -> Content? { content }

    public static func buildEither<First: View, Second: View>(
        first: First
    ) -> _ConditionalContent<First, Second> { _ConditionalContent(.first(first)) }

    public static func buildEither<First: View, Second: View>(
        second: Second
    ) -> _ConditionalContent<First, Second> { _ConditionalContent(.second(second)) }
}

// Apple's views are structures of no actor's. Swift 6.0 has no word for that: what a view holds says it instead,
// `nonisolated(unsafe)`, wherever an initializer of no actor's sets it.

public struct EmptyView: View, Shown {
    public typealias Body = Never

    nonisolated public init() {}

    func show(in walk: Walk) {}
}

public struct TupleView<Parts>: View, Shown {
    public typealias Body = Never

    nonisolated(unsafe) public var value: Parts
    nonisolated(unsafe) private var parts: [any View]

    nonisolated init(_ value: Parts, parts: [any View]) {
        (self.value, self.parts) = (value, parts)
    }

    func show(in walk: Walk) {
        for (index, part) in parts.enumerated() { walk.visit(part, as: index) }
    }
}

public struct _ConditionalContent<First: View, Second: View>: View, Shown {
    public typealias Body = Never

    enum Branch {
        case first(First)
        case second(Second)
    }

    nonisolated(unsafe) private var branch: Branch

    nonisolated init(_ branch: Branch) {
        self.branch = branch
    }

    func show(in walk: Walk) {
        switch branch {
        case .first(let content): walk.visit(content, as: true)
        case .second(let content): walk.visit(content, as: false)
        }
    }
}

extension Optional: View, Shown where Wrapped: View {
    public typealias Body = Never

    func show(in walk: Walk) {
        if let self { walk.visit(self, as: "some") }
    }
}
