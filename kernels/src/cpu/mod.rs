//! The CPU executor: interprets a program over threads and vector units, straight from the stored weights.
//!
//! It is the reference that every shader is tested against, and the backend where GPU work is not allowed. Its
//! bits do not depend on the number of threads: tasks write disjoint outputs, and every sum has a fixed order.

mod exp;
mod product;

use std::sync::Arc;

use rayon::{ThreadPool, ThreadPoolBuilder};

use crate::error::{Error, Result};
use crate::executor::{Executor, ProgramId, StateTensor};
use crate::program::{BufferId, Kind, Plan, Program, RowCounts, Run, Scalars, StateId, Weights};

pub(crate) use exp::exp;
pub(crate) use product::{
    Output, PANEL_BYTES, matrix, matrix_mut, multiply, multiply_transposed, small_product, with_scratch,
};

/// What an operation sees while it runs.
pub struct Frame<'a> {
    /// The frozen model.
    pub weights: &'a Weights,
    /// Numbers of this run.
    pub scalars: Scalars,
    rows: RowCounts,
    program: &'a Program,
    plan: &'a Plan,
    state_offsets: &'a [usize],
    memory: &'a mut [f32],
}

impl Frame<'_> {
    /// Live rows of a buffer.
    pub fn rows(&self, id: BufferId) -> usize {
        self.rows.of(self.program.buffer(id).rows)
    }

    /// Values a row of a buffer.
    pub fn width(&self, id: BufferId) -> usize {
        self.program.buffer(id).width
    }

    /// The live values of several different buffers at once; `None` gives an empty slice.
    ///
    /// # Panics
    /// When two of them overlap: an operation that names one buffer twice, or a wrong plan.
    pub fn slices<const N: usize>(&mut self, ids: [Option<BufferId>; N]) -> [&mut [f32]; N] {
        let ranges = ids.map(|id| {
            id.map_or(0..0, |id| {
                let len = self.rows(id) * self.width(id);
                let start = match self.program.buffer(id).kind {
                    Kind::State(state) => self.state_offsets[state.0],
                    _ => self.state_offsets[self.state_offsets.len() - 1] + self.plan.place(id).map_or(0, |p| p.offset),
                };
                start..start + len
            })
        });
        match self.memory.get_disjoint_mut(ranges) {
            Ok(slices) => slices,
            Err(_) => panic!("buffers of one operation overlap"),
        }
    }

    /// A copy of an input's live values.
    pub fn input(&mut self, id: BufferId) -> Vec<u32> {
        let [values] = self.slices([Some(id)]);
        bytemuck::cast_slice::<f32, u32>(values).to_vec()
    }
}

struct Loaded {
    program: Arc<Program>,
    plan: Plan,
    rows: RowCounts,
}

/// Runs programs on the CPU. State tensors come first in its memory, the arena behind them; the arena is as large
/// as the largest loaded program needs.
pub struct CpuExecutor {
    weights: Arc<Weights>,
    pool: ThreadPool,
    programs: Vec<Loaded>,
    /// Start of every state tensor, and at the end the start of the arena.
    state_offsets: Vec<usize>,
    state_lens: Vec<usize>,
    memory: Vec<f32>,
}

impl CpuExecutor {
    /// An executor with `threads` threads (0: one a core) and zeroed `state`.
    ///
    /// # Errors
    /// When threads cannot be started or memory cannot be had.
    pub fn new(weights: Arc<Weights>, state: &[StateTensor], threads: usize) -> Result<Self> {
        let pool = ThreadPoolBuilder::new()
            .num_threads(threads)
            .thread_name(|i| format!("idiolect-{i}"))
            .build()
            .map_err(|e| Error::NoDevice(e.to_string()))?;
        let mut state_offsets = vec![0];
        for tensor in state {
            state_offsets.push((state_offsets[state_offsets.len() - 1] + tensor.len).next_multiple_of(64));
        }
        let mut executor = Self {
            weights,
            pool,
            programs: Vec::new(),
            state_lens: state.iter().map(|t| t.len).collect(),
            state_offsets,
            memory: Vec::new(),
        };
        executor.grow(0)?;
        Ok(executor)
    }

    /// Bytes of scratch that the threads' panels take at most, beside arena and state.
    pub fn panel_bytes(threads: usize) -> usize {
        threads * PANEL_BYTES
    }

    fn arena_start(&self) -> usize {
        self.state_offsets[self.state_offsets.len() - 1]
    }

    fn grow(&mut self, arena: usize) -> Result<()> {
        let len = self.arena_start() + arena;
        if len > self.memory.len() {
            self.memory
                .try_reserve_exact(len - self.memory.len())
                .map_err(|_| Error::OutOfMemory(format!("{} bytes", len * 4)))?;
            self.memory.resize(len, 0.0);
        }
        Ok(())
    }

    fn state_range(&self, state: StateId) -> std::ops::Range<usize> {
        self.state_offsets[state.0]..self.state_offsets[state.0] + self.state_lens[state.0]
    }
}

impl Executor for CpuExecutor {
    fn load(&mut self, program: Arc<Program>) -> Result<ProgramId> {
        let plan = Plan::new(&program);
        self.grow(plan.len())?;
        let rows = program.capacity;
        self.programs.push(Loaded { program, plan, rows });
        Ok(ProgramId(self.programs.len() - 1))
    }

    fn run(&mut self, id: ProgramId, run: &Run<'_>) -> Result<()> {
        let arena = self.arena_start();
        let loaded = &mut self.programs[id.0];
        loaded.program.check(run)?;
        loaded.rows = run.rows;
        for (buffer, values) in &run.inputs {
            if let Some(place) = loaded.plan.place(*buffer) {
                let start = arena + place.offset;
                bytemuck::cast_slice_mut::<f32, u32>(&mut self.memory[start..start + values.len()])
                    .copy_from_slice(values);
            }
        }
        let mut frame = Frame {
            weights: &self.weights,
            scalars: run.scalars,
            rows: run.rows,
            program: &loaded.program,
            plan: &loaded.plan,
            state_offsets: &self.state_offsets,
            memory: &mut self.memory,
        };
        self.pool.install(|| {
            for operation in loaded.program.operations() {
                operation.run(&mut frame);
            }
        });
        Ok(())
    }

    fn read(&mut self, id: ProgramId, buffer: BufferId) -> Result<Vec<f32>> {
        let loaded = &self.programs[id.0];
        let info = loaded.program.buffer(buffer);
        let place = loaded.plan.place(buffer).filter(|_| info.kind == Kind::Output);
        let place = place.ok_or_else(|| Error::Shape(format!("{} is no output", info.name)))?;
        let start = self.arena_start() + place.offset;
        Ok(self.memory[start..start + loaded.rows.of(info.rows) * info.width].to_vec())
    }

    fn read_state(&mut self, state: StateId) -> Result<Vec<f32>> {
        Ok(self.memory[self.state_range(state)].to_vec())
    }

    fn write_state(&mut self, state: StateId, values: &[f32]) -> Result<()> {
        let range = self.state_range(state);
        if values.len() != range.len() {
            return Err(Error::Shape(format!("{} values for a state tensor of {}", values.len(), range.len())));
        }
        self.memory[range].copy_from_slice(values);
        Ok(())
    }

    fn device_bytes(&self) -> usize {
        self.memory.len() * 4 + self.weights.bytes() + Self::panel_bytes(self.pool.current_num_threads())
    }

    fn device(&self) -> String {
        format!("CPU, {} threads", self.pool.current_num_threads())
    }
}
