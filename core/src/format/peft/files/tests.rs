use std::fs;

use super::*;
use crate::format::peft::Modules;
use crate::shape::{LLAMA, Sizes};

const Q0: &str = "model.layers.0.self_attn.q_proj";

const RANK: usize = 2;

fn config() -> LoraConfig {
    LoraConfig { rank: RANK, target_modules: names(&["q_proj", "down_proj"]), ..LoraConfig::default() }
}

fn names(names: &[&str]) -> Modules {
    Modules::Names(names.iter().map(|&name| name.to_owned()).collect())
}

/// Factors of `config()` for a model, numbered so that a transposed or shifted one shows.
fn factors(model: &ModelConfig) -> Vec<Factors> {
    let numbered = |len: usize, start: f32| (0..len).map(|i| start + i as f32 / 64.0).collect();
    let place = |module: ModuleId| {
        let LinearSpec { inputs, outputs, .. } = model.linear(module);
        let start = module.layer as f32 * 10.0 + module.index as f32;
        let path = model.family.path(module);
        Factors { path, a: numbered(RANK * inputs, start), b: numbered(RANK * outputs, -start) }
    };
    config().targets(model).unwrap().into_iter().map(place).collect()
}

fn written(home: &Path) -> PathBuf {
    let folder = home.join("adapter");
    let model = ModelConfig::tiny();
    AdapterFiles::write(&folder, &config(), &factors(&model), &AdapterRecord::default()).unwrap();
    folder
}

#[test]
fn reads_back_what_it_wrote() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("adapter");
    let model = ModelConfig::tiny();
    let report = json!({ "loss": 0.1 }).as_object().unwrap().clone();
    let record = AdapterRecord { base_fingerprint: Some("ab".into()), document_start: true, scaling: None, report };
    let config = LoraConfig {
        alpha: 3.5,
        dropout: 0.05,
        rslora: true,
        layers_to_transform: Some(vec![1]),
        exclude_modules: Some(Modules::from_text(r".*\.v_proj")),
        base_model_name_or_path: Some("x".into()),
        ..config()
    };
    let factors: Vec<_> =
        factors(&model).into_iter().filter(|factors| factors.path.starts_with("model.layers.1.")).collect();
    AdapterFiles::write(&folder, &config, &factors, &record).unwrap();
    // A second adapter takes its place.
    AdapterFiles::write(&folder, &config, &factors, &record).unwrap();
    let files = AdapterFiles::open(&folder).unwrap();
    assert_eq!((files.config(), files.record()), (&config, Some(&record)));
    assert_eq!(files.tensor_count(), 4);
    assert_eq!(files.factors(&model).unwrap(), factors);
    let written: Map<String, Value> = serde_json::from_slice(&fs::read(folder.join(CONFIG)).unwrap()).unwrap();
    assert!(written.keys().is_sorted(), "PEFT sorts its keys");
}

#[test]
fn what_is_cut_after_it_was_opened_is_there() {
    let home = tempfile::tempdir().unwrap();
    let folder = written(home.path());
    let files = AdapterFiles::open(&folder).unwrap();
    fs::File::options().write(true).open(folder.join(TENSORS)).unwrap().set_len(1).unwrap();
    let model = ModelConfig::tiny();
    assert_eq!(files.factors(&model).unwrap(), factors(&model));
}

#[test]
fn who_opens_it_finishes_what_was_killed_while_it_was_replaced() {
    let home = tempfile::tempdir().unwrap();
    let [folder, new] = ["adapter", "new"].map(|name| home.path().join(name));
    for (place, alpha) in [(&folder, 4.0), (&new, 5.0)] {
        let config = LoraConfig { alpha, ..config() };
        AdapterFiles::write(place, &config, &factors(&ModelConfig::tiny()), &AdapterRecord::default()).unwrap();
    }
    fs::rename(&folder, home.path().join(".adapter.old-7-18a-0")).unwrap();
    fs::rename(&new, home.path().join(".adapter.partial-7-18a-0")).unwrap();
    assert_eq!(AdapterFiles::open(&folder).unwrap().config().alpha, 5.0);
    assert_eq!(fs::read_dir(home.path()).unwrap().count(), 1);
}

