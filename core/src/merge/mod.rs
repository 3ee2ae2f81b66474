//! Merging an adapter into its base: a model folder that needs no adapter, opens here and in mlx-lm, and answers as base
//! and adapter do together.
//!
//! A quantized matrix has a grid, and what an adapter adds is often smaller than its steps. Rounded to the nearest code it
//! would be lost, so codes are dithered: the adapter is kept on average, and rounding becomes noise that hardly matters
//! ([`Fidelity`]). How much it does matter is measured before the folder appears: the merged model's logits are compared
//! with those of base and adapter ([`Divergence`]). Where they are too far, the matrices with the most noise get more bits.
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

use self::forms::Choice;
use crate::adapter::Adapter;
use crate::disk::staged::refuse_occupied;
use crate::error::{Error, ErrorKind, Result};
use crate::format::destination::check_folder;
use crate::format::import::{Added, LowRank, NewFolder};
use crate::model::Model;
use crate::session::Session;
use crate::shape::TensorName;

/// How far a merge may go.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MergeOptions {
    /// The largest divergence of the merged model from base and adapter, as a share of what the adapter does
    /// ([`Divergence::share`]); 0.05 by default.
    pub max_divergence: f64,
    /// The most bits a weight that a matrix is raised to: 4, 8, 16 or 32; 16 by default. A matrix that has more keeps
    /// them.
    pub max_bits: u8,
}

impl Default for MergeOptions {
    fn default() -> Self {
        Self { max_divergence: 0.05, max_bits: 16 }
    }
}

/// What a merge is at. Where it turns out that matrices need more bits, it begins once more.
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
    /// The matrix whose rounding does most.
    pub fn worst(&self) -> Option<&MergedMatrix> {
        self.matrices.iter().max_by(|a, b| a.fidelity.cost().total_cmp(&b.fidelity.cost()))
    }
}

/// Writes the session's model with `adapter` at its strength merged in as a folder at `destination`: every matrix that it
/// changes is `W + strength·scale·B·A`, in its own bits where the model then answers as base and adapter do, else some in
/// more; the others keep their own bits, GGUF blocks repacked exactly. The folder appears whole or not at all. `progress`
/// is told of what is done and of how much in all, and may end it.
///
/// # Errors
/// When an option is out of its range, the adapter does not fit the model, the merged model is too far from base and
/// adapter even with `max_bits` ([`ErrorKind::TooLossy`]), something lies at the destination, the disk or the device fails,
/// or the session's `between` ends the comparison.
pub fn merge(
    session: &mut Session,
    adapter: &Adapter,
    destination: &Path,
    options: MergeOptions,
    mut progress: impl FnMut(MergeStage, u64, u64) -> ControlFlow<()>,
) -> Result<MergeReport> {
    options.check()?;
    check_folder(destination)?;
    refuse_occupied(destination)?;
    let model = Arc::clone(session.model());
    adapter.check_fits(&model)?;
    let (files, added) = (model.files(), adapter.added());
    let mut tell = |stage, done, all| match progress(stage, done, all) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(()) => Err(Error::new(ErrorKind::Cancelled, "the merge was ended")),
    };
    let mut choice = Choice::new(files, &added, options, &mut |done, all| tell(MergeStage::Choosing, done, all))?;
    loop {
        let folder = NewFolder {
            files,
            tokenizer: model.tokenizer(),
            forms: choice.forms(),
            added: &added,
            document_start: model.document_start() || adapter.document_start(),
        };
        let written = folder.stage(destination, &mut |done, all| tell(MergeStage::Writing, done, all))?;
        let mut told = |done, all| tell(MergeStage::Comparing, done, all);
        let divergence = divergence::measure(session, adapter, Model::open(written.path())?, &mut told)?;
        if divergence.share() <= options.max_divergence {
            let (fingerprint, bytes) = (written.fingerprint.clone(), written.bytes);
            written.publish()?;
            let (matrices, copied) = choice.merged()?;
            return Ok(MergeReport {
                fingerprint,
                bytes_before: files.weight_bytes(),
                bytes,
                matrices,
                copied,
                divergence,
            });
        }
        // Makes room on the disk.
        drop(written);
        let share = options.max_divergence / divergence.share();
        if !choice.raise(share, &mut |done, all| tell(MergeStage::Choosing, done, all))? {
            return Err(options.refusal(&divergence));
        }
    }
}

impl MergeOptions {
    fn check(self) -> Result<()> {
        let wrong = |message: String| Err(Error::new(ErrorKind::BadOption, message));
        if !(self.max_divergence > 0.0 && self.max_divergence.is_finite()) {
            return wrong(format!("max-divergence {} is no share above 0", self.max_divergence));
        }
        match self.max_bits {
            4 | 8 | 16 | 32 => Ok(()),
            other => wrong(format!("max-bits {other}, where 4, 8, 16 or 32 are known")),
        }
    }

    /// No matrix can get more bits.
    fn refusal(self, divergence: &Divergence) -> Error {
        let message = format!(
            "merged within {} bits, the model would be {:.3e} nats a token from base and adapter, {:.1} % of what the \
             adapter does, where {:.1} % are allowed",
            self.max_bits,
            divergence.kl,
            100.0 * divergence.share(),
            100.0 * self.max_divergence,
        );
        Error::new(ErrorKind::TooLossy, message)
            .with_hint("allow more bits or a larger share, or keep the adapter beside its base")
    }
}

impl Adapter {
    /// What it adds to which matrices, at its strength; nothing where that is zero throughout.
    fn added(&self) -> Added<'_> {
        let (params, rank, scale) = (self.params(), self.layout().rank, self.layout().scale * self.strength());
        let slots = self.layout().slots().zip(0..).map(|((module, slot), seed)| {
            let (a, b) = (&params[slot.a..slot.b], &params[slot.b..][..slot.outputs * rank]);
            (TensorName::Linear(module), LowRank { a, b, rank, scale, seed })
        });
        let changes = |factors: &[f32]| factors.iter().any(|&value| value != 0.0);
        slots.filter(|(_, added)| added.scale != 0.0 && changes(added.a) && changes(added.b)).collect()
    }
}
