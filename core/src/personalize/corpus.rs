//! The history as samples, and which of it a training learns from.

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};

use super::events::DropReason;
use super::own_samples::OwnSamples;
use super::settings::LearnSettings;
use crate::error::{Error, Result};
use crate::gate::{Fitness, Languages, Learnability, Screen, Survey, Tally, Written};
use crate::history::{History, Learnable, LearnableSample, SampleId, Split};
use crate::model::Model;
use crate::privacy::Filter;
use crate::registry::TrainingId;
use crate::samples::{Sample, SampleCounts, SampleSet, TextRow, samples_for};

/// Which rows of the history a training uses, by number alone, and what the base wrote for it: what a resumed training reads again, so that rows that
/// were added or repeated meanwhile do not change it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Selection {
    /// The training that it is for.
    pub id: TrainingId,
    /// The history's revision when it was made.
    pub revision: u64,
    /// The history's removals by then.
    pub removals: u64,
    /// What the screen says of the whole history.
    fitness: Fitness,
    /// The languages that it is written in.
    #[serde(default)]
    pub languages: Languages,
    /// What the base wrote in those without generic text; nothing where an earlier release chose.
    #[serde(default)]
    pub own_samples: OwnSamples,
    /// Sample and how often it stands in an epoch.
    training: BTreeMap<i64, u32>,
    /// Of those that did not become one sample each, how many: known once they have been read.
    #[serde(default)]
    parts: BTreeMap<i64, u32>,
    validation: BTreeMap<i64, u32>,
    held_out: BTreeMap<i64, HeldOut>,
}

/// Where a held-out sample belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct HeldOut {
    /// Its independent unit, as [`Learnable::units`] has it.
    pub unit: i64,
    /// Its cluster of near-duplicates.
    pub cluster: i64,
}

/// The samples of a training.
pub(crate) struct Corpus {
    pub training: Vec<Sample>,
    /// Whether a training sample began with the document-start token.
    pub plain: bool,
    pub validation: Vec<Sample>,
    pub held_out: SampleSet,
    /// Where each held-out text belongs.
    pub places: Vec<HeldOut>,
    /// Texts learned from, repeats counted; validation texts; held-out texts.
    pub texts: [usize; Split::ALL.len()],
    /// What became of the texts, repeats not counted.
    pub counts: SampleCounts,
    /// Why the model refuses the first of the texts that it refuses.
    pub refusal: Option<Error>,
    /// What the screen says of the history that they come from.
    pub fitness: Fitness,
    /// The languages that it is written in.
    pub languages: Languages,
    /// What the base wrote in those without generic text.
    pub own_samples: OwnSamples,
    /// Whether all that was chosen is there.
    pub whole: bool,
}

impl Selection {
    /// Chooses from a state of the history. `give_way` is called now and then, and may end it.
    pub fn new(
        rows: &mut Learnable,
        settings: &LearnSettings,
        give_way: &mut dyn FnMut() -> Result<()>,
    ) -> Result<Self> {
        let mut screen = Screen::new();
        each_row(rows, give_way, |_, row| {
            screen.see(&written(&row));
            Ok(())
        })?;
        let sieve = screen.finish();
        let mut selection = Self {
            id: TrainingId::random()?,
            revision: rows.revision(),
            removals: rows.removals(),
            fitness: Fitness::Fit,
            languages: Languages::default(),
            own_samples: OwnSamples::default(),
            training: BTreeMap::new(),
            parts: BTreeMap::new(),
            validation: BTreeMap::new(),
            held_out: BTreeMap::new(),
        };
        let units = rows.units()?;
        let mut tally = Tally::default();
        let mut survey = Survey::default();
        // What each cluster still has a claim to: of many that count for little, some are taken.
        let mut claims: HashMap<i64, f64> = HashMap::new();
        each_row(rows, give_way, |split, row| {
            let learnability = sieve.judge(&written(&row));
            tally.add(&written(&row), learnability);
            if learnability == Learnability::NotLanguage {
                return Ok(());
            }
            let id = row.id.0;
            match split {
                Split::Training => {
                    let claim = claims.entry(row.cluster.0).or_default();
                    *claim += row.count as f64 * learnability.weight();
                    let times = (*claim + 1e-9).floor();
                    *claim -= times;
                    if times > 0.0 {
                        survey.see(&row.text);
                        selection.training.insert(id, times as u32);
                    }
                }
                Split::Validation => {
                    selection.validation.insert(id, 1);
                    if selection.validation.len() > settings.most_validation {
                        selection.validation.pop_first();
                    }
                }
                Split::HeldOut => {
                    let unit = units.get(&row.cluster).copied().unwrap_or(row.cluster);
                    selection.held_out.insert(id, HeldOut { unit: unit.0, cluster: row.cluster.0 });
                    if selection.held_out.len() > settings.most_held_out {
                        selection.held_out.pop_first();
                    }
                }
            }
            Ok(())
        })?;
        selection.fitness = tally.fitness();
        selection.languages = survey.finish();
        Ok(selection)
    }

