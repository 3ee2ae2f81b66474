use std::sync::Arc;

use super::*;
use crate::adapter::LoraOptions;
use crate::device::DeviceChoice;
use crate::eval;
use crate::session::Session;

fn model() -> Model {
    let base = Path::new(env!("CARGO_MANIFEST_DIR")).join("../bindings/cli/assets/base");
    Model::open(&base).unwrap()
}

fn adapter(model: &Model, seed: u64) -> Adapter {
    LoraOptions { rank: Some(2), ..LoraOptions::default() }.fresh(model, seed).unwrap()
}

#[test]
fn versions_live_in_sealed_files() {
    let home = tempfile::tempdir().unwrap();
    let (model, key) = (model(), Key::random().unwrap());
    let registry = Registry::open(home.path(), &key).unwrap();
    let report: Map<String, Value> = serde_json::from_str(r#"{ "why": "held-out" }"#).unwrap();
    let made: Vec<Adapter> = (0..3).map(|seed| adapter(&model, seed)).collect();
    for (seed, adapter) in made.iter().enumerate() {
        let version = registry.add(adapter, &model, Origin::Trained, report.clone()).unwrap();
        assert_eq!(version, seed as u32 + 1);
    }
    assert!(registry.active(&model).unwrap().is_none());

    registry.activate(Some(1)).unwrap();
    registry.activate(Some(3)).unwrap();
    registry.set_strength(3, 0.25).unwrap();
    let (version, loaded) = registry.active(&model).unwrap().unwrap();
    assert_eq!((version, loaded.strength(), loaded.params()), (3, 0.25, made[2].params()));
    assert_eq!(loaded.sha256(), registry.state().unwrap().version(3).unwrap().sha256);
    assert_eq!(registry.rollback().unwrap(), Some(1));
    registry.activate(None).unwrap();
    assert_eq!(registry.rollback().unwrap(), Some(1));
    registry.delete(1).unwrap();
    assert_eq!(registry.state().unwrap().active, None);
    let numbers: Vec<u32> = registry.state().unwrap().versions.iter().map(|version| version.version).collect();
    assert_eq!(numbers, [2, 3]);
    assert_eq!(registry.add(&made[0], &model, Origin::Trained, Map::new()).unwrap(), 4, "numbers come once");
    let touched = |version| LearnedVersion { version, samples: 3, removed: 1, expired: 0, replaced: 0 };
    registry.mark_learned_from_removed(&[2, 9].map(touched)).unwrap();
    assert!(registry.state().unwrap().version(2).unwrap().learned_from_removed);

    for (what, error) in [
        ("use", registry.activate(Some(9)).unwrap_err()),
        ("delete", registry.delete(1).unwrap_err()),
        ("strength", registry.set_strength(2, 1.5).unwrap_err()),
        ("load", registry.load(1, &model).unwrap_err()),
    ] {
        assert_eq!(error.kind(), ErrorKind::BadOption, "{what}: {error}");
    }
    assert_eq!(Registry::open(home.path(), &Key::random().unwrap()).unwrap_err().kind(), ErrorKind::WrongKey);
    for file in fs::read_dir(home.path()).unwrap() {
        let bytes = fs::read(file.unwrap().path()).unwrap();
        assert!(!bytes.windows(8).any(|window| window == b"held-out"), "a report lies there unsealed");
    }
}

/// An adapter whose factors are all at work.
fn trained(model: &Model, options: &LoraOptions) -> Adapter {
    let adapter = options.fresh(model, 5).unwrap();
    let mut random = crate::random::Random::new(7);
    let params = (0..adapter.params().len()).map(|_| 0.2 * random.uniform() - 0.1).collect();
    adapter.with_params(params).unwrap()
}

#[test]
fn exports_do_elsewhere_what_their_version_does_and_come_back() {
    let home = tempfile::tempdir().unwrap();
    let (model, key) = (Arc::new(model()), Key::random().unwrap());
    let registry = Registry::open(&home.path().join("adapters"), &key).unwrap();
    let mut session = Session::with_threads(Arc::clone(&model), DeviceChoice::Cpu, 1).unwrap();
    let ids: Vec<u32> = (40..60).collect();
    let mut logits = |adapter: Option<&Adapter>| -> Vec<u32> {
        let values = eval::logits(&mut session, adapter, std::slice::from_ref(&ids)).unwrap();
        values.concat().into_iter().map(f32::to_bits).collect()
    };
    let base = logits(None);
    let strengths = [1.0, 0.5, 0.7, 1e-3, 0.0];
    let scalings = [(8, 16.0, false), (6, 7.3, false), (3, 5.0, true), (4, 8.0, true)];
    for ((rank, alpha, rslora), strength) in scalings.iter().flat_map(|s| strengths.map(|strength| (*s, strength))) {
        let what = format!("rank {rank}, alpha {alpha}, rslora {rslora}, strength {strength}");
        let (rank, alpha, rslora) = (Some(rank), Some(alpha), Some(rslora));
        let options = LoraOptions { rank, alpha, rslora, ..LoraOptions::default() };
        let version = registry.add(&trained(&model, &options), &model, Origin::Trained, Map::new()).unwrap();
        registry.set_strength(version, strength).unwrap();
        let here = registry.load(version, &model).unwrap();
        let expected = logits(Some(&here));
        assert_eq!(expected == base, strength == 0.0, "{what}");
        let places = ["folder", "file.tar"].map(|name| home.path().join(name));
        for place in &places {
            registry.export(version, &model, place).unwrap();
            let back = registry.import(place, &model).unwrap();
            let back = registry.load(back, &model).unwrap();
            assert_eq!((back.config(), back.params()), (here.config(), here.params()), "{what}");
            assert_eq!(back.strength(), strength, "{what}");
            assert!(logits(Some(&back)) == expected, "{what}");
        }
        // What other programs read: PEFT multiplies by alpha / r in f32; llama.cpp takes an alpha of 0 as none given.
        let config = places[0].join("adapter_config.json");
        let elsewhere: Value = serde_json::from_slice(&fs::read(&config).unwrap()).unwrap();
        let written = elsewhere["lora_alpha"].as_f64().unwrap();
        let scale = (written / elsewhere["r"].as_f64().unwrap()) as f32;
        assert!(written > 0.0 && elsewhere["use_rslora"] == false, "{what}: {elsewhere}");
        assert!((scale - here.config().scale() * strength).abs() <= f32::MIN_POSITIVE, "{what}: {scale}");
        // Another alpha than the record's is one that somebody gave it since.
        let mut changed = elsewhere.clone();
        changed["lora_alpha"] = (2.0 * written).into();
        fs::write(&config, changed.to_string()).unwrap();
        let theirs = Adapter::open(&places[0], &model).unwrap();
        assert_eq!((theirs.config().alpha, theirs.strength()), (2.0 * written, 1.0), "{what}");
        fs::write(&config, elsewhere.to_string()).unwrap();
        fs::remove_file(places[0].join("idiolect.json")).unwrap();
        let theirs = Adapter::open(&places[0], &model).unwrap();
        assert_eq!((theirs.config().alpha, theirs.strength()), (written, 1.0), "{what}");
        assert!(logits(Some(&theirs)) == expected, "{what}: another program's logits");
    }
    let in_the_making = unfinished(&home.path().join("adapters"), |_| true).unwrap();
    assert!(in_the_making.is_empty(), "{in_the_making:?}");
}

#[test]
fn a_strength_that_cannot_be_is_named() {
    let home = tempfile::tempdir().unwrap();
    let model = model();
    let folder = home.path().join("adapter");
    let adapter = adapter(&model, 5).with_strength(0.5).unwrap();
    adapter.save(&folder, &model, Map::new()).unwrap();
    let record = folder.join("idiolect.json");
    let written: Value = serde_json::from_slice(&fs::read(&record).unwrap()).unwrap();
    for (field, value) in [
        ("scaling.strength", Value::from(1.5)),
        ("scaling.strength", Value::from("half")),
        ("scaling.strength", Value::Null),
        ("scaling.alpha", Value::from("16")),
        ("scaling.alpha", Value::from(0.0)),
        ("scaling.alpha", Value::Null),
    ] {
        let mut changed = written.clone();
        changed["scaling"][field.strip_prefix("scaling.").unwrap()] = value.clone();
        fs::write(&record, changed.to_string()).unwrap();
        let error = Adapter::open(&folder, &model).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BadFile, "{value}: {error}");
        assert!(error.message().contains(&format!("idiolect.json: {field}: ")), "{value}: {error}");
    }
}

