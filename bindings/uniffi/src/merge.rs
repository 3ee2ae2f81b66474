//! Merging an adapter into its base.

use idiolect::merge;

use crate::mirror::mirror;

/// How far a merge may go. What is left open takes the engine's default.
#[derive(Debug, Clone, Default, PartialEq, uniffi::Record)]
pub struct MergeOptions {
    /// The largest divergence of the merged model from base and adapter, as a share of what the adapter does; 0.05 by
    /// default.
    #[uniffi(default = None)]
    pub max_divergence: Option<f64>,
    /// The most bits a weight that a matrix is raised to, 4, 8, 16 or 32; what would need more is refused.
    #[uniffi(default = None)]
    pub max_bits: Option<u8>,
}

impl From<MergeOptions> for merge::MergeOptions {
    fn from(options: MergeOptions) -> Self {
        let defaults = Self::default();
        Self {
            max_divergence: options.max_divergence.unwrap_or(defaults.max_divergence),
            max_bits: options.max_bits.unwrap_or(defaults.max_bits),
        }
    }
}

mirror! {
    /// What a merge is at. Where it turns out that matrices need more bits, it begins once more.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, uniffi::Enum)]
    pub enum MergeStage from merge::MergeStage {
        /// Choosing each matrix's bits; counted in weights.
        Choosing,
        /// Writing; counted in weights.
        Writing,
        /// Comparing the merged model with base and adapter; counted in texts.
        Comparing,
    }
}

/// A matrix with the adapter in it.
#[derive(Debug, Clone, PartialEq, uniffi::Record)]
pub struct MergedMatrix {
    /// The module, such as `model.layers.3.self_attn.q_proj`.
    pub module: String,
    /// Bits a weight in the base; 16 and 32 are floats.
    pub bits_before: u8,
    /// Bits a weight in the merged model.
    pub bits: u8,
    /// Bytes in the base.
    pub bytes_before: u64,
    /// Bytes in the merged model.
    pub bytes: u64,
    /// The share of the change that is kept: 1 keeps it whole, 0 loses it.
    pub kept: f64,
    /// What rounding adds beside it, as a share of the change; a trained change outweighs far larger noise.
    pub noise: f64,
    /// The change beside the matrix, in Frobenius norms.
    pub change: f64,
}

impl From<merge::MergedMatrix> for MergedMatrix {
    fn from(matrix: merge::MergedMatrix) -> Self {
        Self {
            module: matrix.module,
            bits_before: matrix.bits_before,
            bits: matrix.bits,
            bytes_before: matrix.bytes_before,
            bytes: matrix.bytes,
            kept: matrix.fidelity.kept,
            noise: matrix.fidelity.noise,
            change: matrix.fidelity.change,
        }
    }
}

mirror! {
    /// How far the merged model is from base and adapter, on generic text.
    #[derive(Debug, Clone, Copy, PartialEq, uniffi::Record)]
    pub struct Divergence from merge::Divergence {
        /// Tokens whose logits were compared.
        pub tokens: u64,
        /// Mean KL divergence of the merged model's next token from that of base and adapter, nats.
        pub kl: f64,
        /// The same of the base alone: what the adapter does, to hold `kl` against.
        pub kl_of_base: f64,
        /// The largest difference of a logit, over the largest logit's absolute value.
        pub largest_logit_difference: f64,
        /// Mean loss under base and adapter, nats a token.
        pub loss_before: f64,
        /// Mean loss under the merged model, nats a token.
        pub loss: f64,
    }
}

/// What a merge did.
#[derive(Debug, Clone, PartialEq, uniffi::Record)]
pub struct MergeReport {
    /// The fingerprint of the merged model: another base, which the adapter does not fit.
    pub fingerprint: String,
    /// Bytes of the base's weights.
    pub bytes_before: u64,
    /// Bytes of the merged model's weights.
    pub bytes: u64,
    /// Every matrix that the adapter changes, in the order of the model.
    pub matrices: Vec<MergedMatrix>,
    /// Matrices that it leaves alone: they keep their bits.
    pub copied: u64,
    /// The merged model beside base and adapter.
    pub divergence: Divergence,
}

impl From<merge::MergeReport> for MergeReport {
    fn from(report: merge::MergeReport) -> Self {
        Self {
            fingerprint: report.fingerprint,
            bytes_before: report.bytes_before,
            bytes: report.bytes,
            matrices: report.matrices.into_iter().map(Into::into).collect(),
            copied: report.copied as u64,
            divergence: report.divergence.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_open_is_the_engines_default() {
        assert_eq!(merge::MergeOptions::from(MergeOptions::default()), merge::MergeOptions::default());
    }
}
