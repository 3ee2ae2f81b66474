//! The shape of a model, whatever format it came in: a row of the table of families ([`Family`]) says how it is built and
//! what its parts are called, [`ModelConfig`] what each layer of this one is.

use idiolect_kernels::matrix::RowOrder;

mod families;
mod family;
mod layer;
mod names;
mod rope;
mod sizes;

pub use families::{FAMILIES, LLAMA};
pub use family::Family;
pub(crate) use family::{HeadNorms, Keys, Windows};
pub(crate) use layer::LayerKind;
pub use layer::{AttentionSpec, LayerSpec, LinearSpec, Norm, NormKind};
pub use names::{Bias, Module, ModuleId, Names, NormPlace, Projection, TensorName};
pub use rope::{RopeParameters, RopeScaling};
pub(crate) use sizes::{SizeNames, Sizes};

/// The shape of a model.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelConfig {
    /// The family.
    pub family: &'static Family,
    /// Rows of the embedding: every token id is less.
    pub vocab_size: usize,
    /// Width of the residual stream.
    pub hidden_size: usize,
    /// The longest context the model was made for.
    pub max_position_embeddings: usize,
    /// Whether the head is the embedding.
    pub tie_word_embeddings: bool,
    /// Factor on what is looked up in the embedding.
    pub embedding_scale: f32,
    /// Soft cap of the logits: `c·tanh(z/c)`.
    pub logit_cap: Option<f32>,
    /// The rotations that layers choose from.
    pub ropes: Vec<RopeParameters>,
    /// After the last layer.
    pub final_norm: Norm,
    /// The decoder layers; at least one.
    pub layers: Vec<LayerSpec>,
}

impl ModelConfig {
    /// Every linear layer, in the order of the model.
    pub fn modules(&self) -> impl Iterator<Item = ModuleId> {
        (0..self.layers.len()).flat_map(|layer| self.family.modules_of(layer))
    }

    /// The shape of a linear layer.
    ///
    /// # Panics
    /// When the model has no such layer.
    pub fn linear(&self, module: ModuleId) -> LinearSpec {
        self.layers[module.layer].linears[module.index]
    }

    /// Every matrix that is stored, in the order of the model: the embedding, positions, the linear layers, the head unless it
    /// is the embedding.
    pub fn matrices(&self) -> impl Iterator<Item = TensorName> {
        let head = (!self.tie_word_embeddings).then_some(TensorName::Head);
        let positions = self.family.positions.map(|_| TensorName::Positions);
        [TensorName::Embedding].into_iter().chain(positions).chain(self.modules().map(TensorName::Linear)).chain(head)
    }

    /// Values of a norm's gains: the hidden width, or of queries and keys what is normalized at a time.
    pub fn norm_width(&self, name: TensorName) -> usize {
        match name {
            TensorName::Norm(layer, place @ (NormPlace::Queries | NormPlace::Keys)) => {
                let widths = self.layers[layer].attention.norm_widths;
                widths.map_or(0, |[queries, keys]| if place == NormPlace::Queries { queries } else { keys })
            }
            _ => self.hidden_size,
        }
    }

    /// The shape of a matrix, `[rows, columns]`.
    pub fn matrix_shape(&self, name: TensorName) -> (usize, usize) {
        match name {
            TensorName::Linear(module) => (self.linear(module).outputs, self.linear(module).inputs),
            TensorName::Positions => (self.max_position_embeddings, self.hidden_size),
            _ => (self.vocab_size, self.hidden_size),
        }
    }

    /// The order of a linear layer's rows in GGUF.
    pub(crate) fn gguf_row_order(&self, module: ModuleId) -> RowOrder {
        let attention = &self.layers[module.layer].attention;
        match self.family.module(module).projection {
            projection if projection.is_rotated() && self.family.gguf_interleaves => {
                RowOrder::Interleaved { head_dim: attention.head_dim }
            }
            Projection::QkvByHead => RowOrder::PartsApart { parts: 3, run: attention.head_dim },
            _ => RowOrder::Plain,
        }
    }

    /// Every norm, in the order of the model.
    pub fn norms(&self) -> impl Iterator<Item = TensorName> {
        let of_layer = |layer| self.family.norms.iter().map(move |&(place, _)| TensorName::Norm(layer, place));
        let embedding = self.family.embedding_norm.map(|_| TensorName::EmbeddingNorm);
        embedding.into_iter().chain((0..self.layers.len()).flat_map(of_layer)).chain([TensorName::FinalNorm])
    }
}

#[cfg(test)]
impl ModelConfig {
    /// A model for tests: every width that may differ from another does.
    pub(crate) fn tiny() -> Self {
        Sizes::tiny().of_llama()
    }
}