    /// The samples that training learns from.
    pub fn learned_from(&self) -> impl Iterator<Item = SampleId> {
        self.training.keys().map(|&id| SampleId(id))
    }

    /// The number of the newest sample that was chosen.
    pub fn newest(&self) -> Option<i64> {
        let last = [self.training.keys().last(), self.validation.keys().last(), self.held_out.keys().last()];
        last.into_iter().flatten().max().copied()
    }

    /// Whether nothing that was chosen was removed since because somebody asked. What the retention cap took or an edit
    /// replaced is no matter.
    pub fn is_whole(&self, history: &History) -> Result<bool> {
        if history.removals()? == self.removals {
            return Ok(true);
        }
        let mut found = 0;
        for split in Split::ALL {
            for row in history.learnable(split)? {
                found += usize::from(self.times(split, row?.id).is_some());
            }
        }
        Ok(found == self.training.len() + self.validation.len() + self.held_out.len())
    }

    /// How often a row stands in an epoch, or among what is measured; `None` where it was not chosen.
    pub fn times(&self, split: Split, id: SampleId) -> Option<u32> {
        match split {
            Split::Training => self.training.get(&id.0).copied(),
            Split::Validation => self.validation.get(&id.0).copied(),
            Split::HeldOut => self.held_out.get(&id.0).map(|_| 1),
        }
    }

