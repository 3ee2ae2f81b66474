//! What opens, as what, and what is refused with which words.

use std::fs;
use std::sync::Arc;

use idiolect::ErrorKind::{self, BadFile, Io, Unsupported};
use idiolect::format::ModelFiles;
use idiolect::model::{LLAMA, ModelConfig, Projection, RopeParameters, RopeScaling, TensorName};
use idiolect::{DeviceChoice, Model, Session};
use safetensors::Dtype;
use serde_json::{Value, json};

use crate::samples::{self, HEAD_DIM, HIDDEN, LAYERS, VOCAB, Values};
use crate::{matrices, refusal, values};

/// The tiny model's `config.json` with some fields set; null removes one.
fn config(changes: Value) -> Value {
    let mut config = samples::config();
    for (field, value) in changes.as_object().unwrap() {
        match value {
            Value::Null => _ = config.as_object_mut().unwrap().remove(field),
            value => config[field] = value.clone(),
        }
    }
    config
}

#[test]
fn a_folder_gives_its_shape_and_tensors() {
    for dtype in [Dtype::F32, Dtype::F16, Dtype::BF16] {
        let home = tempfile::tempdir().unwrap();
        let path = samples::folder(home.path(), &samples::config(), &samples::tensors(), dtype);
        let files = ModelFiles::open(&path).unwrap();
        let ModelConfig { vocab_size, hidden_size, tie_word_embeddings, layers, .. } = files.config();
        assert_eq!((*vocab_size, *hidden_size, layers.len()), (VOCAB, HIDDEN, LAYERS));
        assert!(tie_word_embeddings);
        let q = LLAMA.computing(0, Projection::Q).unwrap();
        let linear = files.config().linear(q);
        assert_eq!((layers[1].attention.head_dim, linear.inputs, linear.outputs), (HEAD_DIM, HIDDEN, 96));
        // The sample's values are the same in every float type.
        for Values { name, values: expected, .. } in samples::tensors() {
            let path = name.strip_suffix(".weight").unwrap();
            if let Some(module) = LLAMA.module_at(path) {
                assert!(values(&files, module.into()) == expected, "{name} as {dtype:?}");
            }
        }
        assert_eq!(files.vector(TensorName::FinalNorm).unwrap(), samples::tensors().last().unwrap().values);
        assert_eq!(files.bias(q).unwrap(), None);
    }
}

#[test]
fn a_context_is_as_long_as_asked_for_and_made_for() {
    for (made_for, asked, expected) in [
        (64, None, 64),
        (64, Some(100), 64),
        (8192, None, 2048),
        (8192, Some(100), 2048),
        (8192, Some(2049), 2049),
        (8192, Some(usize::MAX), 8192),
        (1 << 30, Some(usize::MAX), 131_072),
    ] {
        let home = tempfile::tempdir().unwrap();
        let config = config(json!({ "max_position_embeddings": made_for }));
        let path = samples::folder(home.path(), &config, &samples::tensors(), Dtype::F32);
        let model = Model::open(&path).unwrap();
        let model = if let Some(context) = asked { model.with_context(context).unwrap() } else { model };
        assert_eq!(model.base().context, expected, "{asked:?} of {made_for}");
    }
}

#[test]
fn a_model_that_is_cut_while_it_is_open_is_refused_by_the_next_piece_of_work() {
    let home = tempfile::tempdir().unwrap();
    let path = samples::folder(home.path(), &samples::config(), &samples::tensors(), Dtype::F32);
    let model = Arc::new(Model::open(&path).unwrap());
    let mut session = Session::with_threads(Arc::clone(&model), DeviceChoice::Cpu, 1).unwrap();
    let mut logits = || idiolect::eval::logits(&mut session, None, &[vec![1, 2, 3]]);
    logits().unwrap();
    fs::File::options().write(true).open(path.join("model.safetensors")).unwrap().set_len(1000).unwrap();
    let error = logits().unwrap_err();
    assert_eq!(error.kind(), BadFile);
    assert!(error.message().contains("model.safetensors: file: was cut"), "{error}");
}

