//! The course of a training on the history: learn, measure, judge; at every moment ready to be ended and taken up again.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use super::checkpoint::{Arrays, Checkpoints, Found, Saved};
use super::corpus::{Corpus, Selection};
use super::ending::ended;
use super::events::{DropReason, LearnEvent};
use super::own_samples::OwnSamples;
use super::pace::{Moment, Pace};
use super::records::{LastTraining, Records, RunKey};
use super::report::LearnReport;
use super::save_call::SaveCall;
use super::settings::LearnSettings;
use super::stage::{Candidate, Epochs, Noted, Progress, Stage, UnderWay, Way};
use super::training::training_data;
use crate::adapter::Adapter;
use crate::error::{Error, ErrorKind, Result};
use crate::gate::{Fitness, Verdict};
use crate::history::{History, Learnable, Split};
use crate::model::Model;
use crate::registry::Registry;
use crate::samples::{SampleSet, TextRow, samples_for};
use crate::seal::Key;
use crate::session::Session;
use crate::trace::{self, Event, Work};
use crate::train::TrainerState;

/// Where a training reads from and writes to.
pub(crate) struct Place<'a> {
    pub history: &'a History,
    pub registry: &'a Registry,
    /// The folder of checkpoints and of the last report.
    pub folder: &'a Path,
    pub key: &'a Key,
}

/// Trains on the history and asks the gate; goes on from a checkpoint where there is one. `save_call` has it write one.
///
/// # Errors
/// [`ErrorKind::Cancelled`] when the session's `between` ended it, [`ErrorKind::Device`] when the device was lost: both
/// leave a checkpoint to go on from. All that training, history and registry refuse.
pub(crate) fn learn(
    session: &mut Session,
    place: &Place<'_>,
    settings: &LearnSettings,
    save_call: &SaveCall,
    on_event: &mut dyn FnMut(LearnEvent),
) -> Result<LearnReport> {
    settings.check()?;
    let _span = trace::begin(Work::Training);
    let learned = go_on(session, place, settings, save_call, on_event);
    match &learned {
        Ok(report) if report.unchanged => {}
        Ok(report) => trace::tell(Event::TrainingEnded {
            verdict: report.verdict.decision.name(),
            steps: report.summary.steps,
            bytes_written: report.bytes_written,
        }),
        Err(error) if error.kind() == ErrorKind::Cancelled => trace::tell(Event::TrainingPaused),
        Err(error) if error.kind() == ErrorKind::Device => trace::tell(Event::DeviceLost),
        Err(_) => {}
    }
    learned
}

/// [`learn`], from whatever there is to go on from.
fn go_on(
    session: &mut Session,
    place: &Place<'_>,
    settings: &LearnSettings,
    save_call: &SaveCall,
    on_event: &mut dyn FnMut(LearnEvent),
) -> Result<LearnReport> {
    place.history.apply_retention()?;
    let mut course = Course::open(session, place, settings, save_call, on_event)?;
    let found = match course.find()? {
        Before::Ended(report) => return Ok(*report),
        Before::Open(found) => *found,
    };
    let (mut stage, selection, mut corpus) = match course.choose(session, found)? {
        Chosen::Unfit(report) => return Ok(report),
        Chosen::Rows { stage, selection, corpus } => (stage, selection, corpus),
    };
    let data = Arc::new(training_data(session.model(), &mut corpus, settings)?);
    // Before, there is nothing to save but what lies on the disk.
    let _listening = save_call.listen();
    loop {
        stage = match stage {
            Stage::Beginning => course.train(session, &data, &corpus, None)?,
            Stage::Training(under_way) => course.train(session, &data, &corpus, Some(*under_way))?,
            Stage::Measuring(candidate) => {
                drop(data);
                return match course.conclude(session, *candidate, &corpus, &selection)? {
                    Some(report) => Ok(report),
                    None => go_on(session, place, settings, save_call, on_event),
                };
            }
            Stage::Failed => return course.fail(session, &corpus, &selection),
        };
    }
}

/// Whether there is anything to do.
enum Before {
    /// Nothing: this is the report of what was done.
    Ended(Box<LearnReport>),
    /// There is, from what was found.
    Open(Box<Found<Progress>>),
}

/// What a training learns from.
enum Chosen {
    /// Nothing: the history is none to learn from, as its report says.
    Unfit(LearnReport),
    Rows {
        stage: Stage,
        selection: Selection,
        corpus: Corpus,
    },
}

/// One training under way.
pub(super) struct Course<'a> {
    pub place: &'a Place<'a>,
    pub settings: &'a LearnSettings,
    pub on_event: &'a mut dyn FnMut(LearnEvent),
    pub records: Records,
    pub checkpoints: Checkpoints,
    pub run: RunKey,
    pub way: Way,
    /// Whether it was taken up from a checkpoint.
    pub resumed: bool,
    pub pace: Pace,
    /// Whether anything was done since the last checkpoint.
    pub unsaved: bool,
    calls: &'a SaveCall,
}

