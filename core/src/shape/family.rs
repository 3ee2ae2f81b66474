//! What a row of the table of families says.

use idiolect_kernels::ops::Activation;

use super::layer::NormKind;
use super::names::{Module, ModuleId, Names, NormPlace, Projection, TensorName};

/// A model family.
#[derive(Debug)]
pub struct Family {
    /// `model_type` in `config.json`.
    pub name: &'static str,
    /// In `architectures` in `config.json`.
    pub class: &'static str,
    /// `general.architecture` in GGUF; a family without one is written as another that computes the same.
    pub gguf: Option<&'static str>,
    /// The models that people know, in words.
    pub models: &'static str,
    pub(crate) embedding: Names,
    /// A norm over what is looked up in it.
    pub(crate) embedding_norm: Option<Names>,
    /// A table of positions, added to it.
    pub(crate) positions: Option<Names>,
    pub(crate) head: Names,
    pub(crate) final_norm: Names,
    /// Before the number of a decoder layer.
    pub(crate) layers: Names,
    /// What names begin with that some folders call otherwise; the modules that an adapter names have it always.
    pub(crate) prefix: Option<Prefix>,
    /// Tensors of a layer that checkpoints carry and configurations say as well.
    pub(crate) buffers: &'static [&'static str],
    /// What its norms compute.
    pub(crate) norm: NormKind,
    /// A layer's norms, in the order of the forward pass.
    pub(crate) norms: &'static [(NormPlace, Names)],
    /// What norms of queries and keys go over.
    pub(crate) head_norms: HeadNorms,
    /// What Hugging Face's and MLX's weights of a norm leave out of its gains; GGUF's leave nothing out.
    pub(crate) unit_gain: f32,
    /// Whether what is looked up in the embedding is multiplied by the root of the hidden width.
    pub(crate) scales_embedding: bool,
    /// A layer's linear layers, in the order of the forward pass.
    pub modules: &'static [Module],
    /// Whether Hugging Face's weights of linear layers are `[inputs, outputs]`.
    pub(crate) transposed: bool,
    /// What the gate of the feed-forward half goes through, and what configurations call it.
    pub(crate) activation: Activation,
    pub(crate) activation_names: &'static [&'static str],
    /// Whether configurations may have soft caps and a scale of scores of their own.
    pub(crate) caps_and_scale: bool,
    /// Layers of the one model of the family whose scale of scores goes by the hidden width over the heads: GGUF files do not
    /// say it, and llama.cpp goes by this number too.
    pub(crate) scaled_by_hidden: Option<usize>,
    /// Whether queries and keys are rotated by their positions.
    pub(crate) rotates: bool,
    /// Whether configurations may have a part of each head rotated, and LongRoPE.
    pub(crate) turns_in_part: bool,
    /// Whether scores fall with the distance of a key.
    pub(crate) alibi: bool,
    /// What `config.json` calls the sizes.
    pub(crate) keys: ConfigKeys,
    /// Settings that are not known, and the value by which they are on.
    pub(crate) refused: &'static [(&'static str, bool)],
    /// What a `config.json` means by what it leaves out.
    pub(crate) left_out: LeftOut,
    /// Which layers see a window where `layer_types` does not say.
    pub(crate) windows: Windows,
    /// Every so many layers one sees no positions, where a configuration does not say.
    pub(crate) unrotated_every: Option<usize>,
    /// Whether GGUF files store what is rotated with each head's two halves alternating.
    pub(crate) gguf_interleaves: bool,
}

/// What transformers 5 takes where a configuration does not say.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LeftOut {
    /// Key and value heads; else as many as of queries.
    pub kv_heads: Option<usize>,
    /// Width of a head; else the hidden width over the heads.
    pub head_dim: Option<usize>,
    pub max_position_embeddings: usize,
    pub norm_epsilon: f64,
    pub rope_theta: f64,
    /// Base of a second rotation, which is never stretched, for layers with a window.
    pub local_rope_theta: Option<f64>,
    pub sliding_window: Option<usize>,
    pub max_window_layers: usize,
    pub tie_word_embeddings: bool,
    /// Soft caps of attention's scores and of logits.
    pub caps: [Option<f64>; 2],
    /// Width of the feed-forward half, in hidden widths.
    pub intermediate_size_per_hidden: Option<usize>,
}

