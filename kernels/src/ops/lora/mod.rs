//! The low-rank adapter's own products (Hu et al., 2021): `y = x·Wᵀ + scale·(x·Aᵀ)·Bᵀ`, A `[rank, cols]`,
//! B `[rows, rank]`, f32.

#[cfg(feature = "gpu")]
pub(super) mod shaders;

use crate::cpu::{Frame, Output, matrix, matrix_mut, small_product, times_vector};
use crate::error::Result;
#[cfg(feature = "gpu")]
use crate::gpu;
use crate::program::{Access, BufferId, Operation, Shapes, Touch};
#[cfg(feature = "gpu")]
use shaders::{DOWN, DownParams, GRADIENT, GradientParams, INPUT_GRADIENT, InputGradientParams};

/// `low = scale · x·factorᵀ`, factor(k, j) at `start + k·step_k + j·step_j` of the parameters.
#[cfg(feature = "gpu")]
fn launch_down(
    recorder: &mut gpu::Recorder<'_>,
    [x, params, low]: [BufferId; 3],
    start: usize,
    (step_k, step_j): (usize, usize),
    scale: f32,
) -> Result<()> {
    let (rows, width, rank) = (recorder.rows(x), recorder.width(x), recorder.width(low));
    let (factor, offset) = recorder.range(params, start, width * rank)?;
    let [x, low] = recorder.buffers([x, low])?;
    recorder.launch(gpu::Launch {
        kernel: &DOWN,
        constants: &[],
        bindings: &[x, factor, low],
        params: DownParams {
            rows: gpu::count(rows)?,
            width: gpu::count(width)?,
            rank: gpu::count(rank)?,
            offset,
            step_k: gpu::count(step_k)?,
            step_j: gpu::count(step_j)?,
            scale,
        },
        grid: [rank.div_ceil(8), rows.div_ceil(4)],
        work: 2.0 * (rows * width * rank) as f64,
    })
}

