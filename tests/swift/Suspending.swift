// An engine that is suspended as the system suspends the app, and one whose device is changed.

import Dispatch
import Foundation
import IdiolectFFI

extension Life {
    mutating func suspending() throws {
        let settings = LearnSettings(train: TrainSettings(steps: 20, seed: 7))
        let place = home.appendingPathComponent("suspended").path
        let options = EngineOptions(profile: place, model: model, key: nil, device: .cpu, threads: 2)
        let engine = try Engine.open(options: options)
        _ = try engine.history().addAll(samples: Array(messages.prefix(120)))

        try step("suspended, a training rests and every call is refused; resumed, it goes on") {
            let begun = DispatchSemaphore(value: 0)
            let course = Course { if case .step(3, _, _, _) = $0 { begun.signal() } }
            let training = Running { try engine.learn(settings, course) }
            try check(begun.wait(timeout: .now() + 120) == .success, "no third step")
            let (_, took) = try seconds { try engine.suspend() }
            let calls: [() throws -> Void] = [
                { _ = try engine.greedy("see you") },
                { _ = try engine.learn(settings, Course()) },
                { _ = try engine.history().stats() },
                { _ = try engine.adapters().list() },
            ]
            for call in calls { try refused(.suspended, "suspended") { try call() } }
            try check(!training.isDone)
            // Nobody holds the right to train: another engine may, and gives it back.
            let another = try Engine.open(options: options)
            _ = try another.history().add(samples: [NewSample(text: "written meanwhile")])
            another.shutDown()
            try engine.resume()
            guard case .finished(let report) = try training.soon() else { throw Failure(what: "it did not finish") }
            try check(report.resumed)
            try same("steps", Array(1...20), course.course.steps)
            return String(format: "at rest in %.2f s", took)
        }
        try step("another device on an open engine, and which one it is") {
            try engine.setDevice(device: .auto)
            let device = try engine.device()
            try check(!device.name.isEmpty && !device.reason.isEmpty, "\(device)")
            try engine.setDevice(device: .cpu)
            try same("kind", .cpu, engine.device().kind)
            engine.shutDown()
            try refused(.closed, "closed") { try engine.suspend() }
            try refused(.closed, "closed") { try engine.setDevice(device: .cpu) }
            return "\(device.name): \(device.reason)"
        }
    }
}