#[test]
fn settings_are_honoured_or_refused_by_name() {
    let home = tempfile::tempdir().unwrap();
    let folder = written(home.path());
    let original: Value = serde_json::from_slice(&fs::read(folder.join(CONFIG)).unwrap()).unwrap();
    let refused = |field: &str| Err((ErrorKind::Unsupported, field.to_owned()));
    let broken = |field: &str| Err((ErrorKind::BadFile, field.to_owned()));
    for (field, value, expected) in [
        ("peft_type", json!("PROMPT_TUNING"), refused("peft_type")),
        ("peft_type", json!(null), broken("peft_type")),
        ("task_type", json!("SEQ_CLS"), refused("task_type")),
        ("task_type", json!(null), Ok(())),
        ("bias", json!("all"), refused("bias")),
        ("use_dora", json!(true), refused("use_dora")),
        ("lora_bias", json!(true), refused("lora_bias")),
        ("fan_in_fan_out", json!(true), Ok(())),
        ("modules_to_save", json!(["lm_head"]), refused("modules_to_save")),
        ("rank_pattern", json!({ "q_proj": 4 }), refused("rank_pattern")),
        ("alpha_pattern", json!({ "q_proj": 4 }), refused("alpha_pattern")),
        ("layer_replication", json!([[0, 1]]), refused("layer_replication")),
        ("target_parameters", json!(["x"]), refused("target_parameters")),
        ("trainable_token_indices", json!([1]), refused("trainable_token_indices")),
        ("init_lora_weights", json!("pissa_niter_4"), refused("init_lora_weights")),
        ("init_lora_weights", json!("gaussian"), Ok(())),
        ("layers_pattern", json!("h"), Ok(())),
        ("target_modules", json!(null), broken("target_modules")),
        ("target_modules", json!([1]), broken("target_modules")),
        ("target_modules", json!("(q_proj"), broken("target_modules")),
        ("exclude_modules", json!("["), broken("exclude_modules")),
        ("lora_alpha", json!(1e308), broken("r, lora_alpha, lora_dropout")),
        ("r", json!("8"), broken("r")),
        ("r", json!(0), broken("r, lora_alpha, lora_dropout")),
        ("lora_dropout", json!(1.5), broken("r, lora_alpha, lora_dropout")),
        ("something_of_tomorrow", json!(true), Ok(())),
        ("revision", json!("main"), Ok(())),
        ("inference_mode", json!(false), Ok(())),
    ] {
        let mut changed = original.clone();
        changed[field] = value.clone();
        fs::write(folder.join(CONFIG), changed.to_string()).unwrap();
        let opened = AdapterFiles::open(&folder).map(|_| ()).map_err(|error| (error.kind(), error.to_string()));
        match (&opened, &expected) {
            (Ok(()), Ok(())) => {}
            (Err((kind, message)), Err((expected, field))) => {
                assert_eq!(kind, expected, "{message}");
                assert!(message.contains(&format!("{CONFIG}: {field}: ")), "{message}");
            }
            _ => panic!("{field} = {value}: {opened:?}"),
        }
    }
}

#[test]
fn an_adapter_that_does_not_fit_is_refused() {
    let home = tempfile::tempdir().unwrap();
    let folder = written(home.path());
    let files = AdapterFiles::open(&folder).unwrap();
    for (sizes, expected) in [
        (Sizes { layers: 1, ..Sizes::tiny() }, "model.layers.1.self_attn.q_proj: the model has 1 layers"),
        (Sizes { heads: 4, ..Sizes::tiny() }, "shape [16, 2] where this model needs [32, 2]"),
        (Sizes { hidden_size: 8, ..Sizes::tiny() }, "shape [2, 12] where this model needs [2, 8]"),
    ] {
        let error = files.factors(&sizes.of_llama()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AdapterMismatch, "{error}");
        assert!(error.message().contains(expected), "{error}");
    }
    // A deeper model has layers that the adapter lacks.
    let error = files.factors(&Sizes { layers: 3, ..Sizes::tiny() }.of_llama()).unwrap_err();
    assert!(error.message().contains("model.layers.2.self_attn.q_proj: A: missing"), "{error}");
}

