//! The course of a training on the history: learn, measure, judge; at every moment ready to be ended and taken up again.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::checkpoint::{Checkpoints, Saved};
use super::corpus::{Corpus, Selection};
use super::events::{DropReason, LearnEvent};
use super::records::{LastTraining, Records, RunKey};
use super::report::LearnReport;
use super::settings::LearnSettings;
use crate::adapter::{Adapter, AdapterShape};
use crate::error::{Error, ErrorKind, Result};
use crate::gate::{self, Decision, Fitness, Verdict};
use crate::history::{History, Split};
use crate::model::Model;
use crate::registry::{Origin, Registry};
use crate::seal::Key;
use crate::session::Session;
use crate::train::{Replay, Sample, TextRow, TrainerState, Training, TrainingData, TrainingSummary, sample_of_text};

/// Losses that were measured, by what was measured: `(summed nats, tokens)` of each sample.
pub(super) type Losses = BTreeMap<String, Vec<(f64, usize)>>;

/// Where a training reads from and writes to.
pub(crate) struct Place<'a> {
    pub history: &'a History,
    pub registry: &'a Registry,
    /// The folder of checkpoints and of the last report.
    pub folder: &'a Path,
    pub key: &'a Key,
}

/// What a checkpoint says beside its arrays.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Progress {
    run: RunKey,
    /// The devices that have taken part, in words.
    device: String,
    summary: TrainingSummary,
    /// Mean validation loss after every epoch.
    validation: Vec<f64>,
    stage: Stage,
}

/// What the arrays of a checkpoint are.
#[derive(Debug, Clone, Serialize, Deserialize)]
enum Stage {
    /// Parameters, both moments, and the best epoch's parameters so far (none before the first epoch's end).
    Training,
    /// The candidate; and what was measured of it.
    Measuring(Losses),
}

/// A candidate that is trained.
pub(super) struct Candidate {
    pub adapter: Adapter,
    summary: TrainingSummary,
    validation: Vec<f64>,
    pub losses: Losses,
}

/// Trains on the history and asks the gate; goes on from a checkpoint where there is one.
///
/// # Errors
/// [`ErrorKind::Cancelled`] when the session's `between` ended it, [`ErrorKind::Device`] when the device was lost: both
/// leave a checkpoint to go on from. All that training, history and registry refuse.
pub(crate) fn learn(
    session: &mut Session,
    place: &Place<'_>,
    settings: &LearnSettings,
    on_event: &mut dyn FnMut(LearnEvent),
) -> Result<LearnReport> {
    let records = Records::open(place.folder, place.key)?;
    let run = RunKey::new(session.model(), settings);
    if let Some(last) = records.last()?
        && last.run == run
        && last.revision == place.history.revision()?
    {
        return Ok(LearnReport { unchanged: true, ..last.report });
    }
    let mut course = Course {
        checkpoints: Checkpoints::open(place.folder, place.key)?,
        saved_at: Instant::now(),
        run,
        device: session.device().name.clone(),
        settings,
        on_event,
    };
    let saved = course.saved(&records)?;
    // One state of the history, whatever is written meanwhile.
    let mut rows = place.history.learnable(Split::Training)?;
    let mut give_way = || session.give_way();
    let mut taken_up = None;
    if let Some(saved) = saved {
        // A removal clears the selection; a training that went on meanwhile may have written a checkpoint after that.
        let chosen = match records.selection()? {
            Some(selection) => {
                let read = selection.read(&mut rows, session.model(), settings, &mut give_way)?;
                read.map(|corpus| (selection, corpus))
            }
            None => Err(DropReason::HistoryRemoved),
        };
        match chosen {
            Ok((selection, corpus)) => {
                course.device = in_turn(&saved.note.device, &course.device);
                taken_up = Some((saved, selection, corpus));
            }
            Err(reason) => course.drop_checkpoint(&records, reason)?,
        }
    }
    let (saved, selection, mut corpus) = match taken_up {
        Some((saved, selection, corpus)) => (Some(saved), selection, corpus),
        None => {
            let selection = Selection::new(&mut rows, settings, &mut give_way)?;
            let Ok(corpus) = selection.read(&mut rows, session.model(), settings, &mut give_way)? else {
                return Err(Error::new(ErrorKind::BadData, "the history lost rows while they were read"));
            };
            if let Fitness::Unfit { why, left_out } = corpus.fitness {
                let report = LearnReport::unfit(Verdict::unfit(why, left_out), session.device());
                let (revision, asked) = (selection.revision, records.last()?.map_or(0, |last| last.asked));
                records.write_last(&LastTraining { run: course.run, revision, asked, report: report.clone() })?;
                return Ok(report);
            }
            records.write_selection(&selection)?;
            (None, selection, corpus)
        }
    };
    drop(rows);
    if corpus.training.is_empty() {
        return Err(Error::new(ErrorKind::BadData, "the history holds nothing to learn from yet")
            .with_hint("add what the person wrote, then train"));
    }
    let resumed = saved.is_some();
    let samples = [corpus.training.len(), corpus.validation.len(), corpus.held_out.len()];
    let mut candidate = course.candidate(session, &mut corpus, saved)?;
    let asked = records.last()?.map_or(0, |last| last.asked) + 1;
    // What a new version has to beat: the one in use, where it is one of this base.
    let before = place.registry.active(session.model())?;
    let (verdict, strength) = course.judge(session, before.as_ref(), &corpus, &mut candidate, asked)?;

    if !selection.is_whole(place.history)? {
        // Removed while it trained: what learned from it goes, and training begins again without.
        course.drop_checkpoint(&records, DropReason::HistoryRemoved)?;
        return learn(session, place, settings, on_event);
    }

    let adapter = candidate.adapter.with_strength(strength)?;
    let sha256 = adapter.sha256();
    let mut report = LearnReport {
        version: None,
        candidate_sha256: Some(sha256.clone()),
        strength,
        samples,
        best_epoch: best_epoch(&candidate.validation),
        validation: candidate.validation,
        summary: candidate.summary,
        resumed,
        unchanged: false,
        asked,
        device: course.device.clone(),
        verdict,
    };
    let promoted = report.verdict.decision == Decision::Promoted;
    if promoted {
        // A process that was killed right here has added it already.
        let state = place.registry.state()?;
        let known = state.versions.iter().find(|v| v.sha256 == sha256 && v.origin == Origin::Trained);
        let version = match known {
            Some(known) => known.version,
            None => place.registry.add(&adapter, session.model(), Origin::Trained, as_json(&report)?)?,
        };
        let learned = place.history.record_learning(version, selection.learned_from(), selection.removals)?;
        if learned.removed > 0 {
            // Removed after the look above.
            place.registry.mark_learned_from_removed(&[version])?;
        }
        place.registry.activate(Some(version))?;
        report.version = Some(version);
    }
    records.write_last(&LastTraining {
        run: course.run.clone(),
        revision: selection.revision,
        asked: if promoted { 0 } else { asked },
        report: report.clone(),
    })?;
    course.checkpoints.clear()?;
    records.clear_selection()?;
    Ok(report)
}

