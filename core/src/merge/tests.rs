use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::*;
use crate::adapter::LoraOptions;
use crate::device::DeviceChoice;
use crate::eval::logits;
use crate::format::peft::Modules;
use crate::format::{ImportOptions, import};
use crate::generate::plain_prompt;
use crate::random::Random;
use crate::samples::{TextRow, read_texts};
use crate::train::{Schedule, TrainOptions, Training, TrainingData};

/// Matrices of the embedded base: seven a layer and the embedding.
const MATRICES: usize = 6 * 7 + 1;

pub(super) fn assets() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../bindings/cli/assets")
}

pub(super) fn session(model: &Path) -> Session {
    Session::new(Arc::new(Model::open(model).unwrap()), DeviceChoice::Cpu).unwrap()
}

/// An adapter of q and down whose B is noise of this size: what it adds is about so large beside the weights.
pub(super) fn adapter(session: &Session, size: f32) -> Adapter {
    let target_modules = Some(Modules::Names(vec!["q_proj".into(), "down_proj".into()]));
    let options = LoraOptions { rank: Some(2), target_modules, ..LoraOptions::default() };
    let fresh = options.fresh(session.model(), 1).unwrap();
    let (mut random, mut params) = (Random::new(2), fresh.params().to_vec());
    for (_, slot) in fresh.layout().slots() {
        params[slot.b..][..2 * slot.outputs].iter_mut().for_each(|b| *b = size * (2.0 * random.uniform() - 1.0));
    }
    fresh.with_params(params).unwrap()
}

fn merged(session: &mut Session, adapter: &Adapter, options: MergeOptions) -> (TempDir, Result<MergeReport>) {
    let home = tempfile::tempdir().unwrap();
    let report = merge(session, adapter, &home.path().join("merged"), options, |_, _, _| ControlFlow::Continue(()));
    (home, report)
}

fn config_of(folder: &Path) -> Value {
    serde_json::from_slice(&fs::read(folder.join("config.json")).unwrap()).unwrap()
}

#[test]
fn bits_rise_as_far_as_the_change_needs() {
    let mut session = session(&assets().join("base"));
    // (size of what is added, largest divergence, most bits, fewest and most bits that matrices get or none)
    for (size, max_divergence, max_bits, expected) in [
        // Beyond what the grid holds, and within it.
        (8.0, 0.05, 8, Some((4, 8))),
        (2.0, 0.2, 16, Some((4, 4))),
        (2.0, 0.05, 16, Some((4, 8))),
        (2.0, 0.05, 4, None),
        (0.1, 20.0, 4, Some((4, 4))),
        (0.1, 0.05, 8, None),
        (0.1, 0.05, 16, Some((8, 16))),
        (0.1, 0.001, 16, Some((16, 16))),
        (1e-4, 0.05, 16, None),
        (1e-4, 0.05, 32, Some((32, 32))),
    ] {
        let case = format!("size {size}, {max_divergence} at {max_bits} bits");
        let adapter = adapter(&session, size);
        let (home, report) = merged(&mut session, &adapter, MergeOptions { max_divergence, max_bits });
        let Some(expected) = expected else {
            let error = report.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::TooLossy, "{case}: {error}");
            let expected = format!("merged within {max_bits} bits, the model would be ");
            assert!(error.message().starts_with(&expected) && error.hint().is_some(), "{case}: {error}");
            assert_eq!(fs::read_dir(home.path()).unwrap().count(), 0, "{case}");
            continue;
        };
        let report = report.unwrap_or_else(|error| panic!("{case}: {error}"));
        assert_eq!((report.matrices.len(), report.copied), (12, MATRICES - 12), "{case}");
        assert!(report.divergence.kl_of_base > 0.0 && report.divergence.share() <= max_divergence, "{case}");
        let bits = || report.matrices.iter().map(|matrix| matrix.bits);
        assert_eq!((bits().min().unwrap(), bits().max().unwrap()), expected, "{case}: {report:?}");
        for matrix in &report.matrices {
            let found = format!("{case}: {matrix:?}");
            let Fidelity { kept, noise, change } = matrix.fidelity;
            assert!(matrix.bits_before == 4 && change > 0.1 * f64::from(size), "{found}");
            assert!((1.0 - kept).powi(2) <= max_divergence && noise > 0.0, "{found}");
            assert!(matrix.fidelity.cost() <= report.worst().unwrap().fidelity.cost(), "{found}");
        }
        let grown: u64 = report.matrices.iter().map(|matrix| matrix.bytes - matrix.bytes_before).sum();
        assert_eq!(report.bytes, report.bytes_before + grown, "{case}");
    }
}