#[test]
fn an_export_is_its_owners_alone_and_clears_up_after_one_that_was_killed() {
    let home = tempfile::tempdir().unwrap();
    let (model, key) = (model(), Key::random().unwrap());
    let registry = Registry::open(&home.path().join("adapters"), &key).unwrap();
    let adapter = adapter(&model, 5);
    let version = registry.add(&adapter, &model, Origin::Trained, Map::new()).unwrap();
    for name in ["folder", "file.tar"] {
        let place = home.path().join("out").join(name);
        registry.export(version, &model, &place).unwrap();
        // Once more, where an export was killed: what it left goes, what is another's stays.
        let left = |of: &str| home.path().join(format!("out/.{of}.partial-12-18a-0"));
        for of in [name, "another"] {
            fs::create_dir(left(of)).unwrap();
        }
        registry.export(version, &model, &place).unwrap();
        assert!(!left(name).exists() && left("another").exists(), "{name}");
        fs::remove_dir(left("another")).unwrap();
        #[cfg(unix)]
        {
            let mode = std::os::unix::fs::PermissionsExt::mode(&fs::metadata(&place).unwrap().permissions());
            assert_eq!(mode & 0o077, 0, "{name} is unsealed, and its owner's alone");
        }
        let back = registry.import(&place, &model).unwrap();
        assert_eq!(registry.load(back, &model).unwrap().params(), adapter.params(), "{name}");
    }
}
