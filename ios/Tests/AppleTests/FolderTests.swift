#if canImport(UIKit)
import Foundation
import Testing

@testable import Idiolect

extension AppleTests {
    @Test("A folder is made for profiles")
    func folder() throws {
        #expect(try ProtectedFolder.make(home) == home.path)
        #expect(try ProtectedFolder.make(home) == home.path)
        #expect(ProtectedFolder.ofApp()?.lastPathComponent == "Idiolect")
        #if os(Linux)
        #expect(ProtectedFolder.ofApp(group: "group.notes")?.lastPathComponent == "Idiolect")
        #endif
    }

    @Test("What a profile in use takes away meanwhile is not missed; what cannot be protected is")
    func goes() throws {
        let names = ["history.db", "history.db-wal", "key"]
        let cases: [(error: CocoaError.Code?, isThrown: Bool)] = [
            (nil, false), (.fileNoSuchFile, false), (.fileReadNoSuchFile, false), (.fileWriteNoPermission, true),
        ]
        for (code, isThrown) in cases {
            var seen: [String] = []
            let made = Result {
                try ProtectedFolder.forEach(names) { name in
                    seen.append(name)
                    if let code, name == names[1] { throw CocoaError(code) }
                }
            }
            #expect(seen == (isThrown ? Array(names.prefix(2)) : names))
            #expect(((try? made.get()) == nil) == isThrown)
        }
    }

    @Test("A folder is protected while files in it come and go")
    func comesAndGoes() async throws {
        _ = try ProtectedFolder.make(home)
        let home = home
        let busy = Task.detached {
            var turn = 0
            while !Task.isCancelled {
                let folder = home.appendingPathComponent("adapters-\(turn % 50)")
                try? FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
                try? Data().write(to: folder.appendingPathComponent("index"))
                try? FileManager.default.removeItem(at: folder)
                turn += 1
            }
        }
        for _ in 0..<300 { #expect(throws: Never.self) { try ProtectedFolder.make(home) } }
        busy.cancel()
        await busy.value
    }
}
#endif
