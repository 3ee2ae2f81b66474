//! Measuring a candidate for the gate, with checkpoints in between.

use std::collections::BTreeMap;

use super::corpus::Corpus;
use super::course::{Course, generic_samples};
use super::events::LearnEvent;
use super::stage::Candidate;
use crate::adapter::Adapter;
use crate::error::Result;
use crate::eval::{Measured, measure_rows};
use crate::gate::{self, Evidence, GenericLosses, NextStrength, PairedLoss, STRENGTHS, Verdict, next_strength};
use crate::samples::SampleSet;
use crate::session::Session;

/// What was measured for the gate so far, by its name.
pub(super) type Losses = BTreeMap<String, Measured>;

impl Course<'_> {
    /// Measures the candidate and asks the gate: the verdict, and the strength that it is given for.
    pub(super) fn judge(
        &mut self,
        session: &mut Session,
        before: Option<&(u32, Adapter)>,
        corpus: &Corpus,
        candidate: &mut Candidate,
        asked: u32,
    ) -> Result<(Verdict, f32)> {
        let model = session.model().clone();
        let mut generic = Vec::new();
        for language in &corpus.languages.measured {
            let pieces = gate::generic::measuring(language).into_iter();
            let set = generic_samples(&model, pieces, self.settings.train.seq_len)?;
            let name = format!("generic {language}");
            let before = self.measure(session, &format!("{name} before"), None, &set, candidate)?;
            generic.push((language.as_str(), name, set, before));
        }
        for language in corpus.own_samples.languages() {
            let (name, set) = (format!("own {language}"), corpus.own_samples.measuring(language));
            let before = self.measure(session, &format!("{name} before"), None, &set, candidate)?;
            generic.push((language, name, set, before));
        }
        let (what, before) = match before {
            Some((version, adapter)) => (format!("held-out of version {version}"), Some(adapter)),
            None => ("held-out of the base".to_owned(), None),
        };
        let held_out_before = self.measure(session, &what, before, &corpus.held_out, candidate)?;
        let places = || corpus.places.iter().map(|place| (place.unit.cast_unsigned(), place.cluster.cast_unsigned()));
        let mut verdicts = Vec::new();
        loop {
            let strength = match next_strength(&verdicts, &self.settings.gate) {
                NextStrength::Judge(strength) => strength,
                NextStrength::Settled(place) => return Ok((verdicts.swap_remove(place), STRENGTHS[place])),
            };
            let adapter = candidate.adapter.clone().with_strength(strength)?;
            let of = |what: &str| format!("{what} at {strength}");
            let mut forgotten = Vec::new();
            for (language, name, set, before) in &generic {
                let after = self.measure(session, &of(name), Some(&adapter), set, candidate)?;
                let losses = PairedLoss::pair((0..).map(|piece| (piece, piece)), before, &after);
                forgotten.push(GenericLosses { language: language.to_string(), losses });
            }
            let held_out_after = self.measure(session, &of("held-out"), Some(&adapter), &corpus.held_out, candidate)?;
            let evidence = Evidence {
                held_out: &PairedLoss::pair(places(), &held_out_before, &held_out_after),
                generic: &forgotten,
                asked,
                history: corpus.fitness,
            };
            verdicts.push(gate::judge(&evidence, &self.settings.gate));
        }
    }

    /// Each text's summed loss and tokens, from what was measured already and the rest; a checkpoint now and then.
    fn measure(
        &mut self,
        session: &mut Session,
        what: &str,
        adapter: Option<&Adapter>,
        set: &SampleSet,
        candidate: &mut Candidate,
    ) -> Result<Vec<(f64, usize)>> {
        let samples = &set.samples;
        if samples.is_empty() {
            return Ok(Vec::new());
        }
        loop {
            let mut measured = candidate.losses.get(what).cloned().unwrap_or_default();
            let total = samples.len();
            self.unsaved = true;
            let ended = measure_rows(session, adapter, samples, &mut measured, &mut |measured, _| {
                (self.on_event)(LearnEvent::Measuring { done: measured.samples(), total });
                self.is_save_due()
            });
            candidate.losses.insert(what.to_owned(), measured.clone());
            match ended {
                Ok(true) => {
                    (self.on_event)(LearnEvent::Measuring { done: total, total });
                    return Ok(set.by_text(measured.sums()));
                }
                Ok(false) => self.save_measuring(candidate)?,
                Err(error) => self.interrupted(error, |course| course.save_measuring(candidate))?,
            }
        }
    }
}
