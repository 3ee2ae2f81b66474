//! Files of WGSL: what they are read by, and those that kernels of several operations share.

mod expand;

pub(crate) use expand::{Definitions, expand};

/// A file of WGSL.
#[derive(Debug)]
pub(crate) struct Source {
    /// For error messages.
    pub name: &'static str,
    pub text: &'static str,
}

/// The [`Source`] at a path from the file that says so.
macro_rules! source {
    ($path:literal) => {
        $crate::gpu::wgsl::Source { name: $path, text: include_str!($path) }
    };
}
pub(crate) use source;

/// `eˣ`, the same on every device.
pub(crate) const EXP: Source = source!("exp.wgsl");
/// Blocks of a frozen matrix.
pub(crate) const MATRIX: Source = source!("matrix.wgsl");
/// Sums and maxima over a workgroup.
pub(crate) const REDUCE: Source = source!("reduce.wgsl");
/// Soft caps; needs [`EXP`].
pub(crate) const SOFT_CAP: Source = source!("soft_cap.wgsl");

/// Of the variant of a kernel that reads four values at a time.
pub(crate) const WIDE: Definitions = &[("WIDE", true)];
/// Of the one that reads values one by one.
pub(crate) const NARROW: Definitions = &[("WIDE", false)];