impl<'a> Course<'a> {
    fn open(
        session: &Session,
        place: &'a Place<'a>,
        settings: &'a LearnSettings,
        calls: &'a SaveCall,
        on_event: &'a mut dyn FnMut(LearnEvent),
    ) -> Result<Self> {
        Ok(Self {
            place,
            settings,
            on_event,
            records: Records::open(place.folder, place.key)?,
            checkpoints: Checkpoints::open(place.folder, place.key)?,
            run: RunKey::new(session.model(), settings)?,
            way: Way::default(),
            resumed: false,
            pace: Pace::new(settings.checkpoint_every, Instant::now()),
            unsaved: false,
            calls,
        })
    }

    /// What an earlier call has left, or come to.
    fn find(&mut self) -> Result<Before> {
        let mut found = self.checkpoints.latest::<Progress>()?;
        if let Found::Nothing = found {
            // Of no use without one, and all that is left of a training that was killed while it put its things away.
            self.clear()?;
        }
        let state = self.place.registry.state()?;
        if let Found::Saved(saved) = &found
            && let Some(last) = ended(self.place, &self.records, &saved.note.run)?
        {
            self.clear()?;
            if last.run == self.run && last.stands(&state) {
                return Ok(Before::Ended(Box::new(LearnReport { resumed: true, ..last.report })));
            }
            found = Found::Nothing;
        }
        if let Some(last) = self.records.last()?
            && last.run == self.run
            && last.revision == self.place.history.revision()?
            && last.stands(&state)
        {
            return Ok(Before::Ended(Box::new(LearnReport { unchanged: true, ..last.report })));
        }
        Ok(Before::Open(Box::new(found)))
    }

    /// The rows to learn from, and how far that has come: those of the checkpoint, where it is of use, or new ones.
    fn choose(&mut self, session: &mut Session, found: Found<Progress>) -> Result<Chosen> {
        let saved = self.usable(found)?;
        // One state of the history, whatever is written meanwhile.
        let mut rows = self.place.history.learnable(Split::Training)?;
        if let Some(saved) = saved {
            match self.take_up(session, &mut rows, saved)? {
                Ok(chosen) => return Ok(chosen),
                Err(reason) => self.drop_checkpoint(reason)?,
            }
        }
        self.way = Way::default();
        self.way.go_on_on(&session.device().name, 0);
        let mut give_way = || session.give_way();
        let mut selection = Selection::new(&mut rows, self.settings, &mut give_way)?;
        let Ok(mut corpus) = selection.read(&mut rows, session.model(), self.settings, &mut give_way)? else {
            return Err(Error::new(ErrorKind::BadData, "the history lost rows while they were read"));
        };
        if let Fitness::Unfit { why, left_out } = corpus.fitness {
            let report = LearnReport::without_candidate(Verdict::unfit(why, left_out), session.device());
            let asked = self.asked()?;
            self.records.write_last(&LastTraining::new(self.run.clone(), &selection, asked, None, report.clone()))?;
            return Ok(Chosen::Unfit(report));
        }
        let unmeasured = &selection.languages.unmeasured;
        corpus.own_samples = OwnSamples::draw(session, &mut rows, &selection, unmeasured, self.settings)?;
        selection.own_samples = corpus.own_samples.clone();
        self.way.bytes_written += self.records.write_selection(&selection)?;
        Ok(Chosen::Rows { stage: Stage::Beginning, selection, corpus })
    }

    /// The checkpoint that was found, where this training can go on from it.
    fn usable(&mut self, found: Found<Progress>) -> Result<Option<Saved<Progress>>> {
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
        self.drop_checkpoint(useless)?;
        Ok(None)
    }

    /// Takes a training up from its checkpoint; where that is not possible, why.
    fn take_up(
        &mut self,
        session: &Session,
        rows: &mut Learnable,
        saved: Saved<Progress>,
    ) -> Result<Result<Chosen, DropReason>> {
        let mut selection = match self.records.selection()? {
            Ok(selection) => selection,
            Err(reason) => return Ok(Err(reason)),
        };
        let read = selection.read(rows, session.model(), self.settings, &mut || session.give_way())?;
        let corpus = match read {
            Ok(corpus) => corpus,
            Err(reason) => return Ok(Err(reason)),
        };
        let Progress { way, stage, .. } = saved.note;
        let Some(stage) = self.restored(session.model(), &corpus, stage, saved.arrays)? else {
            return Ok(Err(DropReason::Damaged));
        };
        self.way = way;
        self.way.bytes_written += saved.bytes;
        self.way.go_on_on(&session.device().name, stage.steps());
        self.resumed = true;
        Ok(Ok(Chosen::Rows { stage, selection, corpus }))
    }

