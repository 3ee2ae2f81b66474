//! What a training learns from, cut into the steps that learn from it.

use super::batches::Batches;
use super::options::TrainOptions;
use super::replay::Replay;
use super::steps::{Step, Steps};
use crate::error::{Error, ErrorKind, Result};
use crate::model::Model;
use crate::samples::{PackedRow, Sample, SampleCounts, TextRow, check_samples, packed, sample_of_ids, samples_for};

/// What is learned from or measured, and how it is cut into steps.
#[derive(Debug, Clone, PartialEq)]
pub struct TrainingData {
    samples: Vec<Sample>,
    kind: DataKind,
    replay: Replay,
    counts: SampleCounts,
    /// The number of each sample's text, where they are of texts in order.
    texts: Vec<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum DataKind {
    /// Shuffled every epoch, packed side by side. `plain` where at least one has no context, so that it began with the
    /// document-start token.
    Texts { plain: bool },
    /// In order, again and again, a row a micro-batch.
    Ids,
}

/// Texts between two times of giving way.
const TEXTS_AT_A_TIME: usize = 64;

impl TrainingData {
    /// A person's texts as samples of at most `seq_len` tokens, or as many as the model holds. Blank ones are left out, and
    /// those that the model refuses.
    ///
    /// # Errors
    /// When no text carries loss; where it is because the model refuses them, why it refuses the first.
    pub fn from_texts(rows: &[TextRow], model: &Model, seq_len: usize) -> Result<Self> {
        Self::from_many_texts(rows, model, seq_len, &mut || Ok(()))
    }

    /// The same, giving way between some texts and others: thousands take seconds.
    ///
    /// # Errors
    /// Those of [`Self::from_texts`], and the one of `give_way`.
    pub(crate) fn from_many_texts(
        rows: &[TextRow],
        model: &Model,
        seq_len: usize,
        give_way: &mut dyn FnMut() -> Result<()>,
    ) -> Result<Self> {
        let (mut samples, mut texts) = (Vec::new(), Vec::new());
        let (mut counts, mut plain) = (SampleCounts::default(), false);
        let mut refusal = None;
        for (number, row) in rows.iter().enumerate() {
            if number % TEXTS_AT_A_TIME == 0 {
                give_way()?;
            }
            let made = samples_for(row, model, seq_len);
            counts.add(&made);
            refusal = refusal.or_else(|| made.refusal().cloned());
            plain |= row.context.is_none() && !made.samples.is_empty();
            samples.extend(made.samples.into_iter().filter(|sample| sample.supervised() > 0));
            texts.resize(samples.len(), number);
        }
        let data = Self { texts, ..Self::of_texts(samples, plain, counts) };
        match refusal {
            Some(refusal) if data.samples.is_empty() => Err(refusal),
            _ => data.checked(model),
        }
    }

    /// A person's samples; `plain` where at least one began with the document-start token. A sample may stand there
    /// several times. Those without loss are left out.
    ///
    /// # Errors
    /// When none carries loss, or a sample is longer than the model's context.
    pub fn from_samples(samples: Vec<Sample>, plain: bool, model: &Model) -> Result<Self> {
        Self::of_texts(samples, plain, SampleCounts::default()).checked(model)
    }

    fn of_texts(samples: Vec<Sample>, plain: bool, counts: SampleCounts) -> Self {
        let samples = samples.into_iter().filter(|sample| sample.supervised() > 0).collect();
        Self { samples, kind: DataKind::Texts { plain }, replay: Replay::default(), counts, texts: Vec::new() }
    }

    /// The same with generic text mixed into every step.
    ///
    /// # Errors
    /// When a sample of it is longer than the model's context.
    pub fn with_replay(self, replay: Replay, model: &Model) -> Result<Self> {
        check_samples(model, replay.samples())?;
        Ok(Self { replay, ..self })
    }

    /// Rows of token ids as they are: a row of n ids gives n − 1 predictions.
    ///
    /// # Errors
    /// When a row has fewer than two ids, an id lies outside the vocabulary, or a row is longer than the model's context.
    pub fn from_ids(rows: &[Vec<u32>], model: &Model) -> Result<Self> {
        if let Some(number) = rows.iter().position(|ids| ids.len() < 2) {
            // A step of it alone would have nothing to learn.
            let message = format!("row {} of token ids has fewer than two", number + 1);
            return Err(Error::new(ErrorKind::BadData, message).with_hint("give every row two ids or more"));
        }
        let samples = rows.iter().map(|ids| sample_of_ids(ids, model.tokenizer())).collect();
        let (kind, counts) = (DataKind::Ids, SampleCounts::default());
        Self { samples, kind, replay: Replay::default(), counts, texts: Vec::new() }.checked(model)
    }

    fn checked(self, model: &Model) -> Result<Self> {
        check_samples(model, &self.samples)?;
        if self.samples.iter().all(|sample| sample.supervised() == 0) {
            let hint = match self.kind {
                DataKind::Texts { .. } if self.counts.no_room > 0 => {
                    "give a seq-len with room for more than the model's chat template"
                }
                DataKind::Texts { .. } => "give at least one message that is not blank",
                DataKind::Ids => "give at least one row of two ids or more",
            };
            return Err(Error::new(ErrorKind::BadData, "no token of the data carries loss").with_hint(hint));
        }
        Ok(self)
    }