/// The keys of `config.json` for sizes: of each, the first that is there.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ConfigKeys {
    pub hidden_size: Keys,
    pub intermediate_size: Keys,
    pub layers: Keys,
    pub heads: Keys,
    pub context: Keys,
    pub norm_epsilon: Keys,
    pub activation: Keys,
}

/// Names of one setting.
pub(crate) type Keys = &'static [&'static str];

/// The beginning of names.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Prefix {
    pub name: &'static str,
    /// What stands for it in some folders.
    pub others: &'static [&'static str],
    /// A tensor, without it, that every folder has.
    pub sign: &'static str,
}

impl Prefix {
    /// What stands for it where `has` says which tensors there are.
    pub fn in_use(self, has: impl Fn(&str) -> bool) -> Option<&'static str> {
        self.others.iter().copied().find(|other| has(&format!("{other}{}", self.sign)))
    }
}

/// What norms of queries and keys go over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HeadNorms {
    /// There are none.
    None,
    /// Each head by itself.
    EachHead,
    /// All heads together.
    WholeRow,
}

/// Which layers see only the last `sliding_window` keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Windows {
    /// None, whatever a configuration says.
    None,
    /// All.
    Everywhere,
    /// All but every so many, where `sliding_window_pattern` or `layer_types` say nothing else.
    AllButEvery(usize),
    /// Where `use_sliding_window` says so, those of `layer_types`; without it, from layer number `max_window_layers` on.
    FromLayer,
    /// Where `use_sliding_window` says so, those of `layer_types`; without it, those that see no positions.
    Unrotated,
}

impl PartialEq for Family {
    /// A family is its row, whose name no other has.
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Family {
    /// The module of a linear layer.
    ///
    /// # Panics
    /// When the family has none of that place.
    pub fn module(&self, id: ModuleId) -> &'static Module {
        &self.modules[id.index]
    }

    /// The linear layers of a decoder layer.
    pub fn modules_of(&self, layer: usize) -> impl Iterator<Item = ModuleId> + use<> {
        (0..self.modules.len()).map(move |index| ModuleId { layer, index })
    }

    /// The linear layer of a decoder layer that computes `projection`, where the family has one.
    pub fn computing(&self, layer: usize, projection: Projection) -> Option<ModuleId> {
        let index = self.modules.iter().position(|module| module.projection == projection)?;
        Some(ModuleId { layer, index })
    }

    /// Whether a layer sees positions, where one in every `every` does not.
    pub(crate) fn sees_positions(layer: usize, every: Option<usize>) -> bool {
        every.is_none_or(|every| !(layer + 1).is_multiple_of(every))
    }

    /// Which of the model's rotations a layer with this window has: where there are two, the second is theirs.
    pub(crate) fn rope_of(&self, window: Option<usize>) -> usize {
        usize::from(self.left_out.local_rope_theta.is_some() && window.is_some())
    }

    /// The path of a tensor's module in a Hugging Face or MLX model: `model.layers.3.self_attn.q_proj`.
    pub fn path(&self, name: impl Into<TensorName>) -> String {
        self.name_by(name.into(), |names| names.hugging_face)
    }

    /// A tensor's name in GGUF, without its suffix: `blk.3.attn_q`.
    pub(crate) fn gguf_path(&self, name: impl Into<TensorName>) -> String {
        self.name_by(name.into(), |names| names.gguf)
    }

    fn name_by(&self, name: TensorName, of: impl Fn(&Names) -> &'static str) -> String {
        let within = |layer: usize, names: &Names| format!("{}.{layer}.{}", of(&self.layers), of(names));
        match name {
            TensorName::Embedding => of(&self.embedding).to_owned(),
            TensorName::Head => of(&self.head).to_owned(),
            TensorName::FinalNorm => of(&self.final_norm).to_owned(),
            TensorName::EmbeddingNorm => self.embedding_norm.as_ref().map_or_else(String::new, |n| of(n).to_owned()),
            TensorName::Positions => self.positions.as_ref().map_or_else(String::new, |n| of(n).to_owned()),
            TensorName::Norm(layer, place) => {
                let found = self.norms.iter().find(|(at, _)| *at == place);
                found.map_or_else(String::new, |(_, names)| within(layer, names))
            }
            TensorName::Linear(id) => within(id.layer, &self.module(id).names),
        }
    }

