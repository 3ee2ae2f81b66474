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

# Rust's library is built along here, too, and linked by Debian's cross linker. GPU drivers of that machine are none here.
emulator() {
  packages gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user rustc-web cargo-web rust-web-src python3
  mkdir -p "$target/emulator"
  local machine=aarch64-unknown-linux-gnu home
  home=$(cd "$target/emulator" && pwd)
  say "the crates, the program and their tests for $machine"
  PATH=/usr/bin:$PATH RUSTC_BOOTSTRAP=1 CARGO_TARGET_DIR=$home \
    CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=aarch64-linux-gnu-gcc \
    cargo test --quiet -Zbuild-std --target "$machine" --no-run --message-format json \
    -p idiolect-kernels -p idiolect -p idiolect-cli --no-default-features --features idiolect-cli/bundled-sqlite \
    >"$home/built.json"
  rm -rf "$home/scratch"
  mkdir "$home/scratch"
  tests/emulator/run.py "qemu-aarch64 -L /usr/aarch64-linux-gnu" "$home/built.json" "$home/scratch"
}