/// The report beside the version that it led to.
fn as_json(report: &LearnReport) -> Result<Map<String, Value>> {
    match serde_json::to_value(report) {
        Ok(Value::Object(fields)) => Ok(fields),
        _ => Err(Error::new(ErrorKind::BadData, "a report that cannot be written as JSON")),
    }
}

/// Removes what a training under way has come to: after a removal from the history it may know what was removed.
pub(super) fn forget_progress(folder: &Path, key: &Key) -> Result<()> {
    Checkpoints::open(folder, key)?.clear()?;
    Records::open(folder, key)?.clear_selection()
}

/// One training under way.
pub(super) struct Course<'a> {
    checkpoints: Checkpoints,
    pub saved_at: Instant,
    run: RunKey,
    /// The devices that have taken part, in words.
    device: String,
    pub settings: &'a LearnSettings,
    pub on_event: &'a mut dyn FnMut(LearnEvent),
}

impl Course<'_> {
    /// The checkpoint to go on from.
    fn saved(&mut self, records: &Records) -> Result<Option<Saved<Progress>>> {
        let Some(saved) = self.checkpoints.latest::<Progress>()? else { return Ok(None) };
        if saved.note.run != self.run {
            self.drop_checkpoint(records, DropReason::SettingsChanged)?;
            return Ok(None);
        }
        if saved.fell_back {
            (self.on_event)(LearnEvent::CheckpointDamaged);
        }
        Ok(Some(saved))
    }

    fn drop_checkpoint(&mut self, records: &Records, reason: DropReason) -> Result<()> {
        self.checkpoints.clear()?;
        records.clear_selection()?;
        (self.on_event)(LearnEvent::CheckpointDropped(reason));
        Ok(())
    }

    /// The trained candidate, from the beginning or from a checkpoint.
    fn candidate(
        &mut self,
        session: &mut Session,
        corpus: &mut Corpus,
        saved: Option<Saved<Progress>>,
    ) -> Result<Candidate> {
        let shape = self.settings.lora.shape(session.model())?;
        match saved {
            Some(Saved {
                note: Progress { summary, validation, stage: Stage::Measuring(losses), .. }, arrays, ..
            }) => {
                // They are the losses of the samples that were there then.
                let losses = if corpus.whole { losses } else { Losses::new() };
                let mut adapter = Adapter::new(shape, self.settings.train.seed)?;
                if corpus.plain {
                    adapter.set_document_start(true);
                }
                let adapter = adapter.with_params(arrays.into_iter().next().unwrap_or_default())?;
                Ok(Candidate { adapter, summary, validation, losses })
            }
            training => self.train(session, corpus, shape, training),
        }
    }

    fn train(
        &mut self,
        session: &mut Session,
        corpus: &mut Corpus,
        shape: AdapterShape,
        saved: Option<Saved<Progress>>,
    ) -> Result<Candidate> {
        let model = session.model().clone();
        let generic = generic_samples(&model, gate::generic::replay(), self.settings.train.seq_len)?;
        let replay = Replay::new(generic, self.settings.replay_share);
        let data = TrainingData::from_samples(std::mem::take(&mut corpus.training), corpus.plain, &model)?;
        let data = data.with_replay(replay, &model)?;
        let mut training = Training::new(session, shape, data, &self.settings.train)?;
        let (mut validation, mut best) = (Vec::new(), Vec::new());
        if let Some(Saved { note, arrays, .. }) = saved {
            let mut arrays = arrays.into_iter();
            let mut next = || arrays.next().unwrap_or_default();
            let steps = note.summary.steps;
            let state = TrainerState { steps, params: next(), first_moment: next(), second_moment: next() };
            (best, validation) = (next(), note.validation);
            training.resume(&state, note.summary)?;
        }
        (self.on_event)(LearnEvent::Started {
            steps: training.steps(),
            resumed_at: training.summary().steps,
            planned_bytes: training.plan().total_bytes(),
        });
        let ended = self.take_steps(&mut training, corpus, &mut validation, &mut best);
        if let Err(error) = ended {
            // What was cancelled can be read and kept; a lost device leaves the checkpoint before.
            if error.kind() == ErrorKind::Cancelled {
                self.save_training(&mut training, &validation, &best)?;
            }
            return Err(error);
        }
        let (adapter, summary) = training.finish()?;
        let adapter = match best_epoch(&validation) {
            Some(epoch) if epoch < validation.len() => adapter.with_params(best)?,
            _ => adapter,
        };
        let candidate = Candidate { adapter, summary, validation, losses: Losses::new() };
        self.save_measuring(&candidate)?;
        Ok(candidate)
    }

    /// All steps; after every epoch the validation loss, and the best epoch's parameters.
    fn take_steps(
        &mut self,
        training: &mut Training<'_>,
        corpus: &Corpus,
        validation: &mut Vec<f64>,
        best: &mut Vec<f32>,
    ) -> Result<()> {
        loop {
            let (steps, per_epoch) = (training.summary().steps, training.steps_an_epoch());
            let epoch = steps.div_ceil(per_epoch);
            let ended = steps == training.steps() || steps == epoch * per_epoch;
            if ended && validation.len() < epoch && !corpus.validation.is_empty() {
                let nll = training.evaluate(&corpus.validation)?.nll;
                (self.on_event)(LearnEvent::Epoch { epoch, validation_nll: nll });
                validation.push(nll);
                if best_epoch(validation) == Some(epoch) {
                    *best = training.params()?;
                }
                self.save_training(training, validation, best)?;
            }
            match training.step()? {
                None => return Ok(()),
                Some(report) => (self.on_event)(LearnEvent::Step(report)),
            }
            if self.saved_at.elapsed() >= self.settings.checkpoint_every {
                self.save_training(training, validation, best)?;
            }
        }
    }

    fn save_training(&mut self, training: &mut Training<'_>, validation: &[f64], best: &[f32]) -> Result<()> {
        let progress = Progress {
            run: self.run.clone(),
            device: self.device.clone(),
            summary: training.summary().clone(),
            validation: validation.to_vec(),
            stage: Stage::Training,
        };
        self.checkpoints.save(&progress, &mut |sink| {
            training.visit_state(sink)?;
            sink(best)
        })?;
        self.saved_at = Instant::now();
        Ok(())
    }

    pub fn save_measuring(&mut self, candidate: &Candidate) -> Result<()> {
        let progress = Progress {
            run: self.run.clone(),
            device: self.device.clone(),
            summary: candidate.summary.clone(),
            validation: candidate.validation.clone(),
            stage: Stage::Measuring(candidate.losses.clone()),
        };
        self.checkpoints.save(&progress, &mut |sink| sink(candidate.adapter.params()))?;
        self.saved_at = Instant::now();
        Ok(())
    }
}

/// Devices in words, with the one that it goes on on.
fn in_turn(before: &str, now: &str) -> String {
    if before.ends_with(now) { before.to_owned() } else { format!("{before}, then {now}") }
}

/// The epoch of the lowest validation loss, from 1.
fn best_epoch(validation: &[f64]) -> Option<usize> {
    let best = validation.iter().enumerate().min_by(|a, b| a.1.total_cmp(b.1))?;
    Some(best.0 + 1)
}

/// Pieces of generic text as samples.
pub(super) fn generic_samples(
    model: &Model,
    pieces: impl Iterator<Item = &'static str>,
    seq_len: usize,
) -> Result<Vec<Sample>> {
    pieces.map(|piece| sample_of_text(&TextRow::new(piece, None), model.tokenizer(), seq_len)).collect()
}
