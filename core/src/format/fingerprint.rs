//! What makes a model the same model: an adapter belongs to the base that it was trained on.

use std::path::Path;
use std::time::Instant;

use rayon::prelude::*;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::known_weights::KnownWeights;
use super::model_files::{ModelFiles, ModelLayout};
use super::tensor::Tensor;
use crate::disk::json::JsonFields;
use crate::shape::{ModelConfig, RopeScaling};
use crate::trace::{self, Event};

/// Our own file in a model folder that `import` wrote.
pub(crate) const MANIFEST: &str = "idiolect.json";

/// The manifest's field that says how plain prompts begin.
pub(crate) const DOCUMENT_START: &str = "document_start";

/// Bytes hashed by one thread at a time.
const CHUNK: usize = 4 << 20;
/// Bytes of a tensor in its sample.
const SAMPLE: usize = 64;

impl ModelFiles {
    /// What makes it this model and no other, in hexadecimal: a hash over shape, weights with their quantization, and
    /// `tokenizer`, the hash of tokenizer and chat template. The same however the weights are spread over files. Reads
    /// all weights, but for a folder that `import` wrote and for files that are `known`.
    pub(crate) fn fingerprint(&self, tokenizer: &[u8; 32], known: Option<&KnownWeights>) -> String {
        let noted = match self.layout() {
            ModelLayout::Folder(folder) => noted(folder, self.config(), self.stored()),
            ModelLayout::Gguf(_) => None,
        };
        let weights = noted.unwrap_or_else(|| {
            let hash = || {
                let began = Instant::now();
                let hash = of_weights(self.config(), self.stored());
                let (bytes, milliseconds) = (self.weight_bytes(), trace::milliseconds_since(began));
                trace::tell(Event::WeightsHashed { bytes, milliseconds });
                hash
            };
            match known {
                Some(known) => known.hash_of(self.mapped(), &of_sample(self.config(), self.stored()), hash),
                None => hash(),
            }
        });
        hex(&Sha256::new().chain_update(weights).chain_update(tokenizer).finalize())
    }

    /// Whether plain prompts begin with the document-start token: in a folder with an adapter merged in that learned so.
    pub(crate) fn document_start(&self) -> bool {
        let ModelLayout::Folder(folder) = self.layout() else { return false };
        // As with the noted hash, a manifest that cannot be read says nothing.
        let manifest = JsonFields::read(&folder.join(MANIFEST));
        manifest.is_ok_and(|manifest| manifest.bool(DOCUMENT_START).ok().flatten() == Some(true))
    }

    /// Bytes of all tensors.
    pub(crate) fn weight_bytes(&self) -> u64 {
        self.stored().iter().map(|tensor| tensor.bytes.len() as u64).sum()
    }
}

/// The SHA-256 of shape and tensors (names, types, shapes, bytes), whatever files they lie in. Reads every byte.
fn of_weights(config: &ModelConfig, tensors: &[Tensor]) -> [u8; 32] {
    let chunks: Vec<&[u8]> = tensors.iter().flat_map(|tensor| tensor.bytes.chunks(CHUNK)).collect();
    let mut hashed = chunks.into_par_iter().map(Sha256::digest).collect::<Vec<_>>().into_iter();
    digest(config, tensors, |tensor, digest| {
        hashed.by_ref().take(tensor.bytes.len().div_ceil(CHUNK)).for_each(|chunk| digest.update(chunk));
    })
}

/// The same over the first bytes of each tensor: cheap, and another one for other weights, but blind to a change
/// further in.
fn of_sample(config: &ModelConfig, tensors: &[Tensor]) -> [u8; 32] {
    digest(config, tensors, |tensor, digest| digest.update(&tensor.bytes[..tensor.bytes.len().min(SAMPLE)]))
}

fn digest(config: &ModelConfig, tensors: &[Tensor], mut bytes: impl FnMut(&Tensor, &mut Sha256)) -> [u8; 32] {
    let mut digest = Sha256::new();
    digest.update(shape(config).to_string());
    for tensor in tensors {
        digest.update(json!([tensor.name, tensor.storage.to_string(), tensor.shape]).to_string());
        bytes(tensor, &mut digest);
    }
    digest.finalize().into()
}

