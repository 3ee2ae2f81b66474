//! What a training would take, before it runs.

use std::sync::Arc;
use std::time::Instant;

use super::corpus::{Corpus, Selection};
use super::course::generic_samples;
use super::settings::LearnSettings;
use super::training::training_data;
use crate::device::DeviceInfo;
use crate::error::{Error, ErrorKind, Result};
use crate::eval::evaluate;
use crate::gate::{self, Fitness, Verdict};
use crate::history::{History, Split};
use crate::samples::Sample;
use crate::session::Session;
use crate::train::Training;

/// Steps that are tried for their time: the first one pays for what is made once.
const STEPS_TRIED: usize = 2;

/// Samples that are measured for their time.
const SAMPLES_TRIED: usize = 32;

/// Measurements of held-out and of generic text, as a rule: before, and of the candidate.
const MEASUREMENTS: usize = 2;

/// What a training on the history would take, from its beginning.
#[derive(Debug, Clone, PartialEq)]
pub struct TrainingPlan {
    /// Texts that it learns from, repeats counted.
    pub texts: usize,
    /// Texts that are held out, to measure what it comes to.
    pub held_out_texts: usize,
    /// Optimizer steps.
    pub steps: usize,
    /// Tokens that go through the model in these, generic text among them.
    pub tokens: usize,
    /// Parameters that are trained.
    pub parameters: usize,
    /// Bytes that it takes at most: of the process on the CPU, of the device on a GPU.
    pub planned_bytes: usize,
    /// The budget that trainings usually keep to, where none was given and this one cannot.
    pub exceeded_budget: Option<usize>,
    /// About how long it takes, in seconds of work on this device as it is now: by the time of a few steps and measured
    /// texts. What the base writes itself in languages without generic text comes on top: half a minute each, as a rule.
    pub seconds: f64,
    /// The device.
    pub device: DeviceInfo,
}

/// Plans a training on the history: chooses and reads what it would learn from, and tries a few steps, of which nothing is
/// kept. It does not look whether an earlier training has left something to go on from, nor whether anything has changed
/// since the last one.
///
/// # Errors
/// [`ErrorKind::BadData`] when there is nothing to learn from, or the history is none to learn from;
/// [`ErrorKind::OverBudget`] when the budget cannot hold it; what training refuses.
pub(crate) fn plan(session: &mut Session, history: &History, settings: &LearnSettings) -> Result<TrainingPlan> {
    settings.check()?;
    let mut rows = history.learnable(Split::Training)?;
    let mut give_way = || session.give_way();
    let mut selection = Selection::new(&mut rows, settings, &mut give_way)?;
    let Ok(mut corpus) = selection.read(&mut rows, session.model(), settings, &mut give_way)? else {
        return Err(Error::new(ErrorKind::BadData, "the history lost rows while they were read"));
    };
    if let Fitness::Unfit { why, left_out } = corpus.fitness {
        return Err(Error::new(ErrorKind::BadData, Verdict::unfit(why, left_out).reason.to_string()));
    }
    let model = Arc::clone(session.model());
    let data = Arc::new(training_data(&model, &mut corpus, settings)?);
    let size = data.size(&settings.train)?;
    let shape = settings.lora.shape(&model)?;
    let parameters = shape.layout().len();

    let measured = measured_tokens(session, &corpus, settings, size.steps.div_ceil(size.steps_an_epoch))?;
    let measuring = measured as f64 * seconds_a_token(session, &corpus.held_out.samples)?;

    let mut training = Training::new(session, shape, data, &settings.train)?;
    let (planned_bytes, exceeded_budget) = (training.plan().total_bytes(), training.plan().exceeded_budget);
    let mut rate = 0.0;
    for _ in 0..STEPS_TRIED {
        if let Some(report) = training.step()? {
            rate = report.tokens_per_second;
        }
    }
    drop(training);
    // What the trial held is given back now, not with the next job.
    session.start_job();
    Ok(TrainingPlan {
        texts: corpus.texts[Split::Training as usize],
        held_out_texts: corpus.texts[Split::HeldOut as usize],
        steps: size.steps,
        tokens: size.tokens,
        parameters,
        planned_bytes,
        exceeded_budget,
        seconds: size.tokens as f64 / rate + measuring,
        device: session.device().clone(),
    })
}

/// Tokens that go through the model to measure: validation after every epoch, and what the gate asks for.
fn measured_tokens(session: &Session, corpus: &Corpus, settings: &LearnSettings, epochs: usize) -> Result<usize> {
    let tokens = |samples: &[Sample]| samples.iter().map(Sample::inputs).sum::<usize>();
    let mut judged = tokens(&corpus.held_out.samples);
    for language in &corpus.languages.measured {
        let pieces = gate::generic::measuring(language).into_iter();
        judged += tokens(&generic_samples(session.model(), pieces, settings.train.seq_len)?.samples);
    }
    Ok(epochs * tokens(&corpus.validation) + MEASUREMENTS * judged)
}

/// How long the first of `samples` take to measure, a token; 0 where there are none.
fn seconds_a_token(session: &mut Session, samples: &[Sample]) -> Result<f64> {
    let tried = &samples[..samples.len().min(SAMPLES_TRIED)];
    let tokens = tried.iter().map(Sample::inputs).sum::<usize>();
    if tokens == 0 {
        return Ok(0.0);
    }
    let began = Instant::now();
    evaluate(session, None, tried)?;
    Ok(began.elapsed().as_secs_f64() / tokens as f64)
}
