//! The operations. Each file holds one: what it computes, its CPU code, its GPU launch, its tests.

mod adamw;
mod attention;
mod attention_backward;
mod cross_entropy;
mod dropout;
mod embed;
mod linear;
mod lora;
mod rms_norm;
mod rope;
mod rows;
mod swiglu;

pub use adamw::AdamW;
pub use attention::{Attention, Heads, Packing};
pub use attention_backward::AttentionBackward;
pub use cross_entropy::{CrossEntropy, LossGradient};
pub use dropout::Dropout;
pub use embed::Embed;
pub use linear::{Linear, LinearBackward, LoraTerm};
pub use lora::{LoraBackward, LoraDown, LoraInputGradient};
pub use rms_norm::{RmsNorm, RmsNormBackward};
pub use rope::{Rope, RopeTable};
pub use rows::{GatherRows, ScatterRows};
pub use swiglu::{SwiGlu, SwiGluBackward};
