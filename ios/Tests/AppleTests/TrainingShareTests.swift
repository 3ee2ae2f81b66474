import Testing

@testable import Idiolect

@Suite struct TrainingShareTests {
    private func started(at step: UInt64) -> LearnEvent {
        .started(steps: 10, resumedAt: step, plannedBytes: 1, exceededBudget: nil, device: "a device")
    }

    private func step(_ step: UInt64) -> LearnEvent {
        .step(step: step, loss: 1, tokensPerSecond: 1, deviceBytes: 1)
    }

    @Test("A share grows from the preparation to the verdict, whatever the gate measures, and falls with a setback alone")
    func grows() {
        let cases: [(events: [LearnEvent], shares: [Double])] = [
            ([started(at: 0), step(5), step(10)], [0.05, 0.4, 0.75]),
            ([started(at: 5), step(6)], [0.4, 0.47]),
            ([started(at: 0), step(10), .setBack(steps: 5, learningRate: 1)], [0.05, 0.75, 0.4]),
            // Three sets, each of which takes half of what is left.
            (
                [started(at: 10)]
                    + [(1, 2), (2, 2), (2, 2), (1, 1), (1, 4), (4, 4)].map { .measuring(done: $0, total: $1) },
                [0.75, 0.8125, 0.875, 0.875, 0.9375, 0.945313, 0.96875]
            ),
            ([.measuring(done: 0, total: 0)], [0.75]),
        ]
        for (events, shares) in cases {
            var share = TrainingShare()
            let found = events.map { event in
                share.hear(event)
                return (share.done * 1e6).rounded() / 1e6
            }
            #expect(found == shares)
        }
    }
}
