//! Plain loops in the widest vectors of the machine. As loops over vectors (`tile.rs`, `mat_vec.rs`), they go by the
//! instruction sets that `pulp` tells apart.

use pulp::{Arch, Simd, WithSimd};

/// The value of a call, compiled for each instruction set and computed by the best that the machine has.
///
/// What is called, and what that calls, must be `#[inline(always)]`: a function that stands alone is compiled once, for
/// the least machine.
macro_rules! vectorized {
    ($call:expr) => {
        $crate::cpu::on_vectors(
            #[inline(always)]
            || $call,
        )
    };
}

pub(crate) use vectorized;

/// What [`vectorized!`] stands for.
#[inline(always)]
pub(crate) fn on_vectors<R>(call: impl FnMut() -> R) -> R {
    Arch::new().dispatch(Call(call))
}

/// `pulp` would take a closure as it is, but as `FnOnce`: a shim, which is not always inlined, would call it.
struct Call<F>(F);

impl<R, F: FnMut() -> R> WithSimd for Call<F> {
    type Output = R;

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, _: S) -> R {
        (self.0)()
    }
}
