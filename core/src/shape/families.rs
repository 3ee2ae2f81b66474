//! The table of families: a row says how a family's models are built, and what each format calls their parts. Adding a
//! family whose operations are all there is adding a row.

use idiolect_kernels::ops::Activation;

use super::family::{ConfigKeys, Family, HeadNorms, LeftOut, Prefix, Windows};
use super::layer::NormKind;
use super::names::{Bias, Module, Names, NormPlace, Projection};

/// Every family whose forward and backward passes are known.
pub static FAMILIES: [&Family; 12] =
    [&LLAMA, &MISTRAL, &QWEN2, &QWEN3, &SMOLLM3, &GEMMA, &GEMMA2, &GEMMA3, &OLMO2, &PHI3, &GPT2, &BLOOM];

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
    left_out: LeftOut { norm_epsilon: 1e-5, ..LIKE_LLAMA.left_out },
    gguf_interleaves: false,
    ..LIKE_LLAMA
};

/// Llama whose queries, keys and values are one matrix, and gate and gated half another.
static PHI3: Family = Family {
    name: "phi3",
    class: "Phi3ForCausalLM",
    gguf: Some("phi3"),
    models: "Phi-3 mini, Phi-3.5 mini, Phi-4 mini",
    modules: &[
        module("self_attn.qkv_proj", "attn_qkv", Projection::Qkv, Bias::Never),
        module("self_attn.o_proj", "attn_output", Projection::O, Bias::Never),
        module("mlp.gate_up_proj", "ffn_up", Projection::GateUp, Bias::Never),
        module("mlp.down_proj", "ffn_down", Projection::Down, Bias::Never),
    ],
    left_out: LeftOut { max_position_embeddings: 4096, norm_epsilon: 1e-5, ..LIKE_LLAMA.left_out },
    windows: Windows::Everywhere,
    turns_in_part: true,
    gguf_interleaves: false,
    ..LIKE_LLAMA
};

/// LayerNorm before either half, learned positions, a feed-forward half without a gate; biases everywhere.
static GPT2: Family = Family {
    name: "gpt2",
    class: "GPT2LMHeadModel",
    gguf: Some("gpt2"),
    models: "GPT-2, DistilGPT2",
    embedding: names("transformer.wte", "token_embd"),
    positions: Some(names("transformer.wpe", "position_embd")),
    final_norm: names("transformer.ln_f", "output_norm"),
    layers: names("transformer.h", "blk"),
    // Published ones begin with nothing, mlx-lm's with `model.`.
    prefix: Some(Prefix { name: "transformer.", others: &["", "model."], sign: "wte.weight" }),
    buffers: &["attn.bias", "attn.masked_bias"],
    norm: NormKind::Layer,
    norms: &[(NormPlace::Attention, names("ln_1", "attn_norm")), (NormPlace::Mlp, names("ln_2", "ffn_norm"))],
    modules: &[
        module("attn.c_attn", "attn_qkv", Projection::Qkv, Bias::Always),
        module("attn.c_proj", "attn_output", Projection::O, Bias::Always),
        module("mlp.c_fc", "ffn_up", Projection::Up, Bias::Always),
        module("mlp.c_proj", "ffn_down", Projection::Down, Bias::Always),
    ],
    transposed: true,
    activation: Activation::GeluTanh,
    activation_names: &["gelu_new", "gelu_pytorch_tanh"],
    rotates: false,
    keys: ConfigKeys {
        hidden_size: &["n_embd", "hidden_size"],
        intermediate_size: &["n_inner"],
        layers: &["n_layer", "num_hidden_layers"],
        heads: &["n_head", "num_attention_heads"],
        context: &["n_positions", "max_position_embeddings"],
        norm_epsilon: &["layer_norm_epsilon"],
        activation: &["activation_function"],
    },
    refused: &[("scale_attn_weights", false), ("scale_attn_by_inverse_layer_idx", true), ("add_cross_attention", true)],
    left_out: LeftOut {
        max_position_embeddings: 1024,
        norm_epsilon: 1e-5,
        intermediate_size_per_hidden: Some(4),
        tie_word_embeddings: true,
        ..LIKE_LLAMA.left_out
    },
    gguf_interleaves: false,
    ..LIKE_LLAMA
};

