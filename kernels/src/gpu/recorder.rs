//! What an operation sees while it is launched: the buffers of its program as bindings, and a list of dispatches to
//! append to.
//!
//! Operations are launched anew for every run, since row counts and scalars change; pipelines and bind groups come
//! from caches that loading fills.

use std::collections::HashMap;

use super::device::Device;
use super::kernel::{Kernel, PipelineId, Pipelines, Shader};
use super::memory::{ALIGN, Binding, Memory, Place};
use super::params::{Params, PerItem, count, params};
use super::wgsl::source;
use crate::error::{Error, Result};
use crate::program::{BufferId, Kind, Plan, Program, RowCounts, Scalars, VectorId};

params! {
    pub(super) struct ZeroParams {
        len: u32,
    }
}

pub(super) static ZERO: Kernel<ZeroParams> = Kernel::new("zero", &[source!("zero.wgsl")], &[]);

/// A program's bind groups.
pub(crate) type Groups = HashMap<(PipelineId, Vec<Binding>), wgpu::BindGroup>;

/// One call of a kernel.
pub(crate) struct Launch<'a, P: 'static> {
    pub kernel: &'static Kernel<P>,
    /// Values of its pipeline constants.
    pub constants: &'a [(&'static str, u32)],
    /// Group 0.
    pub bindings: &'a [Binding],
    /// `Params` behind its header.
    pub params: P,
    /// Workgroups. Each writes its own part of the output, so that a grid can be dispatched in pieces.
    pub grid: [usize; 2],
    /// Floating-point operations or bytes moved, whichever dominates; times are estimated from it.
    pub work: f64,
}

/// A launch, compiled.
pub(crate) struct Dispatch {
    pub pipeline: PipelineId,
    pub group: wgpu::BindGroup,
    /// A buffer that it may write: what binds it next waits for this dispatch.
    pub writable: Place,
    pub params: Vec<u8>,
    pub grid: [u32; 2],
    pub work: f64,
}

/// What launches become dispatches with.
pub(super) struct Compiler<'a> {
    pub device: &'a Device,
    pub pipelines: &'a mut Pipelines,
    pub groups: &'a mut Groups,
}

/// Records the dispatches of a run.
pub struct Recorder<'a> {
    /// Without one nothing is compiled: launches and scratch are only measured.
    pub(super) compiler: Option<Compiler<'a>>,
    pub(super) memory: &'a Memory,
    pub(super) program: &'a Program,
    pub(super) plan: &'a Plan,
    pub(super) rows: RowCounts,
    pub(super) scalars: Scalars,
    pub(super) dispatches: Vec<Dispatch>,
    pub(super) launches: usize,
    /// Bytes of scratch that the operation has taken so far, and the most that any has.
    pub(super) scratch: u64,
    pub(super) scratch_peak: u64,
}

impl<'a> Recorder<'a> {
    /// Frozen weights, and what bindings need to know.
    pub(crate) fn memory(&self) -> &'a Memory {
        self.memory
    }
}

