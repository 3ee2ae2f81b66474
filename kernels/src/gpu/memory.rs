//! What lies on the device: weights, state tensors, the arena, scratch; and ranges of them, as kernels bind them.

use std::sync::Arc;

use super::device::Device;
use super::weights::DeviceWeights;
use crate::error::Result;

/// One device buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Place {
    /// A shard of a matrix.
    Shard(usize),
    /// A frozen vector.
    Vector(usize),
    /// A state tensor.
    State(usize),
    /// A segment of the arena.
    Segment(usize),
    /// What an operation needs for itself.
    Scratch,
    /// The number of the last submission that ran to its end behind one that did.
    Guard,
    /// Bound where a kernel does not use a binding.
    Nothing,
}

/// A range of a device buffer, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Binding {
    pub place: Place,
    pub offset: u64,
    pub size: u64,
}

impl Binding {
    /// Whether shaders only read it. All else is bound read_write throughout: usage is tracked a whole buffer, and a
    /// read-only and a writable range of one buffer in one dispatch would not go together.
    pub fn is_frozen(&self) -> bool {
        matches!(self.place, Place::Shard(_) | Place::Vector(_))
    }
}

/// Ranges start at multiples of this many bytes.
pub(crate) const ALIGN: u64 = 256;

/// Ranges for bindings that are not used: distinct, so that no two writable ones overlap.
const NOTHINGS: u64 = 8;

/// The device's buffers.
pub(crate) struct Memory {
    pub weights: Arc<DeviceWeights>,
    pub state: Vec<wgpu::Buffer>,
    pub segments: Vec<wgpu::Buffer>,
    pub scratch: wgpu::Buffer,
    pub guard: wgpu::Buffer,
    nothing: wgpu::Buffer,
    /// Bytes a segment of the arena, and at most a binding.
    pub binding_limit: u64,
}

const STORAGE: wgpu::BufferUsages =
    wgpu::BufferUsages::STORAGE.union(wgpu::BufferUsages::COPY_SRC).union(wgpu::BufferUsages::COPY_DST);

impl Memory {
    pub fn new(device: &Device, weights: Arc<DeviceWeights>, binding_limit: u64) -> Result<Self> {
        Ok(Self {
            weights,
            state: Vec::new(),
            segments: Vec::new(),
            scratch: device.buffer("scratch", ALIGN, STORAGE)?,
            guard: device.buffer("guard", ALIGN, STORAGE)?,
            nothing: device.buffer("nothing", NOTHINGS * ALIGN, STORAGE)?,
            binding_limit,
        })
    }

    pub fn add_state(&mut self, device: &Device, name: &str, len: usize) -> Result<usize> {
        self.state.push(Self::state_buffer(device, name, len)?);
        Ok(self.state.len() - 1)
    }

    /// A buffer for a state tensor of `len` values, zeros at first.
    pub fn state_buffer(device: &Device, name: &str, len: usize) -> Result<wgpu::Buffer> {
        device.buffer(name, (len as u64).saturating_mul(4), STORAGE)
    }

    /// Frees state and arena.
    pub fn reset(&mut self) {
        self.state.clear();
        self.segments.clear();
    }

    /// Makes the arena hold `len` values, and scratch `scratch` bytes. Returns whether buffers were replaced.
    pub fn grow(&mut self, device: &Device, len: usize, scratch: u64) -> Result<bool> {
        let mut replaced = false;
        let bytes = (len as u64).saturating_mul(4);
        let arena: u64 = self.segments.iter().map(wgpu::Buffer::size).sum();
        if bytes > arena {
            // The old contents are dead: outputs can be read only until the next load.
            self.segments.clear();
            for start in (0..bytes).step_by(self.binding_limit as usize) {
                let size = (bytes - start).min(self.binding_limit);
                self.segments.push(device.buffer("arena", size, STORAGE)?);
            }
            replaced = true;
        }
        if scratch > self.scratch.size() {
            self.scratch = device.buffer("scratch", scratch, STORAGE)?;
            replaced = true;
        }
        Ok(replaced)
    }

    pub fn buffer(&self, place: Place) -> &wgpu::Buffer {
        match place {
            Place::Shard(i) => self.weights.shard_buffer(i),
            Place::Vector(i) => self.weights.vector_buffer(i),
            Place::State(i) => &self.state[i],
            Place::Segment(i) => &self.segments[i],
            Place::Scratch => &self.scratch,
            Place::Guard => &self.guard,
            Place::Nothing => &self.nothing,
        }
    }

    /// The unused range for the binding at `index`.
    pub fn nothing(index: usize) -> Binding {
        Binding { place: Place::Nothing, offset: index as u64 % NOTHINGS * ALIGN, size: ALIGN }
    }

    /// The range of the arena at value `offset`; it lies within one segment.
    pub fn arena(&self, offset: usize, len: usize) -> Binding {
        let start = offset as u64 * 4;
        Binding {
            place: Place::Segment((start / self.binding_limit) as usize),
            offset: start % self.binding_limit,
            size: (len as u64 * 4).next_multiple_of(16).max(16),
        }
    }

    /// Bytes of scratch and the small buffers, once scratch holds at least `scratch` bytes.
    pub fn working_bytes(&self, scratch: u64) -> u64 {
        self.scratch.size().max(Device::rounded(scratch)) + self.guard.size() + self.nothing.size()
    }

    /// Bytes of all buffers.
    pub fn bytes(&self) -> u64 {
        let all = self.state.iter().chain(&self.segments);
        all.map(wgpu::Buffer::size).sum::<u64>() + self.working_bytes(0) + self.weights.bytes()
    }
}
