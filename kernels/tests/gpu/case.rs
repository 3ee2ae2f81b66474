//! One program with its data, run by both executors.

use std::cell::Cell;
use std::sync::Arc;

use idiolect_kernels::program::{BufferId, Kind, Operation, Program, RowCounts, Rows, Run, Scalars, StateId};
use idiolect_kernels::{Executor, ProgramId, Result};

use crate::random::Random;

/// Sizes of every dimension that is not grouped: one, a vector, just below and above one and two of them, large and odd.
pub const SIZES: [usize; 6] = [1, 8, 31, 33, 65, 1757];

/// Largest difference that is allowed, relative to the largest value of the tensor.
pub const TOLERANCE: f32 = 1e-5;

/// A program, what it starts from and what it leaves.
pub struct Case {
    pub name: String,
    pub program: Arc<Program>,
    pub rows: RowCounts,
    pub scalars: Scalars,
    pub tolerance: f32,
    /// What the terms of sums that cancel are of the order of.
    pub terms: f32,
    states: Vec<Vec<f32>>,
    inputs: Vec<(BufferId, Vec<u32>)>,
    outputs: Vec<BufferId>,
    loaded: Cell<Option<ProgramId>>,
}

/// What a run left: every output and every state tensor, by name.
pub type Outcome = Vec<(&'static str, Vec<f32>)>;

impl Case {
    /// `tokens` and `selected` live rows, in a program that has room for more.
    pub fn new(name: String, tokens: usize, selected: usize) -> Self {
        let capacity = RowCounts { tokens: tokens + 5, selected: selected + 3 };
        Self {
            name,
            program: Arc::new(Program::new("test", capacity)),
            rows: RowCounts { tokens, selected },
            scalars: Scalars { loss_weight: 0.37, step: 3, learning_rate: 0.01, dropout_seed: 12345 },
            tolerance: TOLERANCE,
            terms: 1.0,
            states: Vec::new(),
            inputs: Vec::new(),
            outputs: Vec::new(),
            loaded: Cell::new(None),
        }
    }

    fn building(&mut self) -> &mut Program {
        Arc::get_mut(&mut self.program).expect("the program is not shared while it is built")
    }

    pub fn push(&mut self, operation: impl Operation + 'static) {
        self.building().push(operation);
    }

    pub fn scratch(&mut self, rows: Rows, width: usize) -> BufferId {
        self.building().scratch("scratch", rows, width)
    }

    /// An f32 input of random values from −1 to 1.
    pub fn values(&mut self, name: &'static str, rows: Rows, width: usize) -> BufferId {
        self.values_of(name, rows, width, |_, v| v)
    }

    /// An f32 input whose values `of` makes from a row and a random number from −1 to 1.
    pub fn values_of(
        &mut self,
        name: &'static str,
        rows: Rows,
        width: usize,
        of: impl Fn(usize, f32) -> f32,
    ) -> BufferId {
        let numbers = random(self.rows.of(rows) * width, self.inputs.len() as u64 + 77);
        let bits = numbers.into_iter().enumerate().map(|(i, v)| of(i / width, v).to_bits()).collect();
        self.input(name, rows, width, bits)
    }

    pub fn input(&mut self, name: &'static str, rows: Rows, width: usize, values: Vec<u32>) -> BufferId {
        let id = self.building().input(name, rows, width);
        self.inputs.push((id, values));
        id
    }

    pub fn output(&mut self, name: &'static str, rows: Rows, width: usize) -> BufferId {
        let id = self.building().output(name, rows, width);
        self.outputs.push(id);
        id
    }

    /// A state tensor that starts at `values`.
    pub fn state(&mut self, name: &'static str, rows: usize, values: Vec<f32>) -> BufferId {
        let (state, width) = (StateId(self.states.len()), values.len() / rows);
        self.states.push(values);
        self.building().state(name, state, rows, width)
    }

    /// A state tensor of random values.
    pub fn random_state(&mut self, name: &'static str, rows: usize, width: usize) -> BufferId {
        let values = random(rows * width, self.states.len() as u64 + 991);
        self.state(name, rows, values)
    }

    /// What `executor`, reset first, makes of it in `runs` runs.
    pub fn run(&self, executor: &mut dyn Executor, runs: usize) -> Result<Outcome> {
        executor.reset();
        for values in &self.states {
            let id = executor.add_state("state", values.len())?;
            executor.write_state(id, values)?;
        }
        let program = executor.load(self.program.clone())?;
        self.loaded.set(Some(program));
        for _ in 0..runs {
            executor.run(program, &self.one_run())?;
        }
        let mut outcome = Outcome::new();
        for &id in &self.outputs {
            outcome.push((self.program.buffer(id).name, executor.read(program, id)?));
        }
        for (i, _) in self.states.iter().enumerate() {
            let viewed = self.program.buffers().find(|(_, b)| b.kind == Kind::State(StateId(i)));
            outcome.push((viewed.map_or("state", |(_, b)| b.name), executor.read_state(StateId(i))?));
        }
        Ok(outcome)
    }

    /// One run more on an executor that has run the case; the outputs are read and forgotten.
    pub fn run_again(&self, executor: &mut dyn Executor) -> Result<()> {
        let program = self.loaded.get().expect("the case has run");
        executor.run(program, &self.one_run())?;
        self.outputs.iter().try_for_each(|&id| executor.read(program, id).map(drop))
    }

    fn one_run(&self) -> Run<'_> {
        let inputs = self.inputs.iter().map(|(id, values)| (*id, values.as_slice())).collect();
        Run { rows: self.rows, inputs, scalars: self.scalars }
    }

    /// How two tensors of a run differ, if they do. Values that are not finite must be equal in kind.
    pub fn difference(&self, expected: &[f32], got: &[f32]) -> Option<String> {
        if expected.len() != got.len() {
            return Some(format!("{} values, not {}", got.len(), expected.len()));
        }
        let largest = expected.iter().filter(|v| v.is_finite()).fold(0.0f32, |a, v| a.max(v.abs()));
        // Sums that cancel leave a few roundings of their terms: up to 1e-6 of them.
        let allowed = self.tolerance * largest.max(0.1 * self.terms);
        let wrong = |(&e, &g): (&f32, &f32)| match (e.is_finite(), g.is_finite()) {
            (true, true) => (e - g).abs() > allowed,
            (false, false) => e.to_bits() != g.to_bits() && !(e.is_nan() && g.is_nan()),
            _ => true,
        };
        let at = expected.iter().zip(got).position(wrong)?;
        let count = expected.iter().zip(got).filter(|&pair| wrong(pair)).count();
        let (right, found) = (expected[at], got[at]);
        Some(format!("{count} of {} differ, first [{at}]: {found} is not {right} (± {allowed:e})", got.len()))
    }

    /// Runs on both and returns what differs.
    pub fn compare(&self, cpu: &mut dyn Executor, gpu: &mut dyn Executor) -> Vec<String> {
        let expected = self.run(cpu, 1).expect("the CPU runs every case");
        match self.run(gpu, 1) {
            Err(e) => vec![format!("{}: {e}", self.name)],
            Ok(got) => expected
                .iter()
                .zip(&got)
                .filter_map(|((name, expected), (_, got))| self.difference(expected, got).map(|d| (name, d)))
                .map(|(name, d)| format!("{}: {name}: {d}", self.name))
                .collect(),
        }
    }
}

/// `len` values from −1 to 1, always the same for a seed.
pub fn random(len: usize, seed: u64) -> Vec<f32> {
    Random::new(seed).floats(len)
}

/// `len` numbers below `end`, always the same for a seed.
pub fn random_below(len: usize, end: usize, seed: u64) -> Vec<u32> {
    let mut random = Random::new(seed);
    (0..len).map(|_| random.below(end) as u32).collect()
}
