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
pub(crate) fn kernels() -> Vec<&'static crate::gpu::Shader> {
    [
        crate::gpu::product::KERNELS,
        &[&adamw::SQUARES.shader, &adamw::DECIDE.shader, &adamw::UPDATE.shader],
        &[
            &attention::WIDE.shader,
            &attention::NARROW.shader,
            &attention::VECTOR_WIDE.shader,
            &attention::VECTOR_NARROW.shader,
        ],
        &[
            &attention_backward::STATISTICS.shader,
            &attention_backward::DQ_WIDE.shader,
            &attention_backward::DQ_NARROW.shader,
        ],
        &[&attention_backward::DKV_WIDE.shader, &attention_backward::DKV_NARROW.shader],
        &[
            &cross_entropy::ROW_LOSS.shader,
            &cross_entropy::TOTAL.shader,
            &dropout::DROPOUT.shader,
            &embed::EMBED.shader,
        ],
        &[&lora::DOWN.shader, &lora::GRADIENT.shader, &lora::INPUT_GRADIENT.shader],
        &[&rms_norm::FORWARD.shader, &rms_norm::BACKWARD.shader, &rope::ROPE.shader, &rows::ROWS.shader],
        &[&swiglu::FORWARD.shader, &swiglu::BACKWARD.shader, &top_logits::TOP.shader, &top_logits::LOG_SUM_EXP.shader],
    ]
    .concat()
}
