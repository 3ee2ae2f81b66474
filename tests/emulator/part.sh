# The parts `targets` and `emulator` of tests/run, which sources this: machines that are not here.

# Debian's own compiler comes with its library's source, which is checked along: rustup has no phone's library everywhere.
# What compiles C needs the platform's SDK, so SQLite is the system's here: nothing is linked.
targets() {
  packages rustc-web cargo-web rust-web-src
  local machine
  for machine in aarch64-linux-android armv7-linux-androideabi x86_64-linux-android aarch64-apple-ios aarch64-apple-ios-sim; do
    say "cargo check for $machine"
    PATH=/usr/bin:$PATH RUSTC_BOOTSTRAP=1 SQLITE3_LIB_DIR=/usr/lib CARGO_TARGET_DIR=$target/targets \
      cargo check --quiet -Zbuild-std=std,panic_abort --target "$machine" \
      -p idiolect-ffi --no-default-features --features gpu
  done
}

# Rust's library is built along here, too, and linked by Debian's cross linker. What it runs on is a Debian of that machine
# with Mesa's software Vulkan and a JVM.
emulator() {
  packages binutils debootstrap gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user rustc-web cargo-web rust-web-src
  mkdir -p "$target/emulator" "$target/kotlin"
  local machine=aarch64-unknown-linux-gnu home kotlin
  home=$(cd "$target/emulator" && pwd)
  kotlin=$(cd "$target/kotlin" && pwd)
  arm64_debian "$home/debian"
  say "the crates, the program and their tests for $machine"
  PATH=/usr/bin:$PATH RUSTC_BOOTSTRAP=1 CARGO_TARGET_DIR=$home \
    CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=aarch64-linux-gnu-gcc \
    cargo test --quiet -Zbuild-std --target "$machine" --no-run --message-format json \
    -p idiolect-kernels -p idiolect -p idiolect-cli -p idiolect-ffi >"$home/built.json"
  facade "$kotlin"
  kotlin_tests "$kotlin"
  rm -rf "$home/scratch"
  mkdir "$home/scratch"
  tests/emulator/run.py "$home/debian" "$home/built.json" "$kotlin" "$home/scratch"
}

# Folder $1 as the root of an arm64 Debian: its packages are unpacked, and none of it has run. Debian 13 is the first whose
# Mesa has half precision in software there.
arm64_debian() {
  [ ! -e "$1/unpacked" ] || return 0
  say "Debian's libraries, Mesa and a JVM for arm64"
  rm -rf "$1"
  debootstrap --foreign --arch=arm64 --variant=minbase \
    --include=libstdc++6,libvulkan1,mesa-vulkan-drivers,default-jre-headless trixie "$1" >"$1.log" ||
    die "debootstrap failed: see $1.log"
  local package link
  for package in "$1"/var/cache/apt/archives/*.deb; do
    dpkg-deb --extract "$package" "$1"
  done
  # Links that begin at the root would lead out of the folder.
  find "$1" -type l -lname '/*' | while read -r link; do
    ln -sfn "$1$(readlink "$link")" "$link"
  done
  touch "$1/unpacked"
}
