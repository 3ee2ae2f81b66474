//! Dropout over whole trainings of the embedded model: a seed gives the same masks on the CPU and on a GPU (a software one
//! will do), whatever is computed again; what is measured is without it.

use std::fs;
use std::process::ExitCode;
use std::sync::Arc;

use idiolect::adapter::LoraOptions;
use idiolect::eval::evaluate;
use idiolect::samples::Sample;
use idiolect::train::{Decay, Schedule, TrainOptions, Training, TrainingData};
use idiolect::{Adapter, DeviceChoice, ErrorKind, Model, Session};
use idiolect_tests::golden::{LOSS_BOUND, Result, repository};
use libtest_mimic::{Arguments, Failed, Trial};

const RATE: f32 = 0.3;
const STEPS: usize = 6;
/// Tokens of a row.
const TOKENS: usize = 40;

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let gpu = idiolect_kernels::gpu::choose(None, true).is_ok();
    let trial = |name: &str, run: fn() -> Result<()>| {
        Trial::test(name, move || run().map_err(|error| Failed::from(error.to_string())))
    };
    let trials = vec![
        trial("masks follow from the seed/cpu", || masks(DeviceChoice::Cpu)),
        trial("masks follow from the seed/gpu", || masks(DeviceChoice::Gpu)).with_ignored_flag(!gpu),
        trial("a GPU drops what the CPU drops", devices).with_ignored_flag(!gpu),
        trial("nothing is dropped where it is measured", measured),
    ];
    libtest_mimic::run(&arguments, trials).exit_code()
}

/// What a training came to.
#[derive(Debug)]
struct Trained {
    losses: Vec<f32>,
    adapter: Adapter,
    recomputed_attention: usize,
}

impl Trained {
    fn bits(&self) -> Vec<u32> {
        self.losses.iter().chain(self.adapter.params()).map(|value| value.to_bits()).collect()
    }
}

fn open(choice: DeviceChoice) -> Result<Session> {
    let model = Model::open(&repository().join("bindings/cli/assets/base"))?;
    Ok(Session::new(Arc::new(model), choice)?)
}

/// Rows of ids that can be learned: each repeats a few.
fn data(model: &Model) -> Result<TrainingData> {
    let row = |row: u32| (0..=TOKENS as u32).map(|i| (row * 977 + i % 7 * 131) % 8000 + 17).collect();
    Ok(TrainingData::from_ids(&(0..4).map(row).collect::<Vec<Vec<u32>>>(), model)?)
}

fn train(session: &mut Session, dropout: f32, seed: u64, budget_bytes: Option<usize>) -> Result<Trained> {
    let model = Arc::clone(session.model());
    let schedule = Schedule { peak: 2e-3, warmup: 0, decay: Decay::Constant, floor: 0.0 };
    let options =
        TrainOptions { steps: Some(STEPS), accumulate: 2, schedule, seed, budget_bytes, ..TrainOptions::default() };
    // The adapter's first values are the same for all seeds: only the masks differ.
    let fresh = LoraOptions { dropout: Some(dropout), ..LoraOptions::default() }.fresh(&model, 0)?;
    let mut training = Training::new(session, fresh, data(&model)?, &options)?;
    let mut losses = Vec::new();
    while let Some(report) = training.step()? {
        losses.push(report.loss);
    }
    let recomputed_attention = training.plan().recomputed_attention;
    Ok(Trained { losses, adapter: training.finish()?.0, recomputed_attention })
}

/// The lowest budget that holds the training, to a thousandth.
fn least_budget(session: &Session) -> Result<usize> {
    let shape = LoraOptions { dropout: Some(RATE), ..LoraOptions::default() }.shape(session.model())?;
    let plan = |budget| session.plan_training(&shape, TOKENS, budget);
    let (mut refused, mut held) = (0, plan(None)?.total_bytes());
    while held - refused > held / 1000 {
        let budget = refused + (held - refused) / 2;
        match plan(Some(budget)) {
            Ok(_) => held = budget,
            Err(error) if error.kind() == ErrorKind::OverBudget => refused = budget,
            Err(error) => return Err(error.into()),
        }
    }
    // Samples in memory count as well.
    Ok(held + held / 100)
}

fn masks(choice: DeviceChoice) -> Result<()> {
    let mut session = open(choice)?;
    let first = train(&mut session, RATE, 1, None)?;
    assert_eq!(first.bits(), train(&mut session, RATE, 1, None)?.bits(), "the same seed gives other bits");
    let budget = least_budget(&session)?;
    let recomputed = train(&mut session, RATE, 1, Some(budget))?;
    assert!(
        recomputed.recomputed_attention > first.recomputed_attention,
        "nothing is computed again in {budget} bytes"
    );
    assert_eq!(first.bits(), recomputed.bits(), "a plan that makes activations again gives other bits");
    for (what, other) in
        [("another seed", train(&mut session, RATE, 2, None)?), ("no dropout", train(&mut session, 0.0, 1, None)?)]
    {
        // B is zero at first: the first step drops what has no effect yet.
        assert_eq!(first.losses[0].to_bits(), other.losses[0].to_bits(), "{what}");
        let apart = (first.losses[STEPS - 1] / other.losses[STEPS - 1] - 1.0).abs();
        assert!(apart > 10.0 * LOSS_BOUND as f32, "{what}: the last losses are {apart:e} apart");
    }
    Ok(())
}

fn devices() -> Result<()> {
    let [cpu, gpu] = [DeviceChoice::Cpu, DeviceChoice::Gpu].map(|choice| train(&mut open(choice)?, RATE, 1, None));
    let (cpu, gpu) = (cpu?.losses, gpu?.losses);
    for (step, (cpu, gpu)) in cpu.iter().zip(&gpu).enumerate() {
        let apart = f64::from((cpu / gpu - 1.0).abs());
        assert!(apart <= LOSS_BOUND, "step {}: {cpu} on the CPU, {gpu} on the GPU", step + 1);
    }
    Ok(())
}

fn measured() -> Result<()> {
    let home = tempfile::tempdir()?;
    let mut session = open(DeviceChoice::Cpu)?;
    let model = Arc::clone(session.model());
    let samples: Vec<Sample> = data(&model)?.samples().to_vec();
    let dropping = train(&mut session, RATE, 1, None)?.adapter;
    assert_eq!(dropping.config().dropout, RATE);
    let folder = home.path().join("adapter");
    dropping.save(&folder, &model, Default::default())?;
    let settings = fs::read_to_string(folder.join("adapter_config.json"))?;
    let without = settings.replace("\"lora_dropout\": 0.3", "\"lora_dropout\": 0.0");
    assert_ne!(settings, without);
    fs::write(folder.join("adapter_config.json"), without)?;
    let plain = Adapter::open(&folder, &model)?;
    let [dropped, whole] = [&dropping, &plain].map(|adapter| evaluate(&mut session, Some(adapter), &samples));
    assert_eq!(dropped?, whole?);

    // And so does a training that looks at its validation in between.
    let fresh = LoraOptions { dropout: Some(RATE), ..LoraOptions::default() }.fresh(&model, 0)?;
    let options = TrainOptions { steps: Some(2), ..TrainOptions::default() };
    let mut training = Training::new(&mut session, fresh, data(&model)?, &options)?;
    training.step()?;
    let within = training.evaluate(&samples)?;
    let adapter = training.adapter()?;
    drop(training);
    assert_eq!(within.nll.to_bits(), evaluate(&mut session, Some(&adapter), &samples)?.nll.to_bits());
    Ok(())
}
