//! The form that each matrix gets: its own bits, and more where that turns out to be too little.

use std::collections::VecDeque;

use idiolect_kernels::matrix::{FloatType, Matrix};

use super::{Fidelity, MergeOptions, MergedMatrix};
use crate::error::{Error, ErrorKind, Result};
use crate::format::ModelFiles;
use crate::format::import::{Added, Form, Forms, LowRank, half_type, narrow};
use crate::shape::TensorName;

/// What a raise aims at, as a share of what is allowed: so that it does not end a little above.
const AIM: f64 = 0.8;

/// A raise takes one in so many matrices at least: so that there are few rounds, however far off the estimate is.
const LEAST: usize = 4;

/// The forms of all matrices, and what those that change could get instead.
pub(super) struct Choice<'a> {
    files: &'a ModelFiles,
    options: MergeOptions,
    forms: Forms,
    changed: Vec<Changed<'a>>,
}

/// A matrix that changes.
struct Changed<'a> {
    /// Its place in the model.
    at: usize,
    name: TensorName,
    added: &'a LowRank<'a>,
    own: Form,
    /// Finer forms, the next one first.
    finer: VecDeque<Form>,
    fidelity: Fidelity,
}

impl<'a> Choice<'a> {
    /// The first form of each matrix that `added` changes that does not lose it; the others keep their own. `progress` is
    /// told of weights done and weights in all; an error of its ends it.
    ///
    /// # Errors
    /// When values are not finite, or beyond what `max_bits` can hold.
    pub fn new(
        files: &'a ModelFiles,
        added: &'a Added<'a>,
        options: MergeOptions,
        progress: &mut dyn FnMut(u64, u64) -> Result<()>,
    ) -> Result<Self> {
        let half = half_type(files)?;
        let mut choice = Self { files, options, forms: Forms::kept(files)?, changed: Vec::new() };
        let total: usize = added.values().map(LowRank::weights).sum();
        let mut done = 0;
        for at in 0..choice.forms.matrices.len() {
            let (name, own) = choice.forms.matrices[at];
            let Some(added) = added.get(&name) else { continue };
            let most = options.max_bits.max(own.bits());
            let finer = ladder(&files.matrix(name)?, own, half).filter(|form| form.bits() <= most).collect();
            // Nothing, until a form is found.
            let fidelity = Fidelity { kept: 0.0, noise: f64::INFINITY, change: 0.0 };
            choice.changed.push(Changed { at, name, added, own, finer, fidelity });
            if !choice.climb(choice.changed.len() - 1)? {
                let message = format!("{}: {most} bits do not hold what the adapter adds", files.path_of(name));
                return Err(Error::new(ErrorKind::TooLossy, message).with_hint("allow more bits"));
            }
            done += added.weights();
            progress(done as u64, total as u64)?;
        }
        Ok(choice)
    }

    /// How every matrix is to be stored.
    pub fn forms(&self) -> &Forms {
        &self.forms
    }

    /// Gives finer forms to the matrices that cost most, a few at least, until all together cost about `share` of what they
    /// did. `false` where no matrix can get a finer one. `progress` as before.
    pub fn raise(&mut self, share: f64, progress: &mut dyn FnMut(u64, u64) -> Result<()>) -> Result<bool> {
        let cost = |changed: &Changed<'_>| changed.fidelity.cost();
        let mut order: Vec<usize> = (0..self.changed.len()).collect();
        order.sort_by(|&a, &b| cost(&self.changed[b]).total_cmp(&cost(&self.changed[a])));
        let mut left: f64 = self.changed.iter().map(cost).sum();
        let (bound, mut raised) = (AIM * share * left, 0);
        let least = self.changed.len().div_ceil(LEAST);
        let total: usize = self.changed.iter().map(|changed| changed.added.weights()).sum();
        let mut done = 0;
        for index in order {
            if raised >= least && left <= bound {
                break;
            }
            let before = cost(&self.changed[index]);
            raised += usize::from(self.climb(index)?);
            left += cost(&self.changed[index]) - before;
            done += self.changed[index].added.weights();
            progress(done as u64, total as u64)?;
        }
        Ok(raised > 0)
    }

    /// Gives a matrix the next form that loses less and keeps enough of what is added; where none does, the best that is
    /// left. What is not kept is too much by itself where its square is more than the divergence allowed; what noise does
    /// is measured.
    fn climb(&mut self, index: usize) -> Result<bool> {
        let changed = &mut self.changed[index];
        let matrix = self.files.matrix(changed.name)?;
        let mut climbed = false;
        while let Some(form) = changed.finer.pop_front() {
            let found = Fidelity::of(&matrix, changed.added, form)
                .map_err(|what| Error::bad_file(self.files.path(), &self.files.path_of(changed.name), what))?;
            if found.loss() < changed.fidelity.loss() {
                changed.fidelity = found;
                self.forms.matrices[changed.at].1 = form;
                climbed = true;
                if (1.0 - found.kept).powi(2) <= self.options.max_divergence {
                    break;
                }
            }
        }
        Ok(climbed)
    }

    /// What became of every matrix that changes, in the order of the model, and the number of the others.
    pub fn merged(&self) -> Result<(Vec<MergedMatrix>, usize)> {
        let merged = self.changed.iter().map(|changed| {
            let (matrix, form) = (self.files.matrix(changed.name)?, self.forms.matrices[changed.at].1);
            Ok(MergedMatrix {
                module: self.files.path_of(changed.name),
                bits_before: changed.own.bits(),
                bits: form.bits(),
                bytes_before: matrix.bytes() as u64,
                bytes: form.bytes(matrix.rows(), matrix.cols()) as u64,
                fidelity: changed.fidelity,
            })
        });
        Ok((merged.collect::<Result<_>>()?, self.forms.matrices.len() - self.changed.len()))
    }
}

/// The forms that a matrix may get, the smallest first: its own bits on its own grid, and where what is added leaves that
/// grid, on a new one; 4 and 8 bits in its own groups; 16 as floats of the model's type, and where that is bf16, whose fraction
/// has 8 bits, as f16 with its 11; 32.
fn ladder(matrix: &Matrix, own: Form, half: FloatType) -> impl Iterator<Item = Form> {
    let codes = match own {
        Form::Affine { bits, group, scales, .. } => {
            let anew = |bits: u8| Form::Affine { bits, group, scales, exact: false };
            [Some(anew(bits)), (bits < 4).then(|| anew(4)), (bits < 8).then(|| anew(8))]
        }
        Form::Float(_) => [None; 3],
    };
    let half = narrow(matrix, half);
    let fine = (half == FloatType::BF16).then_some(FloatType::F16);
    let floats = [Some(half), fine, Some(FloatType::F32)].into_iter().flatten().map(Form::Float);
    let finer = floats.filter(move |&form| {
        form.bits() > own.bits() || own == Form::Float(FloatType::BF16) && form == Form::Float(FloatType::F16)
    });
    [own].into_iter().chain(codes.into_iter().flatten()).chain(finer)
}
