import Foundation
import Idiolect
import Testing

/// An exported chat.
private let chat = """
    [30/12/23, 21:40:01] Ben: are you coming
    [30/12/23, 21:41:00] Ana: on my way
    in ten minutes
    [30/12/23, 21:42:00] Ana: <Media omitted>
    [30/12/23, 21:43:00] Ben: great
    [30/12/23, 21:44:00] Ana: see you
    [31/12/23, 09:00:00] Ana: bye
    """

extension OneByOne {
    @Suite struct ReadingTests {
        let home = try! Home()

        @Test("An exported chat is read as one person's messages")
        func readsChat() async throws {
            try chat.write(toFile: home.path("with Ben.txt"), atomically: true, encoding: .utf8)
            let authors = try await PersonalHistory.chatAuthors(home.path("with Ben.txt"))
            #expect(authors.map { "\($0.name) \($0.messages)" } == ["Ana 3", "Ben 2"])
            let export = try await PersonalHistory.readChat(home.path("with Ben.txt"), name: "Ana")
            #expect(export.samples.map(\.text) == ["on my way\nin ten minutes", "see you", "bye"])
            #expect(export.samples[0].context == "are you coming")
            #expect(export.samples[0].contact == "Ben")
            #expect(export.dateOrder == .dayFirst && export.orderIsSure && export.marks == 1)
            let error = await refused("BadOption", "name") {
                _ = try await PersonalHistory.readChat(home.path("with Ben.txt"), name: "Cleo")
            }
            let hint = try #require(error?.hint)
            #expect(hint.contains("authors") && !hint.contains("Ana"))
        }

        @Test("History and erasure need no model")
        func needsNoModel() async throws {
            try chat.write(toFile: home.path("with Ben.txt"), atomically: true, encoding: .utf8)
            let export = try await PersonalHistory.readChat(home.path("with Ben.txt"), name: "Ana")
            let engine = try await home.engine(model: home.path("nowhere"), key: nil)
            #expect(try await engine.history.addAll(export.samples).newTexts == 3)
            #expect(try await engine.history.addAll(export.samples).known == 3)
            let status = try await engine.status()
            #expect(status.messages == 3)
            #expect(status.sources.map(\.messages) == [3])
            #expect(!status.nextTraining.worthwhile && !status.nextTraining.explanation.isEmpty)
            #expect(try await engine.history.stats().total.messages == 3)
            #expect(try await engine.eraseAll().history.files > 0)
            #expect(!home.has("profile"))
        }

        @Test("Rows are read, and bad ones named")
        func readsRows() async throws {
            let rows = [#"{"text":"ok"}"#, #"{"text":null}"#, #"{"text":"ok","timestamp":"1701990508000"}"#]
            try rows.joined(separator: "\n")
                .write(toFile: home.path("rows.jsonl"), atomically: true, encoding: .utf8)
            let read = try await PersonalHistory.readJsonl(home.path("rows.jsonl"))
            #expect(read.samples.map(\.timestamp) == [nil, 1_701_990_508])
            #expect(read.skipped == 1)
            #expect(read.skippedRows.map(\.line) == [2])
            try "on my way\nsee you\n".write(toFile: home.path("lines.txt"), atomically: true, encoding: .utf8)
            #expect(try await PersonalHistory.readLines(home.path("lines.txt")).samples.count == 2)
            try chat.write(toFile: home.path("lines.txt"), atomically: true, encoding: .utf8)
            await refused("BadOption") { _ = try await PersonalHistory.readLines(home.path("lines.txt")) }
            #expect(try await PersonalHistory.readEveryLine(home.path("lines.txt")).samples.count == 7)
        }
    }
}
