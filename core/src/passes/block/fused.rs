//! Several projections of one input, each by a matrix of its own or all by one, whose columns are taken apart.

use idiolect_kernels::ops::{ColumnRuns, JoinColumns, SplitColumns};
use idiolect_kernels::program::BufferId;

use super::norm::InputGradient;
use crate::passes::graph::{Backward, Graph};
use crate::shape::{ModuleId, Projection};

/// The linear layers that compute several projections.
#[derive(Debug, Clone)]
pub(crate) enum Projections<const N: usize> {
    /// One each.
    Apart([ModuleId; N]),
    /// One for all, and which of its columns each is.
    Fused(ModuleId, [ColumnRuns; N]),
}

impl Graph<'_> {
    /// Those of a layer that compute `apart`: each by itself, or all by one of `fused`.
    pub fn projections<const N: usize>(
        &self,
        layer: usize,
        apart: [Projection; N],
        fused: &[Projection],
    ) -> Projections<N> {
        let config = &self.base.config;
        let spec = &config.layers[layer];
        let one = fused.iter().find_map(|&fused| Some((config.family.computing(layer, fused)?, fused)));
        let columns = one.and_then(|(module, fused)| {
            let columns = fused.parts(&spec.attention, spec.intermediate_size).try_into().ok()?;
            Some((module, columns))
        });
        match columns {
            Some((module, columns)) => Projections::Fused(module, columns),
            None => Projections::Apart(apart.map(|projection| self.module(layer, projection))),
        }
    }

    /// The projections of `x`.
    pub fn project<const N: usize>(
        &mut self,
        projections: &Projections<N>,
        x: BufferId,
        widths: [usize; N],
    ) -> [BufferId; N] {
        match projections {
            Projections::Apart(modules) => modules.map(|module| self.linear(module, x, None)),
            Projections::Fused(module, columns) => {
                let whole = self.linear(*module, x, None);
                let parts = widths.map(|width| self.per_token("part", width));
                self.push(SplitColumns { whole, parts: parts.into_iter().zip(*columns).collect() });
                parts
            }
        }
    }
}

impl Backward<'_> {
    /// Adapter gradients of the projections of `x`, and the gradient of their input.
    pub fn project<const N: usize>(
        &mut self,
        projections: &Projections<N>,
        x: BufferId,
        dy: [BufferId; N],
        mut dinput: Option<&mut InputGradient>,
    ) {
        match projections {
            Projections::Apart(modules) => {
                for (&module, dy) in modules.iter().zip(dy) {
                    self.linear(module, x, dy, dinput.as_mut().map(|dinput| dinput.next()));
                }
            }
            Projections::Fused(module, columns) => {
                let width = self.graph.base.config.linear(*module).outputs;
                let whole = self.graph.per_token("d whole", width);
                self.graph.push(JoinColumns { whole, parts: dy.into_iter().zip(*columns).collect() });
                self.linear(*module, x, whole, dinput.map(InputGradient::next));
            }
        }
    }
}