/// Everything of the shape that changes what is computed.
fn shape(config: &ModelConfig) -> Value {
    let (layer, rope) = (&config.layers[0], config.ropes.first());
    let attention = &layer.attention;
    let mut shape = json!({
        "family": config.family.name,
        "vocab_size": config.vocab_size,
        "hidden_size": config.hidden_size,
        "intermediate_size": layer.intermediate_size,
        "layers": config.layers.len(),
        "heads": attention.heads,
        "kv_heads": attention.kv_heads,
        "head_dim": attention.head_dim,
        "rms_norm_eps": layer.norm.epsilon,
        "rope_theta": rope.map(|rope| rope.theta),
        "rope_scaling": rope.map(|rope| scaling(&rope.scaling)),
        "tied": config.tie_word_embeddings,
    });
    // What a model has none of is not said: models were noted before any had it.
    if let Some(local) = config.ropes.get(1) {
        shape["local_rope"] = json!([local.theta, scaling(&local.scaling)]);
    }
    if (attention.cap, config.logit_cap) != (None, None) {
        shape["caps"] = json!([attention.cap, config.logit_cap]);
    }
    if attention.scale != 1.0 / (attention.head_dim as f32).sqrt() {
        shape["attention_scale"] = json!(attention.scale);
    }
    if let Some(rope) = rope.filter(|rope| rope.dim != attention.head_dim) {
        shape["rotated"] = json!(rope.dim);
    }
    let kinds = config.layers.iter().map(|layer| (layer.attention.window, layer.attention.rope));
    if kinds.clone().any(|kind| kind != (None, Some(0))) {
        let rotation =
            |rope: Option<usize>| rope.map_or(json!(false), |rope| if rope == 0 { json!(true) } else { json!(rope) });
        shape["layer_kinds"] = kinds.map(|(window, rope)| json!([window, rotation(rope)])).collect();
    }
    shape
}

/// A rotation's stretch.
fn scaling(scaling: &RopeScaling) -> Value {
    match scaling {
        RopeScaling::None => json!(null),
        RopeScaling::Linear { factor } => json!(["linear", factor]),
        RopeScaling::Dynamic { factor } => json!(["dynamic", factor]),
        RopeScaling::Yarn {
            factor,
            original_max_position_embeddings,
            beta_fast,
            beta_slow,
            attention_factor,
            truncate,
        } => {
            json!(["yarn", factor, original_max_position_embeddings, beta_fast, beta_slow, attention_factor, truncate])
        }
        RopeScaling::Llama3 { factor, low_freq_factor, high_freq_factor, original_max_position_embeddings } => {
            json!(["llama3", factor, low_freq_factor, high_freq_factor, original_max_position_embeddings])
        }
        RopeScaling::Factors(factors) => json!(["factors", factors]),
        RopeScaling::LongRope { short_factors, long_factors, original_max_position_embeddings, attention_factor } => {
            json!(["longrope", short_factors, long_factors, original_max_position_embeddings, attention_factor])
        }
    }
}

/// What `import` notes of the weights that it wrote, so that they need not be hashed again.
pub(crate) fn manifest_entry(config: &ModelConfig, tensors: &[Tensor]) -> Value {
    json!({ "sha256": hex(&of_weights(config, tensors)), "sample": hex(&of_sample(config, tensors)) })
}

/// The noted hash of the weights in a folder, where it is that of these very tensors.
fn noted(folder: &Path, config: &ModelConfig, tensors: &[Tensor]) -> Option<[u8; 32]> {
    // A manifest that cannot be read only costs the time to hash.
    let weights = JsonFields::read(&folder.join(MANIFEST)).ok()?.fields("weights").ok()??;
    let sample = weights.str("sample").ok()??;
    (sample == hex(&of_sample(config, tensors))).then(|| from_hex(weights.str("sha256").ok()??))?
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn from_hex(text: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    if text.len() != 64 || !text.is_ascii() {
        return None;
    }
    for (byte, at) in bytes.iter_mut().zip((0..64).step_by(2)) {
        *byte = u8::from_str_radix(&text[at..at + 2], 16).ok()?;
    }
    Some(bytes)
}