    /// Reads the chosen rows from a state of the history. In the place of what the retention cap took or edits replaced
    /// meanwhile there stand others, as long as most are there: the order of training stays, and a history that is always at its cap does not
    /// keep it from ending. Otherwise why the selection is of no use any more.
    pub fn read(
        &mut self,
        rows: &mut Learnable,
        model: &Model,
        settings: &LearnSettings,
        give_way: &mut dyn FnMut() -> Result<()>,
    ) -> Result<Result<Corpus, DropReason>> {
        let mut corpus = Corpus {
            // Few texts come to more than one sample; a vector that grows holds up to twice what it needs.
            training: Vec::with_capacity(self.training.values().map(|&times| times as usize).sum()),
            plain: false,
            validation: Vec::new(),
            held_out: SampleSet::default(),
            places: Vec::new(),
            texts: [0; Split::ALL.len()],
            counts: SampleCounts::default(),
            refusal: None,
            fitness: self.fitness,
            languages: self.languages.clone(),
            own_samples: self.own_samples.clone(),
            whole: true,
        };
        let mut found = [0; Split::ALL.len()];
        let mut gone = Gone::default();
        let mut parts = BTreeMap::new();
        let places = |id: &i64, times: u32| times * self.parts.get(id).copied().unwrap_or(1);
        let mut due = self.training.iter().peekable();
        each_row(rows, give_way, |split, row| {
            let Some(times) = self.times(split, row.id) else { return Ok(()) };
            found[split as usize] += 1;
            let text = masked_row(&row, &settings.filter, model);
            let made = samples_for(&text, model, settings.train.seq_len);
            corpus.counts.add(&made);
            if let (None, Some(refusal)) = (&corpus.refusal, made.refusal()) {
                corpus.refusal = Some(refusal.clone());
            }
            corpus.texts[split as usize] += times as usize * usize::from(!made.samples.is_empty());
            match split {
                Split::Training => {
                    while let Some((id, times)) = due.next_if(|(id, _)| **id < row.id.0) {
                        gone.leave(&mut corpus.training, places(id, *times));
                    }
                    due.next();
                    corpus.plain |= text.context.is_none() && !made.samples.is_empty();
                    if made.samples.len() != 1 {
                        parts.insert(row.id.0, made.samples.len() as u32);
                    }
                    (0..times).for_each(|_| corpus.training.extend(made.samples.iter().cloned()));
                }
                Split::Validation => corpus.validation.extend(made.samples),
                Split::HeldOut => {
                    if corpus.held_out.add(made.samples) {
                        corpus.places.push(self.held_out[&row.id.0]);
                    }
                }
            }
            Ok(())
        })?;
        due.for_each(|(id, times)| gone.leave(&mut corpus.training, places(id, *times)));
        self.parts.extend(parts);
        let chosen = [self.training.len(), self.validation.len(), self.held_out.len()];
        corpus.whole = found == chosen;
        if !corpus.whole && rows.removals() != self.removals {
            return Ok(Err(DropReason::HistoryRemoved));
        }
        if found.iter().zip(&chosen).any(|(found, chosen)| found * 2 < *chosen) {
            return Ok(Err(DropReason::HistoryExpired));
        }
        gone.fill(&mut corpus.training);
        Ok(Ok(corpus))
    }
}

/// Places among the training samples whose rows have gone.
#[derive(Default)]
struct Gone(Vec<usize>);

impl Gone {
    /// Leaves `times` places open.
    fn leave(&mut self, samples: &mut Vec<Sample>, times: u32) {
        let open = Sample { ids: Vec::new(), supervised_from: 1, masked: Vec::new(), text_bytes: 0 };
        self.0.extend(samples.len()..samples.len() + times as usize);
        samples.extend(std::iter::repeat_n(open, times as usize));
    }

    /// Fills them with what is there, from the first sample on, each once before any stands there again.
    fn fill(self, samples: &mut [Sample]) {
        let there: Vec<usize> = (0..samples.len()).filter(|&place| !samples[place].ids.is_empty()).collect();
        for (place, from) in self.0.into_iter().zip(there.into_iter().cycle()) {
            samples[place] = samples[from].clone();
        }
    }
}

/// Rows between two times of giving way.
const ROWS_AT_A_TIME: usize = 64;

/// Shows every row that training may use.
pub(super) fn each_row(
    rows: &mut Learnable,
    give_way: &mut dyn FnMut() -> Result<()>,
    mut see: impl FnMut(Split, LearnableSample) -> Result<()>,
) -> Result<()> {
    for split in Split::ALL {
        rows.rewind(split);
        for (number, row) in rows.enumerate() {
            if number % ROWS_AT_A_TIME == 0 {
                give_way()?;
            }
            see(split, row?)?;
        }
    }
    Ok(())
}

/// A row as the screen sees it.
fn written(row: &LearnableSample) -> Written<'_> {
    Written {
        text: &row.text,
        repeats: row.count,
        cluster: row.cluster.0.cast_unsigned(),
        cluster_size: row.cluster_size,
    }
}

/// A row as training sees it: private places masked, and without its context where the model has no chat template.
pub(super) fn masked_row(row: &LearnableSample, filter: &Filter, model: &Model) -> TextRow {
    let masked = filter.mask(row.text.trim());
    let context = row.context.as_deref().filter(|_| model.tokenizer().chat_template().is_some());
    let context = context.map(|context| filter.mask(context).text);
    TextRow { text: masked.text, context, masked: masked.placeholders }
}