#[cfg(target_os = "linux")]
#[test]
fn a_descriptor_opens_by_its_path() {
    use std::os::fd::AsRawFd;
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("model.gguf");
    fs::write(&path, crate::import::blocks(8, 34).bytes().0).unwrap();
    let named = Model::open(&path).unwrap();
    let file = fs::File::open(&path).unwrap();
    fs::remove_file(&path).unwrap();
    let model = Model::open(format!("/proc/self/fd/{}", file.as_raw_fd()).as_ref()).unwrap();
    drop(file);
    assert_eq!(model.fingerprint(), named.fingerprint());
}

#[test]
fn both_spellings_of_rotary_settings_are_read() {
    let llama3 = json!({ "rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
        "original_max_position_embeddings": 32 });
    let scaled = RopeScaling::Llama3 {
        factor: 8.0,
        low_freq_factor: 1.0,
        high_freq_factor: 4.0,
        original_max_position_embeddings: 32,
    };
    let yarn = json!({ "rope_type": "yarn", "factor": 4.0, "beta_fast": 16.0, "original_max_position_embeddings": 32 });
    let stretched = RopeScaling::Yarn {
        factor: 4.0,
        original_max_position_embeddings: 32,
        beta_fast: 16.0,
        beta_slow: 1.0,
        attention_factor: 0.1 * 4f64.ln() + 1.0,
        truncate: true,
    };
    let mut inner = llama3.clone();
    inner["rope_theta"] = json!(5e5);
    for (changes, theta, scaling) in [
        (json!({}), 1e4, RopeScaling::None),
        (json!({ "rope_theta": null }), 1e4, RopeScaling::None),
        (json!({ "rope_theta": 500000 }), 5e5, RopeScaling::None),
        (json!({ "rope_scaling": llama3, "rope_theta": 5e5 }), 5e5, scaled.clone()),
        (json!({ "rope_parameters": inner, "rope_theta": null }), 5e5, scaled),
        (json!({ "rope_parameters": { "rope_theta": 2e4, "rope_type": "default" } }), 2e4, RopeScaling::None),
        (json!({ "rope_scaling": { "type": "linear", "factor": 2.0 } }), 1e4, RopeScaling::Linear { factor: 2.0 }),
        (json!({ "rope_scaling": { "type": "dynamic", "factor": 2.0 } }), 1e4, RopeScaling::Dynamic { factor: 2.0 }),
        (json!({ "rope_parameters": yarn, "rope_theta": null }), 1e4, stretched),
    ] {
        let home = tempfile::tempdir().unwrap();
        let path = samples::folder(home.path(), &config(changes.clone()), &samples::tensors(), Dtype::F32);
        let ropes = ModelFiles::open(&path).unwrap().config().ropes.clone();
        assert_eq!(ropes, [RopeParameters { dim: HEAD_DIM, theta, scaling }], "{changes}");
    }
}

