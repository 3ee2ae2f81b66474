//! Evaluation: the loss of texts under the model, with or without an adapter, and logits for those who check them.

use std::sync::Arc;

use idiolect_kernels::program::{BufferId, RowCounts, Run, Scalars};
use idiolect_kernels::{Executor, ProgramId};
use serde::{Deserialize, Serialize};

use crate::adapter::Adapter;
use crate::error::{Error, ErrorKind, Result};
use crate::passes::inference::{self, ScoringBuffers};
use crate::passes::{LoraBinding, TokenInputs};
use crate::samples::{PackedRow, Sample, SampleCounts, check_samples, pack};
use crate::session::Session;

/// Tokens a packed row holds, unless a sample is longer.
pub(crate) const ROW_TOKENS: usize = 256;

/// The loss of a set of samples.
#[derive(Debug, Clone, PartialEq)]
pub struct Evaluation {
    /// Tokens that carry loss.
    pub tokens: usize,
    /// Bytes of text behind them.
    pub bytes: usize,
    /// Mean loss in nats a token.
    pub nll: f64,
    /// Each sample's summed loss in nats and its tokens, in order.
    pub samples: Vec<(f64, usize)>,
    /// Each text's, of those that the samples are of, where that was told: 0 tokens where nothing of it was measured.
    pub texts: Vec<(f64, usize)>,
    /// What became of the texts that the samples are of, where that was told.
    pub counts: SampleCounts,
}

impl Evaluation {
    /// What the samples' summed losses and tokens come to.
    pub(crate) fn of(samples: &[Sample], sums: Vec<(f64, usize)>) -> Self {
        let tokens = sums.iter().map(|s| s.1).sum::<usize>();
        let nll = sums.iter().map(|s| s.0).sum::<f64>() / tokens as f64;
        Self {
            tokens,
            bytes: samples.iter().map(|s| s.text_bytes).sum(),
            nll,
            samples: sums,
            texts: Vec::new(),
            counts: SampleCounts::default(),
        }
    }

    /// The same where the loss is a number.
    ///
    /// # Errors
    /// When it is not: values overflowed on the way, or the weights hold what is none.
    pub fn finite(self) -> Result<Self> {
        if self.nll.is_finite() {
            return Ok(self);
        }
        let hint = "the weights of the model or the scale of the adapter are damaged, or too large";
        Err(Error::new(ErrorKind::NotFinite, format!("the loss is not finite: {}", self.nll)).with_hint(hint))
    }

    /// `e^nll`.
    pub fn perplexity(&self) -> f64 {
        self.nll.exp()
    }

    /// Total loss in bits over the text's bytes, if the bytes are known.
    pub fn bits_per_byte(&self) -> Option<f64> {
        (self.bytes > 0).then(|| self.nll * self.tokens as f64 / std::f64::consts::LN_2 / self.bytes as f64)
    }
}

/// How far a set of samples is measured. It can be left between any two of its packed rows and taken up again, in another
/// process too, and comes to the same bits: how samples are packed does not depend on it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Measured {
    /// Rows that are done.
    rows: usize,
    /// Each sample's summed loss in nats and its tokens, so far.
    sums: Vec<(f64, usize)>,
}

