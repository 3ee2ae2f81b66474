//! What a model computes, as programs: a training step, a continuation over a cache, losses, logits. Each is assembled
//! from the same blocks (`block/`).

pub(crate) mod block;
mod graph;
pub(crate) mod inference;
pub(crate) mod training;

pub(crate) use graph::{LoraBinding, TokenInputs};
