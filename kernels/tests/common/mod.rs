//! What tests of every executor share: cases to run, matrices in every encoding, tables that report all failures.

pub mod case;
pub mod encodings;
pub mod lengthening;
pub mod random;
pub mod refusals;
pub mod table;
