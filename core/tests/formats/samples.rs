//! A tiny model, and the files that other programs would write of it.

use std::fs;
use std::path::{Path, PathBuf};

use idiolect::model::{LLAMA, Projection};
use safetensors::tensor::{Dtype, TensorView};
use serde_json::{Value, json};

pub const VOCAB: usize = 260;
pub const HIDDEN: usize = 64;
pub const INTERMEDIATE: usize = 96;
pub const LAYERS: usize = 2;
pub const HEADS: usize = 4;
pub const KV_HEADS: usize = 2;
pub const HEAD_DIM: usize = 24;

/// A tensor with its values.
#[derive(Clone)]
pub struct Values {
    pub name: String,
    pub shape: Vec<usize>,
    pub values: Vec<f32>,
}

/// Values between −1 and 1 that f16 and bf16 hold exactly.
pub fn noise(len: usize, seed: u64) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    (0..len)
        .map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            f32::from((state >> 56) as u8 as i8) / 128.0
        })
        .collect()
}

/// Output and input widths.
pub fn shape(linear: Projection) -> [usize; 2] {
    match linear {
        Projection::Q => [HEADS * HEAD_DIM, HIDDEN],
        Projection::K | Projection::V => [KV_HEADS * HEAD_DIM, HIDDEN],
        Projection::O => [HIDDEN, HEADS * HEAD_DIM],
        Projection::Gate | Projection::Up => [INTERMEDIATE, HIDDEN],
        Projection::Down => [HIDDEN, INTERMEDIATE],
        Projection::Qkv | Projection::QkvByHead | Projection::GateUp => unreachable!("Llama has none"),
    }
}

/// The tiny model's tensors under Hugging Face's names, the head apart.
pub fn tensors() -> Vec<Values> {
    let mut tensors = Vec::new();
    let mut add = |name: String, shape: Vec<usize>| {
        let values = noise(shape.iter().product(), tensors.len() as u64 + 1);
        tensors.push(Values { name, shape, values });
    };
    add("model.embed_tokens.weight".into(), vec![VOCAB, HIDDEN]);
    for layer in 0..LAYERS {
        for module in LLAMA.modules_of(layer) {
            add(format!("{}.weight", LLAMA.path(module)), shape(LLAMA.module(module).projection).to_vec());
        }
        add(format!("model.layers.{layer}.input_layernorm.weight"), vec![HIDDEN]);
        add(format!("model.layers.{layer}.post_attention_layernorm.weight"), vec![HIDDEN]);
    }
    add("model.norm.weight".into(), vec![HIDDEN]);
    tensors
}

/// The head, other values than the embedding.
pub fn head() -> Values {
    Values { name: "lm_head.weight".into(), shape: vec![VOCAB, HIDDEN], values: noise(VOCAB * HIDDEN, 99) }
}

/// `config.json` of the tiny model, tied.
pub fn config() -> Value {
    json!({
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_act": "silu",
        "hidden_size": HIDDEN,
        "intermediate_size": INTERMEDIATE,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": HEADS,
        "num_key_value_heads": KV_HEADS,
        "head_dim": HEAD_DIM,
        "vocab_size": VOCAB,
        "rms_norm_eps": 1e-5,
        "rope_theta": 10000.0,
        "max_position_embeddings": 64,
        "tie_word_embeddings": true,
        "bos_token_id": 256,
        "eos_token_id": 257,
    })
}

/// A byte-level tokenizer without merges and four control tokens.
fn tokenizer() -> Value {
    let mut vocab = serde_json::Map::new();
    for (id, token) in byte_tokens().into_iter().enumerate() {
        vocab.insert(token, json!(id));
    }
    let controls = CONTROLS.iter().zip(256..).map(|(content, id)| {
        json!({ "id": id, "content": content, "special": true, "single_word": false, "lstrip": false,
            "rstrip": false, "normalized": false })
    });
    let byte_level = json!({ "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true });
    json!({
        "version": "1.0",
        "added_tokens": controls.collect::<Vec<_>>(),
        "normalizer": null,
        "pre_tokenizer": byte_level,
        "post_processor": null,
        "decoder": byte_level,
        "model": { "type": "BPE", "vocab": vocab, "merges": [] },
    })
}

pub const CONTROLS: [&str; 4] = ["<|endoftext|>", "<|im_end|>", "<|im_start|>", "<|pad|>"];

/// GPT-2's printable stand-ins for the 256 bytes.
pub fn byte_tokens() -> Vec<String> {
    let printable = |byte: u32| matches!(byte, 0x21..=0x7e | 0xa1..=0xac | 0xae..=0xff);
    let mut stand_ins = 256..;
    (0..256)
        .map(|byte| {
            let code = if printable(byte) { byte } else { stand_ins.next().expect("an endless range") };
            char::from_u32(code).expect("a character below 512").to_string()
        })
        .collect()
}

/// Little-endian values of a float type.
pub fn bytes(values: &[f32], dtype: Dtype) -> Vec<u8> {
    values
        .iter()
        .flat_map(|&value| match dtype {
            Dtype::F16 => half::f16::from_f32(value).to_le_bytes().to_vec(),
            Dtype::BF16 => half::bf16::from_f32(value).to_le_bytes().to_vec(),
            _ => value.to_le_bytes().to_vec(),
        })
        .collect()
}

/// A safetensors file.
pub fn safetensors(tensors: &[Values], dtype: Dtype) -> Vec<u8> {
    let stored: Vec<_> = tensors.iter().map(|tensor| bytes(&tensor.values, dtype)).collect();
    let views = tensors.iter().zip(&stored).map(|(tensor, bytes)| {
        (tensor.name.as_str(), TensorView::new(dtype, tensor.shape.clone(), bytes).expect("bytes of that shape"))
    });
    safetensors::serialize(views, None).expect("a small file")
}

/// A Hugging Face folder.
pub fn folder(path: &Path, config: &Value, tensors: &[Values], dtype: Dtype) -> PathBuf {
    fs::create_dir_all(path).unwrap();
    fs::write(path.join("config.json"), config.to_string()).unwrap();
    fs::write(path.join("model.safetensors"), safetensors(tensors, dtype)).unwrap();
    fs::write(path.join("tokenizer.json"), tokenizer().to_string()).unwrap();
    let settings = json!({ "bos_token": CONTROLS[0], "eos_token": CONTROLS[1], "chat_template": "{{ messages }}" });
    fs::write(path.join("tokenizer_config.json"), settings.to_string()).unwrap();
    path.to_owned()
}

/// The tiny model as a Hugging Face folder of f32.
pub fn tiny(path: &Path) -> PathBuf {
    folder(path, &config(), &tensors(), Dtype::F32)
}
