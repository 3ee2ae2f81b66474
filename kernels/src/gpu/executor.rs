//! [`Executor`] over wgpu.

use std::sync::Arc;
use std::time::Duration;

use super::adapter::{Backend, choose};
use super::device::Device;
use super::flow::{Fault, Flow, read_staging};
use super::kernel::Pipelines;
use super::memory::{ALIGN, Memory};
use super::pace::Pace;
use super::recorder::{Compiler, Dispatch, Groups, Recorder};
use super::weights::DeviceWeights;
use crate::error::{Error, Result};
use crate::executor::{Between, Executor, Job, JobBytes, ProgramId, check_longer};
use crate::program::{BufferId, Kind, Plan, Program, RowCounts, Run, Scalars, StateId, Weights};

/// How a [`GpuExecutor`] is made.
#[derive(Debug, Clone)]
pub struct Options {
    /// Only this interface; where `None`, Vulkan or Metal, and GL where software will do and these have nothing.
    pub backend: Option<Backend>,
    /// Whether a CPU that draws will do.
    pub software: bool,
    /// Bytes a binding holds at most. Matrices beyond it are split by rows, the arena into segments. Drivers are known
    /// to fail above 128 MiB, whatever they report.
    pub binding_limit: u64,
    /// Bytes a buffer holds at most, where the device would grant more.
    pub buffer_limit: u64,
    /// Time that a submission should take at most.
    pub submission: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            backend: None,
            software: false,
            binding_limit: 128 << 20,
            buffer_limit: u64::MAX,
            submission: Duration::from_millis(16),
        }
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
        let device = Device::new(&choose(options.backend, options.software)?, options.buffer_limit)?;
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
        let flow = Flow::new(&device, &mut pipelines, pace)?;
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

    /// The dispatches of a run.
    fn record(&mut self, index: usize, rows: RowCounts, scalars: Scalars) -> Result<Vec<Dispatch>> {
        let Loaded { program, plan, groups, .. } = &mut self.programs[index];
        let compiler = Compiler { device: &self.device, pipelines: &mut self.pipelines, groups };
        let recorder = recorded(&self.memory, program, plan, rows, scalars, Some(compiler))?;
        Ok(recorder.dispatches)
    }

    /// A program's place in the arena, and what else running it takes; nothing is allocated or compiled.
    fn needs(&self, program: &Program) -> Result<(Plan, Needs)> {
        program.check_shapes(&self.memory.weights.shapes)?;
        let plan = Plan::in_segments(program, (self.memory.binding_limit / 4) as usize);
        self.check_bindings(program, &plan)?;
        let mut needs = Needs { arena: plan.len(), ..Needs::default() };
        for rows in representative(program.capacity) {
            let recorder = recorded(&self.memory, program, &plan, rows, Scalars::default(), None)?;
            needs.scratch = needs.scratch.max(recorder.scratch_peak);
            needs.launches = needs.launches.max(recorder.launches);
        }
        Ok((plan, needs))
    }

    /// Checks that every arena buffer fits a binding.
    fn check_bindings(&self, program: &Program, plan: &Plan) -> Result<()> {
        let limit = self.memory.binding_limit;
        for (id, buffer) in program.buffers() {
            let bytes = plan.place(id).map_or(0, |place| (place.len as u64).saturating_mul(4));
            if bytes > limit {
                return Err(Error::OutOfMemory(format!("{}: {bytes} bytes in bindings of {limit}", buffer.name)));
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
        if staging_bytes(len) > self.staging.size() {
            self.staging = staging(&self.device, staging_bytes(len))?;
        }
        let range = (source, offset, bytes);
        self.flow.copy(&self.device, &self.pipelines, &self.memory, range, &self.staging, Some(bytes))?;
        self.flow.drain(&self.device)?;
        read_staging(&self.device, &self.staging, bytes)
    }
}

/// What running a program takes.
#[derive(Debug, Clone, Copy, Default)]
struct Needs {
    /// Values in the arena.
    arena: usize,
    /// Bytes of scratch.
    scratch: u64,
    /// Launches of a run.
    launches: usize,
}

/// All operations of a program, recorded.
fn recorded<'a>(
    memory: &'a Memory,
    program: &'a Program,
    plan: &'a Plan,
    rows: RowCounts,
    scalars: Scalars,
    compiler: Option<Compiler<'a>>,
) -> Result<Recorder<'a>> {
    let dispatches = Vec::new();
    let mut recorder = Recorder {
        compiler,
        memory,
        program,
        plan,
        rows,
        scalars,
        dispatches,
        launches: 0,
        scratch: 0,
        scratch_peak: 0,
    };
    for operation in program.operations() {
        operation.launch(&mut recorder)?;
        recorder.finish_operation();
    }
    Ok(recorder)
}