#[test]
fn a_merged_folder_answers_as_base_and_adapter() {
    let mut session = session(&assets().join("base"));
    let ids = session.model().tokenizer().encode("The harbour was quiet when the last boat came in.").unwrap();
    let whole = adapter(&session, 0.3);
    // (strength, largest divergence, bound on a logit's difference beside the largest)
    for (strength, max_divergence, bound) in
        [(1.0, 0.05, 0.2), (1.0, 1e-4, 0.02), (0.25, 0.05, 0.1), (0.05, 0.05, 0.05)]
    {
        let adapter = whole.clone().with_strength(strength).unwrap();
        let options = MergeOptions { max_divergence, ..MergeOptions::default() };
        let (home, report) = merged(&mut session, &adapter, options);
        let (report, folder) = (report.unwrap(), home.path().join("merged"));
        let case = format!("strength {strength}, {max_divergence}: {:?}", report.divergence);
        let Divergence { tokens, kl, kl_of_base, largest_logit_difference, loss_before, loss } = report.divergence;
        assert!(tokens > 200 && largest_logit_difference < bound, "{case}");
        assert!(kl <= max_divergence * kl_of_base && (loss - loss_before).abs() < 0.05, "{case}");

        // The folder that appeared, by other means.
        let model = Model::open(&folder).unwrap();
        assert_eq!(model.fingerprint(), report.fingerprint);
        let mut other = Session::new(Arc::new(model), DeviceChoice::Cpu).unwrap();
        let [meant] = &logits(&mut session, Some(&adapter), std::slice::from_ref(&ids)).unwrap()[..] else { panic!() };
        let [got] = &logits(&mut other, None, std::slice::from_ref(&ids)).unwrap()[..] else { panic!() };
        let largest = meant.iter().fold(0.0f32, |largest, x| largest.max(x.abs()));
        let difference = meant.iter().zip(got).fold(0.0f32, |largest, (a, b)| largest.max((a - b).abs()));
        assert!(difference > 0.0 && f64::from(difference / largest) < bound, "{case}: {difference} of {largest}");

        // The settings name what was raised; the rest lies there bit for bit.
        let quantization = &config_of(&folder)["quantization"];
        assert_eq!((&quantization["bits"], &quantization["group_size"]), (&json!(4), &json!(64)));
        let mut named = 3;
        for matrix in &report.matrices {
            let expected = match matrix.bits {
                4 => Value::Null,
                8 => json!({ "group_size": 64, "bits": 8, "mode": "affine" }),
                _ => json!(false),
            };
            named += usize::from(!expected.is_null());
            assert_eq!(quantization[&matrix.module], expected, "{case}: {}", matrix.module);
        }
        assert_eq!(quantization.as_object().unwrap().len(), named, "{case}: {quantization}");
        for old in session.model().files().stored() {
            let new = other.model().files().stored().iter().find(|new| new.name == old.name);
            if !report.matrices.iter().any(|matrix| old.name.starts_with(&matrix.module)) {
                let new = new.unwrap_or_else(|| panic!("{case}: no {}", old.name));
                assert!(*new.bytes == *old.bytes && new.storage == old.storage, "{case}: {}", old.name);
            }
        }
    }
}

