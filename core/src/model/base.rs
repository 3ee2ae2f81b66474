//! The frozen base model, ready for an executor: its matrices, norms and rotation table, by their places in the layers.

use std::sync::Arc;

use idiolect_kernels::ops::Heads;
use idiolect_kernels::program::{MatrixId, VectorId, Weights};

use super::rope::table;
use crate::error::Result;
use crate::format::ModelFiles;
use crate::shape::{ModelConfig, ModuleId, Norm, NormPlace, TensorName};

/// A norm: its gains, and what it computes with them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NormParts {
    pub gain: VectorId,
    pub spec: Norm,
}

/// One decoder layer's frozen parts.
#[derive(Debug)]
pub(crate) struct LayerParts {
    pub attention_norm: NormParts,
    pub mlp_norm: NormParts,
    /// Over the heads of queries and of keys.
    pub head_norms: Option<[NormParts; 2]>,
    /// The matrix and bias of each of the family's modules.
    linears: Vec<(MatrixId, Option<VectorId>)>,
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
    pub(crate) final_norm: NormParts,
    /// The tables of the model's rotations.
    pub(crate) ropes: Vec<VectorId>,
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
        let gain = weights.add_vector(files.vector(TensorName::FinalNorm)?);
        let final_norm = NormParts { gain, spec: config.final_norm };
        let context = context.min(config.max_position_embeddings);
        let ropes = config.ropes.iter().map(|rope| weights.add_vector(table(rope, context).values)).collect();
        let mut layers = Vec::with_capacity(config.layers.len());
        for (layer, spec) in config.layers.iter().enumerate() {
            let mut norm = |place| -> Result<NormParts> {
                let gain = weights.add_vector(files.vector(TensorName::Norm(layer, place))?);
                Ok(NormParts { gain, spec: spec.norm })
            };
            let (attention_norm, mlp_norm) = (norm(NormPlace::Attention)?, norm(NormPlace::Mlp)?);
            let head_norms = match spec.attention.head_norms {
                true => Some([norm(NormPlace::Queries)?, norm(NormPlace::Keys)?]),
                false => None,
            };
            let mut linears = Vec::with_capacity(config.family.modules.len());
            for module in config.family.modules_of(layer) {
                let matrix = weights.add_matrix(files.matrix(module)?);
                linears.push((matrix, files.bias(module)?.map(|bias| weights.add_vector(bias))));
            }
            layers.push(LayerParts { attention_norm, mlp_norm, head_norms, linears });
        }
        Ok(Self { config, weights: Arc::new(weights), context, embedding, head, final_norm, ropes, layers })
    }

    /// The matrix and bias of a linear layer.
    pub(crate) fn linear(&self, module: ModuleId) -> (MatrixId, Option<VectorId>) {
        self.layers[module.layer].linears[module.index]
    }

    /// The shape of a layer's attention.
    pub(crate) fn heads(&self, layer: usize) -> Heads {
        let attention = &self.config.layers[layer].attention;
        Heads { query: attention.heads, key_value: attention.kv_heads, dim: attention.head_dim, scale: attention.scale }
    }

    /// Values of a row of keys, and of one of values, in each layer.
    pub(crate) fn kv_widths(&self) -> impl Iterator<Item = usize> + Clone {
        self.config.layers.iter().map(|layer| layer.attention.kv_width())
    }
}
