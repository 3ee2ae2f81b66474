//! The course of a training on the history: learn, measure, judge; at every moment ready to be ended and taken up again.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::checkpoint::{Checkpoints, Found, Saved};
use super::corpus::{Corpus, Selection};
use super::events::{DropReason, LearnEvent};
use super::records::{LastTraining, Records, RunKey};
use super::report::LearnReport;
use super::settings::LearnSettings;
use crate::adapter::{Adapter, AdapterShape};
use crate::error::{Error, ErrorKind, Result};
use crate::eval::{Evaluation, Measured};
use crate::gate::{self, Decision, Fitness, Verdict};
use crate::history::{History, Split};
use crate::model::Model;
use crate::registry::Registry;
use crate::seal::Key;
use crate::session::Session;
use crate::train::{
    Replay, SampleSet, TextRow, TrainerState, Training, TrainingData, TrainingSummary, longest, samples_of_text,
};

/// What was measured for the gate so far, by its name.
pub(super) type Losses = BTreeMap<String, Measured>;

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
    /// Parameters, both moments, and the best epoch's parameters so far (none before the first epoch's end); and how far
    /// the epoch that ended is validated.
    Training(Measured),
    /// The candidate; and what was measured of it.
    Measuring(Losses),
}

/// What a training knows of its epochs beside the trainer's own state.
#[derive(Default)]
struct Epochs {
    /// Mean validation loss after every epoch.
    validation: Vec<f64>,
    /// How far the epoch that ended last is validated.
    measured: Measured,
    /// The parameters of the best one; none before the first one's end.
    best: Vec<f32>,
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
    settings.check()?;
    let records = Records::open(place.folder, place.key)?;
    let asked = askings(place, &records)?;
    let run = RunKey::new(session.model(), settings);
    let mut checkpoints = Checkpoints::open(place.folder, place.key)?;
    let mut found = checkpoints.latest::<Progress>()?;
    if let Found::Nothing = found {
        // Of no use without one, and all that is left of a training that was killed while it put its things away.
        records.clear_selection()?;
    }
    if let Found::Saved(saved) = &found
        && let Some(last) = ended(place, &records, &saved.note.run)?
    {
        checkpoints.clear()?;
        records.clear_selection()?;
        if last.run == run && last.stands(&place.registry.state()?) {
            return Ok(LearnReport { resumed: true, ..last.report });
        }
        found = Found::Nothing;
    }
    if let Some(last) = records.last()?
        && last.run == run
        && last.revision == place.history.revision()?
        && last.stands(&place.registry.state()?)
    {
        return Ok(LearnReport { unchanged: true, ..last.report });
    }
    let mut course = Course {
        checkpoints,
        saved_at: Instant::now(),
        run,
        device: session.device().name.clone(),
        settings,
        on_event,
    };
    let saved = course.usable(found, &records)?;
    // One state of the history, whatever is written meanwhile.
    let mut rows = place.history.learnable(Split::Training)?;
    let mut give_way = || session.give_way();
    let mut taken_up = None;
    if let Some(saved) = saved {
        let chosen = match records.selection()? {
            Ok(mut selection) => {
                let read = selection.read(&mut rows, session.model(), settings, &mut give_way)?;
                read.map(|corpus| (selection, corpus))
            }
            Err(reason) => Err(reason),
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
            let mut selection = Selection::new(&mut rows, settings, &mut give_way)?;
            let Ok(corpus) = selection.read(&mut rows, session.model(), settings, &mut give_way)? else {
                return Err(Error::new(ErrorKind::BadData, "the history lost rows while they were read"));
            };
            if let Fitness::Unfit { why, left_out } = corpus.fitness {
                let report = LearnReport::unfit(Verdict::unfit(why, left_out), session.device());
                records.write_last(&LastTraining::new(course.run, &selection, asked, None, report.clone()))?;
                return Ok(report);
            }
            records.write_selection(&selection)?;
            (None, selection, corpus)
        }
    };
    drop(rows);
    if corpus.training.is_empty() {
        let hint = match corpus.counts.no_room {
            0 => "add what the person wrote, then train",
            _ => "give a seq-len with room for more than the model's chat template",
        };
        return Err(Error::new(ErrorKind::BadData, "the history holds nothing to learn from yet").with_hint(hint));
    }
    let resumed = saved.is_some();
    let mut candidate = course.candidate(session, &mut corpus, saved)?;
    let asked = asked.saturating_add(1);
    // What a new version has to beat: the one in use, where it is one of this base.
    let before = place.registry.active(session.model())?;
    let (verdict, strength) = course.judge(session, before.as_ref(), &corpus, &mut candidate, asked)?;

