//! [`Executor`] over wgpu.

use std::sync::Arc;
use std::time::Duration;

use super::adapter::{Backend, choose};
use super::device::Device;
use super::flow::{Fault, Flow, read_staging};
use super::kernel::Pipelines;
use super::memory::{ALIGN, Memory};
use super::pace::Pace;
use super::recorder::{Dispatch, Groups, Recorder};
use super::weights::DeviceWeights;
use crate::error::{Error, Result};
use crate::executor::{Between, Executor, ProgramId};
use crate::program::{BufferId, Kind, Plan, Program, RowCounts, Run, Scalars, StateId, Weights};

/// How a [`GpuExecutor`] is made.
#[derive(Debug, Clone)]
pub struct Options {
    /// Only this interface; Vulkan or Metal where `None`.
    pub backend: Option<Backend>,
    /// Whether a CPU that draws will do.
    pub software: bool,
    /// Bytes a binding holds at most. Matrices beyond it are split by rows, the arena into segments. Drivers are known
    /// to fail above 128 MiB, whatever they report.
    pub binding_limit: u64,
    /// Time that a submission should take at most.
    pub submission: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self { backend: None, software: false, binding_limit: 128 << 20, submission: Duration::from_millis(16) }
    }
}

/// Values that are read back at a time.
const READ_LEN: usize = 1 << 20;

struct Loaded {
    program: Arc<Program>,
    plan: Plan,
    groups: Groups,
    rows: RowCounts,
}

/// Runs programs on a GPU.
pub struct GpuExecutor {
    programs: Vec<Loaded>,
    state_lens: Vec<usize>,
    staging: wgpu::Buffer,
    flow: Flow,
    memory: Memory,
    pipelines: Pipelines,
    device: Device,
    between: Option<Between>,
}

impl GpuExecutor {
    /// Sends `weights` to the best device that `options` allow.
    ///
    /// # Errors
    /// [`Error::NoDevice`] where there is none, with the reason; [`Error::OutOfMemory`] where the weights do not fit.
    pub fn new(weights: &Weights, options: &Options) -> Result<Self> {
        let device = Device::new(&choose(options.backend, options.software)?)?;
        let limits = device.wgpu.limits();
        let limit = options.binding_limit.min(limits.max_storage_buffer_binding_size).min(limits.max_buffer_size);
        let limit = limit / ALIGN * ALIGN;
        let weights = Arc::new(DeviceWeights::upload(&device, weights, limit)?);
        let pipelines = Pipelines::new(&device);
        Self::on(device, weights, limit, pipelines, Pace::new(options.submission))
    }

    fn on(
        device: Device,
        weights: Arc<DeviceWeights>,
        binding_limit: u64,
        mut pipelines: Pipelines,
        pace: Pace,
    ) -> Result<Self> {
        let memory = Memory::new(&device, weights, binding_limit)?;
        let flow = Flow::new(&device, &mut pipelines, &memory, pace)?;
        let staging = staging(&device, 1024)?;
        device.check()?;
        let (programs, state_lens) = (Vec::new(), Vec::new());
        Ok(Self { programs, state_lens, staging, flow, memory, pipelines, device, between: None })
    }

    /// Makes something go wrong, for tests of what happens then.
    pub fn inject(&mut self, fault: Fault) {
        self.flow.inject(&self.device, fault);
    }

    /// A state tensor as it lies on a device whose guard chain broke, for tests of what the optimizer did there.
    ///
    /// # Errors
    /// When the device cannot even copy.
    pub fn state_after_fault(&mut self, state: StateId) -> Result<Vec<f32>> {
        let fault = self.device.take_fault();
        let source = self.memory.state[state.0].clone();
        let copied = self.copy_back(&source, 0, self.state_lens[state.0]).map(|(values, _)| values);
        fault.into_iter().for_each(|fault| drop(self.device.fail(fault)));
        copied
    }

