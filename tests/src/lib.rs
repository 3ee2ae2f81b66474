//! Helpers shared by the cross-crate tests.

pub mod golden;
pub mod portable;