impl Measured {
    /// Measures the rest of the rows of `samples`, until `leave` says to leave it there; whether all of them are done.
    /// What was done stays done after an error, too.
    pub fn go_on(
        &mut self,
        rows: &[PackedRow],
        samples: usize,
        leave: &mut dyn FnMut(&Self) -> bool,
        mut measure: impl FnMut(&PackedRow, &mut [(f64, usize)]) -> Result<()>,
    ) -> Result<bool> {
        // It is of other samples where their number has changed.
        if self.sums.len() != samples || self.rows > rows.len() {
            *self = Self { rows: 0, sums: vec![(0.0, 0); samples] };
        }
        while let Some(row) = rows.get(self.rows) {
            measure(row, &mut self.sums)?;
            self.rows += 1;
            if self.rows < rows.len() && leave(self) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Samples of which something is measured.
    pub fn samples(&self) -> usize {
        self.sums.iter().filter(|(_, tokens)| *tokens > 0).count()
    }

    /// Whether every loss so far is a number.
    pub fn is_finite(&self) -> bool {
        self.sums.iter().all(|(loss, _)| loss.is_finite())
    }

    /// Each sample's summed loss in nats and its tokens.
    pub fn sums(&self) -> &[(f64, usize)] {
        &self.sums
    }
}

/// The mean loss of `samples`; [`Evaluation::finite`] tells whether it is a number.
///
/// # Errors
/// When no token carries loss, an id lies outside the vocabulary, or the device fails.
pub fn evaluate(session: &mut Session, adapter: Option<&Adapter>, samples: &[Sample]) -> Result<Evaluation> {
    evaluate_with_progress(session, adapter, samples, &mut |_, _| {})
}

/// The same; `on_progress` hears how many rows of how many are done.
///
/// # Errors
/// As [`evaluate`].
pub fn evaluate_with_progress(
    session: &mut Session,
    adapter: Option<&Adapter>,
    samples: &[Sample],
    on_progress: &mut dyn FnMut(usize, usize),
) -> Result<Evaluation> {
    let mut measured = Measured::default();
    measure_rows(session, adapter, samples, &mut measured, &mut |measured, rows| {
        on_progress(measured.rows, rows);
        false
    })?;
    Ok(Evaluation::of(samples, measured.sums))
}

/// Measures `samples` from where `measured` says on, until `leave` (told what is done, and of how many rows) says to
/// leave it there; whether all of them are done.
///
/// # Errors
/// As [`evaluate`]; `measured` then holds what was done.
pub(crate) fn measure_rows(
    session: &mut Session,
    adapter: Option<&Adapter>,
    samples: &[Sample],
    measured: &mut Measured,
    leave: &mut dyn FnMut(&Measured, usize) -> bool,
) -> Result<bool> {
    let rows = packed_rows(session, samples)?;
    session.start_job();
    let lora = session.bind(adapter)?;
    let scorer = Scorer::load(session, lora.as_ref(), capacity(&rows))?;
    let mut leave = |measured: &Measured| leave(measured, rows.len());
    measured.go_on(&rows, samples.len(), &mut leave, |row, sums| scorer.add(session.executor(), row, sums))
}

/// The scoring program, loaded.
pub(crate) struct Scorer {
    program: ProgramId,
    buffers: ScoringBuffers,
}

impl Scorer {
    /// Loads the program for rows within `capacity`, beside what the session's job has loaded.
    pub fn load(session: &mut Session, lora: Option<&LoraBinding>, capacity: RowCounts) -> Result<Self> {
        let (program, buffers) = inference::scoring(session.model().base(), lora, capacity);
        Ok(Self { program: session.executor().load(Arc::new(program))?, buffers })
    }

    /// Adds each sample's loss in `row` and its tokens to `sums`.
    pub fn add(&self, executor: &mut dyn Executor, row: &PackedRow, sums: &mut [(f64, usize)]) -> Result<()> {
        let ScoringBuffers { tokens, selected, targets, losses } = self.buffers;
        let mut inputs = token_inputs(tokens, row);
        inputs.extend([(selected, &row.selected[..]), (targets, &row.targets[..])]);
        executor.run(self.program, &Run { rows: counts(row), inputs, scalars: Scalars::default() })?;
        for (loss, &owner) in executor.read(self.program, losses)?.into_iter().zip(&row.owners) {
            sums[owner].0 += f64::from(loss);
            sums[owner].1 += 1;
        }
        Ok(())
    }
}

/// Logits `[len, vocabulary]` of every token of each sequence; the sequences are packed into rows where they fit.
///
/// # Errors
/// As [`evaluate`].
pub fn logits(session: &mut Session, adapter: Option<&Adapter>, sequences: &[Vec<u32>]) -> Result<Vec<Vec<f32>>> {
    // A sequence of n ids has n inputs here: one more id, never looked at, stands for what would come next.
    let samples: Vec<Sample> = sequences
        .iter()
        .map(|ids| Sample {
            ids: ids.iter().copied().chain([0]).collect(),
            supervised_from: 1,
            masked: Vec::new(),
            text_bytes: 0,
        })
        .collect();
    let rows = packed_rows(session, &samples)?;
    session.start_job();
    let lora = session.bind(adapter)?;
    let vocabulary = session.model().base().config.vocab_size;
    let logits = inference::logits(session.model().base(), lora.as_ref(), capacity(&rows));
    let (tokens, selected, output) = (logits.tokens, logits.selected, logits.logits);
    let executor = session.executor();
    let program = executor.load(Arc::new(logits.program))?;
    let mut result = vec![Vec::new(); sequences.len()];
    for row in &rows {
        let mut inputs = token_inputs(tokens, row);
        inputs.push((selected, &row.selected));
        executor.run(program, &Run { rows: counts(row), inputs, scalars: Scalars::default() })?;
        let values = executor.read(program, output)?;
        for (row_logits, &owner) in values.chunks_exact(vocabulary).zip(&row.owners) {
            result[owner].extend_from_slice(row_logits);
        }
    }
    Ok(result)
}

/// Packs samples after checking that they can be evaluated.
fn packed_rows(session: &Session, samples: &[Sample]) -> Result<Vec<PackedRow>> {
    check_samples(session.model(), samples)?;
    let rows = pack(samples, ROW_TOKENS);
    if rows.is_empty() {
        return Err(Error::new(ErrorKind::BadData, "no token of the text carries loss")
            .with_hint("give at least one sample of two tokens or more"));
    }
    Ok(rows)
}

/// The capacity that holds every one of `rows`.
pub(crate) fn capacity(rows: &[PackedRow]) -> RowCounts {
    RowCounts {
        tokens: rows.iter().map(|r| r.ids.len()).max().unwrap_or(0),
        selected: rows.iter().map(|r| r.selected.len()).max().unwrap_or(0),
    }
}

pub(crate) fn counts(row: &PackedRow) -> RowCounts {
    RowCounts { tokens: row.ids.len(), selected: row.selected.len() }
}

pub(crate) fn token_inputs(tokens: TokenInputs, row: &PackedRow) -> Vec<(BufferId, &[u32])> {
    vec![
        (tokens.ids, &row.ids[..]),
        (tokens.positions, &row.packing.positions[..]),
        (tokens.spans, &row.packing.spans[..]),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Adds another number for every token.
    fn adding(at: &mut f64) -> impl FnMut(&PackedRow, &mut [(f64, usize)]) -> Result<()> {
        move |row, sums| {
            for &owner in &row.owners {
                *at += 0.1;
                sums[owner] = (sums[owner].0 + *at, sums[owner].1 + 1);
            }
            Ok(())
        }
    }

    #[test]
    fn a_measurement_is_left_and_taken_up_to_the_same_bits() {
        let row = |owners: &[usize]| PackedRow { owners: owners.to_vec(), ..PackedRow::default() };
        let rows = [row(&[0, 1, 1]), row(&[1, 2]), row(&[]), row(&[4])];
        let mut whole = Measured::default();
        assert!(whole.go_on(&rows, 5, &mut |_| false, adding(&mut 0.0)).unwrap());
        assert_eq!((whole.samples(), whole.sums().len()), (4, 5));

        let (mut parts, mut at) = (Measured::default(), 0.0);
        for done in 1..=rows.len() {
            let ended = parts.go_on(&rows, 5, &mut |measured| measured.rows == done, adding(&mut at)).unwrap();
            assert_eq!((ended, parts.rows), (done == rows.len(), done));
            // As a checkpoint keeps it.
            parts = serde_json::from_slice(&serde_json::to_vec(&parts).unwrap()).unwrap();
        }
        assert_eq!(parts, whole);
        // Of other samples, it begins anew.
        assert!(parts.go_on(&rows[..1], 3, &mut |_| false, adding(&mut 0.0)).unwrap());
        assert_eq!((parts.rows, parts.sums()), (1, &[(0.1, 1), (0.2 + 0.30000000000000004, 2), (0.0, 0)][..]));
    }
}
