//! What import writes: values, types, settings; and that it writes nothing where it fails.

use std::fs;
use std::path::Path;

use idiolect::format::{ImportOptions, ImportReport, ModelFiles, import};
use idiolect::model::{LLAMA, ModuleId, Projection, TensorName};
use idiolect::{ErrorKind, Model, Result};
use idiolect_kernels::matrix::Encoding::{Affine, Float};
use idiolect_kernels::matrix::FloatType::{BF16, F16, F32};
use idiolect_kernels::matrix::{Encoding, FloatType};
use safetensors::Dtype;
use serde_json::{Value, json};

use crate::gguf_bytes::Gguf;
use crate::samples::{self, Values};
use crate::{matrices, values};

const Q: TensorName = TensorName::Linear(ModuleId { layer: 1, index: 0 });
const DOWN: TensorName = TensorName::Linear(ModuleId { layer: 0, index: 6 });

fn convert(source: &Path, destination: &Path, bits: Option<u8>, group_size: Option<usize>) -> Result<ImportReport> {
    import(source, destination, ImportOptions { bits, group_size }, |_, _| {})
}

fn config_of(folder: &Path) -> Value {
    serde_json::from_slice(&fs::read(folder.join("config.json")).unwrap()).unwrap()
}

fn affine(bits: u8, group: usize, scales: FloatType) -> Encoding {
    Affine { bits, group, scales }
}

/// A GGUF file whose matrices are random blocks of a type number, scales of both signs and moderate.
pub fn blocks(kind: u32, size: usize) -> Gguf {
    Gguf::tiny(|name, values| {
        let seed = name.bytes().fold(kind as u64, |seed, byte| seed.wrapping_mul(31) + u64::from(byte));
        let noise = samples::noise(values.len() / 32 * size, seed);
        let mut bytes: Vec<u8> = noise.iter().map(|x| (x * 128.0) as i8 as u8).collect();
        for block in bytes.chunks_exact_mut(size) {
            block[1] = 0x20 | block[1] & 0x87;
            if matches!(kind, 3 | 7) {
                block[3] = 0x20 | block[3] & 0x87;
            }
        }
        (kind, bytes)
    })
}

#[test]
fn forms_follow_options_and_source() {
    // The tiny model is 64 wide; its feed-forward half, 96, has no whole groups of 64.
    type Case = (Dtype, Option<u8>, Option<usize>, Encoding, Encoding, usize);
    let cases: [Case; 11] = [
        (Dtype::F32, None, None, affine(4, 64, F32), Float(F32), 11),
        (Dtype::F32, Some(5), Some(32), affine(5, 32, F32), affine(5, 32, F32), 15),
        (Dtype::BF16, Some(6), None, affine(6, 64, BF16), Float(BF16), 11),
        (Dtype::BF16, None, Some(32), affine(4, 32, BF16), affine(4, 32, BF16), 15),
        (Dtype::F16, Some(8), Some(64), affine(8, 64, F16), Float(F16), 11),
        (Dtype::F16, Some(8), Some(128), Float(F16), Float(F16), 0),
        (Dtype::F16, Some(16), None, Float(F16), Float(F16), 0),
        (Dtype::BF16, Some(16), Some(32), Float(BF16), Float(BF16), 0),
        (Dtype::F32, Some(16), None, Float(F16), Float(F16), 0),
        (Dtype::F16, Some(32), None, Float(F32), Float(F32), 0),
        (Dtype::BF16, Some(32), Some(128), Float(F32), Float(F32), 0),
    ];
    for (dtype, bits, group, q, down, quantized) in cases {
        let home = tempfile::tempdir().unwrap();
        let source = samples::folder(&home.path().join("source"), &samples::config(), &samples::tensors(), dtype);
        let destination = home.path().join("new/model");
        let mut last = (0, 1);
        let report =
            import(&source, &destination, ImportOptions { bits, group_size: group }, |done, all| last = (done, all))
                .unwrap();
        assert_eq!((report.quantized, last.0, report.parameters), (quantized, last.1, last.1), "{dtype:?} {bits:?}");
        let files = ModelFiles::open(&destination).unwrap();
        for (name, expected) in [(Q, q), (DOWN, down)] {
            assert_eq!(
                files.matrix(name).unwrap().encoding(),
                expected,
                "{name:?} from {dtype:?} at {bits:?} {group:?}"
            );
        }
        let stated = config_of(&destination);
        assert_eq!(stated.get("quantization").is_some(), quantized > 0);
        assert_eq!(stated.get("quantization"), stated.get("quantization_config"));
        assert_eq!(report.unquantized.len(), if quantized == 0 { 0 } else { 15 - quantized });
        let original = ModelFiles::open(&source).unwrap();
        if quantized == 0 {
            // The sample's values are the same in every float type.
            assert!(matrices(&files) == matrices(&original));
        } else {
            let worst = |name| {
                let pairs = values(&files, name).into_iter().zip(values(&original, name));
                pairs.map(|(new, old)| (new - old).abs()).fold(0.0, f32::max)
            };
            // A step of 4 bits: half of it by rounding, up to half at the end that the codes do not quite reach.
            assert!(worst(Q) > 0.0 && worst(Q) < 2.0 / 15.0, "{}", worst(Q));
        }
        assert_eq!(files.vector(TensorName::FinalNorm).unwrap(), original.vector(TensorName::FinalNorm).unwrap());
    }
}