/// LayerNorm before either half and over the embedding, scores that fall with the distance, a feed-forward half without a
/// gate; biases everywhere.
static BLOOM: Family = Family {
    name: "bloom",
    class: "BloomForCausalLM",
    gguf: Some("bloom"),
    models: "BLOOM, BLOOMZ",
    embedding: names("transformer.word_embeddings", "token_embd"),
    embedding_norm: Some(names("transformer.word_embeddings_layernorm", "token_embd_norm")),
    final_norm: names("transformer.ln_f", "output_norm"),
    layers: names("transformer.h", "blk"),
    prefix: Some(Prefix { name: "transformer.", others: &[""], sign: "word_embeddings.weight" }),
    norm: NormKind::Layer,
    norms: &[
        (NormPlace::Attention, names("input_layernorm", "attn_norm")),
        (NormPlace::Mlp, names("post_attention_layernorm", "ffn_norm")),
    ],
    modules: &[
        module("self_attention.query_key_value", "attn_qkv", Projection::QkvByHead, Bias::Always),
        module("self_attention.dense", "attn_output", Projection::O, Bias::Always),
        module("mlp.dense_h_to_4h", "ffn_up", Projection::Up, Bias::Always),
        module("mlp.dense_4h_to_h", "ffn_down", Projection::Down, Bias::Always),
    ],
    activation: Activation::GeluTanh,
    // Configurations do not say it.
    activation_names: &["gelu"],
    rotates: false,
    alibi: true,
    keys: ConfigKeys {
        hidden_size: &["hidden_size", "n_embed"],
        intermediate_size: &["n_inner"],
        layers: &["n_layer", "num_hidden_layers"],
        heads: &["n_head", "num_attention_heads"],
        context: &["seq_length"],
        norm_epsilon: &["layer_norm_epsilon"],
        activation: &[],
    },
    refused: &[("apply_residual_connection_post_layernorm", true)],
    left_out: LeftOut {
        max_position_embeddings: 2048,
        norm_epsilon: 1e-5,
        intermediate_size_per_hidden: Some(4),
        tie_word_embeddings: true,
        ..LIKE_LLAMA.left_out
    },
    gguf_interleaves: false,
    ..LIKE_LLAMA
};

const LIKE_LLAMA: Family = Family {
    name: "llama",
    class: "LlamaForCausalLM",
    gguf: Some("llama"),
    models: "Llama 2 and 3, TinyLlama, SmolLM, SmolLM2",
    embedding: names("model.embed_tokens", "token_embd"),
    embedding_norm: None,
    positions: None,
    head: names("lm_head", "output"),
    final_norm: names("model.norm", "output_norm"),
    layers: names("model.layers", "blk"),
    prefix: None,
    buffers: &["self_attn.rotary_emb.inv_freq"],
    norm: NormKind::Rms,
    norms: &[
        (NormPlace::Attention, names("input_layernorm", "attn_norm")),
        (NormPlace::Mlp, names("post_attention_layernorm", "ffn_norm")),
    ],
    head_norms: HeadNorms::None,
    unit_gain: 0.0,
    scales_embedding: false,
    modules: &modules(ATTENTION_BIAS, ATTENTION_BIAS, MLP_BIAS),
    transposed: false,
    activation: Activation::Silu,
    activation_names: &["silu", "swish"],
    rotates: true,
    turns_in_part: false,
    alibi: false,
    keys: ConfigKeys {
        hidden_size: &["hidden_size"],
        intermediate_size: &["intermediate_size"],
        layers: &["num_hidden_layers"],
        heads: &["num_attention_heads"],
        context: &["max_position_embeddings"],
        norm_epsilon: &["rms_norm_eps"],
        // Where both are there, the second is what an old release meant.
        activation: &["hidden_activation", "hidden_act"],
    },
    refused: &[],
    caps_and_scale: false,
    scaled_by_hidden: None,
    left_out: LeftOut {
        kv_heads: None,
        head_dim: None,
        max_position_embeddings: 2048,
        norm_epsilon: 1e-6,
        rope_theta: 10_000.0,
        local_rope_theta: None,
        sliding_window: None,
        max_window_layers: 28,
        tie_word_embeddings: false,
        caps: [None, None],
        intermediate_size_per_hidden: None,
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
