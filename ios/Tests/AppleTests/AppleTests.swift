#if canImport(UIKit)
import Foundation
import Testing

/// The code for Apple's platforms: on Linux on stand-ins for their modules, in a simulator on the real ones, but for what
/// only the system may do there. The other files have the tests.
@Suite(.serialized)
final class AppleTests {
    let home = FileManager.default.temporaryDirectory.appendingPathComponent("idiolect-\(UUID())")

    deinit {
        try? FileManager.default.removeItem(at: home)
    }
}
#endif
