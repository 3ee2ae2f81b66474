# The part `size` of tests/run, which sources this.

# For this machine, and for phones' instructions: aarch64, with Rust's library built along and Debian's cross linker, as in
# tests/emulator.
size() {
  packages binutils binutils-aarch64-linux-gnu gcc-aarch64-linux-gnu libc6-dev-arm64-cross rustc-web cargo-web rust-web-src python3
  mkdir -p "$target/emulator"
  local home machine=aarch64-unknown-linux-gnu
  home=$(cd "$target/emulator" && pwd)
  say "the library as apps ship it, for this machine"
  shipped
  weighed "$target/phone" ""
  say "the library as apps ship it, for $machine"
  PATH=/usr/bin:$PATH RUSTC_BOOTSTRAP=1 CARGO_TARGET_DIR=$home \
    CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=aarch64-linux-gnu-gcc shipped -Zbuild-std --target "$machine"
  weighed "$home/$machine/phone" aarch64-linux-gnu-
}

# Built with its symbols, to be counted by; what ships is the same without. Relocations are packed, as Android's linker does.
shipped() {
  CARGO_PROFILE_PHONE_STRIP=none cargo rustc --quiet --profile phone -p idiolect-ffi --lib --crate-type cdylib "$@" -- \
    -C link-arg=-Wl,-z,pack-relative-relocs
}

# The library in folder $1 against its budget; the machine's binutils have the prefix $2.
weighed() {
  "$2strip" --strip-all -o "$1/stripped.so" "$1/libidiolect_ffi.so"
  python3 tests/size/report.py "$1/stripped.so" "$1/libidiolect_ffi.so" tests/size/budget.tsv "$2"
}
