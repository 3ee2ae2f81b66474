// What is used: see ../README.md.

public struct Button<Label: View>: View, Shown {
    public typealias Body = Never

    private let label: Label
    private let action: @MainActor () -> Void

    func show(in walk: Walk) {
        var element = TestElement(.button, walk.words(of: label))
        element.isEnabled = walk.environment.isEnabled
        element.use = { [action, dismiss = walk.dismiss] _ in
            dismiss()
            action()
        }
        walk.add(element)
    }
}

extension Button where Label == Text {
    @preconcurrency
    nonisolated public init(_ titleKey: LocalizedStringKey, action: @escaping @MainActor () -> Void) {
        (label, self.action) = (Text(titleKey), action)
    }

    @preconcurrency @_disfavoredOverload
    nonisolated public init<S: StringProtocol>(_ title: S, action: @escaping @MainActor () -> Void) {
        (label, self.action) = (Text(title), action)
    }

    @preconcurrency
    nonisolated public init(
        _ titleKey: LocalizedStringKey, role: ButtonRole?, action: @escaping @MainActor () -> Void
    ) {
        (label, self.action) = (Text(titleKey), action)
    }
}

public struct ButtonRole: Equatable, Sendable {
    private enum Kind { case destructive, cancel }
    private let kind: Kind

    public static let destructive = ButtonRole(kind: .destructive)
    public static let cancel = ButtonRole(kind: .cancel)
}

public struct Toggle<Label: View>: View, Shown {
    public typealias Body = Never

    private let label: Label
    private let isOn: Binding<Bool>

    func show(in walk: Walk) {
        var element = TestElement(.toggle, walk.words(of: label))
        element.value = isOn.wrappedValue ? "on" : "off"
        element.isEnabled = walk.environment.isEnabled
        element.use = { [isOn] in isOn.wrappedValue = $0 == "on" }
        walk.add(element)
    }
}

extension Toggle where Label == Text {
    nonisolated public init(_ titleKey: LocalizedStringKey, isOn: Binding<Bool>) {
        (label, self.isOn) = (Text(titleKey), isOn)
    }
}

public enum Axis: Sendable { case horizontal, vertical }

public struct TextField<Label: View>: View, Shown {
    public typealias Body = Never

    private let label: Label
    private let text: Binding<String>

    func show(in walk: Walk) {
        var element = TestElement(.field, walk.words(of: label))
        element.value = text.wrappedValue
        element.isEnabled = walk.environment.isEnabled
        element.use = { [text] in text.wrappedValue = $0 }
        walk.add(element)
    }
}

extension TextField where Label == Text {
    nonisolated public init(_ titleKey: LocalizedStringKey, text: Binding<String>) {
        (label, self.text) = (Text(titleKey), text)
    }

    nonisolated public init(_ titleKey: LocalizedStringKey, text: Binding<String>, axis: Axis) {
        self.init(titleKey, text: text)
    }
}

public struct Slider<Label: View, ValueLabel: View>: View, Shown {
    public typealias Body = Never

    nonisolated(unsafe) private var label: Label
    nonisolated(unsafe) private var get: () -> Double
    nonisolated(unsafe) private var set: (Double) -> Void

    func show(in walk: Walk) {
        var element = TestElement(.slider, walk.words(of: label))
        element.value = "\(get())"
        element.isEnabled = walk.environment.isEnabled
        element.use = { [set] in set(Double($0)!) }
        walk.add(element)
    }
}

extension Slider where ValueLabel == EmptyView {
    nonisolated public init<V: BinaryFloatingPoint>(
        value: Binding<V>, in bounds: ClosedRange<V> = 0...1, @ViewBuilder label: () -> Label,
        onEditingChanged: @escaping (Bool) -> Void = { _ in }
    ) where V.Stride: BinaryFloatingPoint {
        self.label = label()
        get = { Double(value.wrappedValue) }
        set = { new in
            onEditingChanged(true)
            value.wrappedValue = min(max(V(new), bounds.lowerBound), bounds.upperBound)
            onEditingChanged(false)
        }
    }
}
