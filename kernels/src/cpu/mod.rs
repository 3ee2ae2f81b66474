//! The CPU executor: interprets a program over threads and vector units, straight from the stored weights.
//!
//! It is the reference that every shader is tested against, and the backend where GPU work is not allowed. Its
//! bits do not depend on the number of threads: tasks write disjoint outputs, and every sum has a fixed order.

mod awake;
mod breaks;
mod exp;
mod few;
mod lanes;
mod mat_vec;
mod pack;
mod product;
mod simd;
mod softmax;
mod tile;

use std::sync::Arc;

use rayon::{ThreadPool, ThreadPoolBuilder};

use crate::error::{Error, Result};
use crate::executor::{Between, Executor, Job, JobBytes, ProgramId, check_longer};
use crate::program::{BufferId, Kind, Plan, Program, RowCounts, Run, Scalars, StateId, Weights};

use awake::Awake;
pub(crate) use breaks::Breaks;
pub(crate) use exp::exp;
pub(crate) use few::multiply_few;
pub(crate) use lanes::{LANES, exp_and_sum, join, largest, sum_of_products};
pub(crate) use mat_vec::{StridedRows, StridedRowsMut, rows_times, times_rows, times_vector};
pub(crate) use pack::{Columns, Scaled};
pub(crate) use product::{
    LowRank, SCRATCH_BYTES, Term, matrix, matrix_mut, multiply, multiply_transposed, small_product, strips_len,
    with_scratch,
};
pub(crate) use simd::{on_vectors, vectorized};
pub use softmax::Normaliser;
pub(crate) use softmax::{PART, part};
pub(crate) use tile::{Factors, Left, Output, STRIP, multiply_strips};

/// What an operation sees while it runs.
pub struct Frame<'a> {
    /// The frozen model.
    pub weights: &'a Weights,
    /// Numbers of this run.
    pub scalars: Scalars,
    rows: RowCounts,
    program: &'a Program,
    plan: &'a Plan,
    state: &'a mut [Vec<f32>],
    arena: &'a mut [f32],
    breaks: &'a Breaks,
}

impl<'a> Frame<'a> {
    /// For operations so long that a run must be able to pause or end within them.
    pub(crate) fn breaks(&self) -> &'a Breaks {
        self.breaks
    }
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

    /// Whether rows are few, see [`Program::few_rows`].
    pub fn few_rows(&self) -> bool {
        self.program.few_rows
    }

    /// The live values of several different buffers at once; `None` gives an empty slice.
    ///
    /// # Panics
    /// When two of them overlap: an operation that names one buffer twice, or a wrong plan.
    pub fn slices<const N: usize>(&mut self, ids: [Option<BufferId>; N]) -> [&mut [f32]; N] {
        let lens = ids.map(|id| id.map_or(0, |id| self.rows(id) * self.width(id)));
        let mut ranges = [const { 0..0 }; N];
        let mut states = [None; N];
        for (i, id) in ids.into_iter().enumerate() {
            match id.map(|id| (id, self.program.buffer(id).kind)) {
                Some((_, Kind::State(state))) => states[i] = Some(state),
                Some((id, _)) => {
                    let start = self.plan.place(id).map_or(0, |p| p.offset);
                    ranges[i] = start..start + lens[i];
                }
                None => {}
            }
        }
        let Ok(mut slices) = self.arena.get_disjoint_mut(ranges) else {
            panic!("buffers of one operation overlap");
        };
        for (index, tensor) in self.state.iter_mut().enumerate() {
            if let Some(i) = states.iter().position(|&s| s == Some(StateId(index))) {
                slices[i] = &mut tensor[..lens[i]];
            }
        }
        slices
    }
}

struct Loaded {
    program: Arc<Program>,
    plan: Plan,
    rows: RowCounts,
}

/// Runs programs on the CPU, in one arena as large as the largest loaded program needs.
pub struct CpuExecutor {
    weights: Arc<Weights>,
    pool: Arc<ThreadPool>,
    programs: Vec<Loaded>,
    state: Vec<Vec<f32>>,
    arena: Vec<f32>,
    between: Option<Between>,
}

impl CpuExecutor {
    /// An executor with `threads` threads (0: one a core).
    ///
    /// # Errors
    /// When threads cannot be started.
    pub fn new(weights: Arc<Weights>, threads: usize) -> Result<Self> {
        let pool = ThreadPoolBuilder::new()
            .num_threads(threads)
            .thread_name(|i| format!("idiolect-{i}"))
            .build()
            .map_err(|e| Error::NoDevice(e.to_string()))?;
        Ok(Self::on(weights, Arc::new(pool)))
    }

    fn on(weights: Arc<Weights>, pool: Arc<ThreadPool>) -> Self {
        Self { weights, pool, programs: Vec::new(), state: Vec::new(), arena: Vec::new(), between: None }
    }

    /// Bytes that the threads' scratch takes at most while these programs run, beside arena and state.
    fn scratch_bytes<'p>(&self, programs: impl Iterator<Item = &'p Program>) -> usize {
        let operations = programs.flat_map(|program| program.operations().iter().map(move |o| o.scratch_len(program)));
        let most = operations.max().unwrap_or(0).saturating_mul(size_of::<f32>());
        self.threads().saturating_mul(most.max(SCRATCH_BYTES))
    }

    /// Threads that work on a program.
    pub fn threads(&self) -> usize {
        self.pool.current_num_threads()
    }
}

