//! The engine on both devices: a lost device, cancellation, what a training adds to an answer's time.

use std::fs;
use std::ops::ControlFlow;
use std::path::Path;
use std::process::ExitCode;
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use idiolect::adapter::LoraOptions;
use idiolect::engine::{CancelToken, Engine, EngineOptions, EngineState, Faults, LearnOutcome, PauseReason, Prompt};
use idiolect::generate::{GenerateOptions, SamplingOptions};
use idiolect::history::read_jsonl;
use idiolect::personalize::{LearnEvent, LearnReport, LearnSettings};
use idiolect::registry::Origin;
use idiolect::train::TrainOptions;
use idiolect::{DeviceChoice, DeviceKind, ErrorKind};
use idiolect_tests::golden::{Result, published, repository};
use libtest_mimic::{Arguments, Failed, Trial};
use tempfile::TempDir;

const MESSAGES: usize = 60;

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    // They measure time.
    arguments.test_threads = Some(1);
    let gpu = idiolect_kernels::gpu::choose(None, true).is_ok();
    let trial = |name: &str, present: bool, run: fn(DeviceChoice) -> Result<()>, device| {
        Trial::test(name, move || run(device).map_err(|error| Failed::from(error.to_string())))
            .with_ignored_flag(!present)
    };
    let trials = vec![
        trial("a lost device is opened anew, to the same bits/gpu", gpu, lost, DeviceChoice::Gpu),
        trial("a device lost twice: the CPU goes on, within rounding/gpu", gpu, given_up, DeviceChoice::Gpu),
        trial("another device in the midst of a training/gpu", gpu, changed, DeviceChoice::Gpu),
        trial("an answer that loses the device is given by another/gpu", gpu, answer_lost, DeviceChoice::Gpu),
        trial("cancelled and taken up again, to the same bits/gpu", gpu, resumed, DeviceChoice::Gpu),
        trial("cancel and answers on the published model/cpu", published().is_some(), latencies, DeviceChoice::Cpu),
        trial(
            "cancel and answers on the published model/gpu",
            gpu && published().is_some(),
            latencies,
            DeviceChoice::Gpu,
        ),
    ];
    libtest_mimic::run(&arguments, trials).exit_code()
}

fn options(home: &Path, device: DeviceChoice) -> EngineOptions {
    EngineOptions { device, ..EngineOptions::new(home.join("profile"), repository().join("bindings/cli/assets/base")) }
}

fn open(options: EngineOptions) -> Result<Engine> {
    let engine = Engine::open(options)?;
    let samples = read_jsonl(&repository().join("bindings/cli/assets/history.jsonl"))?.samples;
    engine.history().add(&samples[..MESSAGES])?;
    Ok(engine)
}

fn settings() -> LearnSettings {
    LearnSettings {
        train: TrainOptions { steps: Some(8), batch_samples: 4, ..TrainOptions::default() },
        // After every step, so that there is one wherever the device is lost.
        checkpoint_every: Some(Duration::ZERO),
        ..LearnSettings::default()
    }
}

fn finished(outcome: LearnOutcome) -> Result<LearnReport> {
    match outcome {
        LearnOutcome::Finished(report) => Ok(*report),
        other => Err(format!("{other:?}").into()),
    }
}

fn train(engine: &Engine) -> Result<LearnReport> {
    finished(engine.train(&settings(), &CancelToken::new(), &mut |_| {})?)
}

fn same(report: &LearnReport, whole: &LearnReport) -> Result<()> {
    match report.resumed && report.candidate_sha256 == whole.candidate_sha256 {
        true => Ok(()),
        false => Err(format!("resumed {}: {:?}, not {:?}", report.resumed, report.verdict, whole.verdict).into()),
    }
}

/// A profile that nothing was trained on, and what the steps on one like it come to where nothing happens to the GPU.
struct Undisturbed {
    untrained: TempDir,
    report: LearnReport,
}