#[test]
fn without_effect_the_bits_are_the_bases_own() {
    let mut session = session(&assets().join("base"));
    for (what, adapter) in [
        ("strength 0", adapter(&session, 1.0).with_strength(0.0).unwrap()),
        ("B zero", LoraOptions::default().fresh(session.model(), 3).unwrap()),
    ] {
        let (home, report) = merged(&mut session, &adapter, MergeOptions::default());
        let report = report.unwrap();
        assert_eq!((report.fingerprint.as_str(), report.copied), (session.model().fingerprint(), MATRICES), "{what}");
        assert_eq!((report.matrices.len(), report.bytes), (0, report.bytes_before), "{what}");
        let found = report.divergence;
        assert_eq!((found.kl, found.largest_logit_difference, found.loss), (0.0, 0.0, found.loss_before), "{what}");
        let weights = |folder: &Path| fs::read(folder.join("model.safetensors")).unwrap();
        let (new, old) = (weights(&home.path().join("merged")), weights(&assets().join("base")));
        assert_eq!(new.len(), old.len(), "{what}");
    }
}

#[test]
fn bases_of_floats_merge_within_their_rounding() {
    let home = tempfile::tempdir().unwrap();
    let base = |name: &str, from: &Path, bits: u8, named: &str| {
        let folder = home.path().join(name);
        import(from, &folder, ImportOptions { bits: Some(bits), group_size: None }, |_, _| ()).unwrap();
        let mut config = config_of(&folder);
        config["torch_dtype"] = json!(named);
        fs::write(folder.join("config.json"), config.to_string()).unwrap();
        folder
    };
    let wide = base("f32", &assets().join("base"), 32, "float16");
    // (base, bits, bounds on noise and on a logit's difference beside the largest)
    for (folder, bits, noise, difference) in [
        (wide.clone(), 32, 1e-5, 1e-4),
        (base("f16", &wide, 16, "float16"), 16, 0.02, 0.01),
        (base("bf16", &assets().join("base"), 16, "bfloat16"), 16, 0.1, 0.03),
    ] {
        let mut session = session(&folder);
        let adapter = adapter(&session, 0.1);
        let (home, report) = merged(&mut session, &adapter, MergeOptions::default());
        let report = report.unwrap();
        let case = format!("{}: {:?} {:?}", folder.display(), report.worst(), report.divergence);
        assert!(report.matrices.iter().all(|matrix| (matrix.bits_before, matrix.bits) == (bits, bits)), "{case}");
        assert!(report.matrices.iter().all(|matrix| matrix.fidelity.noise < noise), "{case}");
        assert!(report.divergence.largest_logit_difference < difference, "{case}");
        assert_eq!(report.bytes, report.bytes_before, "{case}");
        assert!(config_of(&home.path().join("merged")).get("quantization").is_none(), "{case}");
    }
}