#[test]
fn tensors_and_settings_have_to_agree() {
    let model = ModelConfig::tiny();
    let q0 = factors(&model).remove(0);
    let with = |values: &dyn Fn(&mut Factors)| {
        let mut changed = q0.clone();
        values(&mut changed);
        vec![changed]
    };
    let nan = |factors: &mut Factors| factors.b[3] = f32::NAN;
    let infinite = |factors: &mut Factors| factors.a[0] = f32::INFINITY;
    for (targets, factors, kind, expected) in [
        (names(&["q_proj"]), vec![], ErrorKind::AdapterMismatch, "no tensor applies"),
        (names(&["v_proj"]), vec![q0.clone()], ErrorKind::BadFile, "target_modules does not mean it"),
        (names(&["norm"]), vec![q0.clone()], ErrorKind::AdapterMismatch, "no linear layer of the model is meant"),
        (names(&["lm_head"]), vec![q0.clone()], ErrorKind::Unsupported, "lm_head cannot be adapted"),
        (names(&[Q0]), with(&nan), ErrorKind::BadFile, "lora_B.weight: holds NaN"),
        (names(&[Q0]), with(&infinite), ErrorKind::BadFile, "lora_A.weight: holds NaN"),
    ] {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join("adapter");
        let config = LoraConfig { target_modules: targets, ..config() };
        AdapterFiles::write(&folder, &config, &factors, &AdapterRecord::default()).unwrap();
        let error = AdapterFiles::open(&folder).unwrap().factors(&model).unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.message().contains(expected), "{error}");
    }
}

#[test]
fn unknown_tensors_are_refused_by_name() {
    for (name, known) in [
        (format!("{ROOT}{Q0}.lora_A.weight"), true),
        (format!("{ROOT}{Q0}.lora_magnitude_vector"), false),
        (format!("{ROOT}{Q0}.lora_A.default.weight"), false),
        (format!("{Q0}.lora_A.weight"), false),
        (format!("{ROOT}model.layers.00.self_attn.q_proj.lora_A.weight"), false),
        (format!("{ROOT}model.layers.0.mlp.q_proj.lora_A.weight"), false),
        (format!("{ROOT}model.embed_tokens.lora_embedding_A"), false),
        (format!("{ROOT}lm_head.lora_A.weight"), false),
    ] {
        let module = peft_place(&name).and_then(|(path, _)| LLAMA.module_at(path));
        assert_eq!(module.is_some(), known, "{name}");
    }
}

#[test]
fn reads_the_adapters_of_mlx() {
    let home = tempfile::tempdir().unwrap();
    let model = ModelConfig::tiny();
    let expected = factors(&model);
    let tensors = expected.iter().flat_map(|Factors { path, a, b }| {
        let LinearSpec { inputs, outputs, .. } = model.linear(LLAMA.module_at(path).unwrap());
        let spec = |suffix: &str, shape: [usize; 2]| TensorSpec {
            name: format!("{path}.{suffix}"),
            storage: Storage::Float(FloatType::F32),
            shape: shape.to_vec(),
        };
        let (a, b) = (transpose(a, RANK), transpose(b, outputs));
        [(spec("lora_a", [inputs, RANK]), a), (spec("lora_b", [RANK, outputs]), b)]
    });
    let path = home.path().join(mlx_adapter::TENSORS);
    let tensors: Vec<(TensorSpec, Vec<f32>)> = tensors.collect();
    let specs = tensors.iter().map(|(spec, _)| spec.clone()).collect();
    let mut writer = SafetensorsWriter::create(&path, "mlx", specs).unwrap();
    for (spec, values) in &tensors {
        writer.append(&spec.name, bytemuck::cast_slice(values)).unwrap();
    }
    writer.finish().unwrap();
    let settings = json!({
        "fine_tune_type": "lora",
        "num_layers": 2,
        "lora_parameters": { "rank": RANK, "scale": 20.0, "dropout": 0.0 },
    });
    fs::write(home.path().join(CONFIG), settings.to_string()).unwrap();
    let files = AdapterFiles::open(home.path()).unwrap();
    assert_eq!(files.config().scale(), 20.0);
    assert_eq!(files.factors(&model).unwrap(), expected);
    fs::write(home.path().join(CONFIG), settings.to_string().replace("lora\"", "dora\"")).unwrap();
    assert_eq!(AdapterFiles::open(home.path()).unwrap_err().kind(), ErrorKind::Unsupported);
}