impl Undisturbed {
    /// Made once: trainings through a software GPU take their time.
    fn on_gpu() -> Result<&'static Self> {
        static ONCE: OnceLock<std::result::Result<Undisturbed, String>> = OnceLock::new();
        Ok(ONCE.get_or_init(|| Self::make().map_err(|error| error.to_string())).as_ref().map_err(Clone::clone)?)
    }

    fn make() -> Result<Self> {
        let untrained = tempfile::tempdir()?;
        open(options(untrained.path(), DeviceChoice::Cpu))?.close();
        let home = copied(&untrained)?;
        let report = train(&Engine::open(options(home.path(), DeviceChoice::Gpu))?)?;
        Ok(Self { untrained, report })
    }

    /// The same profile in another home: another key would split the history otherwise.
    fn twin(&self) -> Result<TempDir> {
        copied(&self.untrained)
    }
}

fn copied(home: &TempDir) -> Result<TempDir> {
    let copy = tempfile::tempdir()?;
    let [from, to] = [home, &copy].map(|home| home.path().join("profile"));
    fs::create_dir(&to)?;
    for entry in fs::read_dir(from)?.collect::<std::io::Result<Vec<_>>>()? {
        if entry.file_type()?.is_file() {
            fs::copy(entry.path(), to.join(entry.file_name()))?;
        }
    }
    Ok(copy)
}

fn pause_after_step_2(engine: &Engine) -> Result<()> {
    let cancel = CancelToken::new();
    let outcome = engine.train(&settings(), &cancel, &mut |event| {
        if matches!(event, LearnEvent::Step(ref report) if report.step == 2) {
            cancel.cancel();
        }
    })?;
    match outcome {
        LearnOutcome::Paused(PauseReason::Cancelled) => Ok(()),
        other => Err(format!("{other:?}").into()),
    }
}

fn lost(device: DeviceChoice) -> Result<()> {
    let undisturbed = Undisturbed::on_gpu()?;
    let home = undisturbed.twin()?;
    // A checkpoint first: how many submissions a step takes depends on the machine's speed.
    pause_after_step_2(&Engine::open(options(home.path(), device))?)?;
    let engine = Engine::open_with_faults(
        options(home.path(), device),
        Faults { long_work_after: [5].into(), ..Faults::default() },
    )?;
    let mut starts = 0;
    let outcome = engine.train(&settings(), &CancelToken::new(), &mut |event| {
        starts += usize::from(matches!(event, LearnEvent::Started { .. }));
    })?;
    if starts != 2 {
        return Err(format!("it started {starts} times").into());
    }
    same(&finished(outcome)?, &undisturbed.report)
}

/// The steps at which the devices of a training began, and whether it came to what `whole` did but for rounding.
fn stretches(report: &LearnReport, whole: &LearnReport) -> Result<Vec<usize>> {
    let losses = |report: &LearnReport| {
        let verdict = &report.verdict;
        [report.summary.last_loss.map(f64::from), verdict.held_out_before, verdict.held_out_after]
    };
    let (found, expected) = (losses(report), losses(whole));
    let near = found.iter().zip(&expected).all(|pair| matches!(pair, (Some(a), Some(b)) if (a - b).abs() < 2e-3));
    if !near || report.summary.steps != whole.summary.steps {
        return Err(format!("{found:?} after {} steps, not {expected:?}", report.summary.steps).into());
    }
    if !report.devices.windows(2).all(|pair| pair[0].device != pair[1].device) {
        return Err(format!("{:?}", report.devices).into());
    }
    Ok(report.devices.iter().map(|stretch| stretch.from_step).collect())
}

fn kind(engine: &Engine) -> Result<DeviceKind> {
    Ok(engine.device()?.kind)
}

