//! Texts as samples of tokens: read from files, made to fit a row, checked against a model, packed side by side.

mod dataset;
mod packing;
mod windows;

pub use dataset::{TextRow, Texts, read_ids, read_texts, sample_of_ids};
pub(crate) use packing::packed;
pub use packing::{PackedRow, Sample, pack};
pub use windows::{LeftOut, SampleCounts, TextSamples, samples_of_text};
pub(crate) use windows::{MAKING, SampleSet, samples_for};

use crate::error::{Error, ErrorKind, Result};
use crate::model::Model;

/// Checks that every sample fits the vocabulary and the context.
pub(crate) fn check_samples(model: &Model, samples: &[Sample]) -> Result<()> {
    for sample in samples {
        model.check_ids(&sample.ids)?;
        if sample.inputs() > model.base().context {
            let message = format!("a sample of {} tokens; the model holds {}", sample.ids.len(), model.base().context);
            return Err(Error::new(ErrorKind::BadData, message).with_hint("shorten it, or give a lower seq-len"));
        }
    }
    Ok(())
}
