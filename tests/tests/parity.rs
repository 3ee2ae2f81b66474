//! Logits, every adapter gradient and ten AdamW steps against transformers and PEFT (`tests/goldens/README.md`): on the
//! CPU and on a GPU (a software one will do, and takes fewer steps of large models), rows one by one and packed, with
//! activations kept and made again.

use std::process::ExitCode;
use std::sync::Arc;

use idiolect::eval::{evaluate, logits};
use idiolect::samples::{PackedRow, Sample, pack, sample_of_ids};
use idiolect::train::{Decay, Schedule, TrainOptions, TrainPlan, Trainer};
use idiolect::{Adapter, DeviceChoice, ErrorKind, Model, Session};
use idiolect_tests::golden::{GRADIENT_BOUND, Golden, LOGITS_BOUND, LOSS_BOUND, Result, read_f32};
use libtest_mimic::{Arguments, Failed, Trial};
use tempfile::TempDir;

/// Parameters from which on a software GPU takes minutes for all of a golden's steps.
const LARGE: u64 = 1_000_000;
/// Steps of such a model on a GPU: the gradients of the first, and the loss behind it.
const FEW_STEPS: usize = 2;
/// Asks for all steps.
const LONG_VARIABLE: &str = "IDIOLECT_LONG";

/// How a step's rows go through the model.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Mode {
    /// A sample a row, the fastest plan.
    Alone,
    /// A sample a row, the smallest plan: everything that can be made again is.
    Recomputed,
    /// Side by side.
    Packed,
}

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let gpu = idiolect_kernels::gpu::choose(None, true).is_ok();
    let mut trials = Vec::new();
    for name in Golden::names().expect("goldens are in the repository") {
        for (device, choice, present) in [("cpu", DeviceChoice::Cpu, true), ("gpu", DeviceChoice::Gpu, gpu)] {
            let golden = Golden::read(&name).expect("a golden can be read");
            let scratch = TempDir::new().expect("a folder for temporary files");
            let has_model = golden.model_path(scratch.path()).expect("a model can be laid out").is_some();
            // On a software GPU a long row of the published model takes minutes.
            let too_long = choice == DeviceChoice::Gpu && name == "published-long";
            let ignored = !present || !has_model || too_long;
            let run = move || check(&golden, scratch.path(), choice).map_err(|e| Failed::from(e.to_string()));
            trials.push(Trial::test(format!("{name}/{device}"), run).with_ignored_flag(ignored));
        }
    }
    libtest_mimic::run(&arguments, trials).exit_code()
}

fn check(golden: &Golden, scratch: &std::path::Path, choice: DeviceChoice) -> Result<()> {
    let Some((path, quantization)) = golden.model_path(scratch)? else { return Err("no model".into()) };
    let path = match quantization {
        None => path,
        Some(to) => {
            let folder = scratch.join("quantized");
            let options = idiolect::format::ImportOptions {
                bits: Some(u8::try_from(to.bits)?),
                group_size: Some(to.group_size as usize),
            };
            idiolect::format::import(&path, &folder, options, |_, _| {})?;
            folder
        }
    };
    let model = Arc::new(Model::open(&path)?);
    golden.write_adapter(&scratch.join("adapter"))?;
    let adapter = Adapter::open(&scratch.join("adapter"), &model)?;
    assert_eq!(adapter.layout().len() as u64, golden.trainable_parameters);
    assert_eq!((model.base().parameters() + adapter.layout().len()) as u64, golden.all_parameters);
    let mut session = Session::new(Arc::clone(&model), choice)?;
    let large = choice == DeviceChoice::Gpu && golden.all_parameters > LARGE;
    let slow = large && golden.case == "published";

    for (index, entry) in golden.logits.iter().enumerate() {
        let adapter = entry.adapter.then_some(&adapter);
        let values = logits(&mut session, adapter, &[golden.rows[entry.row].clone()])?;
        within(&format!("logits of row {}", entry.row), golden.logits_error(index, &values[0]), LOGITS_BOUND)?;
    }
    let samples: Vec<Sample> = golden.rows.iter().map(|ids| sample_of_ids(ids, model.tokenizer())).collect();
    if !slow {
        for (adapter, expected) in [(None, golden.eval.base_nll), (Some(&adapter), golden.eval.nll)] {
            let evaluation = evaluate(&mut session, adapter, &samples)?;
            assert_eq!(evaluation.tokens, golden.eval.tokens);
            within("evaluation", relative(evaluation.nll, expected), LOSS_BOUND)?;
        }
    }

    let long = std::env::var_os(LONG_VARIABLE).is_some();
    let steps = if large && !long { FEW_STEPS } else { golden.train.steps };
    let alone = train(golden, &mut session, &adapter, &samples, Mode::Alone, steps, scratch)?;
    if slow {
        return Ok(());
    }
    let recomputed = train(golden, &mut session, &adapter, &samples, Mode::Recomputed, steps, scratch)?;
    if alone.iter().zip(&recomputed).any(|(a, b)| a.to_bits() != b.to_bits()) {
        return Err("a plan that makes activations again gives other bits".into());
    }
    train(golden, &mut session, &adapter, &samples, Mode::Packed, steps, scratch)?;
    Ok(())
}

