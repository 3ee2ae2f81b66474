//! GGUF files of the families beside Llama: they hold what the family's row says, and are imported as such.

use std::fs;
use std::path::{Path, PathBuf};

use idiolect::format::{ImportOptions, ModelFiles, import};
use idiolect::model::{ModuleId, Projection};
use safetensors::Dtype;

use crate::gguf_bytes::{Gguf, Meta, Stored, interleave};
use crate::samples::{self, HEAD_DIM, HEADS, HIDDEN, KV_HEADS, LAYERS};
use crate::{matrices, refusal};

/// A family's name, what its layers have that Llama's have not, and whether rows lie as llama.cpp's converter permutes
/// Llama's.
type Row = (&'static str, &'static [(&'static str, usize)], bool);

const FAMILIES: [Row; 3] = [
    (
        "qwen2",
        &[
            ("attn_q.bias", HEADS * HEAD_DIM),
            ("attn_k.bias", KV_HEADS * HEAD_DIM),
            ("attn_v.bias", KV_HEADS * HEAD_DIM),
        ],
        false,
    ),
    ("qwen3", &[("attn_q_norm.weight", HEAD_DIM), ("attn_k_norm.weight", HEAD_DIM)], false),
    ("smollm3", &[], true),
];

/// The tiny model as a file of another architecture.
fn file(home: &Path, architecture: &'static str, of_layers: &[(&str, usize)]) -> PathBuf {
    let mut gguf = Gguf::tiny(|_, values| (0, samples::bytes(values, Dtype::F32)));
    for (key, value) in &mut gguf.meta {
        match key.strip_prefix("llama.") {
            Some(rest) => *key = format!("{architecture}.{rest}"),
            None if key == "general.architecture" => *value = Meta::Text(architecture),
            None => {}
        }
    }
    for layer in 0..LAYERS {
        for (number, &(name, len)) in of_layers.iter().enumerate() {
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
    for (architecture, of_layers, interleaved) in FAMILIES {
        let files = ModelFiles::open(&file(home.path(), architecture, of_layers)).unwrap();
        let config = files.config();
        assert_eq!(config.family.name, architecture);
        for ((name, values), (_, plain)) in matrices(&files).into_iter().zip(&llama) {
            let rotated = config
                .modules()
                .any(|module| name == module.into() && config.family.module(module).projection.is_rotated());
            // Where the family's files are not permuted, the rows are as they lie.
            let expected = if rotated && !interleaved { interleave(plain, HIDDEN) } else { plain.clone() };
            assert!(values == expected, "{architecture}: {name:?}");
        }
        let k = config.family.computing(1, Projection::K);
        let bias = of_layers.iter().any(|(name, _)| *name == "attn_k.bias");
        let expected = bias.then(|| samples::noise(KV_HEADS * HEAD_DIM, 11));
        assert_eq!(files.bias(k).unwrap(), expected, "{architecture}");
        assert_eq!(files.bias(ModuleId { layer: 1, index: 3 }).unwrap(), None, "{architecture}");
    }
}

#[test]
fn what_a_family_has_is_asked_for_by_name() {
    for (architecture, of_layers, _) in FAMILIES {
        for left_out in 0..of_layers.len() {
            let home = tempfile::tempdir().unwrap();
            let mut some = of_layers.to_vec();
            let (name, _) = some.remove(left_out);
            let error = refusal(&file(home.path(), architecture, &some));
            assert!(error.message().contains(&format!("blk.0.{name}: missing")), "{architecture}: {error}");
        }
        let home = tempfile::tempdir().unwrap();
        let error = refusal(&file(home.path(), architecture, &[of_layers, &[("ffn_other.weight", 4)]].concat()));
        let expected = format!("ffn_other.weight: no tensor of a {architecture} model");
        assert!(error.message().contains(&expected), "{architecture}: {error}");
    }
}

#[test]
fn an_imported_file_is_the_same_model() {
    for (architecture, of_layers, _) in FAMILIES {
        let home = tempfile::tempdir().unwrap();
        let source = file(home.path(), architecture, of_layers);
        let folder = home.path().join("folder");
        import(&source, &folder, ImportOptions { bits: Some(32), group_size: None }, |_, _| {}).unwrap();
        let (old, new) = (ModelFiles::open(&source).unwrap(), ModelFiles::open(&folder).unwrap());
        assert_eq!(new.config(), old.config(), "{architecture}");
        assert!(matrices(&new) == matrices(&old), "{architecture}");
        for module in old.config().modules() {
            assert_eq!(new.bias(module).unwrap(), old.bias(module).unwrap(), "{architecture}");
        }
        for norm in old.config().norms() {
            assert_eq!(new.vector(norm).unwrap(), old.vector(norm).unwrap(), "{architecture}");
        }
    }
}
