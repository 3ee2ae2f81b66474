//! `idiolect bench`: how fast this machine runs a model, and in how much memory.

mod decoding;

use std::fmt::{self, Display};
use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use idiolect::adapter::LoraOptions;
use idiolect::generate::{Generation, Generator};
use idiolect::train::{TrainOptions, Training, TrainingData};
use idiolect::{Model, Result, Session};
use serde::Serialize;

use super::typing::Typing;
use crate::args::DeviceArgs;
use crate::memory::peak_process_bytes;
use crate::output::{Output, Table, megabytes};
use crate::progress::Progress;

use decoding::Decoding;

/// Prompt tokens of the two prefill measurements.
const PREFILL: [usize; 2] = [128, 512];

/// Prompt tokens and new ones of the decoding measurement, where the model's context holds them.
const DECODE: [usize; 2] = [16, 64];

/// Tokens of a training step, where the model's context holds them.
const TRAIN: usize = 256;

/// Training steps, and the first ones of them, which warm caches and are not counted.
const TRAIN_STEPS: usize = 10;
const WARM_UP_STEPS: usize = 2;

#[derive(Debug, Args)]
pub struct Bench {
    /// A model folder or a GGUF file
    model: PathBuf,

    #[command(flatten)]
    device: DeviceArgs,
}

/// Tokens a second and bytes.
#[derive(Serialize)]
struct Report {
    device: &'static str,
    device_name: String,
    prefill_128_tokens_per_second: Option<f64>,
    prefill_512_tokens_per_second: Option<f64>,
    decode_tokens_per_second: f64,
    #[serde(flatten)]
    decoding: Decoding,
    /// Three suggestions at each letter that is typed, in decode steps.
    suggest_letters: usize,
    suggest_steps_median: f64,
    suggest_steps_p95: f64,
    suggest_passes_mean: f64,
    train_tokens_per_second: f64,
    train_tokens_a_step: usize,
    /// What the plan of the training said that it takes: of the process on the CPU, of the device on a GPU.
    planned_bytes: usize,
    peak_device_bytes: usize,
    peak_process_bytes: Option<usize>,
}

impl Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let training = format!("training, rank 8, {} tokens a step", self.train_tokens_a_step);
        let typing = format!(
            "{:.1} decode steps in the median of {} letters, {:.1} at the 95th percentile, {:.2} passes a letter",
            self.suggest_steps_median, self.suggest_letters, self.suggest_steps_p95, self.suggest_passes_mean
        );
        let speed = |tokens: Option<f64>| {
            tokens.map_or("(the model's context is shorter)".into(), |t| format!("{t:.1} tokens a second"))
        };
        let decoding = &self.decoding;
        let long = decoding.decode_at_1800_tokens_per_second.zip(decoding.decode_at_1800_over_at_8);
        let adapted = (decoding.decode_with_adapter_tokens_per_second, decoding.decode_with_adapter_over_without);
        let share = |figures: Option<(f64, f64)>| {
            let ratio = figures.map_or(String::new(), |(_, ratio)| format!(" ({:.0} %)", 100.0 * ratio));
            speed(figures.map(|(tokens, _)| tokens)) + &ratio
        };
        Table(&[
            ("device", format!("{}: {}", self.device, self.device_name)),
            ("prefill, 128 tokens", speed(self.prefill_128_tokens_per_second)),
            ("prefill, 512 tokens", speed(self.prefill_512_tokens_per_second)),
            ("decode", speed(Some(self.decode_tokens_per_second))),
            ("decode, 8 tokens of context", speed(Some(decoding.decode_at_8_tokens_per_second))),
            ("decode, 1800 tokens of context", share(long)),
            ("decode, 8 tokens, adapter of rank 8", share(Some(adapted))),
            ("three suggestions", typing),
            (training.as_str(), speed(Some(self.train_tokens_per_second))),
            ("planned for the training", megabytes(self.planned_bytes)),
            ("peak on the device", megabytes(self.peak_device_bytes)),
            ("peak of the process", self.peak_process_bytes.map_or("not told by this system".into(), megabytes)),
        ])
        .fmt(f)
    }
}