#[test]
fn settings_that_are_unknown_or_absurd_are_refused_by_name() {
    let absurd = |n: u64| n;
    for (changes, kind, field) in [
        (json!({ "model_type": "falcon" }), Unsupported, "model_type: falcon"),
        (json!({ "architectures": ["MixtralForCausalLM"] }), Unsupported, "architectures: MixtralForCausalLM"),
        (json!({ "model_type": null, "architectures": null }), BadFile, "model_type: missing"),
        (json!({ "hidden_act": "gelu" }), Unsupported, "hidden_act: gelu"),
        (json!({ "rope_scaling": { "rope_type": "longrope" } }), Unsupported, "rope_scaling.rope_type: longrope"),
        (json!({ "rope_scaling": { "type": "su", "factor": 2 } }), Unsupported, "rope_scaling.type: su"),
        (json!({ "rope_scaling": { "type": "yarn" } }), BadFile, "rope_scaling.factor: missing"),
        (
            json!({ "rope_scaling": { "type": "yarn", "factor": 4, "beta_fast": 1 } }),
            BadFile,
            "rope_scaling: beta_fast",
        ),
        (
            json!({ "rope_scaling": { "type": "yarn", "factor": 4 }, "rope_theta": 1 }),
            BadFile,
            "rope_scaling: no frequencies to scale",
        ),
        (json!({ "rope_scaling": { "type": "dynamic", "factor": 0.5 } }), BadFile, "rope_scaling: factor"),
        (json!({ "rope_scaling": { "type": "linear" } }), BadFile, "rope_scaling.factor: missing"),
        (json!({ "rope_scaling": { "type": "linear", "factor": 0.0 } }), BadFile, "rope_scaling: factor"),
        (json!({ "partial_rotary_factor": 0.5 }), Unsupported, "partial_rotary_factor"),
        (json!({ "rope_theta": "x" }), BadFile, "rope_theta: not a number"),
        (json!({ "rope_theta": -1.0 }), BadFile, "rope_theta: -1"),
        (
            json!({ "layer_types": ["chunked_attention", "full_attention"] }),
            Unsupported,
            "layer_types: chunked_attention",
        ),
        (json!({ "quantization_config": { "quant_method": "gptq", "bits": 4 } }), Unsupported, "quant_method: gptq"),
        (json!({ "quantization": { "mode": "mxfp4" } }), Unsupported, "quantization.mode: mxfp4"),
        (json!({ "hidden_size": null }), BadFile, "hidden_size: missing"),
        (json!({ "hidden_size": "64" }), BadFile, "hidden_size: not a whole number"),
        (json!({ "hidden_size": -64 }), BadFile, "hidden_size: not a whole number"),
        (json!({ "hidden_size": absurd(1 << 60) }), BadFile, "hidden_size: 1152921504606846976 is outside"),
        (json!({ "num_hidden_layers": absurd(1 << 40) }), BadFile, "num_hidden_layers"),
        (json!({ "num_hidden_layers": 0 }), BadFile, "num_hidden_layers: 0"),
        (json!({ "num_attention_heads": 0, "head_dim": null }), BadFile, "num_attention_heads: 0"),
        (json!({ "num_attention_heads": 5, "head_dim": null }), BadFile, "num_attention_heads: 5"),
        (json!({ "num_key_value_heads": 3 }), BadFile, "num_key_value_heads: 3"),
        (json!({ "head_dim": 23 }), BadFile, "head_dim: 23 is odd"),
        (json!({ "rms_norm_eps": 0.0 }), BadFile, "rms_norm_eps: 0"),
        (json!({ "num_hidden_layers": 3 }), BadFile, "model.layers.2.self_attn.q_proj.weight: missing"),
        (json!({ "num_hidden_layers": 1 }), Unsupported, "model.layers.1"),
        (json!({ "vocab_size": 100 }), BadFile, "model.embed_tokens.weight: shape [260, 64]"),
        (json!({ "attention_bias": true }), BadFile, "model.layers.0.self_attn.q_proj.bias: missing"),
    ] {
        let home = tempfile::tempdir().unwrap();
        let error = refusal(&samples::folder(home.path(), &config(changes.clone()), &samples::tensors(), Dtype::F32));
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.message().contains(field), "{changes}: {error}");
        assert!(error.message().contains(&home.path().display().to_string()), "{error}");
    }
}

#[test]
fn what_is_no_model_says_so() {
    for (name, content, kind, expected) in [
        ("config.json", &b"{"[..], BadFile, "line 1 column 1: not JSON"),
        ("config.json", b"[]", BadFile, "not a JSON object"),
        ("config.json", b"", BadFile, "not JSON"),
        ("readme", b"", Io, "config.json: "),
        ("model.gguf", b"GGML", BadFile, "magic: not GGUF"),
        ("model.gguf", b"", BadFile, "header: reaches beyond"),
    ] {
        let home = tempfile::tempdir().unwrap();
        fs::write(home.path().join(name), content).unwrap();
        let error = refusal(home.path());
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.message().contains(expected), "{error}");
    }
    let home = tempfile::tempdir().unwrap();
    assert_eq!(refusal(&home.path().join("absent")).kind(), Io);
    let path = samples::tiny(home.path());
    fs::rename(path.join("model.safetensors"), path.join("pytorch_model.bin")).unwrap();
    assert_eq!(refusal(&path).kind(), Unsupported);
    fs::remove_file(path.join("pytorch_model.bin")).unwrap();
    assert_eq!(refusal(&path).kind(), Io);
}

