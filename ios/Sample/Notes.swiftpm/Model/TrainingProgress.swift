import Foundation
import Idiolect

/// How far a training is, and how long it may still take.
public struct TrainingProgress: Sendable {
    /// Steps taken.
    public private(set) var step: UInt64 = 0
    /// Steps in all; 0 while the history is read.
    public private(set) var steps: UInt64 = 0
    /// The loss of the last step.
    public private(set) var loss: Float?
    /// Whether it measures, on messages that it has not seen, what it made.
    public private(set) var isMeasuring = false
    private var began: (step: UInt64, at: Date)?

    /// None is taken yet.
    public init() {}

    /// The share that is done, 0 to 1.
    public var share: Double { steps == 0 ? 0 : Double(step) / Double(steps) }

    /// Seconds that the rest takes at the speed so far; nil before a second step.
    public func secondsLeft(now: Date = Date()) -> Double? {
        guard let began, step > began.step else { return nil }
        return now.timeIntervalSince(began.at) / Double(step - began.step) * Double(steps - step)
    }

    /// Takes in what a training tells.
    public mutating func hear(_ event: LearnEvent, now: Date = Date()) {
        switch event {
        case .started(let all, let resumedAt, _, _, _): (steps, step, began) = (all, resumedAt, nil)
        case .step(let taken, let loss, _, _):
            (step, self.loss) = (taken, loss)
            if began == nil { began = (taken, now) }
        case .measuring: isMeasuring = true
        default: break
        }
    }
}
