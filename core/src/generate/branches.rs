//! Branches of one sequence in one batch: each token sees the sequence and what its own branch has before it.

use std::ops::DerefMut;
use std::sync::Arc;

use idiolect_kernels::ProgramId;
use idiolect_kernels::program::{BufferId, RowCounts, Run, Scalars};
use rayon::prelude::*;

use super::Generator;
use crate::error::Result;
use crate::passes::TokenInputs;
use crate::passes::inference::branches;
use crate::session::Session;

/// Tokens that one pass takes: those of all branches, and of the sequence's end.
pub(super) const BRANCH_ROWS: usize = 32;

/// Tokens whose logits one pass gives.
pub(super) const MOST_LOOKED_AT: usize = 16;

/// Tokens of the sequence's end that go along with branches; more go as a prompt does.
const MOST_ALONG: usize = 6;

/// Tokens of all branches of one pass, beside which there is room for what goes along.
pub(super) const MOST_BRANCH_TOKENS: usize = BRANCH_ROWS - MOST_ALONG;

/// The loaded program.
#[derive(Debug, Clone, Copy)]
pub(super) struct BranchPass {
    program: ProgramId,
    tokens: TokenInputs,
    slots: BufferId,
    selected: BufferId,
    logits: BufferId,
}

/// The tokens of one run.
#[derive(Default)]
struct Rows {
    ids: Vec<u32>,
    positions: Vec<u32>,
    spans: Vec<u32>,
    slots: Vec<u32>,
}

impl Rows {
    fn add(&mut self, id: u32, position: usize, slot: usize, [first, shared]: [usize; 2]) {
        self.ids.push(id);
        self.positions.push(position as u32);
        self.slots.push(slot as u32);
        self.spans.extend([first as u32, slot as u32, shared as u32, 0]);
    }
}

impl<S: DerefMut<Target = Session>> Generator<S> {
    /// What may come after `prefix` alone: the probabilities of all tokens.
    pub(super) fn next_after(&mut self, prefix: &[u32]) -> Result<Vec<f32>> {
        Ok(softmax(&self.logits_after(prefix)?))
    }

    /// The logits after `prefix`.
    pub(super) fn logits_after(&mut self, prefix: &[u32]) -> Result<Vec<f32>> {
        let held = self.cache.held(prefix, false).min(prefix.len().saturating_sub(1));
        // The first token has nothing before it that it could go along with.
        if held == 0 || prefix.len() - held > MOST_ALONG {
            return self.prompt_logits(prefix);
        }
        let mut rows = Rows::default();
        (held..prefix.len()).for_each(|at| rows.add(prefix[at], at, at, [0, 0]));
        let last = rows.ids.len() as u32 - 1;
        let next = self.run_few(prefix, held, rows, &[last])?;
        Ok(next.into_iter().next().unwrap_or_default())
    }

    /// What may come after `prefix` and each branch, from its token number `from` on: the probabilities of all tokens, a
    /// list for each such token. All branches together have at most [`MOST_BRANCH_TOKENS`] tokens.
    pub(super) fn next_in_branches(&mut self, prefix: &[u32], branches: &[(&[u32], usize)]) -> Result<Vec<Vec<f32>>> {
        let logits = self.logits_in_branches(prefix, branches)?;
        Ok(logits.par_iter().map(|logits| softmax(logits)).collect())
    }

    /// The logits of the same.
    pub(super) fn logits_in_branches(&mut self, prefix: &[u32], branches: &[(&[u32], usize)]) -> Result<Vec<Vec<f32>>> {
        let mut held = self.cache.held(prefix, false);
        if held == 0 || prefix.len() - held > MOST_ALONG {
            self.prompt_logits(prefix)?;
            held = prefix.len();
        }
        let mut rows = Rows::default();
        (held..prefix.len()).for_each(|at| rows.add(prefix[at], at, at, [0, 0]));
        let mut slot = prefix.len();
        let mut selected = Vec::new();
        for &(branch, from) in branches {
            let first = slot;
            for (at, &id) in branch.iter().enumerate() {
                if at >= from {
                    selected.push(rows.ids.len() as u32);
                }
                rows.add(id, prefix.len() + at, slot, [first, prefix.len()]);
                slot += 1;
            }
        }
        self.run_few(prefix, held, rows, &selected)
    }

    /// Runs the end of `prefix` from token `held` on and what else is in `rows`: the logits of those that are `selected`.
    fn run_few(&mut self, prefix: &[u32], held: usize, mut rows: Rows, selected: &[u32]) -> Result<Vec<Vec<f32>>> {
        if let ([id], [position], [slot]) = (&rows.ids[..], &rows.positions[..], &rows.slots[..]) {
            // A row alone goes another way through the kernels, and rounds otherwise.
            let (id, position, slot) = (*id, *position as usize, *slot as usize + 1);
            rows.add(id, position, slot, [slot, position]);
        }
        self.cache.keep(held);
        self.passes += 1;
        let pass = self.branch_pass()?;
        let counts = RowCounts { tokens: rows.ids.len(), selected: selected.len() };
        let inputs = vec![
            (pass.tokens.ids, &rows.ids[..]),
            (pass.tokens.positions, &rows.positions),
            (pass.tokens.spans, &rows.spans),
            (pass.slots, &rows.slots),
            (pass.selected, selected),
        ];
        let executor = self.session.executor();
        executor.run(pass.program, &Run { rows: counts, inputs, scalars: Scalars::default() })?;
        self.cache.extend(&prefix[held..], false);
        let logits = executor.read(pass.program, pass.logits)?;
        Ok(logits.chunks_exact(logits.len() / selected.len()).map(<[f32]>::to_vec).collect())
    }

    fn branch_pass(&mut self) -> Result<BranchPass> {
        if let Some(pass) = self.branches {
            return Ok(pass);
        }
        let model = Arc::clone(self.session.model());
        let capacity = RowCounts { tokens: BRANCH_ROWS, selected: MOST_LOOKED_AT };
        let built = branches(model.base(), self.lora.as_ref(), &self.cache.state, capacity);
        let program = self.session.executor().load(Arc::new(built.program))?;
        let (slots, selected) = (built.slots, built.selected);
        let pass = BranchPass { program, tokens: built.tokens, slots, selected, logits: built.logits };
        self.branches = Some(pass);
        Ok(pass)
    }
}

fn softmax(logits: &[f32]) -> Vec<f32> {
    let most = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let mut next: Vec<f32> = logits.iter().map(|z| (z - most).exp()).collect();
    let sum: f64 = next.iter().map(|&p| f64::from(p)).sum();
    let share = (1.0 / sum) as f32;
    next.iter_mut().for_each(|p| *p *= share);
    next
}