fn given_up(device: DeviceChoice) -> Result<()> {
    let undisturbed = Undisturbed::on_gpu()?;
    let home = undisturbed.twin()?;
    pause_after_step_2(&Engine::open(options(home.path(), device))?)?;
    let losing = || Faults { long_work_after: [5, 0].into(), ..Faults::default() };
    let options = options(home.path(), device);

    let strict = EngineOptions { cpu_fallback: false, ..options.clone() };
    let paused = Engine::open_with_faults(strict, losing())?.train(&settings(), &CancelToken::new(), &mut |_| {})?;
    if paused != LearnOutcome::Paused(PauseReason::DeviceLost) {
        return Err(format!("without the CPU: {paused:?}").into());
    }

    let engine = Engine::open_with_faults(options, losing())?;
    let report = train(&engine)?;
    let info = engine.device()?;
    if info.kind != DeviceKind::Cpu || !info.reason.contains("lost") {
        return Err(format!("{info:?}").into());
    }
    match stretches(&report, &undisturbed.report)?[..] {
        [0, step] if step >= 2 && report.resumed && report.device.contains("from step") => {}
        ref other => return Err(format!("{other:?}: {}", report.device).into()),
    }
    // The next training, and an app's word, try the GPU again.
    engine.set_device(device)?;
    match kind(&engine)? {
        DeviceKind::Gpu => Ok(()),
        DeviceKind::Cpu => Err("it stayed on the CPU".into()),
    }
}

fn changed(device: DeviceChoice) -> Result<()> {
    let undisturbed = Undisturbed::on_gpu()?;
    let home = undisturbed.twin()?;
    let engine = Engine::open(options(home.path(), device))?;
    let (mut starts, mut change) = (Vec::new(), Ok(()));
    let outcome = engine.train(&settings(), &CancelToken::new(), &mut |event| match event {
        LearnEvent::Started { resumed_at, device, .. } => starts.push((resumed_at, device)),
        LearnEvent::Step(report) if report.step == 3 => change = engine.set_device(DeviceChoice::Cpu),
        _ => {}
    })?;
    change?;
    let report = finished(outcome)?;
    let stretches = stretches(&report, &undisturbed.report)?;
    let started: Vec<_> = starts.iter().map(|(step, device)| (*step, device)).collect();
    let expected: Vec<_> = report.devices.iter().map(|stretch| (stretch.from_step, &stretch.device)).collect();
    if started != expected || !matches!(stretches[..], [0, step] if step >= 3) || kind(&engine)? != DeviceKind::Cpu {
        return Err(format!("{starts:?} {:?}", report.devices).into());
    }
    Ok(())
}

fn answer_lost(device: DeviceChoice) -> Result<()> {
    let home = tempfile::tempdir()?;
    let answer = |engine: &Engine| {
        let options =
            GenerateOptions { max_tokens: 4, sampling: SamplingOptions::greedy(), ..GenerateOptions::default() };
        let prompt = Prompt::Text("The train was".into());
        engine.generate(&prompt, &options, &CancelToken::new(), &mut |_| ControlFlow::Continue(()))
    };
    let whole = answer(&open(options(home.path(), device))?)?;
    // Submissions after which it is lost, once or again and again; whether the CPU may answer; whether there is an answer,
    // and on which device.
    let cases: [(&[u32], bool, Option<DeviceKind>); 5] = [
        (&[0], true, Some(DeviceKind::Gpu)),
        (&[0, 0], true, Some(DeviceKind::Cpu)),
        (&[0], false, None),
        // In the midst of it, where a part may have been told.
        (&[2], false, None),
        (&[1, 0, 0], true, Some(DeviceKind::Cpu)),
    ];
    for (losses, cpu_fallback, expected) in cases {
        let engine = Engine::open_with_faults(
            EngineOptions { cpu_fallback, ..options(home.path(), device) },
            Faults { answers_after: losses.iter().copied().collect(), ..Faults::default() },
        )?;
        match (answer(&engine), expected) {
            (Err(error), None) if error.kind() == ErrorKind::Device => {}
            (Ok(answer), Some(expected)) if answer.ids == whole.ids && kind(&engine)? == expected => {}
            (other, _) => return Err(format!("lost after {losses:?}, {cpu_fallback}: {other:?}").into()),
        }
        if answer(&engine)?.ids != whole.ids {
            return Err("the answer after it is another".into());
        }
    }
    Ok(())
}

