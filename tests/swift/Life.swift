// The life of a profile through the Swift bindings, on the real library: `Life MODEL HISTORY.jsonl`.

import Dispatch
import Foundation
import IdiolectFFI
import Synchronization

let messageCount = 400

/// Hears a training; `react` may cancel or throw.
final class Course: LearnListener {
    private let heard = Mutex<[LearnEvent]>([])
    private let react: @Sendable (LearnEvent) throws -> Void

    init(react: @escaping @Sendable (LearnEvent) throws -> Void = { _ in }) {
        self.react = react
    }

    func onEvent(event: LearnEvent) throws {
        heard.withLock { $0.append(event) }
        try react(event)
    }

    /// All steps, and where they began.
    var course: (steps: [UInt64], all: UInt64, resumedAt: UInt64) {
        var course: (steps: [UInt64], all: UInt64, resumedAt: UInt64) = ([], 0, 0)
        for event in heard.withLock({ $0 }) {
            switch event {
            case .started(let steps, let resumedAt, _): (course.all, course.resumedAt) = (steps, resumedAt)
            case .step(let step, _, _, _): course.steps.append(step)
            default: break
            }
        }
        return course
    }
}

/// Hears a generation; `react` may cancel or throw.
final class Pieces: TextListener {
    private let heard = Mutex<[String]>([])
    private let react: @Sendable () throws -> Void

    init(react: @escaping @Sendable () throws -> Void = {}) {
        self.react = react
    }

    func onText(text: String) throws {
        heard.withLock { $0.append(text) }
        try react()
    }

    var pieces: [String] { heard.withLock { $0 } }
}

/// Hears a merge; `react` may cancel or throw.
final class Stages: MergeListener {
    private let heard = Mutex<[MergeStage]>([])
    private let react: @Sendable () throws -> Void

    init(react: @escaping @Sendable () throws -> Void = {}) {
        self.react = react
    }

    func onProgress(stage: MergeStage, done: UInt64, all: UInt64) throws {
        try check(done <= all, "\(done) of \(all)")
        heard.withLock { if $0.last != stage { $0.append(stage) } }
        try react()
    }

    var stages: [MergeStage] { heard.withLock { $0 } }
}

/// Work on a thread of its own.
final class Running<T: Sendable>: Sendable {
    private let result = Mutex<Result<T, Error>?>(nil)
    private let done = DispatchSemaphore(value: 0)

    init(_ work: @escaping @Sendable () throws -> T) {
        Thread.detachNewThread { [self] in
            let result = Result(catching: work)
            self.result.withLock { $0 = result }
            done.signal()
        }
    }

    var isDone: Bool { result.withLock { $0 != nil } }

    func soon() throws -> T {
        guard done.wait(timeout: .now() + 60) == .success else { throw Failure(what: "nothing came within a minute") }
        return try result.withLock { $0! }.get()
    }
}

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

struct Failure: Error { let what: String }

/// What a listener throws: nothing that the engine knows.
struct NotForTheEngine: Error {}

func check(_ holds: Bool, _ what: @autoclosure () -> String = "not so", line: Int = #line) throws {
    guard holds else { throw Failure(what: "line \(line): \(what())") }
}

func same<T: Equatable>(_ what: String, _ expected: T, _ found: T, line: Int = #line) throws {
    try check(expected == found, "\(what): \(found), not \(expected)", line: line)
}

/// The hint of the error that `body` has to end with: of this kind, with words that name `part`.
@discardableResult
func refused(_ kind: ErrorKind, _ part: String, line: Int = #line, _ body: () throws -> Void) throws -> String? {
    do {
        try body()
    } catch EngineError.Failed(let found, let detail, let hint) {
        try same("error's kind (\(detail))", kind, found, line: line)
        try check(part.isEmpty || detail.contains(part), "the error does not name \(part): \(detail)", line: line)
        return hint
    }
    throw Failure(what: "line \(line): no error, where \(kind) is due")
}

/// Prints a line at once, also into a pipe.
func say(_ line: String) {
    FileHandle.standardOutput.write(Data((line + "\n").utf8))
}

func seconds<T>(_ body: () throws -> T) rethrows -> (T, Double) {
    let begin = DispatchTime.now().uptimeNanoseconds
    let made = try body()
    return (made, Double(DispatchTime.now().uptimeNanoseconds - begin) / 1e9)
}

extension Engine {
    func learn(_ settings: LearnSettings, _ course: Course, _ cancel: CancelToken = CancelToken()) throws -> LearnOutcome {
        try train(settings: settings, cancel: cancel, listener: course)
    }

    func finished(_ settings: LearnSettings, _ course: Course) throws -> LearnReport {
        guard case .finished(let report) = try learn(settings, course) else { throw Failure(what: "it paused") }
        return report
    }

