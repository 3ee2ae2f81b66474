//! The low-rank adapter's own products (Hu et al., 2021): `y = x·Wᵀ + scale·(x·Aᵀ)·Bᵀ`, A `[rank, cols]`,
//! B `[rows, rank]`, f32.

use crate::cpu::{Frame, Output, matrix, matrix_mut, small_product};
use crate::program::{Access, BufferId, Operation, Touch};

/// `low = x·Aᵀ`.
#[derive(Debug)]
pub struct LoraDown {
    /// `[t, cols]`.
    pub x: BufferId,
    /// All adapter parameters, flat.
    pub params: BufferId,
    /// Where A starts.
    pub a: usize,
    /// `[t, rank]`.
    pub low: BufferId,
}

impl Operation for LoraDown {
    fn name(&self) -> &'static str {
        "lora_down"
    }

    fn touches(&self) -> Vec<Touch> {
        vec![(self.x, Access::Read), (self.params, Access::Read), (self.low, Access::Write)]
    }

    fn run(&self, frame: &mut Frame<'_>) {
        let (cols, rank) = (frame.width(self.x), frame.width(self.low));
        let [x, params, low] = frame.slices([Some(self.x), Some(self.params), Some(self.low)]);
        let a = matrix(&params[self.a..self.a + rank * cols], cols);
        small_product(1.0, matrix(x, cols), a.t(), matrix_mut(low, rank), Output::Overwrite);
    }
}

/// The adapter's gradients: `dlow = scale·dy·B`, `dB += scale·dyᵀ·low`, `dA += dlowᵀ·x`.
#[derive(Debug)]
pub struct LoraBackward {
    /// The adapter's input, `[t, cols]`.
    pub x: BufferId,
    /// Gradient of the layer's output, `[t, rows]`.
    pub dy: BufferId,
    /// `x·Aᵀ`, `[t, rank]`.
    pub low: BufferId,
    /// Gradient of `low`, `[t, rank]`.
    pub dlow: BufferId,
    /// All adapter parameters, flat.
    pub params: BufferId,
    /// All adapter gradients, laid out as the parameters.
    pub grads: BufferId,
    /// Where A starts.
    pub a: usize,
    /// Where B starts.
    pub b: usize,
    /// alpha / rank, or alpha / √rank.
    pub scale: f32,
}

impl Operation for LoraBackward {
    fn name(&self) -> &'static str {
        "lora_backward"
    }

    fn touches(&self) -> Vec<Touch> {
        vec![
            (self.x, Access::Read),
            (self.dy, Access::Read),
            (self.low, Access::Read),
            (self.dlow, Access::Write),
            (self.params, Access::Read),
            (self.grads, Access::Update),
        ]
    }

    fn run(&self, frame: &mut Frame<'_>) {
        let (cols, rows, rank) = (frame.width(self.x), frame.width(self.dy), frame.width(self.low));
        let ids = [self.x, self.dy, self.low, self.dlow, self.params, self.grads];
        let [x, dy, low, dlow, params, grads] = frame.slices(ids.map(Some));
        let (x, dy, low) = (matrix(x, cols), matrix(dy, rows), matrix(low, rank));
        let b = matrix(&params[self.b..self.b + rows * rank], rank);
        small_product(self.scale, dy, b, matrix_mut(dlow, rank), Output::Overwrite);
        let db = matrix_mut(&mut grads[self.b..self.b + rows * rank], rank);
        small_product(self.scale, dy.t(), low, db, Output::Add);
        let da = matrix_mut(&mut grads[self.a..self.a + rank * cols], cols);
        small_product(1.0, x.t(), matrix(dlow, rank), da.reversed_axes(), Output::Add);
    }
}

/// `out = dlow·A`: the gradient of the adapter's input where dropout keeps it apart from the layer's.
#[derive(Debug)]
pub struct LoraInputGradient {
    /// `[t, rank]`.
    pub dlow: BufferId,
    /// All adapter parameters, flat.
    pub params: BufferId,
    /// Where A starts.
    pub a: usize,
    /// `[t, cols]`.
    pub out: BufferId,
}

impl Operation for LoraInputGradient {
    fn name(&self) -> &'static str {
        "lora_input_gradient"
    }

    fn touches(&self) -> Vec<Touch> {
        vec![(self.dlow, Access::Read), (self.params, Access::Read), (self.out, Access::Write)]
    }

    fn run(&self, frame: &mut Frame<'_>) {
        let (cols, rank) = (frame.width(self.out), frame.width(self.dlow));
        let [dlow, params, out] = frame.slices([Some(self.dlow), Some(self.params), Some(self.out)]);
        let a = matrix(&params[self.a..self.a + rank * cols], cols);
        small_product(1.0, matrix(dlow, rank), a, matrix_mut(out, cols), Output::Overwrite);
    }
}