fn resumed(device: DeviceChoice) -> Result<()> {
    let undisturbed = Undisturbed::on_gpu()?;
    let home = undisturbed.twin()?;
    let engine = Engine::open(options(home.path(), device))?;
    pause_after_step_2(&engine)?;
    same(&train(&engine)?, &undisturbed.report)
}

/// The longest wait for a first word right after another adapter was put to use; both have been used before.
fn switching(engine: &Engine, first_word: &impl Fn(&Engine) -> Result<Duration>) -> Result<Duration> {
    let model = engine.model()?;
    let mut versions = Vec::new();
    for seed in [1, 2] {
        let adapter = LoraOptions::default().fresh(&model, seed)?;
        versions.push(engine.adapters().add(&adapter, &model, Origin::Imported, Default::default())?);
    }
    let mut waits = Vec::new();
    for &version in versions.iter().cycle().take(8) {
        engine.adapters().activate(Some(version))?;
        waits.push(first_word(engine)?);
    }
    engine.adapters().activate(None)?;
    Ok(waits.into_iter().skip(versions.len()).max().unwrap_or_default())
}

/// How long a cancelled training computes on, and how much longer the first word of an answer takes beside a training.
/// Printed; only what would be a hang fails.
fn latencies(device: DeviceChoice) -> Result<()> {
    let home = tempfile::tempdir()?;
    let model = published().ok_or("no published model")?;
    let engine = Arc::new(open(EngineOptions { model: model.into(), ..options(home.path(), device) })?);
    let first_word = |engine: &Engine| -> Result<Duration> {
        let options =
            GenerateOptions { max_tokens: 4, sampling: SamplingOptions::greedy(), ..GenerateOptions::default() };
        let began = Instant::now();
        let mut first = None;
        engine.generate(&Prompt::Text("The train was".into()), &options, &CancelToken::new(), &mut |_| {
            first.get_or_insert(began.elapsed());
            ControlFlow::Continue(())
        })?;
        first.ok_or_else(|| "no text came".into())
    };
    first_word(&engine)?;
    let alone = first_word(&engine)?;
    let switched = switching(&engine, &first_word)?;
    let cancel = CancelToken::new();
    let (asking, stop) = (Arc::clone(&engine), cancel.clone());
    let asked = thread::spawn(move || -> std::result::Result<(Duration, Instant), String> {
        while !matches!(asking.state(), EngineState::Training { step: 1.., .. }) {
            thread::sleep(Duration::from_millis(5));
        }
        let answers = (0..5).map(|_| first_word(&asking)).collect::<Result<Vec<_>>>();
        let longest = answers.map_err(|error| error.to_string())?.into_iter().max().unwrap_or_default();
        stop.cancel();
        Ok((longest, Instant::now()))
    });
    let outcome = engine.train(
        &LearnSettings { train: TrainOptions { steps: Some(400), ..settings().train }, ..settings() },
        &cancel,
        &mut |_| {},
    )?;
    let ended = Instant::now();
    let (beside, cancelled) = asked.join().map_err(|_| "the asking thread panicked")??;
    let cancel_took = ended - cancelled;
    println!("another adapter adds {:.1?} to a first word", switched.saturating_sub(alone));
    println!("first word alone {alone:.1?}, beside a training {beside:.1?} at most; cancel took {cancel_took:.1?}");
    match outcome == LearnOutcome::Paused(PauseReason::Cancelled) && cancel_took < Duration::from_secs(5) {
        true => Ok(()),
        false => Err(format!("{outcome:?} after {cancel_took:?}").into()),
    }
}
