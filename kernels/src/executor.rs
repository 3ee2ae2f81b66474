//! What both executors offer: state tensors that persist, programs that run over them.

use std::ops::ControlFlow;
use std::sync::Arc;

use crate::error::{Error, Result};
use crate::program::{BufferId, Kind, Program, Run, StateId};

/// A loaded program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ProgramId(pub(crate) usize);

/// Called between two pieces of a run, some tens of milliseconds apart: between operations, or chunks of a long one, on
/// the CPU, between submissions on a GPU. It may do other work meanwhile, on a [`Executor::sibling`] say. `Break` ends the
/// run with [`Error::Interrupted`]; a program that is `indivisible` runs through.
pub type Between = Arc<dyn Fn() -> ControlFlow<()> + Send + Sync>;

/// What a job will hold on a device.
#[derive(Debug, Clone, Copy)]
pub struct Job<'a> {
    /// Values of every state tensor.
    pub states: &'a [usize],
    /// The programs that run over them, one at a time.
    pub programs: &'a [&'a Program],
}

/// Bytes of a job, by purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct JobBytes {
    /// State tensors.
    pub state: usize,
    /// The arena.
    pub arena: usize,
    /// What the executor works with: panels of threads; on a GPU operations' own memory, parameters of dispatches, and
    /// what is read back.
    pub working: usize,
}

/// A device with a model on it.
///
/// The weights stay for its whole life. State tensors and programs belong to one job (a training, a generation) and
/// go together with [`Executor::reset`].
pub trait Executor: Send {
    /// Makes a persistent f32 tensor of `len` zeros.
    ///
    /// # Errors
    /// When the device cannot hold it.
    fn add_state(&mut self, name: &'static str, len: usize) -> Result<StateId>;

    /// Another executor on the same device and weights, with state tensors, programs and an arena of its own.
    ///
    /// # Errors
    /// When the device was lost or is full.
    fn sibling(&self) -> Result<Box<dyn Executor>>;

    /// Has `between` called within the runs that follow; `None` lets them run through.
    fn set_between(&mut self, between: Option<Between>);

    /// Has the device be lost after `submissions` more, for tests of what happens then. A CPU is never lost.
    fn lose_device_after(&mut self, submissions: u32) {
        let _ = submissions;
    }

    /// Frees all state tensors, programs and the arena.
    fn reset(&mut self);

    /// Plans a program and makes room for it.
    ///
    /// # Errors
    /// When the device cannot hold or compile it.
    fn load(&mut self, program: Arc<Program>) -> Result<ProgramId>;

    /// Runs a program. Work may still be under way on return; the reading calls wait for it.
    ///
    /// # Errors
    /// When the run does not fit the program, or the device was lost.
    fn run(&mut self, program: ProgramId, run: &Run<'_>) -> Result<()>;

    /// The live rows of an output buffer of the program that ran last.
    ///
    /// # Errors
    /// When the buffer is no output, or the device was lost.
    fn read(&mut self, program: ProgramId, buffer: BufferId) -> Result<Vec<f32>>;

    /// A copy of a state tensor.
    ///
    /// # Errors
    /// When the device was lost.
    fn read_state(&mut self, state: StateId) -> Result<Vec<f32>>;

    /// Overwrites a state tensor.
    ///
    /// # Errors
    /// When the length differs, or the device was lost.
    fn write_state(&mut self, state: StateId, values: &[f32]) -> Result<()>;

    /// Makes state tensors `len` values long, which is more than they were: what they hold stays, zeros follow. All programs
    /// go, for they were loaded for the former lengths; other state stays. Beside what it comes to, one of the tensors is
    /// there twice meanwhile.
    ///
    /// # Errors
    /// When a tensor is longer already, the device cannot hold them, or it was lost. The programs are gone then, too.
    fn lengthen(&mut self, states: &[StateId], len: usize) -> Result<()>;

    /// The bytes that a job would take beside the weights, before anything is allocated: once its programs are loaded and
    /// its results read, [`Executor::device_bytes`] is no more than these and [`Executor::weight_bytes`].
    ///
    /// # Errors
    /// When the device cannot hold one of its buffers in a piece.
    fn job_bytes(&self, job: &Job<'_>) -> Result<JobBytes>;

    /// Bytes of the weights as the device holds them.
    fn weight_bytes(&self) -> usize;

    /// Bytes held for weights, state, arena and scratch.
    fn device_bytes(&self) -> usize;

    /// The device in words.
    fn device(&self) -> String;
}

/// Refuses to make a state tensor shorter.
pub(crate) fn check_longer(held: usize, len: usize) -> Result<()> {
    if len < held {
        return Err(Error::Shape(format!("a state tensor of {held} values cannot be lengthened to {len}")));
    }
    Ok(())
}

impl Program {
    /// Checks that a run fits: row counts within capacity, every input given once at its live size.
    ///
    /// # Errors
    /// A shape error that names the buffer.
    pub fn check(&self, run: &Run<'_>) -> Result<()> {
        if run.rows.tokens > self.capacity.tokens || run.rows.selected > self.capacity.selected {
            return Err(Error::Shape(format!("{:?} rows in a program for {:?}", run.rows, self.capacity)));
        }
        for (id, buffer) in self.buffers().filter(|(_, b)| b.kind == Kind::Input) {
            let expected = run.rows.of(buffer.rows) * buffer.width;
            let mut given = run.inputs.iter().filter(|(given, _)| *given == id);
            match (given.next(), given.next()) {
                (Some((_, values)), None) if values.len() == expected => {}
                (Some((_, values)), None) => {
                    return Err(Error::Shape(format!("{}: {} values, not {expected}", buffer.name, values.len())));
                }
                _ => return Err(Error::Shape(format!("{} must be given once", buffer.name))),
            }
        }
        Ok(())
    }
}
