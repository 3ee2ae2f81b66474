//! What a base model consists of, for people: how many parameters, each kind of matrix in which form.

use std::fmt::{self, Display};

use idiolect_kernels::matrix::{Encoding, FloatType};
use idiolect_kernels::program::MatrixId;

use super::base::BaseModel;
use crate::shape::ModuleId;

/// How the matrices of one kind are stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MatrixKind {
    /// `embed_tokens`, `lm_head` or a linear layer's name.
    pub name: &'static str,
    /// Rows and columns: output and input width.
    pub shape: (usize, usize),
    /// Every form that occurs, and in how many layers; most frequent first.
    pub forms: Vec<(MatrixForm, usize)>,
}

/// A matrix's form in its file, in words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MatrixForm(Encoding);

impl Display for MatrixForm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let float = |float: FloatType| float.name().to_lowercase();
        match self.0 {
            Encoding::Float(kind) => f.write_str(&float(kind)),
            Encoding::Affine { bits, group, scales } => {
                write!(f, "{bits} bits in groups of {group}, {} scales", float(scales))
            }
            Encoding::Block(block) => f.write_str(block.name()),
        }
    }
}

impl BaseModel {
    /// Parameters, a tied head counted once: what PEFT counts before its adapter.
    pub fn parameters(&self) -> usize {
        let matrices: usize = self.weights.matrices.iter().map(|matrix| matrix.rows() * matrix.cols()).sum();
        let vectors: usize = self.weights.vectors.iter().map(Vec::len).sum();
        let tables: usize = self.ropes.iter().map(|rope| self.weights.vectors[rope.0].len()).sum();
        matrices + vectors - tables
    }

    /// Every kind of matrix: the embedding, the head unless it is the embedding, the linear layers.
    pub fn matrix_kinds(&self) -> Vec<MatrixKind> {
        let mut kinds = vec![self.kind("embed_tokens", [self.embedding])];
        if self.head != self.embedding {
            kinds.push(self.kind("lm_head", [self.head]));
        }
        kinds.extend(self.config.family.modules.iter().enumerate().map(|(index, module)| {
            let layers = 0..self.layers.len();
            self.kind(module.name(), layers.map(|layer| self.linear(ModuleId { layer, index }).0))
        }));
        kinds
    }

    fn kind(&self, name: &'static str, ids: impl IntoIterator<Item = MatrixId>) -> MatrixKind {
        let mut forms: Vec<(MatrixForm, usize)> = Vec::new();
        let mut shape = (0, 0);
        for matrix in ids.into_iter().map(|id| &self.weights.matrices[id.0]) {
            shape = (matrix.rows(), matrix.cols());
            let form = MatrixForm(matrix.encoding());
            match forms.iter_mut().find(|(known, _)| *known == form) {
                Some((_, count)) => *count += 1,
                None => forms.push((form, 1)),
            }
        }
        forms.sort_by_key(|&(_, count)| std::cmp::Reverse(count));
        MatrixKind { name, shape, forms }
    }
}