/// Grows `values` to `len`, by zeros.
fn grow(values: &mut Vec<f32>, len: usize) -> Result<()> {
    if len > values.len() {
        values
            .try_reserve_exact(len - values.len())
            .map_err(|_| Error::OutOfMemory(format!("{} bytes", len.saturating_mul(4))))?;
        values.resize(len, 0.0);
    }
    Ok(())
}

impl Executor for CpuExecutor {
    fn add_state(&mut self, _name: &'static str, len: usize) -> Result<StateId> {
        let mut tensor = Vec::new();
        grow(&mut tensor, len)?;
        self.state.push(tensor);
        Ok(StateId(self.state.len() - 1))
    }

    fn sibling(&self) -> Result<Box<dyn Executor>> {
        Ok(Box::new(Self::on(Arc::clone(&self.weights), Arc::clone(&self.pool))))
    }

    fn set_between(&mut self, between: Option<Between>) {
        self.between = between;
    }

    fn reset(&mut self) {
        self.programs.clear();
        self.state.clear();
        self.arena = Vec::new();
    }

    fn load(&mut self, program: Arc<Program>) -> Result<ProgramId> {
        program.check_shapes(&self.weights.shapes())?;
        program.check_states(&self.state.iter().map(Vec::len).collect::<Vec<_>>())?;
        let plan = Plan::new(&program);
        grow(&mut self.arena, plan.len())?;
        let rows = program.capacity;
        self.programs.push(Loaded { program, plan, rows });
        Ok(ProgramId(self.programs.len() - 1))
    }

    fn run(&mut self, id: ProgramId, run: &Run<'_>) -> Result<()> {
        let loaded = &mut self.programs[id.0];
        loaded.program.check(run)?;
        loaded.rows = run.rows;
        for (buffer, values) in &run.inputs {
            if let Some(place) = loaded.plan.place(*buffer) {
                let slots = &mut self.arena[place.offset..place.offset + values.len()];
                bytemuck::cast_slice_mut::<f32, u32>(slots).copy_from_slice(values);
            }
        }
        let breaks = Breaks::new(self.between.clone().filter(|_| !loaded.program.indivisible));
        let mut frame = Frame {
            weights: &self.weights,
            scalars: run.scalars,
            rows: run.rows,
            program: &loaded.program,
            plan: &loaded.plan,
            state: &mut self.state,
            arena: &mut self.arena,
            breaks: &breaks,
        };
        self.pool.install(|| {
            let _awake = Awake::keep();
            for operation in loaded.program.operations() {
                if breaks.ends_run() {
                    return;
                }
                operation.run(&mut frame);
            }
        });
        if breaks.ended() { Err(Error::Interrupted) } else { Ok(()) }
    }

    fn read(&mut self, id: ProgramId, buffer: BufferId) -> Result<Vec<f32>> {
        let loaded = &self.programs[id.0];
        let info = loaded.program.buffer(buffer);
        let place = loaded.plan.place(buffer).filter(|_| info.kind == Kind::Output);
        let place = place.ok_or_else(|| Error::Shape(format!("{} is no output", info.name)))?;
        Ok(self.arena[place.offset..place.offset + loaded.rows.of(info.rows) * info.width].to_vec())
    }

    fn read_state(&mut self, state: StateId) -> Result<Vec<f32>> {
        Ok(self.state[state.0].clone())
    }

    fn write_state(&mut self, state: StateId, values: &[f32]) -> Result<()> {
        let tensor = &mut self.state[state.0];
        if values.len() != tensor.len() {
            return Err(Error::Shape(format!("{} values for a state tensor of {}", values.len(), tensor.len())));
        }
        tensor.copy_from_slice(values);
        Ok(())
    }

    fn lengthen(&mut self, states: &[StateId], len: usize) -> Result<()> {
        self.programs.clear();
        for state in states {
            let tensor = &mut self.state[state.0];
            check_longer(tensor.len(), len)?;
            grow(tensor, len)?;
        }
        Ok(())
    }

    fn job_bytes(&self, job: &Job<'_>) -> Result<JobBytes> {
        let weights = self.weights.shapes();
        job.programs.iter().try_for_each(|program| program.check_shapes(&weights))?;
        let state = job.states.iter().fold(0, |sum: usize, len| sum.saturating_add(len.saturating_mul(4)));
        let arena = job.programs.iter().map(|program| Plan::new(program).bytes()).max().unwrap_or(0);
        Ok(JobBytes { state, arena, working: self.scratch_bytes(job.programs.iter().copied()) })
    }

    fn weight_bytes(&self) -> usize {
        self.weights.bytes()
    }

    fn device_bytes(&self) -> usize {
        let state: usize = self.state.iter().map(Vec::len).sum();
        let loaded = self.programs.iter().map(|loaded| &*loaded.program);
        (state + self.arena.len()) * 4 + self.weights.bytes() + self.scratch_bytes(loaded)
    }

    fn device(&self) -> String {
        format!("CPU, {} threads", self.threads())
    }
}