impl Recorder<'_> {
    /// Live rows of a buffer.
    pub(crate) fn rows(&self, id: BufferId) -> usize {
        self.rows.of(self.program.buffer(id).rows)
    }

    /// Values a row of a buffer.
    pub(crate) fn width(&self, id: BufferId) -> usize {
        self.program.buffer(id).width
    }

    /// A frozen vector, and how many values it has.
    pub(crate) fn vector(&self, id: VectorId) -> (Binding, usize) {
        (self.memory.weights.vector(id), self.memory.weights.shapes.vector_len(id))
    }

    /// Live values of a buffer.
    pub(crate) fn len(&self, id: BufferId) -> usize {
        self.rows(id) * self.width(id)
    }

    /// Numbers of this run.
    pub(crate) fn scalars(&self) -> Scalars {
        self.scalars
    }

    /// Values that one binding can hold.
    pub(crate) fn binding_len(&self) -> usize {
        (self.memory.binding_limit / 4) as usize
    }

    /// A whole buffer.
    pub(crate) fn buffer(&self, id: BufferId) -> Result<Binding> {
        self.range(id, 0, self.program.capacity.of(self.program.buffer(id).rows) * self.width(id)).map(|(b, _)| b)
    }

    /// Several whole buffers.
    pub(crate) fn buffers<const N: usize>(&self, ids: [BufferId; N]) -> Result<[Binding; N]> {
        let mut bindings = [Memory::nothing(0); N];
        for (binding, id) in bindings.iter_mut().zip(ids) {
            *binding = self.buffer(id)?;
        }
        Ok(bindings)
    }

    /// The `len` values of a buffer from value `start` on, and how many values into the binding they start.
    pub(crate) fn range(&self, id: BufferId, start: usize, len: usize) -> Result<(Binding, u32)> {
        let buffer = self.program.buffer(id);
        let aligned = (start as u64 * 4) / ALIGN * ALIGN;
        let remainder = (start as u64 * 4 - aligned) / 4;
        let mut binding = match (buffer.kind, self.plan.place(id)) {
            (Kind::State(state), _) => Binding { place: Place::State(state.0), offset: 0, size: 0 },
            (_, Some(place)) => self.memory.arena(place.offset, 0),
            (_, None) => return Err(Error::Shape(format!("{} has no place", buffer.name))),
        };
        binding.offset += aligned;
        binding.size = ((len as u64 + remainder) * 4).next_multiple_of(16).max(16);
        if binding.size > self.memory.binding_limit {
            return Err(Error::OutOfMemory(format!("{}: {} bytes in one binding", buffer.name, binding.size)));
        }
        Ok((binding, remainder as u32))
    }

    /// `bytes` of memory of the operation's own, until its last dispatch.
    pub(crate) fn scratch(&mut self, bytes: usize) -> Result<Binding> {
        let offset = self.scratch;
        self.scratch += (bytes as u64).max(16).next_multiple_of(ALIGN);
        if self.scratch > self.memory.binding_limit {
            return Err(Error::OutOfMemory(format!("scratch: {} bytes in one binding", self.scratch)));
        }
        self.scratch_peak = self.scratch_peak.max(self.scratch);
        if self.compiler.is_some() && self.scratch > self.memory.scratch.size() {
            return Err(Error::OutOfMemory("more scratch than the program was loaded with".to_owned()));
        }
        Ok(Binding { place: Place::Scratch, offset, size: (bytes as u64).max(16).next_multiple_of(16) })
    }

    /// The guard word.
    pub(crate) fn guard(&self) -> Binding {
        Binding { place: Place::Guard, offset: 0, size: 16 }
    }

    /// Appends a launch. A launch over nothing is left out.
    pub(crate) fn launch<P: Params>(&mut self, launch: Launch<'_, P>) -> Result<()> {
        let Launch { kernel, constants, bindings, params, grid, work } = launch;
        self.record(&kernel.shader, constants, bindings, bytemuck::bytes_of(&params), grid, work)
    }

    fn record(
        &mut self,
        shader: &'static Shader,
        constants: &[(&'static str, u32)],
        bindings: &[Binding],
        params: &[u8],
        grid: [usize; 2],
        work: f64,
    ) -> Result<()> {
        if grid.contains(&0) {
            return Ok(());
        }
        let (Ok(x), Ok(y)) = (u32::try_from(grid[0]), u32::try_from(grid[1])) else {
            return Err(Error::Shape(format!("{}: a grid of {grid:?}", shader.name)));
        };
        self.launches += 1;
        let Some(compiler) = &mut self.compiler else { return Ok(()) };
        let (pipeline, group) = compiler.compile(shader, constants, bindings, self.memory)?;
        let writable = bindings.iter().find(|binding| !binding.is_frozen());
        let writable = writable.map_or(Place::Nothing, |binding| binding.place);
        self.dispatches.push(Dispatch { pipeline, group, writable, params: params.to_vec(), grid: [x, y], work });
        Ok(())
    }

    /// Appends a kernel with a thread for each item, 64 a workgroup.
    pub(crate) fn each<P: PerItem>(
        &mut self,
        kernel: &'static Kernel<P>,
        constants: &[(&'static str, u32)],
        bindings: &[Binding],
        params: P,
        work_per_item: f64,
    ) -> Result<()> {
        let (grid, work) = ([1, params.items().div_ceil(64) as usize], work_per_item * f64::from(params.items()));
        self.launch(Launch { kernel, constants, bindings, params, grid, work })
    }

    /// Zeroes the live rows of a buffer.
    pub(crate) fn zero(&mut self, id: BufferId) -> Result<()> {
        let binding = self.buffer(id)?;
        self.each(&ZERO, &[], &[binding], ZeroParams { len: count(self.len(id))? }, 4.0)
    }

    /// Ends an operation: its scratch is free again.
    pub(super) fn finish_operation(&mut self) {
        self.scratch = 0;
    }
}

impl Compiler<'_> {
    fn compile(
        &mut self,
        shader: &'static Shader,
        constants: &[(&'static str, u32)],
        bindings: &[Binding],
        memory: &Memory,
    ) -> Result<(PipelineId, wgpu::BindGroup)> {
        let pipeline = self.pipelines.compile(self.device, shader, constants, bindings)?;
        let key = (pipeline, bindings.to_vec());
        if let Some(group) = self.groups.get(&key) {
            return Ok((pipeline, group.clone()));
        }
        let group = self.bind(pipeline, bindings, memory);
        self.device.check()?;
        self.groups.insert(key, group.clone());
        Ok((pipeline, group))
    }

    fn bind(&self, pipeline: PipelineId, bindings: &[Binding], memory: &Memory) -> wgpu::BindGroup {
        let entries: Vec<_> = (0..)
            .zip(bindings)
            .map(|(binding, range)| wgpu::BindGroupEntry {
                binding,
                resource: wgpu::BindingResource::Buffer(wgpu::BufferBinding {
                    buffer: memory.buffer(range.place),
                    offset: range.offset,
                    size: wgpu::BufferSize::new(range.size),
                }),
            })
            .collect();
        let pipeline = self.pipelines.get(pipeline);
        self.device.wgpu.create_bind_group(&wgpu::BindGroupDescriptor {
            label: Some(pipeline.name),
            layout: &pipeline.storage,
            entries: &entries,
        })
    }
}
