//! Writes the Kotlin and Swift sources of the surface, from the built library.

fn main() {
    uniffi::uniffi_bindgen_main();
}