    if !selection.is_whole(place.history)? {
        // Removed while it trained: what learned from it goes, and training begins again without.
        course.drop_checkpoint(&records, DropReason::HistoryRemoved)?;
        return learn(session, place, settings, on_event);
    }

    let adapter = candidate.adapter.with_strength(strength)?;
    let mut report = LearnReport {
        version: None,
        candidate_sha256: Some(adapter.sha256()),
        strength,
        samples: corpus.texts,
        counts: corpus.counts,
        unmeasured_languages: corpus.languages.unmeasured,
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
        let (training, written) = (&selection.id, as_json(&report)?);
        let version = place.registry.promote(&adapter, session.model(), training, asked, written, |version| {
            let learned = place.history.record_learning(version, selection.learned_from(), selection.removals)?;
            // Removed after the look above.
            Ok(learned.removed > 0)
        })?;
        report.version = Some(version);
    }
    let before = before.map(|(version, _)| version);
    // From here on, as from the promotion on, a killed training has ended: see `ended`.
    records.write_last(&LastTraining::new(course.run.clone(), &selection, asked, before, report.clone()))?;
    askings(place, &records)?;
    course.checkpoints.clear()?;
    records.clear_selection()?;
    Ok(report)
}

/// How often the gate was asked in the life of the profile. The record of the last training and the registry's index both
/// tell it, and the larger counts: a damaged record loses nothing, and a kill between the two is made good here.
fn askings(place: &Place<'_>, records: &Records) -> Result<u32> {
    place.registry.asked(records.last()?.map_or(0, |last| last.asked))
}

/// How the training under way ended, if a process was killed after its verdict had taken effect and before it had put
/// its things away: what is still to be written is written. Measured again, the candidate would have to beat itself.
fn ended(place: &Place<'_>, records: &Records, run: &RunKey) -> Result<Option<LastTraining>> {
    let Ok(selection) = records.selection()? else { return Ok(None) };
    if let Some(last) = records.last()?.filter(|last| last.training == selection.id) {
        return Ok(Some(last));
    }
    let state = place.registry.state()?;
    let Some(report) = state.made_by(&selection.id).and_then(LearnReport::of) else { return Ok(None) };
    let last = LastTraining::new(run.clone(), &selection, report.asked, None, report);
    records.write_last(&last)?;
    Ok(Some(last))
}

/// The report beside the version that it led to.
fn as_json(report: &LearnReport) -> Result<Map<String, Value>> {
    match serde_json::to_value(report) {
        Ok(Value::Object(fields)) => Ok(fields),
        _ => Err(Error::new(ErrorKind::BadData, "a report that cannot be written as JSON")),
    }
}

/// Removes what a training under way has come to, for after a removal from the history it may know what was removed;
/// whether it had come to anything.
pub(super) fn forget_progress(folder: &Path, key: &Key) -> Result<bool> {
    let checkpoints = Checkpoints::open(folder, key)?;
    let there = checkpoints.exist();
    checkpoints.clear()?;
    Records::open(folder, key)?.clear_selection()?;
    Ok(there)
}

/// One training under way.
pub(super) struct Course<'a> {
    checkpoints: Checkpoints,
    saved_at: Instant,
    run: RunKey,
    /// The devices that have taken part, in words.
    device: String,
    pub settings: &'a LearnSettings,
    pub on_event: &'a mut dyn FnMut(LearnEvent),
}