/// The row counts that choose between variants of kernels: everything that a run may need is compiled for these.
fn representative(capacity: RowCounts) -> [RowCounts; 2] {
    [capacity, RowCounts { tokens: capacity.tokens.min(1), selected: capacity.selected.min(1) }]
}

/// Bytes of the buffer by which `len` values and the guard word are read back.
fn staging_bytes(len: usize) -> u64 {
    (len as u64).saturating_mul(4).saturating_add(4)
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
        program.check_states(&self.state_lens)?;
        let (plan, needs) = self.needs(&program)?;
        let (index, rows) = (self.programs.len(), program.capacity);
        self.programs.push(Loaded { program, plan, groups: Groups::new(), rows });
        let loaded = self.prepare(index, rows, needs);
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
        let dispatches = self.record(id.0, run.rows, run.scalars)?;
        let between = self.between.as_ref().filter(|_| !self.programs[id.0].program.indivisible);
        self.flow.run(&self.device, &self.pipelines, &self.memory, &dispatches, between)
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

    fn lengthen(&mut self, states: &[StateId], len: usize) -> Result<()> {
        self.device.check()?;
        self.programs.clear();
        for state in states {
            let held = self.state_lens[state.0];
            check_longer(held, len)?;
            let longer = Memory::state_buffer(&self.device, "lengthened state", len)?;
            let source = self.memory.state[state.0].clone();
            self.flow.copy(
                &self.device,
                &self.pipelines,
                &self.memory,
                (&source, 0, held as u64 * 4),
                &longer,
                None,
            )?;
            // One at a time: the shorter one is freed before the next longer one is made.
            self.flow.drain(&self.device)?;
            self.memory.state[state.0] = longer;
            self.state_lens[state.0] = len;
        }
        self.device.check()
    }

    fn job_bytes(&self, job: &Job<'_>) -> Result<JobBytes> {
        let mut most = Needs::default();
        let mut read = job.states.iter().copied().max().unwrap_or(0).min(READ_LEN);
        for program in job.programs {
            let (_, needs) = self.needs(program)?;
            most.arena = most.arena.max(needs.arena);
            most.scratch = most.scratch.max(needs.scratch);
            most.launches = most.launches.max(needs.launches);
            let outputs = program.buffers().filter(|(_, buffer)| buffer.kind == Kind::Output);
            read = outputs.map(|(_, b)| program.capacity.of(b.rows) * b.width).fold(read, usize::max);
        }
        let state = job.states.iter().map(|&len| Device::rounded((len as u64).saturating_mul(4)));
        let staging = self.staging.size().max(Device::rounded(staging_bytes(read)));
        Ok(JobBytes {
            state: state.fold(0, u64::saturating_add) as usize,
            arena: most.arena.saturating_mul(4),
            working: (self.memory.working_bytes(most.scratch) + self.flow.bytes(most.launches) + staging) as usize,
        })
    }

    fn weight_bytes(&self) -> usize {
        self.memory.weights.bytes() as usize
    }

    fn device_bytes(&self) -> usize {
        (self.memory.bytes() + self.flow.bytes(0) + self.staging.size()) as usize
    }

    fn device(&self) -> String {
        self.device.description.clone()
    }
}

impl GpuExecutor {
    /// Makes room for program `index` and compiles everything that it may launch.
    fn prepare(&mut self, index: usize, capacity: RowCounts, needs: Needs) -> Result<()> {
        self.flow.reserve(&self.device, &self.pipelines, needs.launches)?;
        if self.memory.grow(&self.device, needs.arena, needs.scratch)? {
            // Bind groups name buffers that are gone; they are made again as they are needed.
            self.programs.iter_mut().for_each(|p| p.groups.clear());
        }
        for rows in representative(capacity) {
            self.record(index, rows, Scalars::default())?;
        }
        self.device.check()
    }
}
