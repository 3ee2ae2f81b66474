// The life of a profile through the Swift bindings, on the real library: `life MODEL HISTORY.jsonl`.

import Foundation
import IdiolectFFI

let messageCount = 400

/// An exported chat.
let chat = """
    [30/12/23, 21:40:01] Ben: are you coming
    [30/12/23, 21:41:00] Ana: on my way
    in ten minutes
    [30/12/23, 21:42:00] Ana: <Media omitted>
    [30/12/23, 21:43:00] Ben: great
    [30/12/23, 21:44:00] Ana: see you
    [31/12/23, 09:00:00] Ana: bye
    """

/// The steps, in order: each goes on with what the ones before it left.
struct Life {
    let model: String
    let messages: [NewSample]
    let home: URL
    var passed = 0

    let settings = LearnSettings(train: TrainSettings(epochs: 2, seed: 7))
    let other = LearnSettings(train: TrainSettings(epochs: 2, seed: 8))
    let prompt = "see you"
    let all = UInt64(messageCount)

    var profile: String { home.appendingPathComponent("profile").path }
    var merged: String { home.appendingPathComponent("merged").path }

    init(model: String, messages: [NewSample], home: URL) {
        (self.model, self.messages, self.home) = (model, messages, home)
    }

    /// One step of the life; what it returns is printed beside it.
    mutating func step(_ what: String, _ body: () throws -> String?) throws {
        let (note, took) = try seconds(body)
        let padded = what.padding(toLength: 72, withPad: " ", startingAt: 0)
        say("ok  \(padded) \(String(format: "%6.2f", took)) s  \(note ?? "")")
        passed += 1
    }

    func open(model: String? = nil, key: Data? = Data(1...32)) throws -> Engine {
        let options = EngineOptions(profile: profile, model: model ?? self.model, key: key, device: .cpu, threads: 2)
        return try Engine.open(options: options)
    }

    mutating func live() throws {
        try policy()
        try chats()
        try rows()
        try attending()
        try suspending()
        let engine = try open()
        try beginning(engine)
        try history(engine)
        try learning(engine)
        try answering(engine)
        try conversing(engine)
        try adapters(engine)
        try merging(engine)
        try moving(engine)
        try forgetting(engine)
        try ending(engine)
    }

