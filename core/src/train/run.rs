//! A whole training, from samples to an adapter: what every surface runs.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::options::TrainOptions;
use super::plan::TrainPlan;
use super::steps::Steps;
use super::trainer::{StepReport, Trainer, TrainerState};
use super::training_data::TrainingData;
use crate::adapter::{Adapter, AdapterShape};
use crate::error::{Error, ErrorKind, Result};
use crate::eval::{Evaluation, Measured};
use crate::samples::Sample;
use crate::session::Session;

/// What a training begins with.
#[derive(Debug, Clone)]
pub enum Start {
    /// A fresh adapter of this shape; memory for it is taken only once the plan has found room.
    Fresh(AdapterShape),
    /// This adapter, at its strength.
    From(Adapter),
}

impl Start {
    /// What is adapted.
    pub fn shape(&self) -> &AdapterShape {
        match self {
            Self::Fresh(shape) => shape,
            Self::From(adapter) => adapter.shape(),
        }
    }
}

impl From<AdapterShape> for Start {
    fn from(shape: AdapterShape) -> Self {
        Self::Fresh(shape)
    }
}

impl From<Adapter> for Start {
    fn from(adapter: Adapter) -> Self {
        Self::From(adapter)
    }
}

/// What a training came to so far.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct TrainingSummary {
    /// Optimizer steps.
    pub steps: usize,
    /// Loss of the first step, nats a token, before it learned anything.
    pub first_loss: Option<f32>,
    /// Loss of the last step.
    pub last_loss: Option<f32>,
    /// Tokens that went through the model.
    pub tokens: usize,
    /// Seconds in steps.
    pub seconds: f64,
    /// Bytes that it takes at most, as [`TrainPlan::total_bytes`].
    #[serde(default)]
    pub planned_bytes: usize,
    /// As [`TrainPlan::exceeded_budget`].
    #[serde(default)]
    pub exceeded_budget: Option<usize>,
}

impl TrainingSummary {
    fn add(&mut self, report: &StepReport) {
        self.steps = report.step;
        self.first_loss.get_or_insert(report.loss);
        self.last_loss = Some(report.loss);
        self.tokens += report.tokens;
        self.seconds += report.tokens as f64 / report.tokens_per_second;
    }

    /// Tokens a second.
    pub fn tokens_per_second(&self) -> f64 {
        if self.seconds > 0.0 { self.tokens as f64 / self.seconds } else { 0.0 }
    }

    /// The report to save beside the adapter.
    pub fn record(&self) -> Map<String, Value> {
        let values = json!({
            "steps": self.steps,
            "first_loss": self.first_loss,
            "last_loss": self.last_loss,
            "tokens": self.tokens,
            "seconds": self.seconds,
        });
        values.as_object().cloned().unwrap_or_default()
    }
}

/// A training under way: call [`Training::step`] until it has no more to report, then take the adapter.
pub struct Training<'s> {
    trainer: Trainer<'s>,
    data: Arc<TrainingData>,
    steps: Steps,
    plan: TrainPlan,
    summary: TrainingSummary,
}

impl<'s> Training<'s> {
    /// Plans the training on `data` of a fresh adapter, or of one to go on from, within the budget, and makes room for it
    /// on the device.
    ///
    /// # Errors
    /// When an option is out of range, the budget cannot hold the training, or the adapter does not fit the model.
    pub fn new(
        session: &'s mut Session,
        start: impl Into<Start>,
        data: impl Into<Arc<TrainingData>>,
        options: &TrainOptions,
    ) -> Result<Self> {
        options.check_for(session.model())?;
        let (start, data) = (start.into(), data.into());
        let steps = data.steps(options)?;
        let (row_tokens, budget) = (data.row_tokens(options), options.budget_bytes);
        let plan = session.plan_training_on(start.shape(), row_tokens, data.bytes(), budget)?;
        let mut adapter = match start {
            Start::Fresh(shape) => Adapter::new(shape, options.seed)?,
            Start::From(adapter) => adapter,
        };
        if data.begins_documents() {
            adapter.set_document_start(true);
        }
        let trainer = Trainer::new(session, adapter, options, &plan, steps.len())?;
        let summary = TrainingSummary {
            planned_bytes: plan.total_bytes(),
            exceeded_budget: plan.exceeded_budget,
            ..TrainingSummary::default()
        };
        Ok(Self { trainer, data, steps, plan, summary })
    }

