//! The operations. Each file or folder holds one: what it computes, its CPU code, its GPU launch and shaders, its tests.

mod adamw;
mod attention;
mod columns;
mod cross_entropy;
mod dropout;
mod embed;
mod glu;
mod layer_norm;
mod linear;
mod lora;
mod rms_norm;
mod rope;
mod rows;
mod soft_cap;
mod top_logits;
mod window;

pub use adamw::AdamW;
pub use attention::{Attention, AttentionBackward, Heads, Packing};
pub use columns::{ColumnRuns, JoinColumns, SplitColumns};
pub use cross_entropy::{CrossEntropy, LossGradient};
pub use dropout::Dropout;
pub use embed::Embed;
pub use glu::{Activation, Glu, GluBackward};
pub use layer_norm::{LayerNorm, LayerNormBackward};
pub use linear::{Linear, LinearBackward, LoraTerm};
pub use lora::{LoraBackward, LoraDown, LoraInputGradient};
pub use rms_norm::{RmsNorm, RmsNormBackward};
pub use rope::{Rope, RopeTable};
pub use rows::{GatherRows, ScatterRows};
pub use soft_cap::SoftCap;
pub use top_logits::TopLogits;
pub use window::{WindowReach, WindowSpans};

/// Every kernel, for tests that translate them all.
#[cfg(all(test, feature = "gpu"))]
pub(crate) fn kernels() -> Vec<&'static crate::gpu::Shader> {
    [
        adamw::shaders::KERNELS,
        attention::shaders::KERNELS,
        cross_entropy::shaders::KERNELS,
        &[&columns::COLUMNS.shader, &dropout::DROPOUT.shader, &embed::EMBED.shader],
        glu::shaders::KERNELS,
        layer_norm::shaders::KERNELS,
        linear::shaders::KERNELS,
        lora::shaders::KERNELS,
        rms_norm::shaders::KERNELS,
        &[&rope::ROPE.shader, &rows::ROWS.shader, &soft_cap::SOFT_CAP.shader],
        top_logits::shaders::KERNELS,
        &[&window::SPANS.shader, &window::REACH.shader],
    ]
    .concat()
}
