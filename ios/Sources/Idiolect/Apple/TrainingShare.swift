/// The share of a training that is done, from 0 to 1: from its preparation to the gate's verdict.
///
/// How many sets the gate will measure nobody knows before it has: each takes half of what is left.
struct TrainingShare {
    /// The share that is done.
    private(set) var done = 0.0
    private var steps: UInt64 = 0
    /// What the gate measures at the moment: the share at which it began, and how far it is.
    private var set: (begin: Double, measured: UInt64, total: UInt64)?

    private static let prepared = 0.05
    private static let trained = 0.75

    /// Takes in what the training tells.
    mutating func hear(_ event: LearnEvent) {
        switch event {
        case .started(let steps, let resumedAt, _, _, _):
            self.steps = steps
            reach(resumedAt)
        case .step(let step, _, _, _): reach(step)
        case .setBack(let steps, _): reach(steps)
        case .measuring(let measured, let total):
            let isSame = set.map { $0.total == total && $0.measured <= measured } ?? false
            let begin = isSame ? set!.begin : max(done, Self.trained)
            set = (begin, measured, total)
            done = begin + (1 - begin) / 2 * Double(measured) / Double(max(total, 1))
        default: break
        }
    }

    private mutating func reach(_ step: UInt64) {
        set = nil
        done = Self.prepared + (Self.trained - Self.prepared) * Double(step) / Double(max(steps, 1))
    }
}
