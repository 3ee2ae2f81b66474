// What becomes of an adapter: versions, a merged base, another device.

import Foundation
import IdiolectFFI

extension Life {
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
            try adapters.setStrength(version: 1, strength: 0.5)
            try adapters.exportTo(version: 1, destination: archive)
            try adapters.setStrength(version: 1, strength: 1)
            let version = try adapters.importFrom(source: archive)
            let versions = try adapters.list().versions
            try same("origins", [.trained, .imported], versions.map(\.origin))
            try same("sums", 1, Set(versions.map(\.sha256)).count)
            try same("strengths", [1, 0.5], versions.map(\.strength))
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
            try moved.changeKey(keyStore: Vault(5))
            moved.shutDown()
            func open(key: Data? = nil, _ store: Vault? = nil) throws -> Engine {
                try Engine.open(options: EngineOptions(profile: place, model: life.model, key: key), keyStore: store)
            }
            try refused(.wrongKey, place) { _ = try open(key: key) }
            try refused(.wrongKey, place) { _ = try open(Vault(6)) }
            try refused(.keyStore, "key store") { _ = try open(Vault(5, refuses: true)) }
            let vaulted = try open(Vault(5))
            try refused(.keyStore, "key store") { try vaulted.changeKey(keyStore: Vault(5, refuses: true)) }
            try vaulted.changeKey(key: key)
            vaulted.shutDown()
            // On another base, the adapter is of no use until it has learned again.
            let options = EngineOptions(profile: place, model: life.merged, key: key, device: .cpu)
            let other = try Engine.open(options: options)
            try same("stale", 1, other.staleVersion())
            try check(!other.greedy(life.prompt).isEmpty)
            _ = try other.erase()
            return "\(archived.files) files, \(archived.bytes) bytes"
        }
    }
}