    /// The memory it takes.
    pub fn plan(&self) -> &TrainPlan {
        &self.plan
    }

    /// Optimizer steps in all.
    pub fn steps(&self) -> usize {
        self.steps.len()
    }

    /// What it came to so far.
    pub fn summary(&self) -> &TrainingSummary {
        &self.summary
    }

    /// Takes the next step; `None` after the last.
    ///
    /// # Errors
    /// As [`Trainer::step`].
    pub fn step(&mut self) -> Result<Option<StepReport>> {
        self.step_with(|_| Ok(()))
    }

    /// The same; `with_gradients` sees the trainer when the step's gradient is complete, before clipping.
    ///
    /// # Errors
    /// As [`Training::step`], and whatever `with_gradients` returns.
    pub fn step_with(
        &mut self,
        with_gradients: impl FnOnce(&mut Trainer<'s>) -> Result<()>,
    ) -> Result<Option<StepReport>> {
        let next = self.summary.steps;
        if next == self.steps.len() {
            return Ok(None);
        }
        let step = self.data.step(&mut self.steps, next);
        let supervised = self.data.samples_of(step).map(Sample::supervised).sum();
        let rows = self.data.rows(step, self.plan.row_tokens);
        let report = self.trainer.step_over(supervised, rows, with_gradients)?;
        self.summary.add(&report);
        Ok(Some(report))
    }

    /// Shows the arrays that the steps to come depend on to `visit`, as [`Trainer::visit_state`].
    ///
    /// # Errors
    /// When the device fails, and whatever `visit` returns.
    pub fn visit_state(&mut self, visit: &mut dyn FnMut(&[f32]) -> Result<()>) -> Result<()> {
        self.trainer.visit_state(visit)
    }

    /// Goes on from `state` of the same training, of which `summary` tells.
    ///
    /// # Errors
    /// When it belongs to an adapter of another shape or lies beyond the last step, or the device fails.
    pub fn resume(&mut self, state: &TrainerState, summary: TrainingSummary) -> Result<()> {
        if state.steps > self.steps.len() || state.steps != summary.steps {
            return Err(Error::new(ErrorKind::BadData, "the state lies beyond the training's last step"));
        }
        self.trainer.resume(state)?;
        let TrainingSummary { planned_bytes, exceeded_budget, .. } = self.summary;
        self.summary = TrainingSummary { planned_bytes, exceeded_budget, ..summary };
        Ok(())
    }

    /// The loss of `samples` under the adapter as trained so far.
    ///
    /// # Errors
    /// As [`Trainer::evaluate`].
    pub fn evaluate(&mut self, samples: &[Sample]) -> Result<Evaluation> {
        self.trainer.evaluate(samples)
    }

    /// Measures `samples` under the adapter as trained so far, from where `measured` says on, until `leave` says to leave it
    /// there; whether all of them are done.
    ///
    /// # Errors
    /// As [`Trainer::evaluate`].
    pub(crate) fn measure(
        &mut self,
        samples: &[Sample],
        measured: &mut Measured,
        leave: &mut dyn FnMut(&Measured) -> bool,
    ) -> Result<bool> {
        self.trainer.measure(samples, measured, leave)
    }

    /// The adapter's parameters as trained so far.
    ///
    /// # Errors
    /// When the device fails.
    pub fn params(&mut self) -> Result<Vec<f32>> {
        self.trainer.params()
    }

    /// Steps of one pass over the samples.
    pub fn steps_an_epoch(&self) -> usize {
        self.steps.an_epoch()
    }

    /// The trained adapter and what the training came to; what it held on the device is freed.
    ///
    /// # Errors
    /// When the device fails.
    pub fn finish(self) -> Result<(Adapter, TrainingSummary)> {
        Ok((self.trainer.finish()?, self.summary))
    }

    /// The adapter as trained so far.
    ///
    /// # Errors
    /// When the device fails.
    pub fn adapter(&mut self) -> Result<Adapter> {
        self.trainer.adapter()
    }
}
