#!/usr/bin/env bash
# Runs ios/build-xcframework on any machine with Swift: release.sh REPOSITORY
#
# Xcode, Rust and zip are stand-ins, which leave files in the places of what the real ones build: this shows what the
# script makes of them, and nothing of the library.
set -euo pipefail
repository=$(cd "$1" && pwd)
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
die() { printf 'release.sh: %s\n' "$*" >&2; exit 1; }

mkdir -p "$place/bin" "$place/repository/ios"
cp -R "$repository"/ios/{Package.swift,README.md,Sources,build-xcframework} "$place/repository/ios"
rm -rf "$place/repository/ios/Sources/Idiolect/Generated"
cp "$repository"/LICENSE* "$place/repository"
stand_in() { cat >"$place/bin/$1" && chmod +x "$place/bin/$1"; }
stand_in rustup <<'END'
#!/bin/sh
END
stand_in cargo <<'END'
#!/bin/bash
target=
while [ $# -gt 0 ]; do [ "$1" = --target ] && target=$2; shift; done
if [ -n "$target" ]; then
  mkdir -p "target/$target/phone" && echo "$target" >"target/$target/phone/libidiolect_ffi.a"
else
  mkdir -p target/debug && touch target/debug/libidiolect_ffi.dylib
  printf '#!/bin/bash\nfor name in swift h modulemap; do echo made >"${@: -1}/Idiolect$([ $name = swift ] || echo FFI).$name"; done\n' \
    >target/debug/uniffi-bindgen
  chmod +x target/debug/uniffi-bindgen
fi
END
stand_in lipo <<'END'
#!/bin/bash
out=${@: -1}
set -- "${@:2:$#-3}"
cat "$@" >"$out"
END
stand_in xcodebuild <<'END'
#!/bin/bash
[ -z "${XCODEBUILD_FAILS-}" ] || exit 65
mkdir -p "${@: -1}"
while [ $# -gt 0 ]; do [ "$1" = -library ] && cat "$2"; shift; done >"$SLICES"
END
stand_in zip <<'END'
#!/bin/sh
tar -cf "$2" "$3"
END
export PATH=$place/bin:$PATH SLICES=$place/slices
cd "$place/repository"
build() { ios/build-xcframework "$@" >"$place/log" 2>&1; }
value() { sed -n "s/^let $1 = \"\(.*\)\"$/\1/p" "$2/Package.swift"; }

# In its place: the framework with all slices, and the generated source; the package takes the local one.
build || die "it does not build: $(cat "$place/log")"
[ "$(cat "$place/slices")" = "$(printf '%s\n' aarch64-apple-ios aarch64-apple-ios-sim x86_64-apple-ios aarch64-apple-darwin \
  x86_64-apple-darwin)" ] || die "slices are missing: $(cat "$place/slices")"
[ -d ios/IdiolectFFI.xcframework ] && [ -s ios/Sources/Idiolect/Generated/Idiolect.swift ] || die "it leaves not all"
[ -z "$(value releaseURL ios)" ] || die "it wrote an address without a release"

# A failure leaves what was there.
echo old >ios/IdiolectFFI.xcframework/old
XCODEBUILD_FAILS=1 build && die "it goes on without a framework"
[ -e ios/IdiolectFFI.xcframework/old ] || die "a failure took the old framework"

# What it does not understand, it refuses, and leaves all as it was.
url=https://example.com/1.0.0/IdiolectFFI.xcframework.zip
while read -r options; do
  # shellcheck disable=SC2086
  build $options && die "it takes $options"
  [ -e ios/IdiolectFFI.xcframework/old ] || die "refusing $options, it took the old framework"
done <<END
--relese $url $place/package
--release
--release $url
--release http://example.com/a.zip $place/package
--release https://example.com/a.tar $place/package
END

# A release: a package of its own, in a folder that may be a repository already.
package=$place/package
mkdir -p "$package/.git" "$package/Sources/Gone"
build --release "$url" "$package" || die "no release: $(cat "$place/log")"
checksum=$(swift package compute-checksum ios/IdiolectFFI.xcframework.zip)
[ "$(value releaseURL "$package")" = "$url" ] && [ "$(value releaseChecksum "$package")" = "$checksum" ] ||
  die "another address or checksum: $(grep '^let release' "$package/Package.swift")"
[ -z "$(value releaseURL ios)" ] || die "it changed the repository's own package"
[ -d "$package/.git" ] && ! [ -e "$package/Sources/Gone" ] || die "it took what is not its own, or left what is old"
diff -r ios/Sources "$package/Sources" || die "sources are missing"
for name in README.md LICENSE Sources/Idiolect/Generated/Idiolect.swift; do
  [ -s "$package/$name" ] || die "$name is missing"
done

# As SwiftPM reads it on a Mac: by address and checksum, by the framework beside it, and without tests.
perl -pi -e 's/^#if os\(Linux\)/#if os(Windows)/' "$package/Package.swift"
dump() { swift package dump-package --package-path "$package" | tr -d ' \n'; }
[[ $(dump) == *"\"checksum\":\"$checksum\""*"\"url\":\"$url\""* ]] || die "SwiftPM reads another address: $(dump)"
[[ $(dump) != *'"type":"test"'* ]] || die "a release has tests"
[[ $(IDIOLECT_LOCAL=1 dump) == *'"path":"IdiolectFFI.xcframework"'* ]] || die "IDIOLECT_LOCAL does not switch back"
echo "build-xcframework does what it says, with stand-ins for Xcode, Rust and zip"