    mutating func policy() throws {
        try step("says when training may run, and why not") {
            let calm = DeviceSignals(
                charging: true, battery: 0.8, idle: true, thermal: 0.2, lowPower: false, freeMemory: 2 << 30,
                foreground: false, localMinute: 120, minutesToday: 3)
            func but(_ change: (inout DeviceSignals) -> Void) -> DeviceSignals {
                var signals = calm
                change(&signals)
                return signals
            }
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
                try same("verdict on \(signals)", verdict, decision.verdict)
                try same("reasons on \(signals)", rules, decision.reasons.map(\.rule))
                try check(decision.reasons.allSatisfy { !$0.words.isEmpty })
            }
            let off = try explainTraining(signals: calm, settings: alwaysPolicy(), phase: .starting)
            try check(off.count == 9 && off.allSatisfy { $0.standing == .off && !$0.words.isEmpty }, "\(off)")
            var strict = defaultPolicy()
            strict.allowUnknown = false
            try same(
                "unknown", .wait,
                decideTraining(signals: DeviceSignals(), settings: strict, phase: .starting).verdict)
            strict.batteryToStart = 30
            try refused(.badOption, "battery_to_start") {
                _ = try decideTraining(signals: calm, settings: strict, phase: .starting)
            }
            let reasons = try decideTraining(signals: cases[1].0, settings: night, phase: .starting).reasons
            return reasons[0].words
        }
    }

    mutating func chats() throws {
        let home = home
        try step("takes in an exported chat; history and erasure need no model") {
            let file = home.appendingPathComponent("with Ben.txt")
            try chat.write(to: file, atomically: true, encoding: .utf8)
            let authors = try chatAuthors(path: file.path)
            try same("authors", ["Ana 3", "Ben 2"], authors.map { "\($0.name) \($0.messages)" })
            let export = try readChat(path: file.path, name: "Ana")
            try same("texts", ["on my way\nin ten minutes", "see you", "bye"], export.samples.map(\.text))
            try same("context", "are you coming", export.samples[0].context)
            try same("contact", "Ben", export.samples[0].contact)
            try check(export.dateOrder == .dayFirst && export.orderIsSure && export.marks == 1, "\(export)")
            let hint = try refused(.badOption, "name") { _ = try readChat(path: file.path, name: "Cleo") }
            try check(hint?.contains("authors") == true && hint?.contains("Ana") == false, "hint: \(hint ?? "none")")
            let place = home.appendingPathComponent("chats").path
            let options = EngineOptions(profile: place, model: home.appendingPathComponent("nowhere").path)
            let engine = try Engine.open(options: options)
            try same("added", 3, engine.history().addAll(samples: export.samples).newTexts)
            try same("added again", 3, engine.history().addAll(samples: export.samples).known)
            let status = try engine.status(gate: GateSettings(), openModel: false)
            try same("messages", 3, status.messages)
            try same("sources", [3], status.sources.map(\.messages))
            try check(!status.nextTraining.worthwhile && !status.nextTraining.explanation.isEmpty, "\(status)")
            engine.shutDown()
            try same("after shutting down", 3, engine.history().stats().total.messages)
            try check(engine.erase().history.files > 0)
            try check(!FileManager.default.fileExists(atPath: place), "the folder is still there")
            return hint
        }
    }

    mutating func rows() throws {
        let home = home
        try step("reads rows, and names those that are bad") {
            let rows = [#"{"text":"ok"}"#, #"{"text":null}"#, #"{"text":"ok","timestamp":"1701990508000"}"#]
            let file = home.appendingPathComponent("rows.jsonl")
            try rows.joined(separator: "\n").write(to: file, atomically: true, encoding: .utf8)
            let read = try readJsonl(path: file.path)
            try same("rows", [nil, 1_701_990_508], read.samples.map(\.timestamp))
            try same("skipped", 1, read.skipped)
            try same("lines", [2], read.skippedRows.map(\.line))
            return read.skippedRows[0].why
        }
    }

    mutating func forgetting(_ engine: Engine) throws {
        let (messages, all) = (messages, all)
        let history = engine.history()
        try step("removes messages; the adapter that learned from them is marked") {
            let removed = try history.remove(selection: .time(start: 0, end: Int64.max / 2))
            try same("messages", all, removed.messages)
            try same("marked", [1], removed.marked)
            try same("marked in the list", [true], engine.adapters().list().versions.map(\.learnedFromRemoved))
            try same("left", 0, history.stats().total.messages)
            return nil
        }
        try step("a deleted adapter is forgotten by the history as well") {
            let learned = try history.learnedVersions()
            try check(learned.count == 1 && learned[0].samples == learned[0].removed && learned[0].samples > 0)
            try same("samples left", [], history.learnedFrom(version: 1))
            try engine.adapters().delete(version: 1)
            try same("versions", [], history.learnedVersions())
            try same("adapters", AdapterList(versions: [], active: nil), engine.adapters().list())
            return nil
        }
        try step("a cap holds") {
            _ = try history.setRetention(retention: Retention(maxMessages: 300))
            try same("expired", all - 300, history.add(samples: messages).expired)
            try same("cap", 300, history.retention().maxMessages)
            return nil
        }
    }

    mutating func ending(_ engine: Engine) throws {
        let life = self
        try step("closing from another thread during a training is safe") {
            let training = engine.learning(life.other)
            try Running { engine.shutDown() }.soon()
            try same("outcome", .paused(reason: .closing), training.soon())
            try same("state", EngineState.closed, engine.state())
            try refused(.closed, "closed") { try engine.check() }
            try same("history", 300, engine.history().stats().total.messages)
            return nil
        }
        try step("erases during a training: nothing is left") {
            let again = try life.open()
            let training = again.learning(life.other)
            let report = try again.erase()
            try same("outcome", .paused(reason: .closing), training.soon())
            try same("keys", 1, report.keys.files)
            try check(report.history.files > 0 && report.adapters.files > 0 && report.left.isEmpty, "\(report)")
            try check(!FileManager.default.fileExists(atPath: life.profile), "the folder is still there")
            let (history, adapters) = (again.history(), again.adapters())
            let calls: [() throws -> Void] = [
                { _ = try again.erase() }, { try again.check() }, { _ = try again.lastReport() },
                { _ = try again.suggest(prompt: "hello", options: SuggestOptions(), cancel: CancelToken()) },
                { _ = try again.learn(life.settings, Course()) }, { _ = try history.stats() },
                { _ = try history.add(samples: life.messages) }, { _ = try history.clear() },
                { _ = try adapters.list() }, { try adapters.activate(version: nil) },
                { try adapters.delete(version: 1) },
            ]
            for call in calls { try refused(.closed, "", call) }
            try check(!FileManager.default.fileExists(atPath: life.profile), "a file came back")
            try refused(.io, life.profile) { _ = try eraseProfile(folder: life.profile) }
            return "\(report.total.files) files, \(report.total.bytes) bytes"
        }
    }
}

@main
struct Program {
    static func main() throws {
        let (model, history) = (CommandLine.arguments[1], CommandLine.arguments[2])
        let home = FileManager.default.temporaryDirectory.appendingPathComponent("idiolect-swift-\(UUID())")
        try FileManager.default.createDirectory(at: home, withIntermediateDirectories: true)
        let messages = Array(try readJsonl(path: history).samples.prefix(messageCount))
        var life = Life(model: model, messages: messages, home: home)
        var failed: Int32 = 0
        do {
            try life.live()
        } catch {
            say("failed: \(error)")
            failed = 1
        }
        try? FileManager.default.removeItem(at: home)
        say("swift: \(life.passed) passed, \(failed) failed")
        exit(failed)
    }
}
