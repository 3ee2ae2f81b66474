//! GGUF files of the families beside Llama: they hold what the family's row says, and are imported as such.

use std::fs;
use std::path::{Path, PathBuf};

use idiolect::format::{ImportOptions, ModelFiles, import};
use idiolect::model::{ModuleId, Projection};
use safetensors::Dtype;

use crate::gguf_bytes::{Gguf, Meta, Stored, interleave};
use crate::samples::{self, HEAD_DIM, HEADS, HIDDEN, KV_HEADS, LAYERS};
use crate::{matrices, refusal};

/// A family as llama.cpp's converter writes it.
#[derive(Clone, Copy)]
struct Row {
    name: &'static str,
    /// What its layers have that Llama's have not, and how many values.
    more: &'static [(&'static str, usize)],
    /// What they have not that Llama's have.
    less: &'static [&'static str],
    /// Whether rows lie as Llama's are permuted.
    interleaved: bool,
}

const LIKE_LLAMA: Row = Row { name: "llama", more: &[], less: &[], interleaved: true };

const FAMILIES: [Row; 7] = [
    Row {
        name: "qwen2",
        more: &[
            ("attn_q.bias", HEADS * HEAD_DIM),
            ("attn_k.bias", KV_HEADS * HEAD_DIM),
            ("attn_v.bias", KV_HEADS * HEAD_DIM),
        ],
        interleaved: false,
        ..LIKE_LLAMA
    },
    Row {
        name: "qwen3",
        more: &[("attn_q_norm.weight", HEAD_DIM), ("attn_k_norm.weight", HEAD_DIM)],
        interleaved: false,
        ..LIKE_LLAMA
    },
    Row { name: "smollm3", ..LIKE_LLAMA },
    Row { name: "gemma", interleaved: false, ..LIKE_LLAMA },
    Row {
        name: "gemma2",
        more: &[("post_attention_norm.weight", HIDDEN), ("post_ffw_norm.weight", HIDDEN)],
        interleaved: false,
        ..LIKE_LLAMA
    },
    Row {
        name: "gemma3",
        more: &[
            ("attn_q_norm.weight", HEAD_DIM),
            ("attn_k_norm.weight", HEAD_DIM),
            ("post_attention_norm.weight", HIDDEN),
            ("post_ffw_norm.weight", HIDDEN),
        ],
        interleaved: false,
        ..LIKE_LLAMA
    },
    Row {
        name: "olmo2",
        more: &[
            ("attn_q_norm.weight", HEADS * HEAD_DIM),
            ("attn_k_norm.weight", KV_HEADS * HEAD_DIM),
            ("post_attention_norm.weight", HIDDEN),
            ("post_ffw_norm.weight", HIDDEN),
        ],
        less: &["attn_norm.weight", "ffn_norm.weight"],
        interleaved: false,
    },
];

/// The tiny model as a file of another architecture, with `more` in its layers.
fn file(home: &Path, family: Row, more: &[(&str, usize)]) -> PathBuf {
    let mut gguf = Gguf::tiny(|_, values| (0, samples::bytes(values, Dtype::F32)));
    for (key, value) in &mut gguf.meta {
        match key.strip_prefix("llama.") {
            Some(rest) => *key = format!("{}.{rest}", family.name),
            None if key == "general.architecture" => *value = Meta::Text(family.name),
            None => {}
        }
    }
    gguf.tensors.retain(|tensor| !family.less.iter().any(|name| tensor.name.ends_with(&format!(".{name}"))));
    for layer in 0..LAYERS {
        for (number, &(name, len)) in more.iter().enumerate() {
            let values = samples::noise(len, (10 * layer + number) as u64);
            let bytes = samples::bytes(&values, Dtype::F32);
            gguf.tensors.push(Stored { name: format!("blk.{layer}.{name}"), axes: vec![len as u64], kind: 0, bytes });
        }
    }
    let path = home.join("model.gguf");
    fs::write(&path, gguf.bytes().0).unwrap();
    path
}

#[test]
fn a_file_holds_what_its_family_has() {
    let home = tempfile::tempdir().unwrap();
    let llama = matrices(&ModelFiles::open(&samples::tiny(&home.path().join("folder"))).unwrap());
    for family in FAMILIES {
        let files = ModelFiles::open(&file(home.path(), family, family.more)).unwrap();
        let config = files.config();
        assert_eq!(config.family.gguf, Some(family.name));
        for ((name, values), (_, plain)) in matrices(&files).into_iter().zip(&llama) {
            let rotated = config
                .modules()
                .any(|module| name == module.into() && config.family.module(module).projection.is_rotated());
            // Where the family's files are not permuted, the rows are as they lie.
            let expected = if rotated && !family.interleaved { interleave(plain, HIDDEN) } else { plain.clone() };
            assert!(values == expected, "{}: {name:?}", family.name);
        }
        let k = config.family.computing(1, Projection::K).unwrap();
        let bias = family.more.iter().any(|(name, _)| *name == "attn_k.bias");
        let expected = bias.then(|| samples::noise(KV_HEADS * HEAD_DIM, 11));
        assert_eq!(files.bias(k).unwrap(), expected, "{}", family.name);
        assert_eq!(files.bias(ModuleId { layer: 1, index: 3 }).unwrap(), None, "{}", family.name);
    }
}

#[test]
fn what_a_family_has_is_asked_for_by_name() {
    for family in FAMILIES {
        for left_out in 0..family.more.len() {
            let home = tempfile::tempdir().unwrap();
            let mut some = family.more.to_vec();
            let (name, _) = some.remove(left_out);
            let error = refusal(&file(home.path(), family, &some));
            assert!(error.message().contains(&format!("blk.0.{name}: missing")), "{}: {error}", family.name);
        }
        let home = tempfile::tempdir().unwrap();
        let error = refusal(&file(home.path(), family, &[family.more, &[("ffn_other.weight", 4)]].concat()));
        let expected = format!("ffn_other.weight: no tensor of a {}", family.name);
        assert!(error.message().contains(&expected), "{}: {error}", family.name);
    }
}

#[test]
fn an_imported_file_is_the_same_model() {
    for family in FAMILIES {
        let home = tempfile::tempdir().unwrap();
        let source = file(home.path(), family, family.more);
        let folder = home.path().join("folder");
        import(&source, &folder, ImportOptions { bits: Some(32), group_size: None }, |_, _| {}).unwrap();
        let (old, new) = (ModelFiles::open(&source).unwrap(), ModelFiles::open(&folder).unwrap());
        assert_eq!(new.config(), old.config(), "{}", family.name);
        assert!(matrices(&new) == matrices(&old), "{}", family.name);
        for module in old.config().modules() {
            assert_eq!(new.bias(module).unwrap(), old.bias(module).unwrap(), "{}", family.name);
        }
        for norm in old.config().norms() {
            assert_eq!(new.vector(norm).unwrap(), old.vector(norm).unwrap(), "{}", family.name);
        }
    }
}
