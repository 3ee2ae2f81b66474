//! Frozen matrices for cases, and their encodings in few words.

use idiolect_kernels::Matrix;
use idiolect_kernels::matrix::Encoding;

use crate::encodings::Known;
use crate::random::Random;

/// A random matrix; blocks have their rows in GGUF's order where heads of eight divide them.
pub fn matrix(encoding: Encoding, rows: usize, cols: usize, seed: u64) -> Matrix {
    let known = Known::random(&mut Random::new(seed), encoding, rows, cols);
    match encoding {
        Encoding::Block(_) if rows.is_multiple_of(8) => known.interleaved(8).matrix,
        _ => known.matrix,
    }
}

/// An encoding in few words.
pub fn label(encoding: Encoding) -> String {
    match encoding {
        Encoding::Float(float) => format!("{float:?}"),
        Encoding::Affine { bits, group, scales } => format!("{bits} bits by {group} in {scales:?}"),
        Encoding::Block(block) => format!("{block:?}"),
    }
}
