//! A case: a few operations with their data, ready to run on any executor.

use std::sync::Arc;

use idiolect_kernels::ops::GatherRows;
use idiolect_kernels::program::{
    BufferId, Kind, MatrixId, Operation, Program, RowCounts, Rows, Run, Scalars, StateId, VectorId, Weights,
};
use idiolect_kernels::{Executor, Matrix, ProgramId};

pub struct Case {
    pub scalars: Scalars,
    weights: Weights,
    program: Program,
    rows: RowCounts,
    inputs: Vec<(BufferId, Vec<u32>)>,
    states: Vec<Vec<f32>>,
}

impl Case {
    /// A case with so many live rows, in a program with room for a few more.
    pub fn new(tokens: usize, selected: usize) -> Self {
        let capacity = RowCounts { tokens: tokens + 3, selected: selected + 2 };
        Self {
            scalars: Scalars::default(),
            weights: Weights::default(),
            program: Program::new("case", capacity),
            rows: RowCounts { tokens, selected },
            inputs: Vec::new(),
            states: Vec::new(),
        }
    }

    pub fn set_few_rows(&mut self, few_rows: bool) {
        self.program.few_rows = few_rows;
    }

    pub fn matrix(&mut self, matrix: Matrix) -> MatrixId {
        self.weights.add_matrix(matrix)
    }

    pub fn vector(&mut self, vector: &[f32]) -> VectorId {
        self.weights.add_vector(vector.to_vec())
    }

    /// A buffer that holds `values` when the run starts.
    pub fn floats(&mut self, rows: Rows, values: &[f32]) -> BufferId {
        self.indices(rows, bytemuck::cast_slice(values))
    }

    /// A buffer of u32 that holds `values` when the run starts.
    pub fn indices(&mut self, rows: Rows, values: &[u32]) -> BufferId {
        let buffer = self.program.input("input", rows, values.len() / self.rows.of(rows));
        self.inputs.push((buffer, values.to_vec()));
        buffer
    }

    /// A buffer that operations write and that can be read afterwards.
    pub fn output(&mut self, rows: Rows, width: usize) -> BufferId {
        self.program.output("output", rows, width)
    }

    /// A buffer that holds `values` when the operations pushed after it run, and that can be read afterwards.
    pub fn updated(&mut self, rows: Rows, values: &[f32]) -> BufferId {
        let each: Vec<u32> = (0..self.rows.of(rows) as u32).collect();
        let (src, index) = (self.floats(rows, values), self.indices(rows, &each));
        let out = self.output(rows, values.len() / each.len());
        self.push(GatherRows { src, index, out });
        out
    }

    /// A buffer that operations write and read.
    pub fn scratch(&mut self, rows: Rows, width: usize) -> BufferId {
        self.program.scratch("scratch", rows, width)
    }

    /// A state tensor `[rows, width]` that holds `values` when the run starts and can be read afterwards.
    pub fn state(&mut self, rows: usize, values: &[f32]) -> BufferId {
        self.states.push(values.to_vec());
        self.program.state("state", StateId(self.states.len() - 1), rows, values.len() / rows)
    }

    pub fn push(&mut self, operation: impl Operation + 'static) {
        self.program.push(operation);
    }

    /// Runs the case twice, so that nothing can rely on a fresh arena; states start over in between.
    pub fn run(self, executor: impl FnOnce(Arc<Weights>) -> Box<dyn Executor>) -> Ran {
        let mut ran = self.load(executor);
        ran.run();
        ran.rewind();
        ran.run();
        ran
    }

    /// The case on a device, not run yet.
    pub fn load(self, executor: impl FnOnce(Arc<Weights>) -> Box<dyn Executor>) -> Ran {
        let mut executor = executor(Arc::new(self.weights));
        let program = Arc::new(self.program);
        for state in &self.states {
            executor.add_state("state", state.len()).unwrap();
        }
        let id = executor.load(program.clone()).unwrap();
        let (rows, inputs, scalars, states) = (self.rows, self.inputs, self.scalars, self.states);
        let mut ran = Ran { executor, program, id, rows, inputs, scalars, states };
        ran.rewind();
        ran
    }
}

/// A case on a device.
pub struct Ran {
    executor: Box<dyn Executor>,
    program: Arc<Program>,
    id: ProgramId,
    rows: RowCounts,
    inputs: Vec<(BufferId, Vec<u32>)>,
    scalars: Scalars,
    states: Vec<Vec<f32>>,
}

impl Ran {
    /// Runs it once more.
    pub fn run(&mut self) {
        let inputs = self.inputs.iter().map(|(id, values)| (*id, values.as_slice())).collect();
        self.executor.run(self.id, &Run { rows: self.rows, inputs, scalars: self.scalars }).unwrap();
    }

    /// Gives the state tensors the values that the case began with.
    fn rewind(&mut self) {
        for (i, state) in self.states.iter().enumerate() {
            self.executor.write_state(StateId(i), state).unwrap();
        }
    }

    /// What an output or a state tensor holds.
    pub fn read(&mut self, buffer: BufferId) -> Vec<f32> {
        match self.program.buffer(buffer).kind {
            Kind::State(state) => self.executor.read_state(state).unwrap(),
            _ => self.executor.read(self.id, buffer).unwrap(),
        }
    }
}
