//! The stage in which steps are taken: to a candidate, or back to the beginning with a lower learning rate.

use std::sync::Arc;

use super::corpus::Corpus;
use super::course::{Course, generic_samples};
use super::events::LearnEvent;
use super::pace::Moment;
use super::settings::LearnSettings;
use super::stage::{Candidate, Epochs, Noted, Stage, UnderWay, best_epoch};
use crate::error::{Error, ErrorKind, Result};
use crate::eval::{Evaluation, Measured};
use crate::gate;
use crate::model::Model;
use crate::session::Session;
use crate::trace::{self, Event};
use crate::train::{Replay, Training, TrainingData};

/// Bytes of a checkpoint for each parameter: its value and two moments.
const BYTES_A_PARAMETER: u64 = 12;

/// The samples of the corpus's training part, and generic text beside them.
///
/// # Errors
/// When there are none.
pub(super) fn training_data(model: &Model, corpus: &mut Corpus, settings: &LearnSettings) -> Result<TrainingData> {
    if corpus.training.is_empty() {
        if let Some(refusal) = corpus.refusal.take() {
            return Err(refusal);
        }
        let hint = match corpus.counts.no_room {
            0 => "add what the person wrote, then train",
            _ => "give a seq-len with room for more than the model's chat template",
        };
        return Err(Error::new(ErrorKind::BadData, "the history holds nothing to learn from yet").with_hint(hint));
    }
    let pieces = corpus.languages.measured.iter().flat_map(|language| gate::generic::replay(language));
    let generic = generic_samples(model, pieces, settings.train.seq_len)?;
    let replayed = generic.samples.into_iter().chain(corpus.own_samples.replay()).collect();
    let replay = Replay::new(replayed, settings.replay_share);
    let data = TrainingData::from_samples(std::mem::take(&mut corpus.training), corpus.plain, model)?;
    data.with_replay(replay, model)
}

impl Course<'_> {
    /// Trains from the beginning, or from between two steps; what it comes to.
    pub(super) fn train(
        &mut self,
        session: &mut Session,
        data: &Arc<TrainingData>,
        corpus: &Corpus,
        from: Option<UnderWay>,
    ) -> Result<Stage> {
        let shape = self.settings.lora.shape(session.model())?;
        self.pace.expect(shape.layout().len() as u64 * BYTES_A_PARAMETER);
        let options = self.way.options(&self.settings.train);
        let device = session.device().name.clone();
        let mut training = Training::new(session, shape, Arc::clone(data), &options)?;
        let mut epochs = Epochs::default();
        if let Some(UnderWay { state, summary, epochs: before }) = from {
            training.resume(&state, summary)?;
            epochs = before;
        }
        let (step, steps, planned_bytes) = (training.summary().steps, training.steps(), training.plan().total_bytes());
        trace::tell(match step {
            0 => Event::TrainingStarted { steps, planned_bytes },
            _ => Event::TrainingResumed { step, steps, planned_bytes },
        });
        let exceeded_budget = training.plan().exceeded_budget;
        (self.on_event)(LearnEvent::Started { steps, resumed_at: step, planned_bytes, exceeded_budget, device });
        match self.take_steps(&mut training, corpus, &mut epochs) {
            Err(error) if error.kind() == ErrorKind::NotFinite => self.set_back(training.summary().steps),
            Err(error) => Err(error),
            Ok(()) => {
                let Epochs { validation, best, .. } = epochs;
                let (adapter, summary) = training.finish()?;
                let adapter = match best_epoch(&validation) {
                    Some(epoch) if epoch < validation.len() => adapter.with_params(best)?,
                    _ => adapter,
                };
                let candidate = Candidate { adapter, summary, validation, losses: Default::default() };
                self.unsaved = true;
                self.save_measuring(&candidate)?;
                Ok(Stage::Measuring(Box::new(candidate)))
            }
        }
    }

    /// Gives up what was trained: from the beginning again, for how far back the last checkpoint lies is the clock's doing,
    /// and may be too far on.
    fn set_back(&mut self, steps: usize) -> Result<Stage> {
        trace::tell(Event::TrainingSetBack { steps });
        if !self.way.set_back(steps, &self.settings.train) {
            return Ok(Stage::Failed);
        }
        self.unsaved = true;
        self.save(Noted::Beginning, None, &mut |_| Ok(()))?;
        let learning_rate = self.way.options(&self.settings.train).schedule.peak;
        (self.on_event)(LearnEvent::SetBack { steps, learning_rate });
        Ok(Stage::Beginning)
    }

    /// All steps, with checkpoints in between.
    fn take_steps(&mut self, training: &mut Training<'_>, corpus: &Corpus, epochs: &mut Epochs) -> Result<()> {
        loop {
            match self.advance(training, corpus, epochs) {
                Ok(true) => {}
                Ok(false) => return Ok(()),
                // What was cancelled can be read and kept; a lost device leaves the checkpoint before.
                Err(error) => self.interrupted(error, |course| course.save_training(training, epochs))?,
            }
        }
    }

    /// The next step, after what the end of an epoch has before it; whether there was one left to take.
    fn advance(&mut self, training: &mut Training<'_>, corpus: &Corpus, epochs: &mut Epochs) -> Result<bool> {
        let (steps, per_epoch) = (training.summary().steps, training.steps_an_epoch());
        let epoch = steps.div_ceil(per_epoch);
        let ended = steps == training.steps() || steps == epoch * per_epoch;
        if ended && epochs.ended < epoch {
            self.end_epoch(training, corpus, epochs)?;
            // The last epoch's end is the training's: the candidate is saved then.
            if steps < training.steps() && self.is_save_due_at(Moment::EpochEnd) {
                self.save_training(training, epochs)?;
            }
        }
        let Some(report) = training.step()? else { return Ok(false) };
        self.unsaved = true;
        (self.on_event)(LearnEvent::Step(report));
        if self.is_save_due() {
            self.save_training(training, epochs)?;
        }
        Ok(true)
    }

    /// The validation loss of the epoch that ended, and its parameters where it is the best one.
    fn end_epoch(&mut self, training: &mut Training<'_>, corpus: &Corpus, epochs: &mut Epochs) -> Result<()> {
        let samples = &corpus.validation;
        self.unsaved = true;
        if !samples.is_empty() {
            loop {
                let mut leave = |now: &Measured| !now.is_finite() || self.is_save_due();
                if training.measure(samples, &mut epochs.measured, &mut leave)? || !epochs.measured.is_finite() {
                    break;
                }
                self.save_training(training, epochs)?;
                self.unsaved = true;
            }
            let nll = Evaluation::of(samples, std::mem::take(&mut epochs.measured).sums().to_vec()).finite()?.nll;
            (self.on_event)(LearnEvent::Epoch { epoch: epochs.ended + 1, validation_nll: nll });
            if epochs.enter(nll) {
                let params = training.params()?;
                if !epochs.best_is_new {
                    self.pace.expect(4 * params.len() as u64);
                }
                epochs.keep_best(params);
            }
        }
        epochs.ended += 1;
        Ok(())
    }

    fn save_training(&mut self, training: &mut Training<'_>, epochs: &mut Epochs) -> Result<()> {
        let stage = Noted::Training(training.summary().clone(), epochs.note());
        self.save(stage, Some(epochs), &mut |sink| training.visit_state(sink))
    }
}
