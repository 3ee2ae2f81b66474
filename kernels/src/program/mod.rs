//! A pass over a model (a training step, a prefill, a decode step, an evaluation) as data: compound operations
//! over symbolic buffers, built once per model, shape and memory budget, then run many times by either executor.

mod check;
mod plan;

use std::fmt;

use crate::cpu;
use crate::error::Result;
#[cfg(feature = "gpu")]
use crate::gpu;
use crate::matrix::Matrix;

pub use check::{Shapes, WeightShapes};
pub use plan::{Placement, Plan};

/// The number of rows of a buffer. Capacities are fixed when the program is built; each run says how many are live.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rows {
    /// One row a token of the packed row.
    Tokens,
    /// One row a selected token: one that carries loss, or whose logits are wanted.
    Selected,
    /// Always as many.
    Fixed(usize),
}

/// Row counts: capacities of a program, or what is live in one run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RowCounts {
    /// Tokens in the packed row.
    pub tokens: usize,
    /// Selected tokens.
    pub selected: usize,
}

impl RowCounts {
    /// How many rows `rows` stands for.
    pub fn of(&self, rows: Rows) -> usize {
        match rows {
            Rows::Tokens => self.tokens,
            Rows::Selected => self.selected,
            Rows::Fixed(n) => n,
        }
    }
}

/// A buffer of a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BufferId(usize);

/// A frozen matrix of [`Weights`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct MatrixId(pub usize);

/// A frozen f32 vector of [`Weights`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct VectorId(pub usize);

/// A tensor that outlives runs and is shared by the programs of one executor: adapter parameters, optimizer
/// moments, key/value caches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct StateId(pub usize);

/// What never changes: the base model.
#[derive(Debug, Default)]
pub struct Weights {
    /// Quantized or float matrices.
    pub matrices: Vec<Matrix>,
    /// Norm gains, biases, rotation tables.
    pub vectors: Vec<Vec<f32>>,
}

impl Weights {
    /// Adds a matrix.
    pub fn add_matrix(&mut self, matrix: Matrix) -> MatrixId {
        self.matrices.push(matrix);
        MatrixId(self.matrices.len() - 1)
    }

    /// Adds a vector.
    pub fn add_vector(&mut self, vector: Vec<f32>) -> VectorId {
        self.vectors.push(vector);
        VectorId(self.vectors.len() - 1)
    }

    /// Bytes of everything stored.
    pub fn bytes(&self) -> usize {
        let matrices: usize = self.matrices.iter().map(Matrix::bytes).sum();
        matrices + self.vectors.iter().map(|v| v.len() * 4).sum::<usize>()
    }
}

/// Where a buffer lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Written by the host before a run: u32 values, four bytes each as everything else.
    Input,
    /// In the arena, from its first write to its last use.
    Scratch,
    /// In the arena until the run has ended, so that the host can read it.
    Output,
    /// The executor's state tensor.
    State(StateId),
}

/// A buffer: `[rows, width]` values of four bytes, row-major.
#[derive(Debug, Clone)]
pub struct Buffer {
    /// What it holds, for people who read plans.
    pub name: &'static str,
    /// Its rows.
    pub rows: Rows,
    /// Values a row.
    pub width: usize,
    /// Where it lives.
    pub kind: Kind,
}

/// How an operation uses a buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Reads it.
    Read,
    /// Writes all live rows, without reading.
    Write,
    /// Reads and writes.
    Update,
}

/// One buffer that an operation uses, and how.
pub type Touch = (BufferId, Access);

/// One compound operation. An operation is one file in `ops`: its formula, its CPU code, its GPU launch, its tests.
pub trait Operation: fmt::Debug + Send + Sync {
    /// Its name in plans and profiles.
    fn name(&self) -> &'static str;

    /// Every buffer it uses: the planner's only source.
    fn touches(&self) -> Vec<Touch>;

