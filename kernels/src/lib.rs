//! Numeric operations of Idiolect.
