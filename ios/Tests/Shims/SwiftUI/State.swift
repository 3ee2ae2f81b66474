// What a view keeps and reads: see ../README.md.

public protocol DynamicProperty {}

@propertyWrapper
public struct State<Value>: DynamicProperty {
    /// Where the value is. A view is made anew at each look; one that stood there before left its cell behind.
    final class Place: @unchecked Sendable {
        var cell: Cell

        init(_ cell: Cell) {
            self.cell = cell
        }
    }

    final class Cell {
        var value: Value

        init(_ value: Value) {
            self.value = value
        }
    }

    let place: Place

    public init(wrappedValue: Value) {
        place = Place(Cell(wrappedValue))
    }

    public var wrappedValue: Value {
        get { place.cell.value }
        nonmutating set { place.cell.value = newValue }
    }

    public var projectedValue: Binding<Value> {
        Binding(get: { [place] in place.cell.value }, set: { [place] in place.cell.value = $0 })
    }
}

extension State where Value: ExpressibleByNilLiteral {
    public init() {
        self.init(wrappedValue: nil)
    }
}

extension State: Sendable where Value: Sendable {}

extension State: Linked {
    func link(in walk: Walk, as name: String) {
        place.cell = walk.recalled(name) ?? place.cell
        walk.keep(name, place.cell)
    }
}

@propertyWrapper
public struct Binding<Value> {
    private let get: @Sendable () -> Value
    private let set: @Sendable (Value) -> Void

    // Apple's documentation leaves `@_inheritActorContext` out, as all that begins with an underscore; without it no
    // closure of a view could read what the view has.
    @preconcurrency
    public init(
        @_inheritActorContext get: @escaping @isolated(any) @Sendable () -> Value,
        @_inheritActorContext set: @escaping @isolated(any) @Sendable (Value) -> Void
    ) {
        // Both are called from the main actor alone, where the tests are.
        self.get = unsafeBitCast(get, to: (@Sendable () -> Value).self)
        self.set = unsafeBitCast(set, to: (@Sendable (Value) -> Void).self)
    }

    public var wrappedValue: Value {
        get { get() }
        nonmutating set { set(newValue) }
    }
}

extension Binding: @unchecked Sendable where Value: Sendable {}

@propertyWrapper
public struct Environment<Value>: DynamicProperty {
    final class Place: @unchecked Sendable {
        var values = EnvironmentValues()
    }

    let place = Place()
    private let path: KeyPath<EnvironmentValues, Value>

    public init(_ path: KeyPath<EnvironmentValues, Value>) {
        self.path = path
    }

    public var wrappedValue: Value { place.values[keyPath: path] }
}

extension Environment: Linked {
    func link(in walk: Walk, as name: String) {
        place.values = walk.environment
    }
}

public struct EnvironmentValues: Sendable {
    public var scenePhase = ScenePhase.active
    public var isEnabled = true
}