#[test]
fn heads_and_embeddings_are_found_whatever_their_names() {
    let same = |tensors: &mut Vec<Values>| tensors.push(Values { name: "lm_head.weight".into(), ..tensors[0].clone() });
    let other = |tensors: &mut Vec<Values>| tensors.push(samples::head());
    let renamed = |tensors: &mut Vec<Values>| tensors[0].name = "lm_head.weight".into();
    let none = |_: &mut Vec<Values>| ();
    let gone = |tensors: &mut Vec<Values>| _ = tensors.remove(0);
    type Change<'a> = &'a dyn Fn(&mut Vec<Values>);
    let cases: [(&str, Value, Change<'_>, Result<bool, &str>); 11] = [
        ("embedding alone, tied", json!(true), &none, Ok(true)),
        ("head alone, tied", json!(true), &renamed, Ok(true)),
        ("two alike, tied", json!(true), &same, Ok(true)),
        ("two that differ, said to be tied", json!(true), &other, Ok(false)),
        ("nothing, tied", json!(true), &gone, Err("model.embed_tokens.weight: missing")),
        ("two, untied", json!(false), &other, Ok(false)),
        ("two alike, untied", json!(false), &same, Ok(false)),
        ("embedding alone, untied", json!(false), &none, Err("lm_head.weight: missing")),
        ("head alone, untied", json!(false), &renamed, Err("model.embed_tokens.weight: missing")),
        ("embedding alone, not said", Value::Null, &none, Ok(true)),
        ("two, not said", Value::Null, &other, Ok(false)),
    ];
    for (case, tie, change, expected) in cases {
        let home = tempfile::tempdir().unwrap();
        let mut tensors = samples::tensors();
        change(&mut tensors);
        let config = config(json!({ "tie_word_embeddings": tie }));
        let path = samples::folder(home.path(), &config, &tensors, Dtype::F32);
        match (ModelFiles::open(&path), expected) {
            (Ok(files), Ok(tied)) => {
                assert_eq!(files.config().tie_word_embeddings, tied, "{case}");
                let [embedding, head] = [TensorName::Embedding, TensorName::Head].map(|name| values(&files, name));
                assert_eq!(embedding, samples::tensors()[0].values, "{case}");
                let differs = tensors.iter().any(|tensor| tensor.values == samples::head().values);
                assert_eq!(head == embedding, !differs, "{case}");
            }
            (Err(error), Err(expected)) => assert!(error.message().contains(expected), "{case}: {error}"),
            (opened, _) => panic!("{case}: {opened:?}"),
        }
    }
}

#[test]
fn biases_come_with_the_model_that_has_them() {
    let home = tempfile::tempdir().unwrap();
    let mut tensors = samples::tensors();
    for layer in 0..LAYERS {
        for projection in [Projection::Q, Projection::K, Projection::V, Projection::O] {
            let values = samples::noise(samples::shape(projection)[0], layer as u64 + 50);
            let name = format!("{}.bias", LLAMA.path(LLAMA.computing(layer, projection).unwrap()));
            tensors.push(Values { name, shape: vec![values.len()], values });
        }
    }
    let expected = tensors[tensors.len() - 4].values.clone();
    let path = samples::folder(home.path(), &config(json!({ "attention_bias": true })), &tensors, Dtype::F32);
    let files = ModelFiles::open(&path).unwrap();
    assert_eq!(files.bias(LLAMA.computing(LAYERS - 1, Projection::Q).unwrap()).unwrap(), Some(expected));
    assert_eq!(files.bias(LLAMA.computing(0, Projection::Gate).unwrap()).unwrap(), None);
    // Not in the configuration: a tensor without a place.
    fs::write(path.join("config.json"), samples::config().to_string()).unwrap();
    let error = refusal(&path);
    assert!(
        error.kind() == Unsupported && error.message().contains("k_proj.bias: no tensor of a llama model"),
        "{error}"
    );
}

#[test]
fn tensors_of_the_wrong_kind_are_refused_by_name() {
    type Change<'a> = &'a dyn Fn(&mut Vec<Values>);
    let cases: [(Change<'_>, Dtype, ErrorKind, &str); 4] = [
        (&|tensors| _ = tensors.pop(), Dtype::F32, BadFile, "model.norm.weight: missing"),
        (&|tensors| tensors[1].shape.reverse(), Dtype::F32, BadFile, "q_proj.weight: shape [64, 96]"),
        (&|tensors| tensors[0].name = "x\n\u{7}".into(), Dtype::F32, BadFile, "model.embed_tokens.weight: missing"),
        (
            &|tensors| tensors.push(Values { name: "x\n".repeat(200), shape: vec![1], values: vec![0.0] }),
            Dtype::F32,
            Unsupported,
            "x\\nx\\nx",
        ),
    ];
    for (change, dtype, kind, expected) in cases {
        let home = tempfile::tempdir().unwrap();
        let mut tensors = samples::tensors();
        change(&mut tensors);
        let error = refusal(&samples::folder(home.path(), &samples::config(), &tensors, dtype));
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.message().contains(expected) && error.message().len() < 500, "{error}");
    }
    // A type that is no float: the same bytes under another name.
    let home = tempfile::tempdir().unwrap();
    let path = samples::tiny(home.path());
    let file = path.join("model.safetensors");
    let bytes = fs::read(&file).unwrap();
    for (from, to, expected) in [("F32", "I32", "type I32"), ("F32", "U32", "type U32")] {
        let header = 8 + u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
        let text = String::from_utf8(bytes[8..header].to_vec()).unwrap().replace(from, to);
        fs::write(&file, [&bytes[..8], text.as_bytes(), &bytes[header..]].concat()).unwrap();
        let error = refusal(&path);
        assert!(error.message().contains(expected), "{error}");
    }
    // NaN in a norm shows when it is read.
    let mut tensors = samples::tensors();
    tensors.last_mut().unwrap().values[3] = f32::NAN;
    let files = ModelFiles::open(&samples::folder(home.path(), &samples::config(), &tensors, Dtype::F32)).unwrap();
    assert!(files.vector(TensorName::FinalNorm).unwrap_err().message().contains("model.norm.weight: holds NaN"));
}

#[test]
fn shards_are_one_model_and_their_index_is_checked() {
    let home = tempfile::tempdir().unwrap();
    let path = samples::tiny(home.path());
    let whole = matrices(&ModelFiles::open(&path).unwrap());
    let tensors = samples::tensors();
    let (first, second) = tensors.split_at(7);
    fs::remove_file(path.join("model.safetensors")).unwrap();
    for (name, part) in [("a.safetensors", first), ("b.safetensors", second)] {
        fs::write(path.join(name), samples::safetensors(part, Dtype::F32)).unwrap();
    }
    fs::write(home.path().parent().unwrap().join("outside.safetensors"), b"").unwrap();
    let map = || {
        let part = |tensors: &[Values], file: &str| -> Vec<(String, Value)> {
            tensors.iter().map(|tensor| (tensor.name.clone(), json!(file))).collect()
        };
        part(first, "a.safetensors").into_iter().chain(part(second, "b.safetensors")).collect::<serde_json::Map<_, _>>()
    };
    let index = path.join("model.safetensors.index.json");
    fs::write(&index, json!({ "weight_map": map() }).to_string()).unwrap();
    assert!(matrices(&ModelFiles::open(&path).unwrap()) == whole);

    for (tensor, file, expected) in [
        ("model.norm.weight", json!("../outside.safetensors"), "not the name of a .safetensors file"),
        ("model.norm.weight", json!("/etc/passwd"), "not the name of a .safetensors file"),
        ("model.norm.weight", json!(".."), "not the name of a .safetensors file"),
        ("model.norm.weight", json!("config.json"), "not the name of a .safetensors file"),
        ("model.norm.weight", json!(3), "not the name of a .safetensors file"),
        ("model.norm.weight", json!("a.safetensors"), "model.norm.weight: not in a.safetensors"),
        ("model.norm.weight", json!("c.safetensors"), "c.safetensors: "),
        ("ghost", json!("a.safetensors"), "ghost: not in a.safetensors"),
    ] {
        let mut map = map();
        map.insert(tensor.into(), file.clone());
        fs::write(&index, json!({ "weight_map": map }).to_string()).unwrap();
        let error = refusal(&path);
        assert!(error.message().contains(expected), "{file}: {error}");
    }
    // The same tensor in two shards.
    fs::write(&index, json!({ "weight_map": map() }).to_string()).unwrap();
    let twice: Vec<_> = second.iter().chain(&first[..1]).cloned().collect();
    fs::write(path.join("b.safetensors"), samples::safetensors(&twice, Dtype::F32)).unwrap();
    assert!(refusal(&path).message().contains("also in "));
    fs::write(&index, "{}").unwrap();
    assert!(refusal(&path).message().contains("weight_map: missing"));
}
