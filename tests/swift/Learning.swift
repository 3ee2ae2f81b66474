// From an open engine to an adapter that answers.

import Dispatch
import Foundation
import IdiolectFFI
import Synchronization

extension Life {
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
            let place = [NewSample(text: "cpf 111.222.333-96 at 52.520008, 13.404954")]
            let partly = masked(samples: place, unmasked: [.nationalId])[0]
            try same("masked by rule", "cpf 111.222.333-96 at ***", partly.text)
            return nil
        }
        try step("an edit takes the old text's place, and an origin of the app's own is kept") {
            var note = NewSample(text: "the train leaves at nine", id: "note", origin: .other(name: "dictated"))
            try same("new", 1, history.add(samples: [note]).newTexts)
            note.text = "the train leaves at ten"
            try same("replaced", 1, history.add(samples: [note]).replaced)
            let kept = try history.list(before: nil, limit: 1)
            try same("text", ["the train leaves at ten"], kept.map(\.text))
            try same("origin", [.other(name: "dictated")], kept.map(\.origin))
            try same("removed", 1, history.remove(selection: .appIds(ids: ["note"])).messages)
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
        try step("saves when it is called to, and goes on") {
            try engine.saveProgress()
            let cancel = CancelToken()
            let saved = Mutex<UInt64>(0)
            let course = Course { event in
                guard case .step(let step, _, _, _) = event else { return }
                let before = saved.withLock { $0 }
                if before == 0 {
                    try engine.saveProgress()
                    guard try engine.hasPausedTraining() else { throw Failure(what: "no checkpoint") }
                    saved.withLock { $0 = step }
                } else if step > before {
                    cancel.cancel()
                }
            }
            try same("outcome", .paused(reason: .cancelled), engine.learn(settings, course, cancel))
            return nil
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
            try check(report.bytesWritten > 0 && report.setbacks.isEmpty && report.counts.refused == 0, "\(report)")
            try same("decision: \(report.verdict.explanation)", .promoted, report.verdict.decision)
            try same("version", 1, report.version)
            try same("measured", ["eng"], report.verdict.forgettingIn.map(\.language))
            try same("last report", report, engine.lastReport())
            try check(!engine.hasPausedTraining())
            let status = try engine.status(gate: GateSettings(), openModel: true)
            try same("in use", 1, status.inUse?.version)
            try same("its report", report, status.inUse?.report)
            try same("stale", false, status.stale)
            try same(
                "texts", status.texts, status.trains.samples + status.validates.samples + status.heldOut.samples)
            try same("next", NextTrainingReason.unchanged, status.nextTraining.reason)
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
            // So long that it cannot be over before the cancelling comes.
            let options = GenerateOptions(maxTokens: 400, temperature: 0.7, ignoreEos: true)
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
            let words = try engine.suggest(prompt: "i am going to ", options: SuggestOptions(), cancel: CancelToken())
            try check((1...3).contains(words.count) && words.allSatisfy { (0...1).contains($0.probability) }, "\(words)")
            try check(words.allSatisfy { $0.replaces == 0 }, "\(words)")
            try same("order", words.map(\.probability).sorted(by: >), words.map(\.probability))
            let options = SuggestOptions(count: 2)
            let completed = try engine.suggest(prompt: "i am go", options: options, cancel: CancelToken())
            let completes = { (word: Suggestion) in word.replaces == 2 && word.text.lowercased().hasPrefix("go") }
            try check((1...2).contains(completed.count) && completed.allSatisfy(completes), "\(completed)")
            return (words + completed).map(\.text).joined(separator: ", ")
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
}
