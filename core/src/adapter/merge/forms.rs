//! The form that each matrix gets: its own bits where they keep what is added, else more.

use idiolect_kernels::matrix::{FloatType, Matrix};

use super::{Fidelity, MergeOptions, MergedMatrix};
use crate::error::{Error, ErrorKind, Result};
use crate::format::ModelFiles;
use crate::format::import::{Added, Form, Forms, LowRank, half_type, narrow};

/// Chooses the form of every matrix that `added` changes; the others keep their own. `progress` is told of weights done
/// and weights in all; an error of its ends it.
///
/// # Errors
/// When not even the most bits allowed keep what is added to one, or values are not finite.
pub(super) fn choose(
    files: &ModelFiles,
    added: &Added<'_>,
    options: MergeOptions,
    progress: &mut dyn FnMut(u64, u64) -> Result<()>,
) -> Result<(Forms, Vec<MergedMatrix>)> {
    let half = half_type(files)?;
    let mut forms = Forms::kept(files)?;
    let mut merged = Vec::new();
    let total: usize = added.values().map(LowRank::weights).sum();
    let mut done = 0;
    for (name, form) in &mut forms.matrices {
        let Some(added) = added.get(name) else { continue };
        let matrix = files.matrix(*name)?;
        let own = *form;
        let (chosen, fidelity) = raise(&matrix, added, own, half, options).map_err(|refusal| match refusal {
            Refusal::Values(what) => Error::bad_file(files.path(), &name.path(), what),
            Refusal::Swallowed { bits, share } => {
                let message = format!(
                    "{}: {bits} bits would swallow {:.1} % of what the adapter adds, where {:.1} % may be lost",
                    name.path(),
                    100.0 * share,
                    100.0 * options.max_swallowed,
                );
                Error::new(ErrorKind::BadOption, message)
                    .with_hint("allow more bits or a larger share, or keep the adapter beside its base")
            }
        })?;
        *form = chosen;
        merged.push(MergedMatrix {
            module: name.path(),
            bits_before: own.bits(),
            bits: chosen.bits(),
            bytes_before: matrix.bytes() as u64,
            bytes: chosen.bytes(matrix.rows(), matrix.cols()) as u64,
            fidelity,
        });
        done += added.weights();
        progress(done as u64, total as u64)?;
    }
    Ok((forms, merged))
}

/// Why a matrix cannot be merged.
enum Refusal {
    /// What is wrong with its values, or the adapter's.
    Values(&'static str),
    /// The share that the widest form allowed would lose.
    Swallowed { bits: u8, share: f64 },
}

/// The narrowest form that keeps enough.
fn raise(
    matrix: &Matrix,
    added: &LowRank<'_>,
    own: Form,
    half: FloatType,
    options: MergeOptions,
) -> Result<(Form, Fidelity), Refusal> {
    let mut refusal = Refusal::Values("has no form");
    for form in ladder(matrix, own, half).filter(|form| form.bits() <= options.max_bits.max(own.bits())) {
        let fidelity = Fidelity::of(matrix, added, form).map_err(Refusal::Values)?;
        if fidelity.swallowed <= options.max_swallowed {
            return Ok((form, fidelity));
        }
        refusal = Refusal::Swallowed { bits: form.bits(), share: fidelity.swallowed };
    }
    Err(refusal)
}

/// The matrix's own form, then finer ones: 8 bits in its own groups; 16 as floats of the model's type, and where that is
/// bf16, whose fraction has 8 bits, as f16 with its 11; 32.
fn ladder(matrix: &Matrix, own: Form, half: FloatType) -> impl Iterator<Item = Form> {
    let (own, eight) = match own {
        Form::Affine { bits, group, scales, .. } => {
            let of = |bits: u8| Form::Affine { bits, group, scales, exact: false };
            (of(bits), Some(of(8)))
        }
        Form::Float(_) => (own, None),
    };
    let half = narrow(matrix, half);
    let fine = (half == FloatType::BF16).then_some(FloatType::F16);
    let floats = [Some(half), fine, Some(FloatType::F32)].into_iter().flatten().map(Form::Float);
    let finer = eight.into_iter().chain(floats).filter(move |&form| {
        form.bits() > own.bits() || own == Form::Float(FloatType::BF16) && form == Form::Float(FloatType::F16)
    });
    [own].into_iter().chain(finer)
}
