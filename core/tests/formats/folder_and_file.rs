//! Families whose files are not like Llama's, as a folder of Hugging Face's and as llama.cpp's converter writes it: the same
//! model, imported from either.

use std::fs;
use std::path::{Path, PathBuf};

use idiolect::format::{ImportOptions, ModelFiles, import};
use safetensors::Dtype;
use serde_json::{Value, json};

use crate::gguf_bytes::{Gguf, Meta, Stored};
use crate::matrices;
use crate::samples::{self, HIDDEN, LAYERS, VOCAB, Values};

const HEADS: usize = 4;
const HEAD_DIM: usize = HIDDEN / HEADS;
const WIDE: usize = 4 * HIDDEN;
const CONTEXT: usize = 64;

/// How a tensor's rows lie in a file, where a folder has `[outputs, inputs]`.
#[derive(Clone, Copy, PartialEq)]
enum Lies {
    /// Alike.
    Alike,
    /// `[inputs, outputs]` in the folder.
    Transposed,
    /// In the folder each head's query, key and value; in the file all queries, all keys, all values.
    HeadsApart,
}

/// A tensor in a folder and in a file, its shape `[outputs, inputs]`, and how it lies.
type Row = (&'static str, &'static str, &'static [usize], Lies);

/// A family: its tensors outside the layers and within each, and what its settings are.
struct Family {
    config: fn() -> Value,
    prefix: &'static str,
    layers: &'static str,
    whole: &'static [Row],
    of_layer: &'static [Row],
    meta: fn() -> Vec<(&'static str, Meta)>,
}

use Lies::{Alike, HeadsApart, Transposed};

const GPT2: Family = Family {
    config: || {
        json!({
            "architectures": ["GPT2LMHeadModel"], "model_type": "gpt2", "activation_function": "gelu_new",
            "n_embd": HIDDEN, "n_layer": LAYERS, "n_head": HEADS, "n_positions": CONTEXT, "vocab_size": VOCAB,
            "layer_norm_epsilon": 1e-5, "bos_token_id": 256, "eos_token_id": 257,
        })
    },
    prefix: "",
    layers: "h",
    whole: &[
        ("wte.weight", "token_embd.weight", &[VOCAB, HIDDEN], Alike),
        ("wpe.weight", "position_embd.weight", &[CONTEXT, HIDDEN], Alike),
        ("ln_f.weight", "output_norm.weight", &[HIDDEN], Alike),
        ("ln_f.bias", "output_norm.bias", &[HIDDEN], Alike),
    ],
    of_layer: &[
        ("ln_1.weight", "attn_norm.weight", &[HIDDEN], Alike),
        ("ln_1.bias", "attn_norm.bias", &[HIDDEN], Alike),
        ("attn.c_attn.weight", "attn_qkv.weight", &[3 * HIDDEN, HIDDEN], Transposed),
        ("attn.c_attn.bias", "attn_qkv.bias", &[3 * HIDDEN], Alike),
        ("attn.c_proj.weight", "attn_output.weight", &[HIDDEN, HIDDEN], Transposed),
        ("attn.c_proj.bias", "attn_output.bias", &[HIDDEN], Alike),
        ("ln_2.weight", "ffn_norm.weight", &[HIDDEN], Alike),
        ("ln_2.bias", "ffn_norm.bias", &[HIDDEN], Alike),
        ("mlp.c_fc.weight", "ffn_up.weight", &[WIDE, HIDDEN], Transposed),
        ("mlp.c_fc.bias", "ffn_up.bias", &[WIDE], Alike),
        ("mlp.c_proj.weight", "ffn_down.weight", &[HIDDEN, WIDE], Transposed),
        ("mlp.c_proj.bias", "ffn_down.bias", &[HIDDEN], Alike),
    ],
    meta: || {
        vec![
            ("general.architecture", Meta::Text("gpt2")),
            ("gpt2.feed_forward_length", Meta::U32(WIDE as u32)),
            ("gpt2.attention.layer_norm_epsilon", Meta::F32(1e-5)),
        ]
    },
};

const BLOOM: Family = Family {
    config: || {
        json!({
            "architectures": ["BloomForCausalLM"], "model_type": "bloom", "n_embed": HIDDEN, "n_layer": LAYERS,
            "num_attention_heads": HEADS, "seq_length": CONTEXT, "vocab_size": VOCAB, "layer_norm_epsilon": 1e-5,
            "apply_residual_connection_post_layernorm": false, "bos_token_id": 256, "eos_token_id": 257,
        })
    },
    prefix: "transformer.",
    layers: "h",
    whole: &[
        ("word_embeddings.weight", "token_embd.weight", &[VOCAB, HIDDEN], Alike),
        ("word_embeddings_layernorm.weight", "token_embd_norm.weight", &[HIDDEN], Alike),
        ("word_embeddings_layernorm.bias", "token_embd_norm.bias", &[HIDDEN], Alike),
        ("ln_f.weight", "output_norm.weight", &[HIDDEN], Alike),
        ("ln_f.bias", "output_norm.bias", &[HIDDEN], Alike),
    ],
    of_layer: &[
        ("input_layernorm.weight", "attn_norm.weight", &[HIDDEN], Alike),
        ("input_layernorm.bias", "attn_norm.bias", &[HIDDEN], Alike),
        ("self_attention.query_key_value.weight", "attn_qkv.weight", &[3 * HIDDEN, HIDDEN], HeadsApart),
        ("self_attention.query_key_value.bias", "attn_qkv.bias", &[3 * HIDDEN], HeadsApart),
        ("self_attention.dense.weight", "attn_output.weight", &[HIDDEN, HIDDEN], Alike),
        ("self_attention.dense.bias", "attn_output.bias", &[HIDDEN], Alike),
        ("post_attention_layernorm.weight", "ffn_norm.weight", &[HIDDEN], Alike),
        ("post_attention_layernorm.bias", "ffn_norm.bias", &[HIDDEN], Alike),
        ("mlp.dense_h_to_4h.weight", "ffn_up.weight", &[WIDE, HIDDEN], Alike),
        ("mlp.dense_h_to_4h.bias", "ffn_up.bias", &[WIDE], Alike),
        ("mlp.dense_4h_to_h.weight", "ffn_down.weight", &[HIDDEN, WIDE], Alike),
        ("mlp.dense_4h_to_h.bias", "ffn_down.bias", &[HIDDEN], Alike),
    ],
    meta: || {
        vec![
            ("general.architecture", Meta::Text("bloom")),
            ("bloom.feed_forward_length", Meta::U32(WIDE as u32)),
            ("bloom.attention.layer_norm_epsilon", Meta::F32(1e-5)),
        ]
    },
};

const PHI3: Family = Family {
    config: || {
        json!({
            "architectures": ["Phi3ForCausalLM"], "model_type": "phi3", "hidden_act": "silu", "hidden_size": HIDDEN,
            "intermediate_size": WIDE, "num_hidden_layers": LAYERS, "num_attention_heads": HEADS,
            "num_key_value_heads": 2, "max_position_embeddings": CONTEXT, "original_max_position_embeddings": 16,
            "vocab_size": VOCAB, "rms_norm_eps": 1e-5, "rope_theta": 10000.0, "partial_rotary_factor": 0.75,
            "rope_scaling": { "type": "longrope", "short_factor": short(), "long_factor": long() },
            "sliding_window": 20, "tie_word_embeddings": true, "bos_token_id": 256, "eos_token_id": 257,
        })
    },
    prefix: "model.",
    layers: "layers",
    whole: &[
        ("embed_tokens.weight", "token_embd.weight", &[VOCAB, HIDDEN], Alike),
        ("norm.weight", "output_norm.weight", &[HIDDEN], Alike),
    ],
    of_layer: &[
        ("input_layernorm.weight", "attn_norm.weight", &[HIDDEN], Alike),
        ("self_attn.qkv_proj.weight", "attn_qkv.weight", &[2 * HIDDEN, HIDDEN], Alike),
        ("self_attn.o_proj.weight", "attn_output.weight", &[HIDDEN, HIDDEN], Alike),
        ("post_attention_layernorm.weight", "ffn_norm.weight", &[HIDDEN], Alike),
        ("mlp.gate_up_proj.weight", "ffn_up.weight", &[2 * WIDE, HIDDEN], Alike),
        ("mlp.down_proj.weight", "ffn_down.weight", &[HIDDEN, WIDE], Alike),
    ],
    meta: || {
        vec![
            ("general.architecture", Meta::Text("phi3")),
            ("phi3.feed_forward_length", Meta::U32(WIDE as u32)),
            ("phi3.attention.head_count_kv", Meta::U32(2)),
            ("phi3.attention.layer_norm_rms_epsilon", Meta::F32(1e-5)),
            ("phi3.attention.sliding_window", Meta::U32(20)),
            ("phi3.rope.dimension_count", Meta::U32(12)),
            ("phi3.rope.freq_base", Meta::F32(10_000.0)),
            ("phi3.rope.scaling.original_context_length", Meta::U32(16)),
        ]
    },
};

const FAMILIES: [Family; 3] = [GPT2, BLOOM, PHI3];

/// Factors of the six pairs that turn.
fn short() -> Vec<f32> {
    (0..6).map(|i| 1.0 + 0.25 * i as f32).collect()
}

fn long() -> Vec<f32> {
    (0..6).map(|i| 2.0 + 0.5 * i as f32).collect()
}

impl Family {
    /// The name in a folder, the row, and the values as they lie there and in a file.
    fn tensors(&self) -> Vec<(String, String, Row, Vec<f32>)> {
        let whole = self.whole.iter().map(|&row| (format!("{}{}", self.prefix, row.0), row.1.to_owned(), row));
        let of_layers = (0..LAYERS).flat_map(|layer| {
            self.of_layer.iter().map(move |&row| {
                let within = format!("{}{}.{layer}.{}", self.prefix, self.layers, row.0);
                (within, format!("blk.{layer}.{}", row.1), row)
            })
        });
        let seeded = whole.chain(of_layers).zip(1..);
        seeded
            .map(|((name, gguf, row), seed)| (name, gguf, row, samples::noise(row.2.iter().product(), seed)))
            .collect()
    }

    fn folder(&self, path: &Path) -> PathBuf {
        let tensors: Vec<Values> = self
            .tensors()
            .into_iter()
            .map(|(name, _, (_, _, shape, lies), values)| match (lies, shape) {
                (Transposed, &[outputs, inputs]) => {
                    let values = (0..inputs * outputs).map(|i| values[i % outputs * inputs + i / outputs]).collect();
                    Values { name, shape: vec![inputs, outputs], values }
                }
                _ => Values { name, shape: shape.to_vec(), values },
            })
            .collect();
        samples::folder(path, &(self.config)(), &tensors, Dtype::F32)
    }

    fn file(&self, path: &Path) -> PathBuf {
        let mut gguf = Gguf::tiny(|_, values| (0, samples::bytes(values, Dtype::F32)));
        let own = (self.meta)();
        let Some(&(_, Meta::Text(architecture))) = own.first() else { panic!("the architecture comes first") };
        let sizes = ["block_count", "context_length", "embedding_length", "attention.head_count"];
        gguf.meta.retain(|(key, _)| {
            key.strip_prefix("llama.").is_none_or(|key| sizes.contains(&key)) && key != "general.architecture"
        });
        for (key, value) in &mut gguf.meta {
            if let Some(size) = key.strip_prefix("llama.") {
                if size == "context_length" {
                    *value = Meta::U32(CONTEXT as u32);
                }
                *key = format!("{architecture}.{size}");
            }
        }
        gguf.meta.extend(own.into_iter().map(|(key, value)| (key.to_owned(), value)));
        gguf.tensors.clear();
        let mut push = |name: String, shape: &[usize], values: &[f32]| {
            let axes = shape.iter().rev().map(|&axis| axis as u64).collect();
            gguf.tensors.push(Stored { name, axes, kind: 0, bytes: samples::bytes(values, Dtype::F32) });
        };
        for (_, name, (_, _, shape, lies), values) in self.tensors() {
            let values = match lies {
                HeadsApart => {
                    let row = values.len() / shape[0];
                    let rows: Vec<&[f32]> = values.chunks(row).collect();
                    let of_part = |part: usize| {
                        (0..HEADS).flat_map(move |head| (0..HEAD_DIM).map(move |j| (3 * head + part) * HEAD_DIM + j))
                    };
                    (0..3).flat_map(of_part).flat_map(|at| rows[at]).copied().collect()
                }
                _ => values,
            };
            push(name, shape, &values);
        }
        if architecture == "phi3" {
            push("rope_factors_short.weight".into(), &[6], &short());
            push("rope_factors_long.weight".into(), &[6], &long());
        }
        fs::write(path, gguf.bytes().0).unwrap();
        path.to_owned()
    }
}

/// That two models are one.
fn same(a: &ModelFiles, b: &ModelFiles, what: &str) {
    assert_eq!(a.config(), b.config(), "{what}");
    assert!(matrices(a) == matrices(b), "{what}");
    if a.config().family.name == "gpt2" {
        assert_eq!(
            crate::values(a, idiolect::model::TensorName::Positions),
            crate::values(b, idiolect::model::TensorName::Positions),
            "{what}"
        );
    }
    for norm in a.config().norms() {
        assert_eq!(a.vector(norm).unwrap(), b.vector(norm).unwrap(), "{what}: {norm:?}");
        assert_eq!(a.norm_bias(norm).unwrap(), b.norm_bias(norm).unwrap(), "{what}: {norm:?}");
    }
    for module in a.config().modules() {
        assert_eq!(a.bias(module).unwrap(), b.bias(module).unwrap(), "{what}: {module:?}");
    }
}

#[test]
fn a_folder_and_a_file_are_the_same_model_and_stay_it_when_they_are_imported() {
    for family in FAMILIES {
        let home = tempfile::tempdir().unwrap();
        let folder = family.folder(&home.path().join("folder"));
        let file = family.file(&home.path().join("model.gguf"));
        let opened = ModelFiles::open(&folder).unwrap();
        let name = opened.config().family.name;
        same(&opened, &ModelFiles::open(&file).unwrap(), name);
        for (number, source) in [folder, file].into_iter().enumerate() {
            let imported = home.path().join(format!("imported {number}"));
            import(&source, &imported, ImportOptions { bits: Some(32), group_size: None }, |_, _| {}).unwrap();
            same(&opened, &ModelFiles::open(&imported).unwrap(), &format!("{name}, imported {number}"));
            let quantized = home.path().join(format!("quantized {number}"));
            import(&source, &quantized, ImportOptions { bits: Some(8), group_size: Some(32) }, |_, _| {}).unwrap();
            let quantized = ModelFiles::open(&quantized).unwrap();
            assert_eq!(quantized.config(), opened.config(), "{name}, quantized {number}");
            for ((name, found), (_, expected)) in matrices(&quantized).into_iter().zip(matrices(&opened)) {
                let far = found.iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
                assert!(far < 0.012, "{name:?} is {far} away");
            }
        }
    }
}

#[test]
fn what_a_checkpoint_carries_beside_its_weights_is_left_aside() {
    let home = tempfile::tempdir().unwrap();
    let folder = GPT2.folder(home.path());
    let path = folder.join("model.safetensors");
    let bytes = fs::read(&path).unwrap();
    let stored = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let mask = [0u8; 16];
    let mask = safetensors::tensor::TensorView::new(Dtype::F32, vec![1, 1, 2, 2], &mask).unwrap();
    let mut views: Vec<_> = stored.tensors().into_iter().collect();
    views.push(("h.0.attn.bias".into(), mask));
    let with_mask = safetensors::serialize(views, None).unwrap();
    fs::write(&path, with_mask).unwrap();
    ModelFiles::open(&folder).unwrap();
}
