# The part `swift` of tests/run, which sources this.

# Debian 13 has Swift 6 as a package; its folder is entered by chroot, which lets any Debian build and run with it. The
# library is built outside: the C library there has to be as new as the one here.
swift() {
  [ "$(id -u)" = 0 ] || die "run as root: Swift lives in a folder that is entered by chroot"
  packages debootstrap
  mkdir -p "$target/swift"
  local root
  root=$(cd "$target/swift" && pwd)/debian-13
  if ! [ -e "$root/etc/ld.so.conf.d/swift.conf" ]; then
    say "Debian 13 with its Swift"
    rm -rf "$root"
    debootstrap --variant=minbase --include=swiftlang,libc6-dev,libstdc++-14-dev trixie "$root" >"$root.log" ||
      die "debootstrap failed: see $root.log"
    echo /usr/libexec/swift/lib/swift/linux >"$root/etc/ld.so.conf.d/swift.conf"
    chroot "$root" ldconfig
  fi
  surface swift "$target/swift/generated"
  local place=$root/idiolect generated=$target/swift/generated
  local words=android/sample/src/main/res/values
  mkdir -p "$place/ios" "$place/library" "$place/bindings/cli" "$place/$words"
  rm -rf "$place"/ios/{Package.swift,Sources,Tests,Sample,Generated} "$place/bindings/cli/assets" "$place/example"
  cp -rp ios/{Package.swift,Sources,Tests,Sample} "$place/ios"
  cp -rp bindings/cli/assets "$place/bindings/cli"
  # The sample app's model lies beside its screens; its words are compared with those of the other sample.
  cp -rp bindings/cli/assets/base "$place/ios/Sample/Notes.swiftpm/App"
  cp -p "$words/strings.xml" "$place/$words"
  cp -p "$target/debug/libidiolect_ffi.so" "$place/library"
  mkdir -p "$place/ios/Sources/Idiolect/Generated" "$place/ios/Generated/IdiolectFFI"
  cp "$generated/Idiolect.swift" "$place/ios/Sources/Idiolect/Generated"
  cp "$generated/IdiolectFFI.h" "$place/ios/Generated/IdiolectFFI"
  cp "$generated/IdiolectFFI.modulemap" "$place/ios/Generated/IdiolectFFI/module.modulemap"
  # The README's example, as an app of its own that has the package; its model is the embedded one.
  mkdir -p "$place/example/Sources/Example"
  cp tests/swift/example/Package.swift "$place/example"
  readme_example swift >"$place/example/Sources/Example/main.swift"
  ln -s ../bindings/cli/assets/base "$place/example/SmolLM2-135M-Instruct.Q4_1.gguf"
  head -n 120 bindings/cli/assets/history.jsonl >"$place/example/messages.jsonl"
  rm -rf "$place"/{symbols,data}
  mkdir "$place/symbols"
  say "swift build, swift test, and the README's example"
  # The surface is written by a build of its own: this compiler breaks on that of the stand-in for SwiftUI. The package's own
  # tests measure memory and time, so those of the platform's parts run after them.
  inside "$root" sh -ec '
    export IDIOLECT_STAND_INS=1 IDIOLECT_LIBRARY=/idiolect/library IDIOLECT_NO_GPU=1 XDG_DATA_HOME=/idiolect/data
    cd /idiolect/ios
    swift build --target Idiolect -Xswiftc -emit-symbol-graph -Xswiftc -emit-symbol-graph-dir \
      -Xswiftc /idiolect/symbols
    swift build --build-tests -Xswiftc -warnings-as-errors
    for tests in IdiolectTests AppleTests; do
      swift test --skip-build --disable-xctest --filter $tests
    done
    unset IDIOLECT_STAND_INS
    cd /idiolect/example
    swift run --quiet'
  say "the package of a release, with stand-ins for Xcode, Rust and zip"
  rm -rf "$place/release"
  mkdir "$place/release"
  cp -rp ios LICENSE* "$place/release"
  cp -p tests/swift/release.sh "$place"
  inside "$root" /idiolect/release.sh /idiolect/release
  say "the package's public surface"
  tests/swift/surface.py "$place/symbols" ios/api.txt
  say "its reference pages, by DocC"
  rm -rf "$place/pages"
  mkdir -p "$place/pages/symbols"
  cp "$place"/symbols/Idiolect*symbols.json "$place/pages/symbols"
  inside "$root" /usr/libexec/swift/bin/docc convert --additional-symbol-graph-dir /idiolect/pages/symbols \
    --fallback-display-name Idiolect --fallback-bundle-identifier io.github.idiolect \
    --warnings-as-errors --output-dir /idiolect/pages/Idiolect.doccarchive
}

# A command in folder $1 as its root. Swift's programs ask /proc for their own path; a mount namespace of its own leaves no
# mount behind.
inside() {
  HOME=/root unshare --mount sh -c 'mount --bind /proc "$1/proc" && mount --bind /dev "$1/dev" && exec chroot "$@"' sh "$@"
}