/// Trains as the golden says, checks the first step's gradients and every step's loss and norm; the trained parameters.
fn train(
    golden: &Golden,
    session: &mut Session,
    adapter: &Adapter,
    samples: &[Sample],
    mode: Mode,
    steps: usize,
    scratch: &std::path::Path,
) -> Result<Vec<f32>> {
    let schedule = Schedule { peak: golden.train.lr as f32, warmup: 0, decay: Decay::Constant, floor: 0.0 };
    let weight_decay = golden.train.weight_decay as f32;
    let options = TrainOptions { schedule, weight_decay, clip: 0.0, ..TrainOptions::default() };
    let longest = samples.iter().map(Sample::inputs).max().unwrap_or(0);
    let row_tokens = if mode == Mode::Packed { 2 * longest } else { longest };
    let mut plan = session.plan_training(adapter.shape(), row_tokens, None)?;
    if mode == Mode::Recomputed {
        plan = smallest_plan(session, adapter, row_tokens, plan)?;
        if plan.recomputed_attention == 0 {
            return Err("the smallest plan makes nothing again".into());
        }
    }
    let mut trainer = Trainer::new(session, adapter.clone(), &options, &plan, steps)?;
    let gradients = scratch.join(format!("gradients-{mode:?}.safetensors"));
    for step in 0..steps {
        let batch =
            (0..golden.train.accumulate).map(|i| &samples[(step * golden.train.accumulate + i) % samples.len()]);
        let rows: Vec<PackedRow> = match mode {
            Mode::Packed => pack(batch, row_tokens),
            Mode::Alone | Mode::Recomputed => batch.flat_map(|sample| pack([sample], row_tokens)).collect(),
        };
        let report = trainer.step_rows(&rows, |trainer| match step {
            0 => adapter.write_values(&gradients, &trainer.gradients()?),
            _ => Ok(()),
        })?;
        let at = |what: &str| format!("{mode:?}: {what} of step {}", step + 1);
        within(&at("loss"), relative(f64::from(report.loss), golden.losses[step]), LOSS_BOUND)?;
        within(&at("gradient norm"), relative(f64::from(report.grad_norm), golden.grad_norms[step]), GRADIENT_BOUND)?;
    }
    let written = read_f32(&gradients)?;
    if written.len() != golden.adapter.tensors.len() {
        return Err(format!("{} gradient tensors, not {}", written.len(), golden.adapter.tensors.len()).into());
    }
    for (name, gradient) in &written {
        within(&format!("{mode:?}: gradient of {name}"), golden.gradient_error(name, gradient), GRADIENT_BOUND)?;
    }
    Ok(trainer.adapter()?.params().to_vec())
}

/// The plan of the lowest budget that is accepted, to a thousandth.
fn smallest_plan(session: &Session, adapter: &Adapter, row_tokens: usize, fastest: TrainPlan) -> Result<TrainPlan> {
    let (mut refused, mut best) = (0, fastest);
    while best.total_bytes() - refused > best.total_bytes() / 1000 {
        let budget = refused + (best.total_bytes() - refused) / 2;
        match session.plan_training(adapter.shape(), row_tokens, Some(budget)) {
            Ok(plan) => best = plan,
            Err(error) if error.kind() == ErrorKind::OverBudget => refused = budget,
            Err(error) => return Err(error.into()),
        }
    }
    Ok(best)
}

fn relative(value: f64, expected: f64) -> f64 {
    (value - expected).abs() / expected.abs()
}

fn within(what: &str, error: f64, bound: f64) -> Result<()> {
    if error <= bound { Ok(()) } else { Err(format!("{what}: off by {error:.2e}, allowed {bound:.0e}").into()) }
}
