//! Writes GGUF files, sound or not.

use idiolect::model::LLAMA;

use crate::samples::{self, HEAD_DIM, HEADS, HIDDEN, INTERMEDIATE, KV_HEADS, LAYERS, Values};

/// A metadata value of the types that models use.
pub enum Meta {
    U32(u32),
    F32(f32),
    Bool(bool),
    Text(&'static str),
    Texts(Vec<String>),
    I32s(Vec<i32>),
    /// Any type, any bytes.
    Raw(u32, Vec<u8>),
}

/// A tensor: its name, sizes innermost first, type number and bytes.
pub struct Stored {
    pub name: String,
    pub axes: Vec<u64>,
    pub kind: u32,
    pub bytes: Vec<u8>,
}

pub struct Gguf {
    pub version: u32,
    pub meta: Vec<(String, Meta)>,
    pub tensors: Vec<Stored>,
}

/// A number of 16 bits, as parts of a model are numbered.
pub fn numbered(number: usize) -> Meta {
    Meta::Raw(2, (number as u16).to_le_bytes().to_vec())
}

fn text(out: &mut Vec<u8>, text: &str) {
    out.extend((text.len() as u64).to_le_bytes());
    out.extend(text.as_bytes());
}

impl Meta {
    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::U32(n) => {
                out.extend(4u32.to_le_bytes());
                out.extend(n.to_le_bytes());
            }
            Self::F32(x) => {
                out.extend(6u32.to_le_bytes());
                out.extend(x.to_le_bytes());
            }
            Self::Bool(b) => {
                out.extend(7u32.to_le_bytes());
                out.push((*b).into());
            }
            Self::Text(value) => {
                out.extend(8u32.to_le_bytes());
                text(out, value);
            }
            Self::Texts(values) => {
                out.extend(9u32.to_le_bytes());
                out.extend(8u32.to_le_bytes());
                out.extend((values.len() as u64).to_le_bytes());
                values.iter().for_each(|value| text(out, value));
            }
            Self::I32s(values) => {
                out.extend(9u32.to_le_bytes());
                out.extend(5u32.to_le_bytes());
                out.extend((values.len() as u64).to_le_bytes());
                values.iter().for_each(|value| out.extend(value.to_le_bytes()));
            }
            Self::Raw(kind, bytes) => {
                out.extend(kind.to_le_bytes());
                out.extend(bytes);
            }
        }
    }
}

impl Gguf {
    /// The header, and where it ends.
    fn header(&self) -> Vec<u8> {
        let mut out = b"GGUF".to_vec();
        out.extend(self.version.to_le_bytes());
        out.extend((self.tensors.len() as u64).to_le_bytes());
        out.extend((self.meta.len() as u64).to_le_bytes());
        for (key, value) in &self.meta {
            text(&mut out, key);
            value.write(&mut out);
        }
        let mut offset = 0u64;
        for tensor in &self.tensors {
            text(&mut out, &tensor.name);
            out.extend((tensor.axes.len() as u32).to_le_bytes());
            tensor.axes.iter().for_each(|axis| out.extend(axis.to_le_bytes()));
            out.extend(tensor.kind.to_le_bytes());
            out.extend(offset.to_le_bytes());
            offset += (tensor.bytes.len() as u64).next_multiple_of(32);
        }
        out
    }

    /// The file, and how many bytes of it are header.
    pub fn bytes(&self) -> (Vec<u8>, usize) {
        let mut out = self.header();
        let header = out.len();
        for tensor in &self.tensors {
            out.resize(out.len().next_multiple_of(32), 0);
            out.extend(&tensor.bytes);
        }
        (out, header)
    }

    /// The parts of the model, which are one more than `counts`: the first have so many tensors each, and the last one the
    /// rest. The metadata stays in the first.
    pub fn split(self, counts: &[usize]) -> Vec<Self> {
        let (total, mut tensors) = (self.tensors.len(), self.tensors.into_iter());
        let mut meta = self.meta;
        let mut parts = Vec::new();
        for (index, count) in counts.iter().copied().chain([total]).enumerate() {
            meta.extend([
                ("split.no".to_owned(), numbered(index)),
                ("split.count".to_owned(), numbered(counts.len() + 1)),
                ("split.tensors.count".to_owned(), Meta::Raw(5, (total as i32).to_le_bytes().to_vec())),
            ]);
            let tensors = tensors.by_ref().take(count).collect();
            parts.push(Self { version: self.version, meta: std::mem::take(&mut meta), tensors });
        }
        parts
    }

