// swift-tools-version: 6.0
//
// Idiolect for Apple platforms, and for Linux, where it is tested.
//
// `Sources/Idiolect/Generated/Idiolect.swift` and, on Linux, `Generated/IdiolectFFI/` are made from the built library
// and not committed: `build-xcframework` makes them on a Mac, `tests/run swift` on Linux.

import Foundation
import PackageDescription

/// The library of a release, for Apple platforms; `build-xcframework --release` writes both lines of its package.
let releaseURL = ""
let releaseChecksum = ""

/// Set, it takes `IdiolectFFI.xcframework` from beside this file, as `build-xcframework` leaves it, and no release.
let isLocal = releaseURL.isEmpty || ProcessInfo.processInfo.environment["IDIOLECT_LOCAL"] != nil

/// On Linux, the folder that has `libidiolect_ffi.so`.
let libraryFolder = ProcessInfo.processInfo.environment["IDIOLECT_LIBRARY"] ?? "."

/// On Linux, set, the code for Apple's platforms is compiled and tested as well, against stand-ins for their modules,
/// and with it the sample app, which has a copy of `bindings/cli/assets/base` in `App/` then as on a Mac.
let standIns = ProcessInfo.processInfo.environment["IDIOLECT_STAND_INS"] == nil
    ? [] : ["Security", "BackgroundTasks", "UIKit"]

let standInTargets: [Target] = standIns.isEmpty
    ? []
    : standIns.map { .target(name: $0, path: "Tests/Shims/\($0)") } + [
        .target(name: "SwiftUI", path: "Tests/Shims/SwiftUI"),
        .target(name: "NotesModel", dependencies: ["Idiolect"], path: "Sample/Notes.swiftpm/Model"),
        .executableTarget(
            name: "App", dependencies: ["NotesModel", "SwiftUI"], path: "Sample/Notes.swiftpm/App",
            resources: [.copy("base")]),
        .testTarget(
            name: "AppleTests",
            dependencies: ["App", "Idiolect", "NotesModel", "SwiftUI"] + standIns.map { .target(name: $0) }),
    ]

#if os(Linux)
let library = Target.systemLibrary(name: "IdiolectFFI", path: "Generated/IdiolectFFI")
let linking: [LinkerSetting] = [
    .linkedLibrary("idiolect_ffi"),
    .unsafeFlags(["-L", libraryFolder, "-Xlinker", "-rpath", "-Xlinker", libraryFolder]),
]
let appleTests: [Target] = []
#else
let library: Target = isLocal
    ? .binaryTarget(name: "IdiolectFFI", path: "IdiolectFFI.xcframework")
    : .binaryTarget(name: "IdiolectFFI", url: releaseURL, checksum: releaseChecksum)
// What the Rust library uses of the system: Metal by way of wgpu.
let linking: [LinkerSetting] = [
    .linkedFramework("Metal"), .linkedFramework("QuartzCore"), .linkedFramework("Foundation"),
]
// On the real modules, what can be called without the system's part in it.
let appleTests: [Target] = [.testTarget(name: "AppleTests", dependencies: ["Idiolect"])]
#endif

/// A release has no tests: they take their model from the repository.
let isRelease = !FileManager.default.fileExists(atPath: "\(Context.packageDirectory)/Tests")
let tests = isRelease
    ? [] : [.testTarget(name: "IdiolectTests", dependencies: ["Idiolect"])] + appleTests + standInTargets

let package = Package(
    name: "Idiolect",
    platforms: [.iOS(.v16), .macOS(.v13)],
    products: [.library(name: "Idiolect", targets: ["Idiolect"])],
    targets: [
        library,
        .target(
            name: "Idiolect", dependencies: ["IdiolectFFI"] + standIns.map { .target(name: $0) },
            linkerSettings: linking),
    ] + tests,
    swiftLanguageModes: [.v6]
)
