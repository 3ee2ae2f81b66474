//! The memory of training and generation, on the published model where nothing else is said: what the plan says, and that it stays level.

use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::Arc;

use idiolect::adapter::LoraOptions;
use idiolect::engine::{CancelToken, EngineOptions};
use idiolect::generate::{GenerateOptions, Generator, plain_prompt};
use idiolect::history::NewSample;
use idiolect::personalize::{LearnEvent, LearnSettings};
use idiolect::profile::{KeySource, Profile};
use idiolect::samples::sample_of_ids;
use idiolect::train::{TrainOptions, Training, TrainingData};
use idiolect::{DeviceChoice, Engine, Model, Session};
use idiolect_tests::golden::{Result, published, repository};
use libtest_mimic::{Arguments, Failed, Trial};

/// Budgets of the embedded model on a GPU, in MB: none, half, nearly everything computed again.
const DEVICE_BUDGETS: [Option<usize>; 3] = [None, Some(24), Some(20)];
/// Share of a device's plan that a training holds at least.
const DEVICE_LEAST: f64 = 0.99;
/// Budgets in MB: all kept, half of the feed-forward layers computed again, nearly everything computed again.
const BUDGETS: [usize; 3] = [345, 280, 225];
/// How far the plan may be from the most that the process held, relative.
const PLAN_TOLERANCE: f64 = 0.1;
/// The most that a training of 256 tokens a step may take, bytes.
const MOST_BYTES: usize = 400_000_000;
/// How memory stays level in full, as [`LONG_VARIABLE`] asks for it.
const LONG: Level = Level { steps: [30, 300], tokens: [50, 500], growth: 4 << 20 };
/// A ninth of that way, and of the growth: what leaks so much a step fails here as well.
const SHORT: Level = Level { steps: [30, 60], tokens: [50, 100], growth: (4 << 20) / 9 };
/// Asks for the long runs.
const LONG_VARIABLE: &str = "IDIOLECT_LONG";
/// Messages of a long history.
const MANY: usize = 100_000;
/// In a child process: the profile to learn from.
const PROFILE_VARIABLE: &str = "IDIOLECT_TEST_PROFILE";
/// In a child process: the budget to train within.
const BUDGET_VARIABLE: &str = "IDIOLECT_TEST_BUDGET_MB";

/// What is compared: an early moment and the last one, of a training and of an answer.
#[derive(Clone, Copy)]
struct Level {
    steps: [usize; 2],
    tokens: [usize; 2],
    /// Bytes that the process may grow by in between: the allocator's slack.
    growth: usize,
}

fn main() -> ExitCode {
    let budget =
        std::env::var(BUDGET_VARIABLE).ok().map(|budget| budget.parse().map_err(Into::into).and_then(train_within));
    let profile = std::env::var_os(PROFILE_VARIABLE).map(|profile| learn_from(Path::new(&profile)));
    if let Some(done) = budget.or(profile) {
        return match done {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("{error}");
                ExitCode::FAILURE
            }
        };
    }
    let mut arguments = Arguments::from_args();
    // They measure the process.
    arguments.test_threads = Some(1);
    let (model, gpu) = (published().is_some(), idiolect_kernels::gpu::choose(None, true).is_ok());
    let measured = cfg!(target_os = "linux");
    let mut trials = vec![
        Trial::test("a training takes what its plan says", || plans().map_err(|e| Failed::from(e.to_string())))
            .with_ignored_flag(!model || !measured),
        Trial::test("so does one on 100,000 messages", || many().map_err(|e| Failed::from(e.to_string())))
            .with_ignored_flag(!measured),
    ];
    trials.push(
        Trial::test("a training holds on a GPU what its plan says", || {
            device_plans().map_err(|e| Failed::from(e.to_string()))
        })
        .with_ignored_flag(!gpu),
    );
    let long = std::env::var_os(LONG_VARIABLE).is_some();
    let length = if long { LONG } else { SHORT };
    // On a software GPU the published model takes many minutes even for the short run.
    let on_gpu = if long { published() } else { Some(embedded()) };
    for (name, choice, model) in
        [("cpu", DeviceChoice::Cpu, published()), ("gpu", DeviceChoice::Gpu, on_gpu.filter(|_| gpu))]
    {
        let Level { steps: [_, steps], tokens: [_, tokens], .. } = length;
        let ignored = model.is_none() || !measured;
        let run = move || {
            let model = model.as_deref().ok_or("no model")?;
            level(model, choice, length).map_err(|e| Failed::from(e.to_string()))
        };
        trials.push(
            Trial::test(format!("{steps} steps and {tokens} tokens stay level/{name}"), run).with_ignored_flag(ignored),
        );
    }
    libtest_mimic::run(&arguments, trials).exit_code()
}