impl Bench {
    pub fn run(&self, output: &Output) -> Result<()> {
        let model = Arc::new(Model::open(&self.model)?);
        let mut session = self.device.open(output, model)?;
        let mut bench =
            Measuring { peak_device_bytes: session.device_bytes(), planned_bytes: 0, session: &mut session };
        let mut progress = Progress::new(output, "measuring");
        let mut at = 0;
        let mut next = |what: &'static str| {
            progress.reach(at, 6, what);
            at += 1;
        };
        next("prefill, 128 tokens");
        let prefill_128 = bench.prefill(PREFILL[0])?;
        next("prefill, 512 tokens");
        let prefill_512 = bench.prefill(PREFILL[1])?;
        next("decode");
        let decode = bench.decode()?;
        next("decode, compared");
        let (decoding, held) = Decoding::measure(bench.session)?;
        bench.peak_device_bytes = bench.peak_device_bytes.max(held);
        next("suggestions");
        let typing = Typing::measure(bench.session)?;
        next("training");
        let (train, train_tokens_a_step) = bench.train()?;
        let Measuring { peak_device_bytes, planned_bytes, .. } = bench;
        drop(progress);
        output.result(&Report {
            device: session.device().kind.name(),
            device_name: session.device().name.clone(),
            prefill_128_tokens_per_second: prefill_128,
            prefill_512_tokens_per_second: prefill_512,
            decode_tokens_per_second: decode,
            decoding,
            suggest_letters: typing.letters,
            suggest_steps_median: typing.median_steps,
            suggest_steps_p95: typing.p95_steps,
            suggest_passes_mean: typing.mean_passes,
            train_tokens_per_second: train,
            train_tokens_a_step,
            planned_bytes,
            peak_device_bytes,
            peak_process_bytes: peak_process_bytes(),
        })
    }
}

/// Tokens of text that no model finds special: the same on every machine.
fn ids(len: usize, vocabulary: usize) -> Vec<u32> {
    (0..len).map(|i| ((i * 7919 + 104_729) % vocabulary) as u32).collect()
}

/// A session under measurement.
struct Measuring<'s> {
    session: &'s mut Session,
    peak_device_bytes: usize,
    planned_bytes: usize,
}

impl Measuring<'_> {
    fn ids(&self, len: usize) -> Vec<u32> {
        ids(len, self.session.model().base().config.vocab_size)
    }

    /// Prompt tokens a second, the better of two runs after a first that warms up; `None` beyond the model's context.
    fn prefill(&mut self, tokens: usize) -> Result<Option<f64>> {
        if tokens > self.session.model().base().context {
            return Ok(None);
        }
        let speeds = (0..3)
            .map(|_| Ok(tokens as f64 / self.generate(tokens, 1)?.prefill_seconds))
            .collect::<Result<Vec<f64>>>()?;
        Ok(speeds.into_iter().skip(1).reduce(f64::max))
    }

    /// Decoded tokens a second behind a short prompt.
    fn decode(&mut self) -> Result<f64> {
        let context = self.session.model().base().context;
        let prompt = DECODE[0].min(context / 2).max(1);
        Ok(self.generate(prompt, 1 + DECODE[1].min(context - prompt))?.tokens_per_second())
    }

    fn generate(&mut self, prompt: usize, new: usize) -> Result<Generation> {
        let ids = self.ids(prompt);
        let mut generator = Generator::new(&mut *self.session, None, prompt + new - 1)?;
        let generation = decoding::generate(&mut generator, &ids, new)?;
        self.note_peak();
        Ok(generation)
    }

    /// Trained tokens a second, in the median step, and tokens a step: rank 8 on all seven linear layers, one row a step.
    fn train(&mut self) -> Result<(f64, usize)> {
        let model = Arc::clone(self.session.model());
        let row = TRAIN.min(model.base().context);
        let data = TrainingData::from_ids(&[self.ids(row + 1)], &model)?;
        let options = TrainOptions { steps: Some(TRAIN_STEPS), ..TrainOptions::default() };
        let adapter = LoraOptions::default().shape(&model)?;
        let mut training = Training::new(self.session, adapter, data, &options)?;
        self.planned_bytes = training.plan().total_bytes();
        let mut speeds = Vec::new();
        while let Some(step) = training.step()? {
            if step.step > WARM_UP_STEPS {
                speeds.push(step.tokens_per_second);
            }
        }
        drop(training);
        self.note_peak();
        Ok((decoding::median(speeds.into_iter()), row))
    }

    fn note_peak(&mut self) {
        self.peak_device_bytes = self.peak_device_bytes.max(self.session.device_bytes());
    }
}