    /// The linear layer at a path in a Hugging Face or MLX model.
    pub fn module_at(&self, path: &str) -> Option<ModuleId> {
        let rest = path.strip_prefix(self.layers.hugging_face)?.strip_prefix('.')?;
        let (layer, within) = rest.split_once('.')?;
        let index = self.modules.iter().position(|module| module.names.hugging_face == within)?;
        let id = ModuleId { layer: layer.parse().ok()?, index };
        // A number has one spelling.
        (self.path(id) == path).then_some(id)
    }

    /// Whether a tensor of a folder only says what the configuration says.
    pub(crate) fn is_buffer(&self, name: &str) -> bool {
        self.buffers.iter().any(|buffer| name.strip_suffix(buffer).is_some_and(|rest| rest.ends_with('.')))
    }

    /// The linear layers' own names, each once: what `target_modules` may name.
    pub fn module_names(&self) -> Vec<&'static str> {
        let mut names: Vec<&str> = Vec::with_capacity(self.modules.len());
        for name in self.modules.iter().map(Module::name) {
            if !names.contains(&name) {
                names.push(name);
            }
        }
        names
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::super::families::{FAMILIES, LLAMA};
    use super::Projection::{Down, GateUp, K, O, Q, Qkv, QkvByHead, Up, V};
    use super::*;

    #[test]
    fn every_row_names_each_part_once_and_finds_it_again() {
        let mut families = HashSet::new();
        for family in FAMILIES {
            assert!(families.insert(family.name) && families.insert(family.class), "{}", family.name);
            let projections: Vec<_> = family.modules.iter().map(|module| module.projection).collect();
            let has = |all: &[Projection]| all.iter().all(|one| projections.contains(one));
            let of_attention = [&[Q, K, V][..], &[Qkv], &[QkvByHead]].iter().filter(|all| has(all)).count();
            assert!(of_attention == 1 && has(&[O, Down]), "{}: {projections:?}", family.name);
            assert_eq!([&[Up][..], &[GateUp]].iter().filter(|all| has(all)).count(), 1, "{}", family.name);
            for (index, &projection) in projections.iter().enumerate() {
                assert_eq!(family.computing(3, projection), Some(ModuleId { layer: 3, index }), "{}", family.name);
            }
            let norms = family.norms.iter().map(|&(place, _)| TensorName::Norm(12, place));
            let parts = [TensorName::Embedding, TensorName::Head, TensorName::FinalNorm].into_iter().chain(norms);
            let parts = parts.chain(family.embedding_norm.map(|_| TensorName::EmbeddingNorm));
            let parts = parts.chain(family.positions.map(|_| TensorName::Positions));
            let names: Vec<_> = parts.chain(family.modules_of(12).map(TensorName::Linear)).collect();
            for gguf in [false, true] {
                let spelled = |name| if gguf { family.gguf_path(name) } else { family.path(name) };
                let distinct: HashSet<String> = names.iter().map(|&name: &TensorName| spelled(name)).collect();
                assert_eq!(distinct.len(), names.len(), "{distinct:?}");
            }
            for module in family.modules_of(12) {
                assert_eq!(family.module_at(&family.path(module)), Some(module));
            }
        }
    }

    #[test]
    fn a_path_is_a_module_only_as_it_is_spelled() {
        for (path, found) in [
            ("model.layers.3.self_attn.q_proj", Some((3, 0))),
            ("model.layers.12.mlp.down_proj", Some((12, 6))),
            ("model.layers.03.self_attn.q_proj", None),
            ("model.layers.+3.self_attn.q_proj", None),
            ("model.layers.3.mlp.q_proj", None),
            ("model.layers.3.self_attn.q_proj.base_layer", None),
            ("layers.3.self_attn.q_proj", None),
            ("model.layers.3", None),
            ("lm_head", None),
        ] {
            assert_eq!(LLAMA.module_at(path), found.map(|(layer, index)| ModuleId { layer, index }), "{path}");
        }
    }
}