    /// The tiny model, matrices stored by `store` as a type number and bytes.
    pub fn tiny(store: impl Fn(&str, &[f32]) -> (u32, Vec<u8>)) -> Self {
        let mut tokens = samples::byte_tokens();
        tokens.extend(samples::CONTROLS.map(str::to_owned));
        let types = (0..tokens.len()).map(|id| if id < 256 { 1 } else { 3 }).collect();
        let meta = [
            ("general.architecture", Meta::Text("llama")),
            ("general.type", Meta::Text("model")),
            ("llama.block_count", Meta::U32(LAYERS as u32)),
            ("llama.context_length", Meta::U32(64)),
            ("llama.embedding_length", Meta::U32(HIDDEN as u32)),
            ("llama.feed_forward_length", Meta::U32(INTERMEDIATE as u32)),
            ("llama.attention.head_count", Meta::U32(HEADS as u32)),
            ("llama.attention.head_count_kv", Meta::U32(KV_HEADS as u32)),
            ("llama.attention.key_length", Meta::U32(HEAD_DIM as u32)),
            ("llama.attention.value_length", Meta::U32(HEAD_DIM as u32)),
            ("llama.attention.layer_norm_rms_epsilon", Meta::F32(1e-5)),
            ("llama.rope.dimension_count", Meta::U32(HEAD_DIM as u32)),
            ("llama.rope.freq_base", Meta::F32(10_000.0)),
            ("tokenizer.ggml.model", Meta::Text("gpt2")),
            ("tokenizer.ggml.pre", Meta::Text("gpt-2")),
            ("tokenizer.ggml.tokens", Meta::Texts(tokens)),
            ("tokenizer.ggml.token_type", Meta::I32s(types)),
            ("tokenizer.ggml.merges", Meta::Texts(Vec::new())),
            ("tokenizer.ggml.bos_token_id", Meta::U32(256)),
            ("tokenizer.ggml.eos_token_id", Meta::U32(257)),
            ("tokenizer.ggml.add_bos_token", Meta::Bool(false)),
        ];
        let meta = meta.map(|(key, value)| (key.to_owned(), value)).into();
        let tensors = samples::tensors().into_iter().map(|Values { name, shape, values }| {
            let path = name.strip_suffix(".weight").expect("a weight");
            let values = match LLAMA.module_at(path) {
                Some(module) if LLAMA.module(module).projection.is_rotated() => interleave(&values, shape[1]),
                _ => values,
            };
            let name = gguf_name(path);
            let (kind, bytes) = if shape.len() == 1 {
                (0, samples::bytes(&values, safetensors::Dtype::F32))
            } else {
                store(&name, &values)
            };
            let axes = shape.iter().rev().map(|&axis| axis as u64).collect();
            Stored { name, axes, kind, bytes }
        });
        let tensors = tensors.collect();
        Self { version: 3, meta, tensors }
    }
}

/// Rows of each head as llama.cpp's converter puts them: the two halves alternate.
pub fn interleave(values: &[f32], cols: usize) -> Vec<f32> {
    let rows: Vec<&[f32]> = values.chunks(cols).collect();
    let place = |row: usize| {
        let (head, j) = (row / HEAD_DIM, row % HEAD_DIM);
        head * HEAD_DIM + j % 2 * (HEAD_DIM / 2) + j / 2
    };
    (0..rows.len()).flat_map(|row| rows[place(row)]).copied().collect()
}

fn gguf_name(path: &str) -> String {
    let names = [
        ("model.embed_tokens", "token_embd"),
        ("model.norm", "output_norm"),
        ("model.layers.", "blk."),
        ("input_layernorm", "attn_norm"),
        ("post_attention_layernorm", "ffn_norm"),
        ("self_attn.q_proj", "attn_q"),
        ("self_attn.k_proj", "attn_k"),
        ("self_attn.v_proj", "attn_v"),
        ("self_attn.o_proj", "attn_output"),
        ("mlp.gate_proj", "ffn_gate"),
        ("mlp.up_proj", "ffn_up"),
        ("mlp.down_proj", "ffn_down"),
    ];
    let name = names.iter().fold(path.to_owned(), |name, (from, to)| name.replace(from, to));
    format!("{name}.weight")
}