/// Each budget in a process of its own, since the most that a process held never falls.
fn plans() -> Result<()> {
    for budget in BUDGETS {
        let child = Command::new(std::env::current_exe()?).env(BUDGET_VARIABLE, budget.to_string()).output()?;
        let (told, complaint) = (String::from_utf8(child.stdout)?, String::from_utf8_lossy(&child.stderr).into_owned());
        let figures: Vec<usize> = told.split_whitespace().map(str::parse).collect::<std::result::Result<_, _>>()?;
        let [planned, held] = figures[..] else { return Err(format!("{budget} MB: {complaint}").into()) };
        println!("{budget} MB: {planned} bytes planned, {held} held");
        if (planned as f64 / held as f64 - 1.0).abs() > PLAN_TOLERANCE
            || held > MOST_BYTES
            || planned > budget * 1_000_000
        {
            return Err(format!("{budget} MB: {planned} bytes planned, {held} held").into());
        }
    }
    Ok(())
}

/// The embedded model, two steps of 256 tokens with a validation and a reading of the parameters in between.
fn device_plans() -> Result<()> {
    let model = Arc::new(Model::open(&embedded())?);
    let row: Vec<u32> = (0..=256u32).map(|i| i * 104_729 % 8000 + 17).collect();
    for budget in DEVICE_BUDGETS {
        let mut session = Session::new(Arc::clone(&model), DeviceChoice::Gpu)?;
        let options = TrainOptions { budget_bytes: budget.map(|megabytes| megabytes * 1_000_000), ..steps(2) };
        let shape = LoraOptions::default().shape(&model)?;
        let data = TrainingData::from_ids(std::slice::from_ref(&row), &model)?;
        let mut training = Training::new(&mut session, shape, data, &options)?;
        training.step()?;
        training.evaluate(&[sample_of_ids(&row, model.tokenizer())])?;
        training.params()?;
        let held = training.step()?.ok_or("no second step")?.device_bytes;
        let planned = training.plan().total_bytes();
        println!("{budget:?} MB on a GPU: {planned} bytes planned, {held} held");
        if held > planned || (held as f64) < DEVICE_LEAST * planned as f64 {
            return Err(format!("{budget:?} MB: {planned} bytes planned, {held} held").into());
        }
    }
    Ok(())
}

/// Trains two steps of 256 tokens within a budget; prints the plan's bytes and the most that the process held.
fn train_within(budget_mb: usize) -> Result<()> {
    let mut session = open(&published().ok_or("no published model")?, DeviceChoice::Cpu)?;
    let options = TrainOptions { budget_bytes: Some(budget_mb * 1_000_000), ..steps(2) };
    let mut training = training(&mut session, 256, &options)?;
    while training.step()?.is_some() {}
    println!("{} {}", training.plan().total_bytes(), status("VmHWM")?);
    Ok(())
}

/// Few steps on a long history, in a process of its own, take no more than planned.
fn many() -> Result<()> {
    let home = tempfile::tempdir()?;
    let profile = Profile::create(home.path(), &KeySource::Beside)?;
    let word =
        |n: usize| ["river", "kettle", "boat", "cows", "rain", "bread", "letter", "meadow", "train", "late"][n % 10];
    let text = |n: usize| format!("{} {} {} by the {} {n}", word(n), word(n / 10), word(n / 100), word(n / 1000));
    for start in (0..MANY).step_by(1000) {
        let batch: Vec<NewSample> = (start..start + 1000).map(|n| NewSample::new(text(n * 7919 % 1_000_003))).collect();
        profile.history().add(&batch)?;
    }
    drop(profile);
    let child = Command::new(std::env::current_exe()?).env(PROFILE_VARIABLE, home.path()).output()?;
    let (told, complaint) = (String::from_utf8(child.stdout)?, String::from_utf8_lossy(&child.stderr).into_owned());
    let figures: Vec<usize> = told.split_whitespace().map(str::parse).collect::<std::result::Result<_, _>>()?;
    let [planned, held] = figures[..] else { return Err(complaint.into()) };
    println!("{MANY} messages: {planned} bytes planned, {held} held");
    match held <= planned + planned / 10 {
        true => Ok(()),
        false => Err(format!("{planned} bytes planned, {held} held").into()),
    }
}