    /// The samples, in the order of the file.
    pub fn samples(&self) -> &[Sample] {
        &self.samples
    }

    /// What became of the texts; nothing but zeros for samples that were none.
    pub fn counts(&self) -> SampleCounts {
        self.counts
    }

    /// The sum of each text's samples' losses, and of their tokens; 0 for a text that has none. Nothing for samples that
    /// are not of texts.
    pub fn by_text(&self, sums: &[(f64, usize)]) -> Vec<(f64, usize)> {
        let mut of_texts = vec![(0.0, 0); if self.texts.is_empty() { 0 } else { self.counts.texts }];
        for (&text, &(loss, tokens)) in self.texts.iter().zip(sums) {
            of_texts[text] = (of_texts[text].0 + loss, of_texts[text].1 + tokens);
        }
        of_texts
    }

    /// How much there is to do.
    ///
    /// # Errors
    /// As [`Training::new`].
    pub(crate) fn size(&self, options: &TrainOptions) -> Result<TrainingSize> {
        let mut steps = self.steps(options)?;
        let mut tokens = 0;
        for k in 0..steps.len() {
            tokens += self.samples_of(self.step(&mut steps, k)).map(Sample::inputs).sum::<usize>();
        }
        Ok(TrainingSize { steps: steps.len(), steps_an_epoch: steps.an_epoch(), tokens })
    }

    /// Whether at least one of the texts' samples began with the document-start token.
    pub(super) fn begins_documents(&self) -> bool {
        matches!(self.kind, DataKind::Texts { plain: true })
    }

    /// Bytes that the samples take.
    pub(super) fn bytes(&self) -> usize {
        self.samples.iter().chain(self.replay.samples()).map(Sample::bytes).sum()
    }

    /// Tokens that a packed row has to hold.
    pub fn row_tokens(&self, options: &TrainOptions) -> usize {
        match self.kind {
            DataKind::Texts { .. } => options.seq_len,
            DataKind::Ids => self.samples.iter().map(Sample::inputs).max().unwrap_or(0),
        }
    }

    /// The samples of every step.
    pub(super) fn steps(&self, options: &TrainOptions) -> Result<Steps> {
        let (samples, epochs, steps) = (self.samples.len(), options.epochs, options.steps);
        let batches = match self.kind {
            DataKind::Texts { .. } => {
                let per_step = options.batch_samples.saturating_mul(options.accumulate);
                Batches::shuffled(samples, per_step, epochs, steps, options.seed)
            }
            DataKind::Ids => Batches::in_order(samples, options.accumulate, epochs, steps),
        }?;
        Ok(Steps::new(batches, &self.replay, options.seed))
    }

    /// Step `k` of `steps`, which are of this data.
    pub(super) fn step<'s>(&self, steps: &'s mut Steps, k: usize) -> &'s Step {
        steps.step(k, &self.samples, &self.replay)
    }

    /// The samples that a step takes.
    pub(super) fn samples_of<'a>(&'a self, step: &'a Step) -> impl Iterator<Item = &'a Sample> {
        let replayed = step.replayed.iter().map(|&i| &self.replay.samples()[i]);
        step.own.iter().map(|&i| &self.samples[i]).chain(replayed)
    }

    /// One step's rows, made one after the other.
    pub(super) fn rows<'a>(&'a self, step: &'a Step, row_tokens: usize) -> Box<dyn Iterator<Item = PackedRow> + 'a> {
        let samples = self.samples_of(step);
        match self.kind {
            DataKind::Texts { .. } => Box::new(packed(samples, row_tokens)),
            DataKind::Ids => Box::new(samples.flat_map(move |sample| packed([sample], row_tokens))),
        }
    }
}

/// How much a whole training is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TrainingSize {
    /// Optimizer steps.
    pub steps: usize,
    /// Those of a pass over the samples.
    pub steps_an_epoch: usize,
    /// Tokens that go through the model, replayed ones among them.
    pub tokens: usize,
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn reading_many_texts_gives_way_and_ends_where_it_is_told_to() {
        let base = Path::new(env!("CARGO_MANIFEST_DIR")).join("../bindings/cli/assets/base");
        let model = Model::open(&base).unwrap();
        let rows = vec![TextRow::new("see you at the station", None); 2 * TEXTS_AT_A_TIME + 1];
        let read = |ends_at: usize| {
            let mut times = 0;
            let data = TrainingData::from_many_texts(&rows, &model, 64, &mut || {
                times += 1;
                if times == ends_at { Err(Error::new(ErrorKind::Cancelled, "told to")) } else { Ok(()) }
            });
            (times, data.map(|data| data.samples().len()).map_err(|error| error.kind()))
        };
        assert_eq!(read(usize::MAX), (3, Ok(rows.len())));
        assert_eq!(read(2), (2, Err(ErrorKind::Cancelled)));
    }
}