    /// The dispatches of a run, or with `measuring` only the scratch that they need.
    fn record(&mut self, index: usize, rows: RowCounts, scalars: Scalars, measuring: bool) -> Result<Recorded> {
        let loaded = &mut self.programs[index];
        let mut recorder = Recorder {
            device: &self.device,
            pipelines: &mut self.pipelines,
            groups: &mut loaded.groups,
            memory: &self.memory,
            program: &loaded.program,
            plan: &loaded.plan,
            rows,
            scalars,
            dispatches: Vec::new(),
            scratch: 0,
            scratch_peak: 0,
            measuring,
        };
        for operation in loaded.program.operations() {
            operation.launch(&mut recorder)?;
            recorder.finish_operation();
        }
        Ok(Recorded { dispatches: recorder.dispatches, scratch: recorder.scratch_peak })
    }

    /// Checks a program's views of state tensors, and that every arena buffer fits a binding.
    fn check_buffers(&self, program: &Program, plan: &Plan) -> Result<()> {
        for (id, buffer) in program.buffers() {
            match (buffer.kind, plan.place(id)) {
                (Kind::State(state), _) => {
                    let len = program.capacity.of(buffer.rows) * buffer.width;
                    match self.state_lens.get(state.0) {
                        Some(&held) if len <= held => {}
                        _ => return Err(Error::Shape(format!("{}: no state tensor of {len} values", buffer.name))),
                    }
                }
                (_, Some(place)) if place.len as u64 * 4 > self.memory.binding_limit => {
                    let limit = self.memory.binding_limit;
                    let bytes = place.len * 4;
                    return Err(Error::OutOfMemory(format!("{}: {bytes} bytes in bindings of {limit}", buffer.name)));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Copies `len` values at byte `offset` of a buffer to the host, and checks the guard chain.
    fn read_back(&mut self, source: &wgpu::Buffer, offset: u64, len: usize) -> Result<Vec<f32>> {
        let (values, found) = self.copy_back(source, offset, len)?;
        let expected = self.flow.submission();
        if found == expected {
            return Ok(values);
        }
        let broken = format!("the guard chain broke: submission {found} of {expected} was the last one that ran");
        Err(self.device.fail(Error::DeviceLost(broken)))
    }

    /// Values and guard word.
    fn copy_back(&mut self, source: &wgpu::Buffer, offset: u64, len: usize) -> Result<(Vec<f32>, u32)> {
        let bytes = len as u64 * 4;
        if bytes + 4 > self.staging.size() {
            self.staging = staging(&self.device, bytes + 4)?;
        }
        let (guard, to) = (&self.memory.guard, &self.staging);
        self.flow.copy(&self.device, &self.pipelines, |encoder| {
            if bytes > 0 {
                encoder.copy_buffer_to_buffer(source, offset, to, 0, bytes);
            }
            encoder.copy_buffer_to_buffer(guard, 0, to, bytes, 4);
        })?;
        self.flow.drain(&self.device)?;
        read_staging(&self.device, &self.staging, bytes)
    }
}

struct Recorded {
    dispatches: Vec<Dispatch>,
    scratch: u64,
}

/// The row counts that choose between variants of kernels: everything that a run may need is compiled for these.
fn representative(capacity: RowCounts) -> [RowCounts; 2] {
    [capacity, RowCounts { tokens: capacity.tokens.min(1), selected: capacity.selected.min(1) }]
}

fn staging(device: &Device, bytes: u64) -> Result<wgpu::Buffer> {
    device.buffer("staging", bytes, wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST)
}

impl Executor for GpuExecutor {
    fn add_state(&mut self, name: &'static str, len: usize) -> Result<StateId> {
        self.device.check()?;
        let id = self.memory.add_state(&self.device, name, len)?;
        self.state_lens.push(len);
        Ok(StateId(id))
    }

    fn lose_device_after(&mut self, submissions: u32) {
        self.inject(Fault::LoseDevice { after: submissions });
    }

    fn sibling(&self) -> Result<Box<dyn Executor>> {
        let (weights, limit) = (Arc::clone(&self.memory.weights), self.memory.binding_limit);
        let (pipelines, pace) = (self.pipelines.clone(), self.flow.pace.clone());
        Ok(Box::new(Self::on(self.device.clone(), weights, limit, pipelines, pace)?))
    }

    fn set_between(&mut self, between: Option<Between>) {
        self.between = between;
    }

    fn reset(&mut self) {
        self.programs.clear();
        self.state_lens.clear();
        self.memory.reset();
    }

    fn load(&mut self, program: Arc<Program>) -> Result<ProgramId> {
        self.device.check()?;
        let plan = Plan::in_segments(&program, (self.memory.binding_limit / 4) as usize);
        self.check_buffers(&program, &plan)?;
        let (index, rows, len) = (self.programs.len(), program.capacity, plan.len());
        self.programs.push(Loaded { program, plan, groups: Groups::new(), rows });
        let loaded = self.prepare(index, rows, len);
        if loaded.is_err() {
            self.programs.truncate(index);
        }
        loaded.map(|()| ProgramId(index))
    }

    fn run(&mut self, id: ProgramId, run: &Run<'_>) -> Result<()> {
        self.device.check()?;
        let loaded = &mut self.programs[id.0];
        loaded.program.check(run)?;
        loaded.rows = run.rows;
        for (buffer, values) in &run.inputs {
            if let Some(place) = loaded.plan.place(*buffer).filter(|_| !values.is_empty()) {
                let range = self.memory.arena(place.offset, values.len());
                let target = self.memory.buffer(range.place);
                self.device.queue.write_buffer(target, range.offset, bytemuck::cast_slice(values));
            }
        }
        let recorded = self.record(id.0, run.rows, run.scalars, false)?;
        let between = self.between.as_ref().filter(|_| !self.programs[id.0].program.indivisible);
        self.flow.run(&self.device, &self.pipelines, &recorded.dispatches, between)
    }

    fn read(&mut self, id: ProgramId, buffer: BufferId) -> Result<Vec<f32>> {
        self.device.check()?;
        let loaded = &self.programs[id.0];
        let info = loaded.program.buffer(buffer);
        let place = loaded.plan.place(buffer).filter(|_| info.kind == Kind::Output);
        let place = place.ok_or_else(|| Error::Shape(format!("{} is no output", info.name)))?;
        let len = loaded.rows.of(info.rows) * info.width;
        let range = self.memory.arena(place.offset, len);
        let source = self.memory.buffer(range.place).clone();
        self.read_back(&source, range.offset, len)
    }

    fn read_state(&mut self, state: StateId) -> Result<Vec<f32>> {
        self.device.check()?;
        let source = self.memory.state[state.0].clone();
        let len = self.state_lens[state.0];
        let mut values = Vec::with_capacity(len);
        for start in (0..len).step_by(READ_LEN) {
            values.extend(self.read_back(&source, start as u64 * 4, READ_LEN.min(len - start))?);
        }
        Ok(values)
    }

    fn write_state(&mut self, state: StateId, values: &[f32]) -> Result<()> {
        self.device.check()?;
        let len = self.state_lens[state.0];
        if values.len() != len {
            return Err(Error::Shape(format!("{} values for a state tensor of {len}", values.len())));
        }
        for (i, part) in values.chunks(READ_LEN).enumerate() {
            let offset = (i * READ_LEN) as u64 * 4;
            self.device.queue.write_buffer(&self.memory.state[state.0], offset, bytemuck::cast_slice(part));
        }
        self.device.check()
    }

    fn device_bytes(&self) -> usize {
        (self.memory.bytes() + self.flow.bytes() + self.staging.size()) as usize
    }

    fn device(&self) -> String {
        self.device.description.clone()
    }
}

impl GpuExecutor {
    /// Makes room for program `index` and compiles everything that it may launch.
    fn prepare(&mut self, index: usize, capacity: RowCounts, arena: usize) -> Result<()> {
        let mut scratch = 0;
        for rows in representative(capacity) {
            scratch = self.record(index, rows, Scalars::default(), true)?.scratch.max(scratch);
        }
        if self.memory.grow(&self.device, arena, scratch)? {
            // Bind groups name buffers that are gone; they are made again as they are needed.
            self.programs.iter_mut().for_each(|p| p.groups.clear());
        }
        for rows in representative(capacity) {
            self.record(index, rows, Scalars::default(), false)?;
        }
        self.device.check()
    }
}
