//! The table of families: a row says how a family's models are built, and what each format calls their parts. Adding a
//! family whose operations are all there is adding a row.

use idiolect_kernels::ops::Activation;

use super::names::{Bias, Module, ModuleId, Names, NormPlace, Projection, TensorName};

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
    pub(crate) head: Names,
    pub(crate) final_norm: Names,
    /// Before the number of a decoder layer.
    pub(crate) layers: Names,
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
    /// What the gate of the feed-forward half goes through, and what configurations call it.
    pub(crate) activation: Activation,
    pub(crate) activation_names: &'static [&'static str],
    /// Whether configurations may have soft caps and a scale of scores of their own.
    pub(crate) caps_and_scale: bool,
    /// Layers of the one model of the family whose scale of scores goes by the hidden width over the heads: GGUF files do not
    /// say it, and llama.cpp goes by this number too.
    pub(crate) scaled_by_hidden: Option<usize>,
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
    pub rms_norm_eps: f64,
    pub rope_theta: f64,
    /// Base of a second rotation, which is never stretched, for layers with a window.
    pub local_rope_theta: Option<f64>,
    pub sliding_window: Option<usize>,
    pub max_window_layers: usize,
    pub tie_word_embeddings: bool,
    /// Soft caps of attention's scores and of logits.
    pub caps: [Option<f64>; 2],
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

/// Every family whose forward and backward passes are known.
pub static FAMILIES: [&Family; 9] = [&LLAMA, &MISTRAL, &QWEN2, &QWEN3, &SMOLLM3, &GEMMA, &GEMMA2, &GEMMA3, &OLMO2];

/// RMSNorm before either half, rotary grouped-query attention, SwiGLU.
pub static LLAMA: Family = LIKE_LLAMA;

/// Llama whose layers see a window.
static MISTRAL: Family = Family {
    name: "mistral",
    class: "MistralForCausalLM",
    gguf: None,
    models: "Mistral 7B; in GGUF it is `llama`",
    modules: &modules(Bias::Never, Bias::Never, Bias::Never),
    left_out: LeftOut {
        kv_heads: Some(8),
        max_position_embeddings: 131_072,
        sliding_window: Some(4096),
        ..LIKE_LLAMA.left_out
    },
    windows: Windows::Everywhere,
    ..LIKE_LLAMA
};

/// Llama whose queries, keys and values have biases.
static QWEN2: Family = Family {
    name: "qwen2",
    class: "Qwen2ForCausalLM",
    gguf: Some("qwen2"),
    models: "Qwen 2, Qwen 2.5, Qwen 2.5 Coder",
    modules: &modules(Bias::Always, Bias::Never, Bias::Never),
    left_out: LeftOut { kv_heads: Some(32), max_position_embeddings: 32_768, ..LIKE_LLAMA.left_out },
    windows: Windows::FromLayer,
    gguf_interleaves: false,
    ..LIKE_LLAMA
};

/// Llama whose queries and keys are normalized head by head.
static QWEN3: Family = Family {
    name: "qwen3",
    class: "Qwen3ForCausalLM",
    gguf: Some("qwen3"),
    models: "Qwen 3 (dense)",
    norms: &[
        (NormPlace::Attention, names("input_layernorm", "attn_norm")),
        (NormPlace::Queries, names("self_attn.q_norm", "attn_q_norm")),
        (NormPlace::Keys, names("self_attn.k_norm", "attn_k_norm")),
        (NormPlace::Mlp, names("post_attention_layernorm", "ffn_norm")),
    ],
    head_norms: HeadNorms::EachHead,
    modules: &modules(ATTENTION_BIAS, ATTENTION_BIAS, Bias::Never),
    left_out: LeftOut {
        kv_heads: Some(32),
        head_dim: Some(128),
        max_position_embeddings: 32_768,
        ..LIKE_LLAMA.left_out
    },
    windows: Windows::FromLayer,
    gguf_interleaves: false,
    ..LIKE_LLAMA
};

/// Llama of which every fourth layer sees no positions.
static SMOLLM3: Family = Family {
    name: "smollm3",
    class: "SmolLM3ForCausalLM",
    gguf: Some("smollm3"),
    models: "SmolLM3",
    left_out: LeftOut { kv_heads: Some(4), max_position_embeddings: 32_768, rope_theta: 2e6, ..LIKE_LLAMA.left_out },
    windows: Windows::Unrotated,
    unrotated_every: Some(4),
    ..LIKE_LLAMA
};

