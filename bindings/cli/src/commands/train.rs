//! `idiolect train`.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use idiolect::personalize::LearnSettings;
use idiolect::samples::SampleCounts;
use idiolect::train::{Decay, Schedule, Start, StepReport, TrainOptions, Training, TrainingSummary};
use idiolect::{Adapter, Error, ErrorKind, Model, Result};
use serde::Serialize;

use super::learn;
use crate::args::{BudgetArgs, DataArgs, DeviceArgs, LoraArgs};
use crate::output::{Output, SkippedRows, Table, trainable};
use crate::preparation::{Cut, Preparation, worth_telling};
use crate::progress::Progress;

#[derive(Debug, Args)]
pub struct Train {
    /// A model folder or a GGUF file
    #[arg(value_name = "MODEL", required_unless_present = "profile", conflicts_with = "profile")]
    model: Option<PathBuf>,

    /// Learn from this profile's history instead of a file, and ask the gate; goes on where an earlier run was ended
    #[arg(long, requires = "base", conflicts_with_all = ["text", "format", "ids", "out", "init", "dump_grads"])]
    profile: Option<PathBuf>,

    /// With --profile: the base model
    #[arg(long = "model", value_name = "MODEL", requires = "profile")]
    base: Option<PathBuf>,

    #[command(flatten)]
    data: DataArgs,

    /// The folder that the adapter is written to
    #[arg(long, value_name = "ADAPTER", required_unless_present = "profile")]
    out: Option<PathBuf>,

    /// Go on from this adapter; rank, alpha and targets are its own
    #[arg(long, value_name = "ADAPTER")]
    init: Option<PathBuf>,

    /// With --profile: seconds between two checkpoints [default: 30, or as much more as it takes that they write a gigabyte
    /// an hour at most]
    #[arg(long, value_name = "SECONDS", requires = "profile")]
    checkpoint_seconds: Option<f64>,

    #[command(flatten)]
    lora: LoraArgs,

    #[command(flatten)]
    steps: StepArgs,

    #[command(flatten)]
    optimizer: OptimizerArgs,

    /// Seed of the adapter's first values, the order of samples and dropout
    #[arg(long, default_value_t = TrainOptions::default().seed)]
    seed: u64,

    /// Write the first step's gradients, before clipping, under PEFT's names
    #[arg(long, value_name = "FILE.safetensors")]
    dump_grads: Option<PathBuf>,

    #[command(flatten)]
    budget: BudgetArgs,

    #[command(flatten)]
    device: DeviceArgs,
}

/// How many steps there are, and what each sees.
#[derive(Debug, Args)]
struct StepArgs {
    /// Optimizer steps; samples are taken again where they run out [default: what --epochs gives]
    #[arg(long)]
    steps: Option<usize>,

    /// Passes over the samples
    #[arg(long, default_value_t = TrainOptions::default().epochs)]
    epochs: usize,

    /// Longest sample of --text in tokens; also the length of a packed row. Longer contexts are cut at their start,
    /// longer texts become several samples
    #[arg(long, value_name = "TOKENS", default_value_t = TrainOptions::default().seq_len)]
    seq_len: usize,

    /// Samples a step; with --ids it is one row [default: 16]
    #[arg(long, value_name = "N")]
    batch_samples: Option<usize>,

    /// Batches that one step adds up
    #[arg(long, value_name = "N", default_value_t = TrainOptions::default().accumulate)]
    accumulate: usize,
}

/// How a gradient becomes a step.
#[derive(Debug, Args)]
struct OptimizerArgs {
    /// The highest learning rate
    #[arg(long, default_value_t = TrainOptions::default().schedule.peak, allow_negative_numbers = true)]
    lr: f32,

    /// How the learning rate falls
    #[arg(long, default_value = "linear", value_name = "constant|linear|cosine")]
    schedule: Decay,

    /// Lowest learning rate, as a share of the highest
    #[arg(long, value_name = "RATIO", default_value_t = TrainOptions::default().schedule.floor, allow_negative_numbers = true)]
    min_lr_ratio: f32,

    /// Steps over which the learning rate rises
    #[arg(long, value_name = "STEPS", default_value_t = TrainOptions::default().schedule.warmup)]
    warmup: usize,

    /// Decoupled weight decay
    #[arg(long, default_value_t = TrainOptions::default().weight_decay, allow_negative_numbers = true)]
    weight_decay: f32,

    /// Largest norm of the gradient; 0 leaves it as it is
    #[arg(long, value_name = "NORM", default_value_t = TrainOptions::default().clip, allow_negative_numbers = true)]
    clip: f32,
}

/// A step, as `--json` prints it.
#[derive(Serialize)]
struct StepLine {
    step: usize,
    loss: f32,
    grad_norm: f32,
    lr: f32,
    tokens: usize,
    tokens_per_second: f64,
    device_bytes: usize,
}

impl From<&StepReport> for StepLine {
    fn from(report: &StepReport) -> Self {
        Self {
            step: report.step,
            loss: report.loss,
            grad_norm: report.grad_norm,
            lr: report.learning_rate,
            tokens: report.tokens,
            tokens_per_second: report.tokens_per_second,
            device_bytes: report.device_bytes,
        }
    }
}

