//! WGSL that kernels of several operations share.

/// `eˣ`, the same on every device.
pub(crate) const EXP: &str = include_str!("exp.wgsl");
/// Blocks of a frozen matrix.
pub(crate) const MATRIX: &str = include_str!("matrix.wgsl");
/// Sums and maxima over a workgroup.
pub(crate) const REDUCE: &str = include_str!("reduce.wgsl");