    /// A training on another thread, which has taken its first step.
    func learning(_ settings: LearnSettings) -> Running<LearnOutcome> {
        let begun = DispatchSemaphore(value: 0)
        let training = Running {
            defer { begun.signal() }
            return try self.learn(settings, Course { if case .step = $0 { begun.signal() } })
        }
        _ = begun.wait(timeout: .now() + 60)
        return training
    }

    func greedy(_ prompt: String) throws -> String {
        let options = GenerateOptions(maxTokens: 24, temperature: 0)
        return try generate(prompt: .text(text: prompt), options: options, cancel: CancelToken(), listener: Pieces()).text
    }
}

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
        let engine = try open()
        try beginning(engine)
        try history(engine)
        try learning(engine)
        try answering(engine)
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
            try same("added", 3, engine.history().add(samples: export.samples).newTexts)
            engine.shutDown()
            try same("after shutting down", 3, engine.history().stats().total.messages)
            try check(engine.erase().history.files > 0)
            try check(!FileManager.default.fileExists(atPath: place), "the folder is still there")
            return hint
        }
    }

    mutating func beginning(_ engine: Engine) throws {
        let life = self
        try step("opens a profile and a model") {
            try same("state", EngineState.idle, engine.state())
            try engine.check()
            return nil
        }
        try step("a wrong path of the model: kind, message and hint") {
            let nowhere = life.home.appendingPathComponent("nowhere").path
            let missing = try life.open(model: nowhere)
            let hint = try refused(.io, nowhere) { try missing.check() }
            try check(hint?.contains("GGUF") == true, "hint: \(hint ?? "none")")
            missing.shutDown()
            return hint
        }
        try step("a wrong key, one too short, and none at all") {
            let hint = try refused(.wrongKey, life.profile) { _ = try life.open(key: Data(repeating: 9, count: 32)) }
            try check(hint != nil, "no hint")
            try refused(.wrongKey, life.profile) { _ = try life.open(key: nil) }
            try refused(.badOption, "31") { _ = try life.open(key: Data(repeating: 9, count: 31)) }
            return hint
        }
    }

    mutating func history(_ engine: Engine) throws {
        let (messages, all) = (messages, all)
        let history = engine.history()
        try step("adds messages in batches, and the same again") {
            var fresh: UInt64 = 0
            for begin in stride(from: 0, to: messages.count, by: 150) {
                let added = try history.add(samples: Array(messages[begin..<min(begin + 150, messages.count)]))
                fresh += added.newTexts + added.repeated
            }
            try same("messages", all, fresh)
            try same("known", all, history.add(samples: messages).known)
            try same("stats", all, history.stats().total.messages)
            return nil
        }
        try step("keeps out what is excluded, incognito or blank") {
            try history.exclude(exclusion: .source(name: "bank"))
            let added = try history.add(samples: [
                NewSample(text: "my secret", source: "bank"), NewSample(text: "my secret", incognito: true),
                NewSample(text: "  "),
            ])
            try same("kept out", [1, 1, 1, 0], [added.excluded, added.incognito, added.blank, added.newTexts])
            try same("exclusions", [.source(name: "bank")], history.exclusions())
            try check(history.include(exclusion: .source(name: "bank")))
            let sample = masked(samples: [NewSample(text: "write to ana@example.com")], unmasked: [])[0]
            try same("masked", "write to ***", sample.text)
            return nil
        }
        try step("lists pages, and shows no text where nobody asked for it") {
            let first = try history.list(before: nil, limit: 10)
            let second = try history.list(before: first.last?.id, limit: 10)
            try same("samples", 20, Set((first + second).map(\.id)).count)
            let text = first[0].text
            try check(messages.contains { $0.text == text }, "the text is another one")
            for shown in ["\(first[0])", "\(NewSample(text: text))", "\(Prompt.text(text: text))"] {
                try check(!shown.contains(text), "a text is shown")
            }
            return "\(first[0])"
        }
    }

    mutating func learning(_ engine: Engine) throws {
        let settings = settings
        try step("trains with progress, and pauses when it is cancelled") {
            let cancel = CancelToken()
            let cancelled = Mutex<UInt64>(0)
            let course = Course { event in
                if case .step(5, _, _, _) = event {
                    guard case .training = engine.state() else { throw Failure(what: "state: \(engine.state())") }
                    cancelled.withLock { $0 = DispatchTime.now().uptimeNanoseconds }
                    cancel.cancel()
                }
            }
            try same("outcome", .paused(reason: .cancelled), engine.learn(settings, course, cancel))
            let milliseconds = (DispatchTime.now().uptimeNanoseconds - cancelled.withLock { $0 }) / 1_000_000
            try check(milliseconds < 1000, "it took \(milliseconds) ms to end")
            try check(cancel.isCancelled())
            try same("state", EngineState.idle, engine.state())
            try check(engine.hasPausedTraining() && engine.lastReport() == nil)
            return "\(milliseconds) ms from cancelling to the end, a checkpoint written"
        }
        try step("an error in the listener ends it, and arrives") {
            try refused(.listener, "callback") { _ = try engine.learn(settings, Course { _ in throw NotForTheEngine() }) }
            try same("state", EngineState.idle, engine.state())
            return nil
        }
        try step("goes on to the end, through the gate") {
            let listener = Course()
            let report = try engine.finished(settings, listener)
            let course = listener.course
            try check(course.resumedAt >= 5, "went on at \(course.resumedAt)")
            try same("first step", course.resumedAt + 1, course.steps.first)
            try same("steps", course.all, course.steps.last)
            try check(report.resumed && report.lastLoss! < report.firstLoss!, "it did not learn")
            try same("decision: \(report.verdict.explanation)", .promoted, report.verdict.decision)
            try same("version", 1, report.version)
            try same("last report", report, engine.lastReport())
            try check(!engine.hasPausedTraining())
            return report.verdict.explanation
        }
        try step("nothing changed: the same report at once") {
            let report = try engine.finished(settings, Course())
            try check(report.unchanged && report.version == 1)
            return nil
        }
    }

    mutating func answering(_ engine: Engine) throws {
        let (prompt, messages, settings, other) = (prompt, messages, settings, other)
        try step("streams whole text") {
            let heard = Pieces()
            let options = GenerateOptions(maxTokens: 40, temperature: 0.7, seed: 3)
            let made = try engine.generate(
                prompt: .text(text: prompt), options: options, cancel: CancelToken(), listener: heard)
            try same("pieces", made.text, heard.pieces.joined())
            try check(made.tokens > 0 && heard.pieces.count <= Int(made.tokens))
            try check([.maxTokens, .endOfTurn].contains(made.finishReason))
            return "\(made.tokens) tokens in \(heard.pieces.count) callbacks"
        }
        try step("a cancelled generation gives what there is; a listener's error arrives") {
            let cancel = CancelToken()
            let options = GenerateOptions(maxTokens: 400, temperature: 0.7)
            let heard = Pieces { cancel.cancel() }
            let made = try engine.generate(
                prompt: .chat(message: prompt), options: options, cancel: cancel, listener: heard)
            try same("finish", .cancelled, made.finishReason)
            try same("pieces", made.text, heard.pieces.joined())
            try refused(.listener, "callback") {
                _ = try engine.generate(
                    prompt: .text(text: prompt), options: options, cancel: CancelToken(),
                    listener: Pieces { throw NotForTheEngine() })
            }
            return nil
        }
        try step("suggests whole words, likeliest first") {
            let words = try engine.suggest(prompt: "i am going to", count: 3, cancel: CancelToken())
            try check((1...3).contains(words.count) && words.allSatisfy { (0...1).contains($0.probability) }, "\(words)")
            try same("order", words.map(\.probability).sorted(by: >), words.map(\.probability))
            return words.map { $0.text.trimmingCharacters(in: .whitespaces) }.joined(separator: ", ")
        }
        try step("measures texts with and without the adapter") {
            let texts = messages.prefix(40).map { EvaluationText(text: $0.text) }
            let before = try engine.evaluate(texts: texts, withAdapter: false, cancel: CancelToken()).nll
            let after = try engine.evaluate(texts: texts, withAdapter: true, cancel: CancelToken()).nll
            try check(after < before, "\(before) to \(after)")
            return String(format: "%.2f to %.2f nats a token", before, after)
        }
        try step("answers while it trains; a second training is refused; unloading pauses") {
            let training = engine.learning(other)
            let (text, took) = try seconds { try engine.greedy(prompt) }
            try check(!text.isEmpty && !training.isDone, "it waited for the training to end")
            try refused(.trainingBusy, "training") { _ = try engine.learn(settings, Course()) }
            try engine.unload()
            try same("outcome", .paused(reason: .memoryPressure), training.soon())
            return String(format: "an answer of 24 tokens in %.0f ms", took * 1000)
        }
    }

    mutating func adapters(_ engine: Engine) throws {
        let (prompt, home) = (prompt, home)
        let adapters = engine.adapters()
        let adapted = try engine.greedy(prompt)
        try adapters.activate(version: nil)
        let plain = try engine.greedy(prompt)
        try step("lists adapters, switches to none and back") {
            try check(adapted != plain, "the adapter does nothing")
            try same("rolled back to", 1, adapters.rollback())
            try same("text", adapted, engine.greedy(prompt))
            let listed = try adapters.list()
            try same("active", 1, listed.active)
            try same("origins", [.trained], listed.versions.map(\.origin))
            try same("report", engine.lastReport(), listed.versions[0].report)
            try same("base", engine.model().fingerprint, listed.versions[0].baseFingerprint)
            try same("stale", nil, engine.staleVersion())
            return try refused(.badOption, "9") { try adapters.activate(version: 9) }
        }
        try step("strength 0 is the base itself") {
            try adapters.setStrength(version: 1, strength: 0)
            try same("text", plain, engine.greedy(prompt))
            try adapters.setStrength(version: 1, strength: 1)
            try refused(.badOption, "1.5") { try adapters.setStrength(version: 1, strength: 1.5) }
            return nil
        }
        try step("exports, imports and deletes") {
            let archive = home.appendingPathComponent("voice.tar").path
            try adapters.exportTo(version: 1, destination: archive)
            let version = try adapters.importFrom(source: archive)
            let versions = try adapters.list().versions
            try same("origins", [.trained, .imported], versions.map(\.origin))
            try same("sums", 1, Set(versions.map(\.sha256)).count)
            try check(versions[1].report == nil)
            try adapters.delete(version: version)
            try refused(.badOption, "\(version)") { try adapters.delete(version: version) }
            try same("versions", [1], adapters.list().versions.map(\.version))
            try refused(.io, "nothing-here") {
                _ = try adapters.importFrom(source: home.appendingPathComponent("nothing-here").path)
            }
            return nil
        }
    }

    mutating func merging(_ engine: Engine) throws {
        let (home, messages, merged) = (home, messages, merged)
        let adapters = engine.adapters()
        func merge(_ version: UInt32, _ heard: Stages, _ cancel: CancelToken = CancelToken()) throws -> MergeReport {
            try adapters.merge(
                version: version, destination: merged, options: MergeOptions(), cancel: cancel, listener: heard)
        }
        try step("a merge that is cancelled, or whose listener fails, leaves nothing") {
            let cancel = CancelToken()
            try refused(.cancelled, "") { _ = try merge(1, Stages { cancel.cancel() }, cancel) }
            try refused(.listener, "callback") { _ = try merge(1, Stages { throw NotForTheEngine() }) }
            try refused(.badOption, "9") { _ = try merge(9, Stages()) }
            try check(!FileManager.default.fileExists(atPath: merged), "a folder was left")
            return nil
        }
        try step("merges into a folder that opens and needs no adapter") {
            let heard = Stages()
            let report = try merge(1, heard)
            try same("stages", [.choosing, .writing, .comparing], Array(heard.stages.prefix(3)))
            try check(!report.matrices.isEmpty && report.divergence.kl < report.divergence.klOfBase, "\(report)")
            let texts = messages.prefix(40).map { EvaluationText(text: $0.text) }
            let place = home.appendingPathComponent("alone").path
            let alone = try Engine.open(options: EngineOptions(profile: place, model: merged, device: .cpu))
            try same("fingerprint", report.fingerprint, alone.model().fingerprint)
            let with = try engine.evaluate(texts: texts, withAdapter: true, cancel: CancelToken()).nll
            let without = try alone.evaluate(texts: texts, withAdapter: false, cancel: CancelToken()).nll
            try check(abs(with - without) < 0.1, "\(with) with the adapter, \(without) merged")
            _ = try alone.erase()
            let sizes = "\(report.bytesBefore) to \(report.bytes) bytes"
            return sizes + String(format: "; %.3f and %.3f nats a token", with, without)
        }
    }

    mutating func moving(_ engine: Engine) throws {
        let life = self
        try step("moves to another device under a passphrase") {
            let archive = life.home.appendingPathComponent("profile.archive").path
            let archived = try engine.exportProfile(archive: archive, passphrase: "a long passphrase")
            try check(archived.files > 0)
            let place = life.home.appendingPathComponent("moved").path
            try refused(.wrongKey, "passphrase") {
                try importProfile(archive: archive, passphrase: "another", folder: place)
            }
            let key = Data(1...32)
            try importProfile(archive: archive, passphrase: "a long passphrase", folder: place, key: key)
            let moved = try Engine.open(options: EngineOptions(profile: place, model: life.model, key: key))
            try same("stats", engine.history().stats().total, moved.history().stats().total)
            try same("adapters", engine.adapters().list(), moved.adapters().list())
            try same("stale", nil, moved.staleVersion())
            moved.shutDown()
            // On another base, the adapter is of no use until it has learned again.
            let options = EngineOptions(profile: place, model: life.merged, key: key, device: .cpu)
            let other = try Engine.open(options: options)
            try same("stale", 1, other.staleVersion())
            try check(!other.greedy(life.prompt).isEmpty)
            _ = try other.erase()
            return "\(archived.files) files, \(archived.bytes) bytes"
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
                { _ = try again.suggest(prompt: "hello", count: 1, cancel: CancelToken()) },
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
        let messages = Array(try readJsonl(path: history).prefix(messageCount))
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
