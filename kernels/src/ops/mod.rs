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
mod top_logits;

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
pub use top_logits::TopLogits;

/// Every kernel, for tests that translate them all.
#[cfg(all(test, feature = "gpu"))]
pub(crate) fn kernels() -> Vec<&'static crate::gpu::Kernel> {
    [
        crate::gpu::product::KERNELS,
        &[&adamw::SQUARES, &adamw::DECIDE, &adamw::UPDATE],
        &[&attention::WIDE, &attention::NARROW, &attention::VECTOR_WIDE, &attention::VECTOR_NARROW],
        &[&attention_backward::STATISTICS, &attention_backward::DQ_WIDE, &attention_backward::DQ_NARROW],
        &[&attention_backward::DKV_WIDE, &attention_backward::DKV_NARROW],
        &[&cross_entropy::ROW_LOSS, &cross_entropy::TOTAL, &dropout::DROPOUT, &embed::EMBED],
        &[&lora::DOWN, &lora::GRADIENT, &lora::INPUT_GRADIENT],
        &[&rms_norm::FORWARD, &rms_norm::BACKWARD, &rope::ROPE, &rows::ROWS],
        &[&swiglu::FORWARD, &swiglu::BACKWARD, &top_logits::TOP, &top_logits::LOG_SUM_EXP],
    ]
    .concat()
}
