// A stand-in for Apple's BackgroundTasks, in memory: see ../README.md.

import Foundation

open class BGTask: NSObject {
    public let identifier: String
    open var expirationHandler: (() -> Void)?
    /// test: what the task was completed with.
    public private(set) var isSuccess: Bool?

    /// test: the system alone makes tasks.
    public init(identifier: String) {
        self.identifier = identifier
    }

    open func setTaskCompleted(success: Bool) {
        precondition(isSuccess == nil, "completed twice")
        isSuccess = success
    }
}

open class BGProcessingTask: BGTask {}

open class BGTaskRequest: NSObject {
    public let identifier: String
    open var earliestBeginDate: Date?

    init(identifier: String) {
        self.identifier = identifier
    }
}

open class BGProcessingTaskRequest: BGTaskRequest {
    open var requiresNetworkConnectivity = false
    open var requiresExternalPower = false

    public override init(identifier: String) {
        super.init(identifier: identifier)
    }
}

@available(iOS 26.0, *)
open class BGContinuedProcessingTask: BGTask, ProgressReporting {
    public let progress = Progress(totalUnitCount: 0)
}

@available(iOS 26.0, *)
open class BGContinuedProcessingTaskRequest: BGTaskRequest {
    public enum SubmissionStrategy: Int { case fail, queue }

    public struct Resources: OptionSet, Sendable {
        public let rawValue: Int
        public init(rawValue: Int) { self.rawValue = rawValue }
        public static let gpu = Resources(rawValue: 1)
    }

    public let title: String
    public let subtitle: String
    open var strategy = SubmissionStrategy.queue
    open var requiredResources: Resources = []

    public init(identifier: String, title: String, subtitle: String) {
        (self.title, self.subtitle) = (title, subtitle)
        super.init(identifier: identifier)
    }
}

open class BGTaskScheduler: NSObject {
    nonisolated(unsafe) private static let theOne = BGTaskScheduler()
    private var handlers: [String: (BGTask) -> Void] = [:]
    /// test: what waits for its time.
    public private(set) var requests: [String: BGTaskRequest] = [:]

    open class var shared: BGTaskScheduler { theOne }

    @available(iOS 26.0, *)
    open class var supportedResources: BGContinuedProcessingTaskRequest.Resources { hasGpu ? .gpu : [] }

    /// test: whether this device may use its GPU in the background.
    nonisolated(unsafe) public static var hasGpu = false

    @discardableResult
    open func register(
        forTaskWithIdentifier identifier: String, using queue: DispatchQueue?, launchHandler: @escaping (BGTask) -> Void
    ) -> Bool {
        precondition(handlers[identifier] == nil, "registered twice")
        handlers[identifier] = launchHandler
        return true
    }

    open func submit(_ taskRequest: BGTaskRequest) throws {
        requests[taskRequest.identifier] = taskRequest
    }

    open func cancel(taskRequestWithIdentifier identifier: String) {
        requests[identifier] = nil
    }

    /// test: the system begins a task.
    public func begin(_ task: BGTask) {
        requests[task.identifier] = nil
        handlers[task.identifier]?(task)
    }
}