#[test]
fn a_trained_adapter_keeps_its_effect() {
    let mut session = session(&assets().join("base"));
    let texts = read_texts(&assets().join("history.jsonl")).unwrap().rows;
    let plain: Vec<_> = texts.into_iter().take(64).map(|row| TextRow { context: None, ..row }).collect();
    let data = TrainingData::from_texts(&plain, session.model(), 64).unwrap();
    let fresh = LoraOptions::default().fresh(session.model(), 0).unwrap();
    let schedule = Schedule { warmup: 1, ..TrainOptions::default().schedule };
    let options = TrainOptions { steps: Some(8), seq_len: 64, schedule, ..TrainOptions::default() };
    let mut training = Training::new(&mut session, fresh, data, &options).unwrap();
    while training.step().unwrap().is_some() {}
    let adapter = training.finish().unwrap().0;
    let options = MergeOptions { max_divergence: 0.1, ..MergeOptions::default() };
    let (home, report) = merged(&mut session, &adapter, options);
    let (report, folder) = (report.unwrap(), home.path().join("merged"));
    assert_eq!((report.matrices.len(), report.copied), (MATRICES - 1, 1));
    // In the base's own bits, although what is added is far smaller than their steps.
    assert!(report.divergence.share() <= 0.1 && report.bytes == report.bytes_before, "{report:?}");
    let noise = report.matrices.iter().map(|matrix| matrix.fidelity.noise);
    assert!(noise.fold(0.0, f64::max) > 3.0, "{report:?}");

    // Plain prompts begin as they did in training, also where the merged folder is imported once more.
    import(&folder, &home.path().join("again"), ImportOptions::default(), |_, _| ()).unwrap();
    let prompt = plain_prompt(session.model(), Some(&adapter), "so").unwrap();
    assert_ne!(prompt, plain_prompt(session.model(), None, "so").unwrap());
    for name in ["merged", "again"] {
        let model = Model::open(&home.path().join(name)).unwrap();
        assert_eq!(plain_prompt(&model, None, "so").unwrap(), prompt, "{name}");
    }
}

#[test]
fn what_cannot_be_merged_leaves_nothing() {
    let mut session = session(&assets().join("base"));
    let sound = adapter(&session, 2.0);
    let mut params = sound.params().to_vec();
    params.iter_mut().for_each(|value| *value *= 1e25);
    let huge = sound.clone().with_params(params).unwrap();
    let options = MergeOptions::default();
    for (adapter, options, kind, expected) in [
        (&sound, MergeOptions { max_divergence: 0.0, ..options }, ErrorKind::BadOption, "max-divergence 0"),
        (&sound, MergeOptions { max_divergence: f64::NAN, ..options }, ErrorKind::BadOption, "max-divergence NaN"),
        (&sound, MergeOptions { max_bits: 5, ..options }, ErrorKind::BadOption, "max-bits 5"),
        (&huge, options, ErrorKind::BadFile, "adds values that are not finite"),
    ] {
        let (home, report) = merged(&mut session, adapter, options);
        let error = report.unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.message().contains(expected), "{error}");
        assert_eq!(fs::read_dir(home.path()).unwrap().count(), 0, "{expected}");
    }
    let home = tempfile::tempdir().unwrap();
    fs::write(home.path().join("precious"), "1").unwrap();
    let error = merge(&mut session, &sound, home.path(), options, |_, _, _| ControlFlow::Continue(())).unwrap_err();
    assert!(error.message().contains("already there"), "{error}");
    assert_eq!(fs::read_dir(home.path()).unwrap().count(), 1);
}

#[test]
fn a_comparison_that_is_ended_leaves_nothing() {
    let mut session = session(&assets().join("base"));
    let adapter = adapter(&session, 0.1);
    // The session's own runs: those of base and adapter.
    for text in [0, 3] {
        let home = tempfile::tempdir().unwrap();
        let ended = Arc::new(AtomicBool::new(false));
        let asked = Arc::clone(&ended);
        session.set_between(Some(Arc::new(move || match asked.load(Ordering::Relaxed) {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        })));
        let mut staged = 0;
        let report =
            merge(&mut session, &adapter, &home.path().join("merged"), MergeOptions::default(), |stage, done, _| {
                if stage == MergeStage::Comparing && done == text {
                    staged = fs::read_dir(home.path()).unwrap().count();
                    ended.store(true, Ordering::Relaxed);
                }
                ControlFlow::Continue(())
            });
        let error = report.unwrap_err();
        assert_eq!((error.kind(), staged), (ErrorKind::Cancelled, 1), "text {text}: {error}");
        assert_eq!(fs::read_dir(home.path()).unwrap().count(), 0, "text {text}");
    }
    // The session goes on.
    session.set_between(None);
    let (home, report) = merged(&mut session, &adapter, MergeOptions::default());
    assert!(report.unwrap().divergence.tokens > 0 && home.path().join("merged/config.json").is_file());
}
