//! How a training ends: its verdict, and what follows from it.

use serde_json::{Map, Value};

use super::corpus::{Corpus, Selection};
use super::course::{Course, Place};
use super::events::DropReason;
use super::records::{LastTraining, Records, RunKey};
use super::report::LearnReport;
use super::stage::{Candidate, best_epoch};
use crate::error::{Error, ErrorKind, Result};
use crate::gate::{Decision, Verdict};
use crate::session::Session;

impl Course<'_> {
    /// Asks the gate and does what it says. Nothing where what the candidate learned from was removed meanwhile: it has
    /// gone, and training begins again without.
    pub(super) fn conclude(
        &mut self,
        session: &mut Session,
        mut candidate: Candidate,
        corpus: &Corpus,
        selection: &Selection,
    ) -> Result<Option<LearnReport>> {
        let (place, model) = (self.place, session.model().clone());
        let asked = self.asked()?.saturating_add(1);
        // What a new version has to beat: the one in use, where it is one of this base.
        let before = place.registry.active(&model)?;
        let (verdict, strength) = self.judge(session, before.as_ref(), corpus, &mut candidate, asked)?;
        if !selection.is_whole(place.history)? {
            self.drop_checkpoint(DropReason::HistoryRemoved)?;
            return Ok(None);
        }

        let adapter = candidate.adapter.with_strength(strength)?;
        let own_sampled: Vec<String> = corpus.own_samples.languages().map(str::to_owned).collect();
        let mut unmeasured = corpus.languages.unmeasured.clone();
        unmeasured.retain(|language| !own_sampled.contains(language));
        let mut report = LearnReport {
            verdict,
            version: None,
            candidate_sha256: Some(adapter.sha256()),
            strength,
            samples: corpus.texts,
            counts: corpus.counts,
            own_sampled_languages: own_sampled,
            unmeasured_languages: unmeasured,
            best_epoch: best_epoch(&candidate.validation),
            validation: candidate.validation,
            summary: candidate.summary,
            setbacks: self.way.setbacks.clone(),
            bytes_written: self.way.bytes_written,
            resumed: self.resumed,
            unchanged: false,
            asked,
            device: self.way.device(),
            devices: self.way.devices.clone(),
        };
        let promoted = report.verdict.decision == Decision::Promoted;
        if promoted {
            let (training, written) = (&selection.id, as_json(&report)?);
            let version = place.registry.promote(&adapter, &model, training, asked, written, |version| {
                let learned = place.history.record_learning(version, selection.learned_from(), selection.removals)?;
                // Removed after the look above.
                Ok(learned.removed > 0)
            })?;
            report.version = Some(version);
        }
        let before = before.map(|(version, _)| version);
        // From here on, as from the promotion on, a killed training has ended: see `ended`.
        self.put_away(LastTraining::new(self.run.clone(), selection, asked, before, report)).map(Some)
    }

    /// Ends a training that no learning rate has led to a candidate. The gate is not asked; on the same history it is not
    /// tried again.
    pub(super) fn fail(&mut self, session: &Session, corpus: &Corpus, selection: &Selection) -> Result<LearnReport> {
        let setbacks = self.way.setbacks.clone();
        let (steps, tries) = (setbacks.last().map_or(0, |setback| setback.steps), setbacks.len());
        let report = LearnReport {
            samples: corpus.texts,
            counts: corpus.counts,
            setbacks,
            bytes_written: self.way.bytes_written,
            resumed: self.resumed,
            device: self.way.device(),
            devices: self.way.devices.clone(),
            ..LearnReport::without_candidate(Verdict::diverged(steps, tries), session.device())
        };
        let asked = self.asked()?;
        self.put_away(LastTraining::new(self.run.clone(), selection, asked, None, report))
    }

    /// How often the gate was asked in the life of the profile. The record of the last training and the registry's index
    /// both tell it, and the larger counts: a damaged record loses nothing, and a kill between the two is made good here.
    pub(super) fn asked(&self) -> Result<u32> {
        self.place.registry.asked(self.records.last()?.map_or(0, |last| last.asked))
    }

    /// Writes the end down, and puts away what the training kept on the disk.
    fn put_away(&self, last: LastTraining) -> Result<LearnReport> {
        self.records.write_last(&last)?;
        self.asked()?;
        self.clear()?;
        Ok(last.report)
    }
}

/// How the training under way ended, if a process was killed after its verdict had taken effect and before it had put
/// its things away: what is still to be written is written. Measured again, the candidate would have to beat itself.
pub(super) fn ended(place: &Place<'_>, records: &Records, run: &RunKey) -> Result<Option<LastTraining>> {
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
