//! Merging an adapter into its base: a model folder that needs no adapter, opens here and in mlx-lm, and answers as base
//! and adapter do together.
//!
//! A quantized matrix has a grid, and what an adapter adds is often smaller than its steps: rounding `W + D` back to 4
//! bits may lose D in noise. So each matrix is measured ([`Fidelity`]) and gets the fewest bits that keep what is added,
//! its own where they do; and the merged model is compared with what it stands for ([`Divergence`]) before it appears.
//!
//! A merged folder holds what the adapter learned from its person, unsealed.

mod divergence;
mod fidelity;
mod forms;
#[cfg(test)]
mod tests;

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

pub use divergence::Divergence;
pub use fidelity::Fidelity;

use super::Adapter;
use crate::error::{Error, ErrorKind, Result};
use crate::format::TensorName;
use crate::format::import::{Added, LowRank, NewFolder};
use crate::format::staged::refuse_occupied;
use crate::model::Model;
use crate::session::Session;

/// How far a merge may go.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MergeOptions {
    /// The largest share of a matrix's change that may be lost, [`Fidelity::swallowed`]; 0.5 by default. It may be
    /// above 1: noise that is not aligned with the change does not undo it.
    pub max_swallowed: f64,
    /// The most bits a weight that a matrix is raised to: 4, 8, 16 or 32; 16 by default. A matrix that has more keeps
    /// them.
    pub max_bits: u8,
}

impl Default for MergeOptions {
    fn default() -> Self {
        Self { max_swallowed: 0.5, max_bits: 16 }
    }
}

/// What a merge is at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MergeStage {
    /// Choosing each matrix's bits; counted in weights.
    Choosing,
    /// Writing; counted in weights.
    Writing,
    /// Comparing the merged model with base and adapter; counted in texts.
    Comparing,
}

/// A matrix with the adapter in it.
#[derive(Debug, Clone, PartialEq)]
pub struct MergedMatrix {
    /// The module, such as `model.layers.3.self_attn.q_proj`.
    pub module: String,
    /// Bits a weight in the base; 16 and 32 are floats.
    pub bits_before: u8,
    /// Bits a weight in the merged model.
    pub bits: u8,
    /// Bytes in the base.
    pub bytes_before: u64,
    /// Bytes in the merged model.
    pub bytes: u64,
    /// How well they keep what was added.
    pub fidelity: Fidelity,
}

/// What a merge did.
#[derive(Debug, Clone, PartialEq)]
pub struct MergeReport {
    /// The fingerprint of the merged model: another base, which the adapter does not fit.
    pub fingerprint: String,
    /// Bytes of the base's weights.
    pub bytes_before: u64,
    /// Bytes of the merged model's weights.
    pub bytes: u64,
    /// Every matrix that the adapter changes, in the order of the model.
    pub matrices: Vec<MergedMatrix>,
    /// Matrices that it leaves alone: they keep their bits.
    pub copied: usize,
    /// The merged model beside base and adapter.
    pub divergence: Divergence,
}

impl MergeReport {
    /// The matrix whose change lost the largest share.
    pub fn worst(&self) -> Option<&MergedMatrix> {
        self.matrices.iter().max_by(|a, b| a.fidelity.swallowed.total_cmp(&b.fidelity.swallowed))
    }
}

/// Writes the session's model with `adapter` at its strength merged in as a folder at `destination`: every matrix that it
/// changes is `W + strength·scale·B·A`, in the fewest bits that keep the change; the others keep their own bits, GGUF
/// blocks repacked exactly. The folder appears whole or not at all. `progress` is told of what is done and of how much in
/// all, and may end it.
///
/// # Errors
/// When an option is out of its range, the adapter does not fit the model, not even `max_bits` keep its effect in some
/// matrix, something lies at the destination, or the disk or the device fails; [`ErrorKind::Cancelled`] when `progress`
/// ended it.
pub fn merge(
    session: &mut Session,
    adapter: &Adapter,
    destination: &Path,
    options: MergeOptions,
    mut progress: impl FnMut(MergeStage, u64, u64) -> ControlFlow<()>,
) -> Result<MergeReport> {
    options.check()?;
    refuse_occupied(destination)?;
    let model = Arc::clone(session.model());
    adapter.check_fits(&model)?;
    let (files, added) = (model.files(), adapter.added());
    let mut tell = |stage, done, all| match progress(stage, done, all) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(()) => Err(Error::new(ErrorKind::Cancelled, "the merge was ended")),
    };
    let mut told = |done, all| tell(MergeStage::Choosing, done, all);
    let (forms, matrices) = forms::choose(files, &added, options, &mut told)?;
    let folder = NewFolder {
        files,
        tokenizer: model.tokenizer(),
        forms: &forms,
        added: &added,
        document_start: model.document_start() || adapter.document_start(),
    };
    let written = folder.stage(destination, &mut |done, all| tell(MergeStage::Writing, done, all))?;
    let mut told = |done, all| tell(MergeStage::Comparing, done, all);
    let divergence = divergence::measure(session, adapter, Model::open(written.path())?, &mut told)?;
    let (fingerprint, bytes) = (written.fingerprint.clone(), written.bytes);
    written.publish()?;
    let copied = forms.matrices.len() - matrices.len();
    Ok(MergeReport { fingerprint, bytes_before: files.weight_bytes(), bytes, matrices, copied, divergence })
}

impl MergeOptions {
    fn check(self) -> Result<()> {
        let wrong = |message: String| Err(Error::new(ErrorKind::BadOption, message));
        if !(self.max_swallowed > 0.0 && self.max_swallowed.is_finite()) {
            return wrong(format!("max-swallowed {} is no share above 0", self.max_swallowed));
        }
        match self.max_bits {
            4 | 8 | 16 | 32 => Ok(()),
            other => wrong(format!("max-bits {other}, where 4, 8, 16 or 32 are known")),
        }
    }
}

impl Adapter {
    /// What it adds to which matrices, at its strength; nothing where that is zero throughout.
    fn added(&self) -> Added<'_> {
        let scale = self.layout.scale * self.strength;
        let slots = self.layout.slots().map(|(layer, linear, slot)| {
            let (a, b) = (&self.params[slot.a..slot.b], &self.params[slot.b..][..slot.outputs * self.layout.rank]);
            (TensorName::Linear(layer, linear), LowRank { a, b, rank: self.layout.rank, scale })
        });
        let changes = |factors: &[f32]| factors.iter().any(|&value| value != 0.0);
        slots.filter(|(_, added)| added.scale != 0.0 && changes(added.a) && changes(added.b)).collect()
    }
}