/// `grads(c, j) += scale · aᵀ·b`, at `start + c·step_c + j·step_j` of the gradients.
#[cfg(feature = "gpu")]
fn launch_gradient(
    recorder: &mut gpu::Recorder<'_>,
    [a, b, grads]: [BufferId; 3],
    start: usize,
    (step_c, step_j): (usize, usize),
    scale: f32,
) -> Result<()> {
    let (rows, width, rank) = (recorder.rows(a), recorder.width(a), recorder.width(b));
    let (gradient, offset) = recorder.range(grads, start, width * rank)?;
    let [a, b] = recorder.buffers([a, b])?;
    recorder.launch(gpu::Launch {
        kernel: &GRADIENT,
        constants: &[],
        bindings: &[a, b, gradient],
        params: GradientParams {
            rows: gpu::count(rows)?,
            width: gpu::count(width)?,
            rank: gpu::count(rank)?,
            offset,
            step_c: gpu::count(step_c)?,
            step_j: gpu::count(step_j)?,
            scale,
        },
        grid: [width.div_ceil(256), rank.div_ceil(8)],
        work: 2.0 * (rows * width * rank) as f64,
    })
}

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

    fn check(&self, shapes: &Shapes<'_>) -> Result<()> {
        shapes.expect_same_rows(&[self.x, self.low])?;
        shapes.expect_range(self.params, self.a, shapes.width(self.low).saturating_mul(shapes.width(self.x)))
    }

    fn run(&self, frame: &mut Frame<'_>) {
        let (cols, rank) = (frame.width(self.x), frame.width(self.low));
        let [x, params, low] = frame.slices([Some(self.x), Some(self.params), Some(self.low)]);
        let a = &params[self.a..self.a + rank * cols];
        if x.len() == cols {
            return times_vector(a, x, low);
        }
        let a = matrix(a, cols);
        small_product(1.0, matrix(x, cols), a.t(), matrix_mut(low, rank), Output::Overwrite);
    }

    #[cfg(feature = "gpu")]
    fn launch(&self, recorder: &mut gpu::Recorder<'_>) -> Result<()> {
        let cols = recorder.width(self.x);
        launch_down(recorder, [self.x, self.params, self.low], self.a, (1, cols), 1.0)
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

    fn check(&self, shapes: &Shapes<'_>) -> Result<()> {
        shapes.expect_same_rows(&[self.x, self.dy, self.low, self.dlow])?;
        let (cols, rows, rank) = (shapes.width(self.x), shapes.width(self.dy), shapes.width(self.low));
        shapes.expect_width(rank, &[self.dlow])?;
        for flat in [self.params, self.grads] {
            shapes.expect_range(flat, self.a, rank.saturating_mul(cols))?;
            shapes.expect_range(flat, self.b, rank.saturating_mul(rows))?;
        }
        Ok(())
    }

    fn run(&self, frame: &mut Frame<'_>) {
        let (cols, rows, rank) = (frame.width(self.x), frame.width(self.dy), frame.width(self.low));
        let ids = [self.x, self.dy, self.low, self.dlow, self.params, self.grads];
        let [x, dy, low, dlow, params, grads] = frame.slices(ids.map(Some));
        let (x, dy, low) = (matrix(x, cols), matrix(dy, rows), matrix(low, rank));
        let b = matrix(&params[self.b..self.b + rows * rank], rank);
        rayon::join(
            || small_product(self.scale, dy, b, matrix_mut(dlow, rank), Output::Overwrite),
            || {
                let db = matrix_mut(&mut grads[self.b..self.b + rows * rank], rank);
                small_product(self.scale, low.t(), dy, db.reversed_axes(), Output::Add);
            },
        );
        let da = matrix_mut(&mut grads[self.a..self.a + rank * cols], cols);
        small_product(1.0, matrix(dlow, rank).reversed_axes(), x, da, Output::Add);
    }

    #[cfg(feature = "gpu")]
    fn launch(&self, recorder: &mut gpu::Recorder<'_>) -> Result<()> {
        let (cols, rank) = (recorder.width(self.x), recorder.width(self.low));
        launch_down(recorder, [self.dy, self.params, self.dlow], self.b, (rank, 1), self.scale)?;
        launch_gradient(recorder, [self.dy, self.low, self.grads], self.b, (rank, 1), self.scale)?;
        launch_gradient(recorder, [self.x, self.dlow, self.grads], self.a, (1, cols), 1.0)
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

    fn check(&self, shapes: &Shapes<'_>) -> Result<()> {
        shapes.expect_same_rows(&[self.dlow, self.out])?;
        shapes.expect_range(self.params, self.a, shapes.width(self.dlow).saturating_mul(shapes.width(self.out)))
    }

    fn run(&self, frame: &mut Frame<'_>) {
        let (cols, rank) = (frame.width(self.out), frame.width(self.dlow));
        let [dlow, params, out] = frame.slices([Some(self.dlow), Some(self.params), Some(self.out)]);
        let a = matrix(&params[self.a..self.a + rank * cols], cols);
        small_product(1.0, matrix(dlow, rank), a, matrix_mut(out, cols), Output::Overwrite);
    }

    #[cfg(feature = "gpu")]
    fn launch(&self, recorder: &mut gpu::Recorder<'_>) -> Result<()> {
        let (cols, rank) = (recorder.width(self.out), recorder.width(self.dlow));
        let (factor, offset) = recorder.range(self.params, self.a, rank * cols)?;
        let [dlow, out] = recorder.buffers([self.dlow, self.out])?;
        let params = InputGradientParams {
            len: gpu::count(recorder.len(self.out))?,
            width: gpu::count(cols)?,
            rank: gpu::count(rank)?,
            offset,
        };
        recorder.each(&INPUT_GRADIENT, &[], &[dlow, factor, out], params, 2.0 * rank as f64)
    }
}
