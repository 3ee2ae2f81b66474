// swift-tools-version: 6.0

import PackageDescription

// An app of its own that has the package, as an app developer would: its only source is the README's example.
let package = Package(
    name: "Example",
    platforms: [.macOS(.v13)],
    dependencies: [.package(path: "../ios")],
    targets: [
        .executableTarget(name: "Example", dependencies: [.product(name: "Idiolect", package: "ios")])
    ],
    swiftLanguageModes: [.v6]
)