impl Course<'_> {
    /// The checkpoint that was found, where this training can go on from it.
    fn usable(&mut self, found: Found<Progress>, records: &Records) -> Result<Option<Saved<Progress>>> {
        let useless = match found {
            Found::Nothing => return Ok(None),
            Found::Damaged => DropReason::Damaged,
            Found::Saved(saved) if saved.note.run != self.run => DropReason::SettingsChanged,
            Found::Saved(saved) => {
                if saved.fell_back {
                    (self.on_event)(LearnEvent::CheckpointDamaged);
                }
                return Ok(Some(saved));
            }
        };
        self.drop_checkpoint(records, useless)?;
        Ok(None)
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
        let pieces = corpus.languages.measured.iter().flat_map(|language| gate::generic::replay(language));
        let generic = generic_samples(&model, pieces, self.settings.train.seq_len)?;
        let replay = Replay::new(generic.samples, self.settings.replay_share);
        let data = TrainingData::from_samples(std::mem::take(&mut corpus.training), corpus.plain, &model)?;
        let data = data.with_replay(replay, &model)?;
        let mut training = Training::new(session, shape, data, &self.settings.train)?;
        let mut epochs = Epochs::default();
        if let Some(Saved { note, arrays, .. }) = saved {
            let mut arrays = arrays.into_iter();
            let mut next = || arrays.next().unwrap_or_default();
            let steps = note.summary.steps;
            let state = TrainerState { steps, params: next(), first_moment: next(), second_moment: next() };
            epochs = Epochs { best: next(), validation: note.validation, measured: Measured::default() };
            // It is of the samples that were there then.
            if let Stage::Training(measured) = note.stage
                && corpus.whole
            {
                epochs.measured = measured;
            }
            training.resume(&state, note.summary)?;
        }
        (self.on_event)(LearnEvent::Started {
            steps: training.steps(),
            resumed_at: training.summary().steps,
            planned_bytes: training.plan().total_bytes(),
            exceeded_budget: training.plan().exceeded_budget,
        });
        let ended = self.take_steps(&mut training, corpus, &mut epochs);
        if let Err(error) = ended {
            // What was cancelled can be read and kept; a lost device leaves the checkpoint before.
            if error.kind() == ErrorKind::Cancelled {
                self.save_training(&mut training, &epochs)?;
            }
            return Err(error);
        }
        let Epochs { validation, best, .. } = epochs;
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
    fn take_steps(&mut self, training: &mut Training<'_>, corpus: &Corpus, epochs: &mut Epochs) -> Result<()> {
        loop {
            let (steps, per_epoch) = (training.summary().steps, training.steps_an_epoch());
            let epoch = steps.div_ceil(per_epoch);
            let ended = steps == training.steps() || steps == epoch * per_epoch;
            if ended && epochs.validation.len() < epoch && !corpus.validation.is_empty() {
                while !training.measure(&corpus.validation, &mut epochs.measured, &mut |_| self.is_save_due())? {
                    self.save_training(training, epochs)?;
                }
                let sums = std::mem::take(&mut epochs.measured).sums().to_vec();
                let nll = Evaluation::of(&corpus.validation, sums).nll;
                (self.on_event)(LearnEvent::Epoch { epoch, validation_nll: nll });
                epochs.validation.push(nll);
                if best_epoch(&epochs.validation) == Some(epoch) {
                    epochs.best = training.params()?;
                }
                self.save_training(training, epochs)?;
            }
            match training.step()? {
                None => return Ok(()),
                Some(report) => (self.on_event)(LearnEvent::Step(report)),
            }
            if self.is_save_due() {
                self.save_training(training, epochs)?;
            }
        }
    }

    /// Whether so much time has passed since the last checkpoint that the next is due.
    pub fn is_save_due(&self) -> bool {
        self.saved_at.elapsed() >= self.settings.checkpoint_every
    }

    fn save_training(&mut self, training: &mut Training<'_>, epochs: &Epochs) -> Result<()> {
        let progress = Progress {
            run: self.run.clone(),
            device: self.device.clone(),
            summary: training.summary().clone(),
            validation: epochs.validation.clone(),
            stage: Stage::Training(epochs.measured.clone()),
        };
        self.checkpoints.save(&progress, &mut |sink| {
            training.visit_state(sink)?;
            sink(&epochs.best)
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

/// Pieces of generic text as samples, each piece a text.
pub(super) fn generic_samples(
    model: &Model,
    pieces: impl Iterator<Item = &'static str>,
    seq_len: usize,
) -> Result<SampleSet> {
    let mut set = SampleSet::default();
    for piece in pieces {
        set.add(samples_of_text(&TextRow::new(piece, None), model.tokenizer(), longest(model, seq_len))?.samples);
    }
    Ok(set)
}
