// What is read: see ../README.md.

public struct LocalizedStringKey: Equatable, Sendable, ExpressibleByStringInterpolation {
    let words: String

    public init(stringLiteral value: String) {
        words = value
    }

    public init(stringInterpolation: StringInterpolation) {
        words = stringInterpolation.words
    }

    public struct StringInterpolation: StringInterpolationProtocol, Sendable {
        fileprivate var words = ""

        public init(literalCapacity: Int, interpolationCount: Int) {}

        public mutating func appendLiteral(_ literal: String) {
            words += literal
        }

        public mutating func appendInterpolation(_ string: String) {
            words += string
        }

        public mutating func appendInterpolation<T: _FormatSpecifiable>(_ value: T) {
            words += "\(value)"
        }
    }
}

public protocol _FormatSpecifiable: Equatable {}
extension Int: _FormatSpecifiable {}
extension UInt32: _FormatSpecifiable {}
extension UInt64: _FormatSpecifiable {}

public struct Text: View, Shown, Sendable {
    public typealias Body = Never

    private let words: String

    nonisolated public init(_ key: LocalizedStringKey) {
        words = key.words
    }

    @_disfavoredOverload
    nonisolated public init<S: StringProtocol>(_ content: S) {
        words = String(content)
    }

    func show(in walk: Walk) {
        walk.add(TestElement(.text, words))
    }
}

public struct ContentUnavailableView<Label: View, Description: View, Actions: View>: View, Shown {
    public typealias Body = Never

    private let label: Label
    private let description: Description
    private let actions: Actions

    func show(in walk: Walk) {
        walk.visit(label, as: "label")
        walk.visit(description, as: "description")
        walk.visit(actions, as: "actions")
    }
}

extension ContentUnavailableView where Label == SwiftUI.Label<Text, Image>, Description == Text?, Actions == EmptyView {
    nonisolated public init(_ title: LocalizedStringKey, systemImage name: String, description: Text? = nil) {
        label = SwiftUI.Label(title, systemImage: name)
        self.description = description
        actions = EmptyView()
    }
}

public struct Label<Title: View, Icon: View>: View, Shown {
    public typealias Body = Never

    private let title: Title
    private let icon: Icon

    func show(in walk: Walk) {
        walk.visit(title, as: "title")
        walk.visit(icon, as: "icon")
    }
}

extension Label where Title == Text, Icon == Image {
    nonisolated public init(_ titleKey: LocalizedStringKey, systemImage name: String) {
        (title, icon) = (Text(titleKey), Image(systemName: name))
    }
}

public struct Image: View, Shown, Sendable {
    public typealias Body = Never

    nonisolated public init(systemName: String) {}

    /// A symbol that stands beside words says nothing.
    func show(in walk: Walk) {}
}

public struct ProgressView<Label: View, CurrentValueLabel: View>: View, Shown {
    public typealias Body = Never

    private let share: Double?
    nonisolated(unsafe) private var label: Label

    func show(in walk: Walk) {
        var element = TestElement(.progress, walk.words(of: label))
        element.value = share.map { "\($0)" }
        walk.add(element)
    }
}

extension ProgressView where CurrentValueLabel == EmptyView {
    nonisolated public init() where Label == EmptyView {
        (share, label) = (nil, EmptyView())
    }

    nonisolated public init<V: BinaryFloatingPoint>(
        value: V?, total: V = 1.0, @ViewBuilder label: () -> Label
    ) {
        share = value.map { Double($0 / total) }
        self.label = label()
    }
}
