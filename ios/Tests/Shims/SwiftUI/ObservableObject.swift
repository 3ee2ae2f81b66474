// What Apple's SwiftUI brings along of Combine: see ../README.md.

public protocol Publisher<Output, Failure> {
    associatedtype Output
    associatedtype Failure: Error
}

public final class ObservableObjectPublisher: Publisher {
    public typealias Output = Void
    public typealias Failure = Never

    /// test: how often it was told that something is new.
    public private(set) var sent = 0

    public init() {}

    public func send() {
        sent += 1
    }
}

public protocol ObservableObject: AnyObject {
    associatedtype ObjectWillChangePublisher: Publisher = ObservableObjectPublisher
    where ObjectWillChangePublisher.Failure == Never

    var objectWillChange: ObjectWillChangePublisher { get }
}

extension ObservableObject where ObjectWillChangePublisher == ObservableObjectPublisher {
    public var objectWillChange: ObservableObjectPublisher { Publishers.shared.publisher(of: self) }
}

/// Each object's publisher, as long as the object lives.
private final class Publishers: @unchecked Sendable {
    static let shared = Publishers()

    private struct Entry {
        weak var object: AnyObject?
        let publisher = ObservableObjectPublisher()
    }

    private let lock = NSLock()
    private var entries: [ObjectIdentifier: Entry] = [:]

    func publisher(of object: AnyObject) -> ObservableObjectPublisher {
        lock.withLock {
            entries = entries.filter { $0.value.object != nil }
            let entry = entries[ObjectIdentifier(object)] ?? Entry(object: object)
            entries[ObjectIdentifier(object)] = entry
            return entry.publisher
        }
    }
}

@propertyWrapper @MainActor @preconcurrency
public struct ObservedObject<ObjectType: ObservableObject>: DynamicProperty {
    public var wrappedValue: ObjectType

    public init(wrappedValue: ObjectType) {
        self.wrappedValue = wrappedValue
    }
}