#[test]
fn sixteen_bits_of_f32_are_those_that_the_configuration_names() {
    for (named, expected) in
        [(json!("bfloat16"), BF16), (json!("float16"), F16), (json!("float32"), F16), (json!(null), F16)]
    {
        let home = tempfile::tempdir().unwrap();
        let mut config = samples::config();
        config["torch_dtype"] = named.clone();
        let source = samples::folder(&home.path().join("source"), &config, &samples::tensors(), Dtype::F32);
        let destination = home.path().join("model");
        convert(&source, &destination, Some(16), None).unwrap();
        let files = ModelFiles::open(&destination).unwrap();
        assert_eq!(files.matrix(Q).unwrap().encoding(), Float(expected), "{named}");
        let name = if expected == BF16 { "bfloat16" } else { "float16" };
        assert_eq!(config_of(&destination)["torch_dtype"], name);
    }
}

#[cfg(unix)]
#[test]
fn what_others_may_write_may_be_cut_while_it_is_imported() {
    use std::os::unix::fs::PermissionsExt;
    for gguf in [false, true] {
        let home = tempfile::tempdir().unwrap();
        let at = |name: &str| home.path().join(name);
        let (source, weights) = if gguf {
            fs::write(at("model.gguf"), blocks(8, 34).bytes().0).unwrap();
            (at("model.gguf"), at("model.gguf"))
        } else {
            let folder = samples::folder(&at("model"), &samples::config(), &samples::tensors(), Dtype::F32);
            (folder.clone(), folder.join("model.safetensors"))
        };
        let expected = convert(&source, &at("expected"), Some(8), Some(32)).unwrap();
        fs::set_permissions(&weights, fs::Permissions::from_mode(0o666)).unwrap();
        let options = ImportOptions { bits: Some(8), group_size: Some(32) };
        let report = import(&source, &at("imported"), options, |_, _| {
            fs::File::options().write(true).open(&weights).unwrap().set_len(1).unwrap();
        });
        assert_eq!(report.unwrap().fingerprint, expected.fingerprint, "GGUF: {gguf}");
        let mut left: Vec<_> = fs::read_dir(home.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        left.sort();
        assert_eq!(left, ["expected", "imported", if gguf { "model.gguf" } else { "model" }]);
    }
}

#[test]
fn blocks_keep_their_values_bits_and_groups() {
    for (kind, size, bits) in [(2, 18, 4), (3, 20, 4), (6, 22, 5), (7, 24, 5), (8, 34, 8), (20, 18, 8)] {
        let home = tempfile::tempdir().unwrap();
        let source = home.path().join("model.gguf");
        fs::write(&source, blocks(kind, size).bytes().0).unwrap();
        let folder = home.path().join("kept");
        convert(&source, &folder, None, None).unwrap();
        let (gguf, kept) = (Model::open(&source).unwrap(), Model::open(&folder).unwrap());
        assert_eq!(kept.files().matrix(Q).unwrap().encoding(), affine(bits, 32, F16));
        assert_eq!(config_of(&folder)["quantization"], json!({ "group_size": 32, "bits": bits, "mode": "affine" }));
        assert!(matrices(kept.files()) == matrices(gguf.files()), "type {kind}");
        assert_eq!(kept.files().config(), gguf.files().config());
        assert_eq!(kept.tokenizer().eos_ids(), gguf.tokenizer().eos_ids());
        assert_ne!(kept.fingerprint(), gguf.fingerprint(), "another quantization");
        // 32 bits hold the very values as well; the same bits and group asked for are the same import.
        convert(&source, &home.path().join("wide"), Some(32), None).unwrap();
        assert!(matrices(&ModelFiles::open(&home.path().join("wide")).unwrap()) == matrices(gguf.files()));
        convert(&source, &home.path().join("asked"), Some(bits), Some(32)).unwrap();
        assert_eq!(Model::open(&home.path().join("asked")).unwrap().fingerprint(), kept.fingerprint());
        // And a folder that was imported imports as itself.
        let again = convert(&folder, &home.path().join("again"), None, None).unwrap();
        assert_eq!(again.fingerprint, kept.fingerprint());
        // Other bits: quantized anew from f16.
        convert(&source, &home.path().join("anew"), Some(8), Some(64)).unwrap();
        let anew = ModelFiles::open(&home.path().join("anew")).unwrap();
        assert_eq!(anew.matrix(Q).unwrap().encoding(), affine(8, 64, F16));
        assert_eq!(anew.matrix(DOWN).unwrap().encoding(), Float(F16));
        let error = convert(&source, &home.path().join("vague"), None, Some(64)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BadOption);
    }
}

#[test]
fn matrices_that_differ_are_named_in_the_settings() {
    let home = tempfile::tempdir().unwrap();
    let mixed = Gguf::tiny(|name, values| {
        let (kind, size) = match name {
            "token_embd.weight" => (8, 34),
            "blk.1.attn_q.weight" => (6, 22),
            _ => (2, 18),
        };
        (kind, vec![0x21; values.len() / 32 * size])
    });
    fs::write(home.path().join("model.gguf"), mixed.bytes().0).unwrap();
    let folder = home.path().join("model");
    convert(&home.path().join("model.gguf"), &folder, None, None).unwrap();
    let quantization = &config_of(&folder)["quantization"];
    assert_eq!(quantization["bits"], 4);
    for (path, bits) in [("model.embed_tokens", 8), ("model.layers.1.self_attn.q_proj", 5)] {
        assert_eq!(quantization[path], json!({ "group_size": 32, "bits": bits, "mode": "affine" }));
    }
    let [gguf, kept] = [home.path().join("model.gguf"), folder.clone()].map(|path| ModelFiles::open(&path).unwrap());
    assert_eq!(kept.matrix(Q).unwrap().encoding(), affine(5, 32, F16));
    assert!(matrices(&kept) == matrices(&gguf));

    // What the settings say of a module has to agree with its tensors.
    for (path, entry, expected) in [
        (
            "model.embed_tokens",
            json!({ "group_size": 32, "bits": 4 }),
            "where the configuration says 4 in groups of 32",
        ),
        ("model.embed_tokens", json!(false), "says that the module is not quantized"),
        ("model.embed_tokens", json!({ "group_size": 32 }), "model.embed_tokens.bits: missing"),
        ("model.embed_tokens", json!({ "group_size": 32, "bits": 8, "mode": "nvfp4" }), "mode: nvfp4"),
        ("mode", json!("mxfp4"), "quantization.mode: mxfp4"),
    ] {
        let mut config = config_of(&folder);
        config["quantization"][path] = entry;
        let other = home.path().join("other");
        fs::create_dir_all(&other).unwrap();
        fs::copy(folder.join("model.safetensors"), other.join("model.safetensors")).unwrap();
        fs::write(other.join("config.json"), config.to_string()).unwrap();
        let error = crate::refusal(&other);
        assert!(error.message().contains(expected), "{error}");
    }
}

#[test]
fn untied_heads_biases_and_other_files_go_along() {
    let home = tempfile::tempdir().unwrap();
    let mut config = samples::config();
    config["tie_word_embeddings"] = json!(true);
    config["mlp_bias"] = json!(true);
    config["something"] = json!([1, 2]);
    config["rope_parameters"] = json!({ "rope_type": "linear", "factor": 2.0, "rope_theta": 5e4 });
    let mut tensors = samples::tensors();
    tensors.push(samples::head());
    for layer in 0..samples::LAYERS {
        for projection in [Projection::Gate, Projection::Up, Projection::Down] {
            let values = samples::noise(samples::shape(projection)[0], 5);
            let name = format!("{}.bias", LLAMA.path(LLAMA.computing(layer, projection).unwrap()));
            tensors.push(Values { name, shape: vec![values.len()], values });
        }
    }
    let source = samples::folder(&home.path().join("source"), &config, &tensors, Dtype::BF16);
    fs::write(source.join("LICENSE"), "free").unwrap();
    fs::write(source.join("notes.txt"), "private").unwrap();
    let folder = home.path().join("model");
    convert(&source, &folder, None, Some(32)).unwrap();
    let (old, new) = (ModelFiles::open(&source).unwrap(), ModelFiles::open(&folder).unwrap());
    assert_eq!(new.config(), old.config());
    // Two tensors that differ are not tied, whatever the source said.
    assert!(!new.config().tie_word_embeddings);
    let up = LLAMA.computing(1, Projection::Up).unwrap();
    assert_eq!(new.bias(up).unwrap(), old.bias(up).unwrap());
    let stated = config_of(&folder);
    assert_eq!((&stated["something"], &stated["rope_theta"]), (&json!([1, 2]), &json!(5e4)));
    assert_eq!(stated["rope_scaling"], json!({ "factor": 2.0, "rope_type": "linear", "type": "linear" }));
    assert!(folder.join("LICENSE").exists() && folder.join("tokenizer_config.json").exists());
    assert!(!folder.join("notes.txt").exists());
}

#[test]
fn fingerprints_tell_models_apart_however_they_are_stored() {
    let home = tempfile::tempdir().unwrap();
    let source = samples::tiny(&home.path().join("source"));
    let folder = home.path().join("model");
    let report = convert(&source, &folder, Some(32), None).unwrap();
    let fingerprint = |path: &Path| Model::open(path).unwrap().fingerprint().to_owned();
    assert_eq!(fingerprint(&folder), report.fingerprint);
    assert_eq!(fingerprint(&source), report.fingerprint, "the same weights, tokenizer and template");

    // In two files.
    let tensors = samples::tensors();
    let sharded = samples::tiny(&home.path().join("sharded"));
    fs::remove_file(sharded.join("model.safetensors")).unwrap();
    let mut map = serde_json::Map::new();
    for (file, part) in [("1.safetensors", &tensors[..4]), ("2.safetensors", &tensors[4..])] {
        fs::write(sharded.join(file), samples::safetensors(part, Dtype::F32)).unwrap();
        map.extend(part.iter().map(|tensor| (tensor.name.clone(), json!(file))));
    }
    fs::write(sharded.join("model.safetensors.index.json"), json!({ "weight_map": map }).to_string()).unwrap();
    assert_eq!(fingerprint(&sharded), report.fingerprint);

    // One weight, the rotation, the template.
    let mut changed = tensors.clone();
    *changed[3].values.last_mut().unwrap() += 1.0;
    let mut rotated = samples::config();
    rotated["rope_theta"] = json!(20_000.0);
    for (config, tensors) in [(&samples::config(), &changed), (&rotated, &tensors)] {
        let other = samples::folder(&home.path().join("other"), config, tensors, Dtype::F32);
        assert_ne!(fingerprint(&other), report.fingerprint);
    }
    let templated = samples::tiny(&home.path().join("templated"));
    fs::write(templated.join("chat_template.jinja"), "{{ 1 }}").unwrap();
    assert_ne!(fingerprint(&templated), report.fingerprint);

    // A manifest beside other weights is not believed; one that is broken costs nothing but time.
    let manifest = fs::read(folder.join("idiolect.json")).unwrap();
    let mut others = tensors.clone();
    others[0].values[0] += 1.0;
    let other = samples::folder(&home.path().join("stale"), &samples::config(), &others, Dtype::F32);
    let before = fingerprint(&other);
    for content in [manifest, b"{".to_vec(), b"{\"weights\":{\"sample\":1}}".to_vec()] {
        fs::write(other.join("idiolect.json"), content).unwrap();
        assert_eq!(fingerprint(&other), before);
    }
}

#[test]
fn where_it_fails_nothing_is_left() {
    let nan = |tensors: &mut Vec<Values>| tensors[5].values[70] = f32::NAN;
    let huge = |tensors: &mut Vec<Values>| tensors[5].values[70] = 1e6;
    let sound = |_: &mut Vec<Values>| ();
    type Change<'a> = &'a dyn Fn(&mut Vec<Values>);
    type Case<'a> = (&'a str, Change<'a>, Option<u8>, Option<usize>, ErrorKind, &'a str);
    let cases: [Case<'_>; 9] = [
        ("", &nan, Some(4), Some(32), ErrorKind::BadFile, "gate_proj: holds NaN"),
        ("", &nan, Some(32), None, ErrorKind::BadFile, "gate_proj: holds NaN"),
        ("", &huge, Some(16), None, ErrorKind::BadFile, "gate_proj: holds values beyond"),
        ("tokenizer.json", &sound, None, None, ErrorKind::Io, "tokenizer.json"),
        ("config.json", &sound, None, None, ErrorKind::Io, "config.json"),
        ("model.safetensors", &sound, None, None, ErrorKind::Io, "model.safetensors"),
        ("", &sound, Some(7), None, ErrorKind::BadOption, "7 bits"),
        ("", &sound, Some(4), Some(16), ErrorKind::BadOption, "groups of 16"),
        ("", &sound, Some(16), Some(7), ErrorKind::BadOption, "groups of 7"),
    ];
    for (missing, change, bits, group, kind, expected) in cases {
        let home = tempfile::tempdir().unwrap();
        let mut tensors = samples::tensors();
        change(&mut tensors);
        let source = samples::folder(&home.path().join("source"), &samples::config(), &tensors, Dtype::F32);
        if !missing.is_empty() {
            fs::remove_file(source.join(missing)).unwrap();
        }
        let place = home.path().join("place");
        fs::create_dir(&place).unwrap();
        let error = convert(&source, &place.join("model"), bits, group).unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.message().contains(expected), "{error}");
        assert_eq!(fs::read_dir(&place).unwrap().count(), 0, "{expected}");
    }
    // What lies there stays.
    let home = tempfile::tempdir().unwrap();
    let source = samples::tiny(&home.path().join("source"));
    for occupied in [home.path().join("full"), home.path().join("file")] {
        if occupied.ends_with("full") {
            fs::create_dir(&occupied).unwrap();
            fs::write(occupied.join("precious"), "1").unwrap();
        } else {
            fs::write(&occupied, "1").unwrap();
        }
        assert!(convert(&source, &occupied, None, None).unwrap_err().message().contains("already there"));
    }
    assert_eq!(fs::read_dir(home.path()).unwrap().count(), 3);
    // An empty folder is as good as none.
    let empty = home.path().join("empty");
    fs::create_dir(&empty).unwrap();
    convert(&source, &empty, None, None).unwrap();
}