impl Train {
    pub fn run(&self, output: &Output) -> Result<()> {
        let options = self.options()?;
        if let (Some(profile), Some(base)) = (&self.profile, &self.base) {
            let checkpoint_every = self.checkpoint_seconds.map(Duration::try_from_secs_f64).transpose();
            let checkpoint_every =
                checkpoint_every.map_err(|_| Error::new(ErrorKind::BadOption, "checkpoint-seconds must be a time"))?;
            let lora = self.lora.options();
            let settings = LearnSettings { train: options, lora, checkpoint_every, ..LearnSettings::default() };
            return learn::run(output, profile, base, self.device.device, &settings);
        }
        let missing = |what| Error::new(ErrorKind::BadOption, format!("give {what}"));
        let path = self.model.as_ref().ok_or_else(|| missing("a model"))?;
        let out = self.out.as_ref().ok_or_else(|| missing("--out"))?;
        Adapter::check_destination(out)?;
        self.dump_grads.as_deref().map(Adapter::check_values_destination).transpose()?;
        let model = Arc::new(Model::open(path)?.with_context(options.seq_len)?);
        let (data, skipped) = self.data.read(&model, options.seq_len)?;
        let counts = data.counts();
        let start = self.start(&model)?;
        let mut session = self.device.open(output, Arc::clone(&model))?;
        let adapted = start.shape().layout().len();
        output.note(&trainable(adapted, model.base().parameters() + adapted));
        let mut training = Training::new(&mut session, start, data, &options)?;
        let plan = training.plan();
        Preparation::tell(output, counts, plan.total_bytes(), plan.exceeded_budget)?;
        if let Some(skipped) = SkippedRows::any(skipped) {
            output.note(&skipped.to_string());
            output.object(&skipped)?;
        }
        self.train(output, &mut training)?;
        let (adapter, summary) = training.finish()?;
        adapter.save(out, &model, summary.record())?;
        if output.json() { Ok(()) } else { output.text(&format!("{}\n", table(&summary, counts, out))) }
    }
}

impl Train {
    fn options(&self) -> Result<TrainOptions> {
        let defaults = TrainOptions::default();
        let batch_samples = match (self.steps.batch_samples, self.data.is_ids()) {
            (Some(rows), true) if rows != 1 => {
                let message = format!("--batch-samples {rows} with --ids, where a micro-batch is one row");
                return Err(Error::new(ErrorKind::BadOption, message).with_hint("use --accumulate"));
            }
            (given, true) => given.unwrap_or(1),
            (given, false) => given.unwrap_or(defaults.batch_samples),
        };
        let options = TrainOptions {
            steps: self.steps.steps,
            epochs: self.steps.epochs,
            batch_samples,
            accumulate: self.steps.accumulate,
            seq_len: self.steps.seq_len,
            schedule: Schedule {
                peak: self.optimizer.lr,
                warmup: self.optimizer.warmup,
                decay: self.optimizer.schedule,
                floor: self.optimizer.min_lr_ratio,
            },
            weight_decay: self.optimizer.weight_decay,
            clip: self.optimizer.clip,
            seed: self.seed,
            budget_bytes: self.budget.bytes(),
        };
        options.check()?;
        Ok(options)
    }

    /// What training starts from.
    fn start(&self, model: &Model) -> Result<Start> {
        let asked = self.lora.options();
        let Some(init) = &self.init else {
            return Ok(asked.shape(model)?.into());
        };
        let adapter = Adapter::open(init, model)?;
        asked.check_agree(&adapter, model)?;
        Ok(adapter.into())
    }

    fn train(&self, output: &Output, training: &mut Training<'_>) -> Result<()> {
        let mut progress = Progress::new(output, "training");
        while let Some(report) = self.step(training)? {
            output.object(&StepLine::from(&report))?;
            progress.reach(report.step, training.steps(), report_line(&report));
        }
        Ok(())
    }

    fn step(&self, training: &mut Training<'_>) -> Result<Option<StepReport>> {
        match &self.dump_grads {
            Some(path) if training.summary().steps == 0 => training.step_with(|trainer| {
                let gradients = trainer.gradients()?;
                trainer.adapter()?.write_values(path, &gradients)
            }),
            _ => training.step(),
        }
    }
}

/// A step beside its progress bar.
pub fn report_line(report: &StepReport) -> String {
    format!("loss {:.3}  {:.0} tok/s", report.loss, report.tokens_per_second)
}

/// A finished training, for people.
fn table(summary: &TrainingSummary, counts: SampleCounts, adapter: &Path) -> String {
    let (first, last) = (summary.first_loss.unwrap_or_default(), summary.last_loss.unwrap_or_default());
    let speed = summary.tokens_per_second();
    let mut rows = vec![
        ("steps", summary.steps.to_string()),
        ("loss", format!("{first:.3} nats a token at the first step, {last:.3} at the last")),
        ("time", format!("{:.1} s, {speed:.0} tokens a second", summary.seconds)),
    ];
    rows.extend(worth_telling(counts).map(|counts| ("samples", Cut(counts).to_string())));
    rows.push(("adapter", adapter.display().to_string()));
    Table(&rows).to_string()
}