    /// The stage of a checkpoint; none where the best epoch's parameters are damaged.
    fn restored(&self, model: &Model, corpus: &Corpus, noted: Noted, arrays: Vec<Vec<f32>>) -> Result<Option<Stage>> {
        let mut arrays = arrays.into_iter();
        let mut next = || arrays.next().unwrap_or_default();
        Ok(Some(match noted {
            Noted::Beginning => Stage::Beginning,
            Noted::Training(summary, mut epochs) => {
                if epochs.best_number > 0 {
                    let Some(best) = self.checkpoints.best_epoch(epochs.best_number)? else { return Ok(None) };
                    epochs.best = best;
                }
                if !corpus.whole {
                    // It is of the samples that were there then.
                    epochs.measured = Default::default();
                }
                let steps = summary.steps;
                let state = TrainerState { steps, params: next(), first_moment: next(), second_moment: next() };
                Stage::Training(Box::new(UnderWay { state, summary, epochs }))
            }
            Noted::Measuring { summary, validation, losses } => {
                // They are the losses of the samples that were there then.
                let losses = if corpus.whole { losses } else { Default::default() };
                let mut adapter = Adapter::new(self.settings.lora.shape(model)?, self.settings.train.seed)?;
                if corpus.plain {
                    adapter.set_document_start(true);
                }
                let adapter = adapter.with_params(next())?;
                Stage::Measuring(Box::new(Candidate { adapter, summary, validation, losses }))
            }
        }))
    }

    pub(super) fn drop_checkpoint(&mut self, reason: DropReason) -> Result<()> {
        self.clear()?;
        trace::tell(Event::CheckpointDropped { reason: reason.words() });
        (self.on_event)(LearnEvent::CheckpointDropped(reason));
        Ok(())
    }

    /// Puts away what a training under way keeps on the disk.
    pub(super) fn clear(&self) -> Result<()> {
        self.checkpoints.clear()?;
        self.records.clear_selection()
    }

    /// Whether the next checkpoint is due, as after every piece of work.
    pub(super) fn is_save_due(&self) -> bool {
        self.is_save_due_at(Moment::Midway)
    }

    /// Whether the next checkpoint is due, or asked for.
    pub(super) fn is_save_due_at(&self, moment: Moment) -> bool {
        self.unsaved && (self.calls.is_waiting() || self.pace.is_due(moment, Instant::now()))
    }

    /// After work was ended between two of its pieces: saves, and gives the error back unless to save was all that was
    /// asked.
    pub(super) fn interrupted(&mut self, error: Error, save: impl FnOnce(&mut Self) -> Result<()>) -> Result<()> {
        if error.kind() != ErrorKind::Cancelled {
            return Err(error);
        }
        let called = self.calls.is_waiting();
        save(self)?;
        if called { Ok(()) } else { Err(error) }
    }

    /// Writes a checkpoint, and before it the parameters of an epoch that is the best one since the last checkpoint.
    pub(super) fn save(&mut self, stage: Noted, best: Option<&mut Epochs>, arrays: Arrays<'_>) -> Result<()> {
        let saved = if self.unsaved { self.write(stage, best, arrays) } else { Ok(()) };
        self.calls.answer(&saved);
        saved
    }

    fn write(&mut self, stage: Noted, best: Option<&mut Epochs>, arrays: Arrays<'_>) -> Result<()> {
        let (mut beside, began) = (0, Instant::now());
        if let Some(epochs) = best.filter(|epochs| epochs.best_is_new) {
            beside = self.checkpoints.save_best_epoch(epochs.best_number, &epochs.best)?;
            epochs.best_is_new = false;
            self.way.bytes_written += beside;
        }
        let progress = Progress { run: self.run.clone(), way: self.way.clone(), stage };
        let bytes = self.checkpoints.save(&progress, arrays)?;
        self.way.bytes_written += bytes;
        let milliseconds = trace::milliseconds_since(began);
        trace::tell(Event::CheckpointWritten { bytes: bytes + beside, milliseconds });
        self.pace.saved(bytes, beside, Instant::now());
        self.unsaved = false;
        Ok(())
    }

    pub(super) fn save_measuring(&mut self, candidate: &Candidate) -> Result<()> {
        let stage = Noted::Measuring {
            summary: candidate.summary.clone(),
            validation: candidate.validation.clone(),
            // JSON has no way to write what is no number: that is measured again.
            losses: candidate.losses.iter().filter(|(_, measured)| measured.is_finite()).map(owned).collect(),
        };
        self.save(stage, None, &mut |sink| sink(candidate.adapter.params()))
    }
}

fn owned<K: Clone, V: Clone>((key, value): (&K, &V)) -> (K, V) {
    (key.clone(), value.clone())
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

/// Pieces of generic text as samples, each piece a text.
///
/// # Errors
/// When the model refuses all of them, why it refuses the first: nothing could be measured.
pub(super) fn generic_samples(
    model: &Model,
    pieces: impl Iterator<Item = &'static str>,
    seq_len: usize,
) -> Result<SampleSet> {
    let (mut set, mut refusal) = (SampleSet::default(), None);
    for piece in pieces {
        let made = samples_for(&TextRow::new(piece, None), model, seq_len);
        refusal = refusal.or_else(|| made.refusal().cloned());
        set.add(made.samples);
    }
    match refusal {
        Some(refusal) if set.samples.is_empty() => Err(refusal),
        _ => Ok(set),
    }
}
