//! Rotary position embedding (Su et al., 2021), halves paired: element j of a head rotates with element j + d/2.

use rayon::prelude::*;

use crate::cpu::Frame;
use crate::error::Result;
#[cfg(feature = "gpu")]
use crate::gpu;
use crate::program::{Access, BufferId, Operation, Shapes, Touch, VectorId};

#[cfg(feature = "gpu")]
gpu::params! {
    pub(super) struct RopeParams {
        len: u32,
        heads: u32,
        head_dim: u32,
        half: u32,
        sign: f32,
    }
}

#[cfg(feature = "gpu")]
pub(super) static ROPE: gpu::Kernel<RopeParams> = gpu::Kernel::new("rope", &[gpu::wgsl::source!("rope.wgsl")], &[]);

/// Cosines and sines for every position, computed in f64 on the host: the trigonometry of GPUs is too coarse.
#[derive(Debug, Clone)]
pub struct RopeTable {
    /// `[positions, head_dim/2, 2]`: cosine, sine.
    pub values: Vec<f32>,
}

impl RopeTable {
    /// The table of `positions` positions for angular frequencies `frequencies` `[head_dim/2]` in radians a position.
    pub fn new(frequencies: &[f32], positions: usize) -> Self {
        let mut values = Vec::with_capacity(positions * frequencies.len() * 2);
        for position in 0..positions {
            for &frequency in frequencies {
                // The angle is rounded to f32 first, as the reference implementations do.
                let angle = f64::from(position as f32 * frequency);
                values.extend([angle.cos() as f32, angle.sin() as f32]);
            }
        }
        Self { values }
    }
}

/// `(x[j], x[j+d/2]) ← (x[j]·c − x[j+d/2]·s, x[j+d/2]·c + x[j]·s)` in the first d values of every head, in place; with
/// `inverse`, s is −s, which is the gradient.
#[derive(Debug)]
pub struct Rope {
    /// `[t, heads·head_dim]`.
    pub x: BufferId,
    /// u32 `[t, 1]`.
    pub positions: BufferId,
    /// A [`RopeTable`]'s values.
    pub table: VectorId,
    /// Values of a head.
    pub head_dim: usize,
    /// d: those that turn.
    pub rotated: usize,
    /// Rotate back.
    pub inverse: bool,
}

impl Operation for Rope {
    fn name(&self) -> &'static str {
        "rope"
    }

    fn touches(&self) -> Vec<Touch> {
        vec![(self.positions, Access::Read), (self.x, Access::Update)]
    }

    fn check(&self, shapes: &Shapes<'_>) -> Result<()> {
        shapes.expect_same_rows(&[self.positions, self.x])?;
        shapes.expect_width(1, &[self.positions])?;
        let (dim, width, angles) = (self.head_dim, shapes.width(self.x), shapes.vector(self.table)?);
        let rotated = self.rotated;
        let halves = rotated > 0 && rotated.is_multiple_of(2);
        shapes.expect(halves, format_args!("{rotated} values of a head do not halve"))?;
        shapes.expect(rotated <= dim, format_args!("{rotated} values of a head of {dim}"))?;
        shapes.expect(width.is_multiple_of(dim), format_args!("rows of {width} values in heads of {dim}"))?;
        let fits = angles.is_multiple_of(rotated);
        shapes.expect(fits, format_args!("a table of {angles} values for {rotated} of a head"))
    }

    fn run(&self, frame: &mut Frame<'_>) {
        let table = &frame.weights.vectors[self.table.0];
        let width = frame.width(self.x);
        let sign = if self.inverse { -1.0 } else { 1.0 };
        let [positions, x] = frame.slices([Some(self.positions), Some(self.x)]);
        let positions = bytemuck::cast_slice::<f32, u32>(positions);
        x.par_chunks_exact_mut(width).zip(positions).for_each(|(x, &position)| {
            let angles = &table[position as usize * self.rotated..][..self.rotated];
            for head in x.chunks_exact_mut(self.head_dim) {
                let (first, second) = head[..self.rotated].split_at_mut(self.rotated / 2);
                for ((a, b), angle) in first.iter_mut().zip(second).zip(angles.chunks_exact(2)) {
                    let (cos, sin) = (angle[0], sign * angle[1]);
                    (*a, *b) = (*a * cos - *b * sin, *b * cos + *a * sin);
                }
            }
        });
    }

    #[cfg(feature = "gpu")]
    fn launch(&self, recorder: &mut gpu::Recorder<'_>) -> Result<()> {
        let table = recorder.memory().weights.vector(self.table);
        let [positions, x] = recorder.buffers([self.positions, self.x])?;
        let heads = recorder.width(self.x) / self.head_dim;
        let params = RopeParams {
            len: gpu::count(recorder.rows(self.x) * heads * (self.rotated / 2))?,
            heads: gpu::count(heads)?,
            head_dim: gpu::count(self.head_dim)?,
            half: gpu::count(self.rotated / 2)?,
            sign: if self.inverse { -1.0 } else { 1.0 },
        };
        recorder.each(&ROPE, &[], &[table, positions, x], params, 32.0)
    }
}
