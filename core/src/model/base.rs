//! The frozen base model, ready for an executor: its matrices, norms and rotation table, by their places in the layers.

use std::sync::Arc;

use idiolect_kernels::ops::Heads;
use idiolect_kernels::program::{MatrixId, VectorId, Weights};

use super::rope::table;
use crate::error::Result;
use crate::format::ModelFiles;
use crate::shape::{AttentionSpec, ModelConfig, ModuleId, Norm, NormPlace, TensorName};

/// A norm: its gains and biases, and what it computes with them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NormParts {
    pub gain: VectorId,
    /// Where it is LayerNorm.
    pub bias: Option<VectorId>,
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
    pub(crate) embedding_norm: Option<NormParts>,
    /// The table of positions that is added to it.
    pub(crate) positions: Option<MatrixId>,
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
        let positions = match config.family.positions {
            Some(_) => Some(weights.add_matrix(files.matrix(TensorName::Positions)?)),
            None => None,
        };
        let norm = |weights: &mut Weights, name: TensorName, spec: Norm| -> Result<NormParts> {
            let gain = weights.add_vector(files.gains(name)?);
            let bias = files.norm_bias(name)?.map(|bias| weights.add_vector(bias));
            Ok(NormParts { gain, bias, spec })
        };
        let embedding_norm = match config.family.embedding_norm {
            Some(_) => Some(norm(&mut weights, TensorName::EmbeddingNorm, config.final_norm)?),
            None => None,
        };
        let final_norm = norm(&mut weights, TensorName::FinalNorm, config.final_norm)?;
        let context = context.min(config.max_position_embeddings);
        let ropes = config.ropes.iter().map(|rope| weights.add_vector(table(rope, context).values)).collect();
        let mut layers = Vec::with_capacity(config.layers.len());
        for (layer, spec) in config.layers.iter().enumerate() {
            let mut norms = Vec::with_capacity(config.family.norms.len());
            for &(place, _) in config.family.norms {
                norms.push((place, norm(&mut weights, TensorName::Norm(layer, place), spec.norm)?));
            }
            let mut linears = Vec::with_capacity(config.family.modules.len());
            for module in config.family.modules_of(layer) {
                let matrix = weights.add_matrix(files.matrix(module)?);
                linears.push((matrix, files.bias(module)?.map(|bias| weights.add_vector(bias))));
            }
            layers.push(LayerParts { norms, linears });
        }
        Ok(Self {
            config,
            weights: Arc::new(weights),
            context,
            embedding,
            embedding_norm,
            positions,
            head,
            final_norm,
            ropes,
            layers,
        })
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
        let AttentionSpec { heads: query, kv_heads: key_value, head_dim: dim, scale, cap, alibi, .. } = *attention;
        Heads { query, key_value, dim, scale, cap, alibi }
    }

    /// Values of a row of keys, and of one of values, in each layer.
    pub(crate) fn kv_widths(&self) -> impl Iterator<Item = usize> + Clone {
        self.config.layers.iter().map(|layer| layer.attention.kv_width())
    }
}