/// Llama with a gate of GELU, gains that begin at 1 and a scaled embedding.
static GEMMA: Family = LIKE_GEMMA;

const LIKE_GEMMA: Family = Family {
    name: "gemma",
    class: "GemmaForCausalLM",
    gguf: Some("gemma"),
    models: "Gemma",
    unit_gain: 1.0,
    scales_embedding: true,
    modules: &modules(ATTENTION_BIAS, ATTENTION_BIAS, Bias::Never),
    activation: Activation::GeluTanh,
    // The first releases say `gelu` and mean its tanh form.
    activation_names: &["gelu_pytorch_tanh", "gelu_new", "gelu"],
    left_out: LeftOut {
        kv_heads: Some(16),
        head_dim: Some(256),
        max_position_embeddings: 8192,
        tie_word_embeddings: true,
        ..LIKE_LLAMA.left_out
    },
    gguf_interleaves: false,
    ..LIKE_LLAMA
};

/// Gemma with norms behind either half too, soft caps, and a window in every second layer.
static GEMMA2: Family = Family {
    name: "gemma2",
    class: "Gemma2ForCausalLM",
    gguf: Some("gemma2"),
    models: "Gemma 2",
    norms: &SANDWICH,
    caps_and_scale: true,
    scaled_by_hidden: Some(46),
    left_out: LeftOut {
        kv_heads: Some(4),
        sliding_window: Some(4096),
        caps: [Some(50.0), Some(30.0)],
        ..LIKE_GEMMA.left_out
    },
    windows: Windows::AllButEvery(2),
    ..LIKE_GEMMA
};

/// Gemma 2 without caps, with norms of queries and keys, and a rotation of their own for layers with a window.
static GEMMA3: Family = Family {
    name: "gemma3_text",
    class: "Gemma3ForCausalLM",
    gguf: Some("gemma3"),
    models: "Gemma 3 (text)",
    norms: &[
        SANDWICH[0],
        (NormPlace::Queries, names("self_attn.q_norm", "attn_q_norm")),
        (NormPlace::Keys, names("self_attn.k_norm", "attn_k_norm")),
        SANDWICH[1],
        SANDWICH[2],
        SANDWICH[3],
    ],
    head_norms: HeadNorms::EachHead,
    caps_and_scale: true,
    scaled_by_hidden: Some(62),
    left_out: LeftOut {
        kv_heads: Some(4),
        max_position_embeddings: 131_072,
        rope_theta: 1e6,
        local_rope_theta: Some(1e4),
        sliding_window: Some(4096),
        ..LIKE_GEMMA.left_out
    },
    windows: Windows::AllButEvery(6),
    ..LIKE_GEMMA
};

/// Before and behind either half.
const SANDWICH: [(NormPlace, Names); 4] = [
    (NormPlace::Attention, names("input_layernorm", "attn_norm")),
    (NormPlace::AfterAttention, names("post_attention_layernorm", "post_attention_norm")),
    (NormPlace::Mlp, names("pre_feedforward_layernorm", "ffn_norm")),
    (NormPlace::AfterMlp, names("post_feedforward_layernorm", "post_ffw_norm")),
];

/// Llama whose norms stand behind either half, and over whole rows of queries and keys.
static OLMO2: Family = Family {
    name: "olmo2",
    class: "Olmo2ForCausalLM",
    gguf: Some("olmo2"),
    models: "OLMo 2",
    norms: &[
        (NormPlace::Queries, names("self_attn.q_norm", "attn_q_norm")),
        (NormPlace::Keys, names("self_attn.k_norm", "attn_k_norm")),
        (NormPlace::AfterAttention, names("post_attention_layernorm", "post_attention_norm")),
        (NormPlace::AfterMlp, names("post_feedforward_layernorm", "post_ffw_norm")),
    ],
    head_norms: HeadNorms::WholeRow,
    modules: &modules(ATTENTION_BIAS, ATTENTION_BIAS, Bias::Never),
    left_out: LeftOut { rms_norm_eps: 1e-5, ..LIKE_LLAMA.left_out },
    gguf_interleaves: false,
    ..LIKE_LLAMA
};

