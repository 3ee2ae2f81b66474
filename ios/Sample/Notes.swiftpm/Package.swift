// swift-tools-version: 6.0
//
// The sample app: opened with Xcode or Swift Playgrounds after `ios/build-xcframework`.

import AppleProductTypes
import PackageDescription

let package = Package(
    name: "Notes",
    platforms: [.iOS(.v17)],
    products: [
        .iOSApplication(
            name: "Notes",
            targets: ["App"],
            bundleIdentifier: "io.github.idiolect.notes",
            displayVersion: "1.0",
            bundleVersion: "1",
            supportedDeviceFamilies: [.phone, .pad],
            supportedInterfaceOrientations: [.portrait, .landscapeLeft, .landscapeRight],
            additionalInfoPlistContentFilePath: "Info.plist")
    ],
    dependencies: [.package(path: "../..")],
    targets: [
        .target(name: "NotesModel", dependencies: [.product(name: "Idiolect", package: "ios")], path: "Model"),
        .executableTarget(name: "App", dependencies: ["NotesModel"], path: "App", resources: [.copy("base")]),
    ],
    swiftLanguageModes: [.v6]
)
