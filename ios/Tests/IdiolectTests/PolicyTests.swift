import Foundation
import Idiolect
import Testing

extension OneByOne {
    @Suite struct PolicyTests {
        let calm = DeviceSignals(
            charging: true, battery: 0.8, idle: true, thermal: 0.2, lowPower: false, freeMemory: 2 << 30,
            foreground: false, localMinute: 120, minutesToday: 3)

        func but(_ change: (inout DeviceSignals) -> Void) -> DeviceSignals {
            var signals = calm
            change(&signals)
            return signals
        }

        @Test("It says when training may run, and why not")
        func saysWhen() throws {
            var night = defaultPolicy()
            night.window = TimeWindow(from: 1320, until: 360)
            let cases: [(DeviceSignals, TrainingPhase, [PolicyRule])] = [
                (calm, .starting, []),
                (but { $0.charging = false }, .starting, [.charging]),
                (but { ($0.charging, $0.idle) = (false, false) }, .running, [.charging, .idle]),
                (but { $0.battery = 0.25 }, .starting, [.battery]),
                (but { $0.battery = 0.25 }, .running, []),
                (but { $0.thermal = 0.9 }, .running, [.thermal]),
                (but { $0.lowPower = true }, .starting, [.lowPower]),
                (but { $0.freeMemory = 1 << 20 }, .starting, [.memory]),
                (but { $0.localMinute = 720 }, .starting, [.timeWindow]),
                (but { $0.minutesToday = 30 }, .running, [.dailyMinutes]),
                (DeviceSignals(), .starting, []),
            ]
            for (signals, phase, rules) in cases {
                let decision = try decideTraining(signals: signals, settings: night, phase: phase)
                let verdict: PolicyVerdict = rules.isEmpty ? .run : phase == .running ? .pause : .wait
                #expect(decision.verdict == verdict, "\(signals)")
                #expect(decision.reasons.map(\.rule) == rules, "\(signals)")
                #expect(decision.reasons.allSatisfy { !$0.words.isEmpty })
            }
        }

        @Test("Without rules each one is off; without a signal a strict policy waits")
        func offAndUnknown() async throws {
            let off = try explainTraining(signals: calm, settings: alwaysPolicy(), phase: .starting)
            #expect(off.count == 9)
            #expect(off.allSatisfy { $0.standing == .off && !$0.words.isEmpty })
            var strict = defaultPolicy()
            strict.allowUnknown = false
            let unknown = try decideTraining(signals: DeviceSignals(), settings: strict, phase: .starting)
            #expect(unknown.verdict == .wait)
            strict.batteryToStart = 30
            await refused("BadOption", "battery_to_start") {
                _ = try decideTraining(signals: calm, settings: strict, phase: .starting)
            }
        }
    }
}
