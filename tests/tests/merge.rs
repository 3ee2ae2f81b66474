//! An adapter merged into its base on a GPU (a software one will do) and on the CPU: the same folder, the same divergence.

use std::ops::ControlFlow;
use std::process::ExitCode;
use std::sync::Arc;

use idiolect::adapter::LoraOptions;
use idiolect::merge::{MergeOptions, MergeReport, merge};
use idiolect::samples::read_texts;
use idiolect::train::{Schedule, TrainOptions, Training, TrainingData};
use idiolect::{Adapter, DeviceChoice, DeviceKind, Model, Session};
use idiolect_tests::golden::{Result, repository};
use libtest_mimic::{Arguments, Failed, Trial};
use tempfile::TempDir;

/// Texts that the adapter learns from, a step each four.
const TEXTS: usize = 32;

/// Relative difference of two divergences that rounding in f32 may make.
const BOUND: f64 = 1e-3;

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let gpu = idiolect_kernels::gpu::choose(None, true).is_ok();
    let run = || devices_agree().map_err(|error| Failed::from(error.to_string()));
    let trial = Trial::test("a merge on a GPU is the CPU's/gpu", run).with_ignored_flag(!gpu);
    libtest_mimic::run(&arguments, vec![trial]).exit_code()
}

fn devices_agree() -> Result<()> {
    let model = Arc::new(Model::open(&repository().join("bindings/cli/assets/base"))?);
    let mut cpu = Session::new(Arc::clone(&model), DeviceChoice::Cpu)?;
    let mut gpu = Session::new(model, DeviceChoice::Gpu)?;
    if (cpu.device().kind, gpu.device().kind) != (DeviceKind::Cpu, DeviceKind::Gpu) {
        return Err("the devices are not those asked for".into());
    }
    let adapter = trained(&mut cpu)?;
    // One round, and more than one.
    for max_divergence in [0.2, 0.02] {
        let options = MergeOptions { max_divergence, ..MergeOptions::default() };
        let ((home, on_cpu), (other, on_gpu)) =
            (merged(&mut cpu, &adapter, options)?, merged(&mut gpu, &adapter, options)?);
        let case = format!("{max_divergence}: {:?} and {:?}", on_cpu.divergence, on_gpu.divergence);
        if on_cpu.fingerprint != on_gpu.fingerprint || on_cpu.matrices != on_gpu.matrices {
            return Err(format!("{case}: other matrices").into());
        }
        let (a, b) = (on_cpu.divergence, on_gpu.divergence);
        let pairs = [(a.kl, b.kl), (a.kl_of_base, b.kl_of_base), (a.loss, b.loss), (a.loss_before, b.loss_before)];
        if a.tokens != b.tokens || !pairs.iter().all(|(a, b)| (a - b).abs() <= BOUND * a.abs()) {
            return Err(case.into());
        }
        let weights = |home: &TempDir| std::fs::read(home.path().join("merged/model.safetensors"));
        if weights(&home)? != weights(&other)? {
            return Err(format!("{case}: other weights").into());
        }
    }
    Ok(())
}

fn trained(session: &mut Session) -> Result<Adapter> {
    let texts = read_texts(&repository().join("bindings/cli/assets/history.jsonl"))?.rows;
    let data = TrainingData::from_texts(&texts[..TEXTS], session.model(), 64)?;
    let fresh = LoraOptions::default().fresh(session.model(), 0)?;
    let schedule = Schedule { warmup: 1, ..TrainOptions::default().schedule };
    let options = TrainOptions { batch_samples: 4, seq_len: 64, schedule, ..TrainOptions::default() };
    let options = TrainOptions { steps: Some(TEXTS / 4), ..options };
    let mut training = Training::new(session, fresh, data, &options)?;
    while training.step()?.is_some() {}
    Ok(training.finish()?.0)
}

fn merged(session: &mut Session, adapter: &Adapter, options: MergeOptions) -> Result<(TempDir, MergeReport)> {
    let home = tempfile::tempdir()?;
    let report = merge(session, adapter, &home.path().join("merged"), options, |_, _, _| ControlFlow::Continue(()))?;
    Ok((home, report))
}
