//! The frozen base model, ready for an executor: its matrices, norms and rotation table, by their places in the layers.

use std::sync::Arc;

use idiolect_kernels::ops::Heads;
use idiolect_kernels::program::{MatrixId, VectorId, Weights};

use super::rope::table;
use crate::error::Result;
use crate::format::ModelFiles;
use crate::shape::{AttentionSpec, ModelConfig, ModuleId, Norm, NormPlace, TensorName};

/// A norm: its gains, and what it computes with them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NormParts {
    pub gain: VectorId,
    pub spec: Norm,
}

/// One decoder layer's frozen parts.
#[derive(Debug)]
pub(crate) struct LayerParts {
    norms: Vec<(NormPlace, NormParts)>,
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
        let gain = weights.add_vector(files.gains(TensorName::FinalNorm)?);
        let final_norm = NormParts { gain, spec: config.final_norm };
        let context = context.min(config.max_position_embeddings);
        let ropes = config.ropes.iter().map(|rope| weights.add_vector(table(rope, context).values)).collect();
        let mut layers = Vec::with_capacity(config.layers.len());
        for (layer, spec) in config.layers.iter().enumerate() {
            let mut norms = Vec::with_capacity(config.family.norms.len());
            for &(place, _) in config.family.norms {
                let gain = weights.add_vector(files.gains(TensorName::Norm(layer, place))?);
                norms.push((place, NormParts { gain, spec: spec.norm }));
            }
            let mut linears = Vec::with_capacity(config.family.modules.len());
            for module in config.family.modules_of(layer) {
                let matrix = weights.add_matrix(files.matrix(module)?);
                linears.push((matrix, files.bias(module)?.map(|bias| weights.add_vector(bias))));
            }
            layers.push(LayerParts { norms, linears });
        }
        Ok(Self { config, weights: Arc::new(weights), context, embedding, head, final_norm, ropes, layers })
    }

    /// The matrix and bias of a linear layer.
    pub(crate) fn linear(&self, module: ModuleId) -> (MatrixId, Option<VectorId>) {
        self.layers[module.layer].linears[module.index]
    }

    /// The norm of a layer at a place, where the family has one there.
    pub(crate) fn norm(&self, layer: usize, place: NormPlace) -> Option<NormParts> {
        self.layers[layer].norms.iter().find(|(at, _)| *at == place).map(|&(_, norm)| norm)
    }

    /// The norms of a layer's queries and keys, where it has some.
    pub(crate) fn head_norms(&self, layer: usize) -> Option<[NormParts; 2]> {
        Some([self.norm(layer, NormPlace::Queries)?, self.norm(layer, NormPlace::Keys)?])
    }

    /// The shape of a layer's attention.
    pub(crate) fn heads(&self, layer: usize) -> Heads {
        let attention = &self.config.layers[layer].attention;
        let AttentionSpec { heads: query, kv_heads: key_value, head_dim: dim, scale, cap, .. } = *attention;
        Heads { query, key_value, dim, scale, cap }
    }

    /// Values of a row of keys, and of one of values, in each layer.
    pub(crate) fn kv_widths(&self) -> impl Iterator<Item = usize> + Clone {
        self.config.layers.iter().map(|layer| layer.attention.kv_width())
    }
}