const LIKE_LLAMA: Family = Family {
    name: "llama",
    class: "LlamaForCausalLM",
    gguf: Some("llama"),
    models: "Llama 2 and 3, TinyLlama, SmolLM, SmolLM2",
    embedding: names("model.embed_tokens", "token_embd"),
    head: names("lm_head", "output"),
    final_norm: names("model.norm", "output_norm"),
    layers: names("model.layers", "blk"),
    norms: &[
        (NormPlace::Attention, names("input_layernorm", "attn_norm")),
        (NormPlace::Mlp, names("post_attention_layernorm", "ffn_norm")),
    ],
    head_norms: HeadNorms::None,
    unit_gain: 0.0,
    scales_embedding: false,
    modules: &modules(ATTENTION_BIAS, ATTENTION_BIAS, MLP_BIAS),
    activation: Activation::Silu,
    activation_names: &["silu", "swish"],
    caps_and_scale: false,
    scaled_by_hidden: None,
    left_out: LeftOut {
        kv_heads: None,
        head_dim: None,
        max_position_embeddings: 2048,
        rms_norm_eps: 1e-6,
        rope_theta: 10_000.0,
        local_rope_theta: None,
        sliding_window: None,
        max_window_layers: 28,
        tie_word_embeddings: false,
        caps: [None, None],
    },
    windows: Windows::None,
    unrotated_every: None,
    gguf_interleaves: true,
};

const ATTENTION_BIAS: Bias = Bias::Stated("attention_bias");
const MLP_BIAS: Bias = Bias::Stated("mlp_bias");

/// The linear layers of Llama and its kin, and their biases: of queries, keys and values, of attention's output, of the
/// feed-forward half.
const fn modules(qkv: Bias, o: Bias, mlp: Bias) -> [Module; 7] {
    [
        module("self_attn.q_proj", "attn_q", Projection::Q, qkv),
        module("self_attn.k_proj", "attn_k", Projection::K, qkv),
        module("self_attn.v_proj", "attn_v", Projection::V, qkv),
        module("self_attn.o_proj", "attn_output", Projection::O, o),
        module("mlp.gate_proj", "ffn_gate", Projection::Gate, mlp),
        module("mlp.up_proj", "ffn_up", Projection::Up, mlp),
        module("mlp.down_proj", "ffn_down", Projection::Down, mlp),
    ]
}

const fn names(hugging_face: &'static str, gguf: &'static str) -> Names {
    Names { hugging_face, gguf }
}

const fn module(hugging_face: &'static str, gguf: &'static str, projection: Projection, bias: Bias) -> Module {
    Module { names: names(hugging_face, gguf), projection, bias }
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

    /// The linear layer of a decoder layer that computes `projection`.
    ///
    /// # Panics
    /// When the family has none: its blocks ask for what its row has.
    pub fn computing(&self, layer: usize, projection: Projection) -> ModuleId {
        let index = self.modules.iter().position(|module| module.projection == projection);
        ModuleId { layer, index: index.expect("a linear layer that the family's row has") }
    }

    /// Whether a layer sees positions, where one in every `every` does not.
    pub(crate) fn sees_positions(layer: usize, every: Option<usize>) -> bool {
        every.is_none_or(|every| !(layer + 1).is_multiple_of(every))
    }

    /// Which of the model's rotations a layer with this window has: where there are two, the second is theirs.
    pub(crate) fn rope_of(&self, window: Option<usize>) -> usize {
        usize::from(self.left_out.local_rope_theta.is_some() && window.is_some())
    }

    /// Whether GGUF files of the family store a linear layer's rows with each head's two halves alternating.
    pub(crate) fn interleaves(&self, id: ModuleId) -> bool {
        self.gguf_interleaves && self.module(id).projection.is_rotated()
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

    /// The linear layers' own names, each once: what `target_modules` may name.
    pub fn module_names(&self) -> Vec<&'static str> {
        self.modules.iter().map(Module::name).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    const PROJECTIONS: [Projection; 7] = [
        Projection::Q,
        Projection::K,
        Projection::V,
        Projection::O,
        Projection::Gate,
        Projection::Up,
        Projection::Down,
    ];

    #[test]
    fn every_row_names_each_part_once_and_finds_it_again() {
        let mut families = HashSet::new();
        for family in FAMILIES {
            assert!(families.insert(family.name) && families.insert(family.class), "{}", family.name);
            for projection in PROJECTIONS {
                let found = family.modules.iter().filter(|module| module.projection == projection);
                assert_eq!(found.count(), 1, "{}: {projection:?}", family.name);
                assert_eq!(family.module(family.computing(3, projection)).projection, projection);
            }
            let norms = family.norms.iter().map(|&(place, _)| TensorName::Norm(12, place));
            let parts = [TensorName::Embedding, TensorName::Head, TensorName::FinalNorm].into_iter().chain(norms);
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
