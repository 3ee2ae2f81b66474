//! The frozen base model, ready for an executor: its matrices, norms and rotation table, by their places in the layers.

use std::sync::Arc;

use idiolect_kernels::ops::{Heads, RopeTable};
use idiolect_kernels::program::{MatrixId, VectorId, Weights};

use super::rope::frequencies;
use crate::error::Result;
use crate::format::{ModelFiles, TensorName};
use crate::shape::{Linear, ModelConfig};

/// One decoder layer's frozen parts.
#[derive(Debug)]
pub(crate) struct LayerParts {
    pub attention_norm: VectorId,
    pub mlp_norm: VectorId,
    linears: [(MatrixId, Option<VectorId>); Linear::ALL.len()],
}

impl LayerParts {
    /// The matrix and bias of a linear layer.
    pub fn linear(&self, linear: Linear) -> (MatrixId, Option<VectorId>) {
        self.linears[linear as usize]
    }
}

/// A frozen base model.
#[derive(Debug)]
pub struct BaseModel {
    /// Its shape.
    pub config: ModelConfig,
    /// Its tensors, still in the mapped file.
    pub weights: Arc<Weights>,
    /// Positions that its rotation table covers.
    pub context: usize,
    pub(crate) embedding: MatrixId,
    pub(crate) head: MatrixId,
    pub(crate) final_norm: VectorId,
    pub(crate) rope: VectorId,
    pub(crate) layers: Vec<LayerParts>,
}

impl BaseModel {
    /// Takes every tensor from `files` without copying matrices, and makes the rotation table of `context` positions,
    /// or as many as the model was made for where that is fewer.
    ///
    /// # Errors
    /// When a tensor is missing or of another shape.
    pub fn new(files: &ModelFiles, context: usize) -> Result<Self> {
        let config = files.config().clone();
        let mut weights = Weights::default();
        let embedding = weights.add_matrix(files.matrix(TensorName::Embedding)?);
        let head =
            if config.tie_word_embeddings { embedding } else { weights.add_matrix(files.matrix(TensorName::Head)?) };
        let final_norm = weights.add_vector(files.vector(TensorName::FinalNorm)?);
        let context = context.min(config.max_position_embeddings);
        let rope = weights.add_vector(RopeTable::new(&frequencies(&config), context).values);
        let mut layers = Vec::with_capacity(config.layers);
        for layer in 0..config.layers {
            let attention_norm = weights.add_vector(files.vector(TensorName::AttentionNorm(layer))?);
            let mlp_norm = weights.add_vector(files.vector(TensorName::MlpNorm(layer))?);
            let mut linears = [(MatrixId(0), None); Linear::ALL.len()];
            for linear in Linear::ALL {
                let matrix = weights.add_matrix(files.matrix(TensorName::Linear(layer, linear))?);
                let bias = files.bias(layer, linear)?.map(|bias| weights.add_vector(bias));
                linears[linear as usize] = (matrix, bias);
            }
            layers.push(LayerParts { attention_norm, mlp_norm, linears });
        }
        Ok(Self { config, weights: Arc::new(weights), context, embedding, head, final_norm, rope, layers })
    }

    /// The shape of its attention.
    pub(crate) fn heads(&self) -> Heads {
        let config = &self.config;
        Heads {
            query: config.heads,
            key_value: config.kv_heads,
            dim: config.head_dim,
            scale: 1.0 / (config.head_dim as f32).sqrt(),
        }
    }

    /// Values a row of keys or values.
    pub(crate) fn kv_width(&self) -> usize {
        self.config.kv_heads * self.config.head_dim
    }
}