/// Learns four steps from a profile; prints the plan's bytes and the most that the process held.
fn learn_from(profile: &Path) -> Result<()> {
    let engine = Engine::open(EngineOptions { device: DeviceChoice::Cpu, ..EngineOptions::new(profile, embedded()) })?;
    let settings = LearnSettings { train: steps(4), ..LearnSettings::default() };
    let mut planned = 0;
    engine.train(&settings, &CancelToken::new(), &mut |event| {
        if let LearnEvent::Started { planned_bytes, .. } = event {
            planned = planned_bytes;
        }
    })?;
    println!("{planned} {}", status("VmHWM")?);
    Ok(())
}

fn level(model: &Path, choice: DeviceChoice, length: Level) -> Result<()> {
    let Level { steps: [early, last], tokens: [early_token, tokens], growth } = length;
    let mut session = open(model, choice)?;
    let mut training = training(&mut session, 16, &steps(last))?;
    let mut measured = Vec::new();
    while let Some(report) = training.step()? {
        if report.step == early || report.step == last {
            measured.push((report.device_bytes, status("VmRSS")?));
        }
    }
    same_level(&format!("{last} steps"), &measured, growth)?;
    let (adapter, _) = training.finish()?;
    let prompt = plain_prompt(session.model(), Some(&adapter), "The train")?;
    let options = GenerateOptions { max_tokens: tokens, ignore_eos: true, ..GenerateOptions::default() };
    let mut generator = Generator::new(&mut session, Some(&adapter), prompt.len() + options.max_tokens)?;
    let mut measured = Vec::new();
    let mut pieces = 0;
    let generation = generator.generate(&prompt, &options, &mut |_| {
        pieces += 1;
        if pieces == early_token {
            measured.extend(status("VmRSS").map(|held| (0, held)));
        }
        ControlFlow::Continue(())
    })?;
    measured.push((0, status("VmRSS")?));
    if generation.ids.len() != tokens {
        return Err(format!("{} tokens, not {tokens}", generation.ids.len()).into());
    }
    same_level(&format!("{tokens} tokens"), &measured, growth)
}

/// Compares device bytes and resident bytes of an early moment and the last one.
fn same_level(what: &str, measured: &[(usize, usize)], growth: usize) -> Result<()> {
    let [early, last] = measured else { return Err(format!("{what}: measured {} times", measured.len()).into()) };
    println!("{what}: {} bytes held early, {} at the end", early.1, last.1);
    match last.0 <= early.0 && last.1 <= early.1 + growth {
        true => Ok(()),
        false => Err(format!("{what}: {early:?} device and process bytes became {last:?}").into()),
    }
}

fn steps(steps: usize) -> TrainOptions {
    TrainOptions { steps: Some(steps), ..TrainOptions::default() }
}

/// A training of the defaults on rows of `tokens` tokens.
fn training<'s>(session: &'s mut Session, tokens: usize, options: &TrainOptions) -> Result<Training<'s>> {
    let model = Arc::clone(session.model());
    let id = |row: usize, at: usize| ((row * 7919 + at * 104_729) % (model.tokenizer().vocab_size() - 17) + 17) as u32;
    let rows: Vec<Vec<u32>> = (0..8).map(|row| (0..=tokens).map(|at| id(row, at)).collect()).collect();
    let adapter = LoraOptions::default().fresh(&model, 0)?;
    Ok(Training::new(session, adapter, TrainingData::from_ids(&rows, &model)?, options)?)
}

/// The model that the program brings along.
fn embedded() -> PathBuf {
    repository().join("bindings/cli/assets/base")
}

fn open(model: &Path, choice: DeviceChoice) -> Result<Session> {
    Ok(Session::new(Arc::new(Model::open(model)?), choice)?)
}

/// A figure of this process, in bytes.
fn status(field: &str) -> Result<usize> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
    let kilobytes = line.and_then(|line| line.trim().strip_suffix("kB")).ok_or("the system does not tell")?;
    Ok(kilobytes.trim().parse::<usize>()? * 1024)
}