    /// Refuses shapes that it is not made for, on every executor alike.
    ///
    /// # Errors
    /// A shape error.
    fn check(&self, shapes: &Shapes<'_>) -> Result<()>;

    /// Values of scratch that one thread's part of it takes on the CPU, where they grow with a buffer's rows.
    fn scratch_len(&self, _program: &Program) -> usize {
        0
    }

    /// Runs it on the CPU.
    fn run(&self, frame: &mut cpu::Frame<'_>);

    /// Records what runs it on the GPU.
    ///
    /// # Errors
    /// When a kernel cannot be compiled, or a buffer cannot be bound.
    #[cfg(feature = "gpu")]
    fn launch(&self, recorder: &mut gpu::Recorder<'_>) -> Result<()>;
}

/// Numbers that change from run to run.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scalars {
    /// Weight of each selected token's loss: one over the number of supervised tokens of the step.
    pub loss_weight: f32,
    /// Optimizer step, counted from 1.
    pub step: u32,
    /// Learning rate of this step.
    pub learning_rate: f32,
    /// Seed of this micro-batch's dropout masks.
    pub dropout_seed: u32,
}

impl Default for Scalars {
    fn default() -> Self {
        Self { loss_weight: 1.0, step: 1, learning_rate: 0.0, dropout_seed: 0 }
    }
}

/// One run of a program.
#[derive(Debug, Clone)]
pub struct Run<'a> {
    /// Live rows; not above the program's capacities.
    pub rows: RowCounts,
    /// The values of every input buffer, `rows × width` each.
    pub inputs: Vec<(BufferId, &'a [u32])>,
    /// Numbers of this run.
    pub scalars: Scalars,
}

/// Operations over symbolic buffers.
#[derive(Debug)]
pub struct Program {
    /// What the pass is: `train`, `decode` and so on.
    pub name: &'static str,
    /// Row counts it is planned for.
    pub capacity: RowCounts,
    /// Runs through once it has begun: it updates state tensors in place, and half an update is none.
    pub indivisible: bool,
    /// A run has a handful of rows: the CPU's products take each row by itself, for less than many rows cost. They round
    /// otherwise than those of many rows.
    pub few_rows: bool,
    buffers: Vec<Buffer>,
    operations: Vec<Box<dyn Operation>>,
}

impl Program {
    /// An empty program for at most `capacity` rows.
    pub fn new(name: &'static str, capacity: RowCounts) -> Self {
        Self { name, capacity, indivisible: false, few_rows: false, buffers: Vec::new(), operations: Vec::new() }
    }

    /// A buffer that the host fills before each run.
    pub fn input(&mut self, name: &'static str, rows: Rows, width: usize) -> BufferId {
        self.add(Buffer { name, rows, width, kind: Kind::Input })
    }

    /// A buffer that lives between its first write and its last use.
    pub fn scratch(&mut self, name: &'static str, rows: Rows, width: usize) -> BufferId {
        self.add(Buffer { name, rows, width, kind: Kind::Scratch })
    }

    /// A buffer that the host reads after a run.
    pub fn output(&mut self, name: &'static str, rows: Rows, width: usize) -> BufferId {
        self.add(Buffer { name, rows, width, kind: Kind::Output })
    }

    /// A view of state tensor `state` as `[rows, width]`.
    pub fn state(&mut self, name: &'static str, state: StateId, rows: usize, width: usize) -> BufferId {
        self.add(Buffer { name, rows: Rows::Fixed(rows), width, kind: Kind::State(state) })
    }

    fn add(&mut self, buffer: Buffer) -> BufferId {
        self.buffers.push(buffer);
        BufferId(self.buffers.len() - 1)
    }

    /// Appends an operation.
    pub fn push(&mut self, operation: impl Operation + 'static) {
        self.operations.push(Box::new(operation));
    }

    /// The buffer behind `id`.
    pub fn buffer(&self, id: BufferId) -> &Buffer {
        &self.buffers[id.0]
    }

    /// Rows of a buffer at most.
    pub fn rows(&self, id: BufferId) -> usize {
        self.capacity.of(self.buffer(id).rows)
    }

    /// All buffers, in the order they were made.
    pub fn buffers(&self) -> impl Iterator<Item = (BufferId, &Buffer)> {
        self.buffers.iter().enumerate().map(|(i, b)| (BufferId(i), b))
    }

    /// All operations, in order.
    pub fn operations(&self) -> &[Box<dyn Operation>] {
        &self.operations
    }
}

impl BufferId {
    /// Its place in [`Program::buffers`].
    pub fn index(self) -> usize {
        self.0
    }
}
