//! The flow of submissions: parameters, the guard chain, how many are under way.
//!
//! The guard word holds the number of the last submission that ran to its end behind one that did: the last dispatch of
//! every submission advances it. So a submission that a driver drops, or leaves midway, and reports as done, is noticed
//! by whoever reads next, and by the optimizer's decision wherever it comes after.

use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::time::Instant;

use super::device::Device;
use super::kernel::{Kernel, PipelineId, Pipelines, SLOT};
use super::memory::{Binding, Memory, Place};
use super::pace::{Pace, Piece, Work};
use super::params::Header;
use super::recorder::Dispatch;
use super::wgsl::source;
use crate::error::{Error, Result};
use crate::executor::Between;

pub(super) static GUARD: Kernel<()> = Kernel::new("guard", &[source!("guard.wgsl")], &[]);

/// Dispatches that there is room for from the beginning.
const FIRST_SLOTS: u64 = 256;

/// Submissions under way at most: one runs while the next one waits.
const DEPTH: usize = 2;

/// Faults that tests inject.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// A submission ends before its end, as by a driver that reports a failed one as done.
    CutSubmission {
        /// Submissions that go through before it.
        after: u32,
        /// How many of its dispatches, or copies, run; the one that advances the guard never does.
        dispatches: u32,
    },
    /// The device is lost.
    LoseDevice {
        /// Submissions that go through before it.
        after: u32,
    },
}

/// A submission that may not have ended.
struct UnderWay {
    index: wgpu::SubmissionIndex,
    submitted: Instant,
    /// Seconds that submitting took: some drivers execute there.
    submitting: f64,
    work: Work,
}

pub(crate) struct Flow {
    pub pace: Pace,
    /// The number of the last submission.
    submission: u32,
    under_way: VecDeque<UnderWay>,
    last_ended: Instant,
    uniforms: wgpu::Buffer,
    uniform_group: wgpu::BindGroup,
    guard_pipeline: PipelineId,
    /// The submissions before the one that is cut, and how much of it runs.
    cutting: Option<(u32, u32)>,
    losing: Option<u32>,
}

impl Flow {
    pub fn new(device: &Device, pipelines: &mut Pipelines, pace: Pace) -> Result<Self> {
        let guard = Binding { place: Place::Guard, offset: 0, size: 16 };
        let guard_pipeline = pipelines.compile(device, &GUARD.shader, &[], &[guard, Memory::nothing(1)])?;
        let (uniforms, uniform_group) = uniforms(device, pipelines, FIRST_SLOTS)?;
        Ok(Self {
            pace,
            submission: 0,
            under_way: VecDeque::new(),
            last_ended: Instant::now(),
            uniforms,
            uniform_group,
            guard_pipeline,
            cutting: None,
            losing: None,
        })
    }

    /// Bytes of the parameter buffer, once it has room for runs of `launches` launches.
    pub fn bytes(&self, launches: usize) -> u64 {
        self.uniforms.size().max(slots_for(launches) * SLOT as u64)
    }

    /// Makes room for the parameters of runs of `launches` launches.
    pub fn reserve(&mut self, device: &Device, pipelines: &Pipelines, launches: usize) -> Result<()> {
        if slots_for(launches) * SLOT as u64 > self.uniforms.size() {
            (self.uniforms, self.uniform_group) = uniforms(device, pipelines, slots_for(launches))?;
        }
        Ok(())
    }

    /// The number that the guard must hold when everything so far has run.
    pub fn submission(&self) -> u32 {
        self.submission
    }

    pub fn inject(&mut self, device: &Device, fault: Fault) {
        match fault {
            Fault::CutSubmission { after, dispatches } => self.cutting = Some((after, dispatches)),
            Fault::LoseDevice { after: 0 } => device.wgpu.destroy(),
            Fault::LoseDevice { after } => self.losing = Some(after),
        }
    }

    /// Submits dispatches, cut by time; `between` is called before each submission and may end the run.
    pub fn run(
        &mut self,
        device: &Device,
        pipelines: &Pipelines,
        memory: &Memory,
        dispatches: &[Dispatch],
        between: Option<&Between>,
    ) -> Result<()> {
        let submissions = self.pace.cut(dispatches);
        let mut rest = &submissions[..];
        while !rest.is_empty() {
            let (part, others) = rest.split_at(self.submissions_with_room(rest));
            self.run_part(device, pipelines, memory, dispatches, part, between)?;
            rest = others;
        }
        Ok(())
    }

    /// How many of the first submissions the parameter buffer has room for at a time; at least one.
    fn submissions_with_room(&self, submissions: &[Vec<Piece>]) -> usize {
        let mut room = self.uniforms.size() / SLOT as u64;
        let fits = |pieces: &&Vec<Piece>| {
            let left = room.checked_sub(pieces.len() as u64 + 1);
            room = left.unwrap_or(0);
            left.is_some()
        };
        submissions.iter().take_while(fits).count().max(1)
    }

    /// Submissions whose parameters are written at a time.
    fn run_part(
        &mut self,
        device: &Device,
        pipelines: &Pipelines,
        memory: &Memory,
        dispatches: &[Dispatch],
        submissions: &[Vec<Piece>],
        between: Option<&Between>,
    ) -> Result<()> {
        let slots: usize = submissions.iter().map(|pieces| pieces.len() + 1).sum();
        let before = self.submission;
        self.write_parameters(device, pipelines, dispatches, submissions, slots)?;
        let mut first_slot = 0;
        for (number, pieces) in (0..).zip(submissions) {
            // Before `between` is asked, not after: what ends the run then ends it with one submission less under way.
            while self.under_way.len() >= DEPTH {
                self.wait_for_oldest(device, true)?;
            }
            if between.is_some_and(|between| between() == ControlFlow::Break(())) {
                // The chain goes on from the last link that was submitted.
                self.submission = before.wrapping_add(number);
                return Err(Error::Interrupted);
            }
            let cut = self.cut();
            let mut encoder = device.wgpu.create_command_encoder(&Default::default());
            let mut pass = encoder.begin_compute_pass(&Default::default());
            let mut bound = None;
            for (slot, piece) in (first_slot..).zip(pieces).take(cut.unwrap_or(pieces.len())) {
                let dispatch = &dispatches[piece.dispatch];
                if bound != Some(dispatch.pipeline) {
                    pass.set_pipeline(&pipelines.get(dispatch.pipeline).compute);
                    bound = Some(dispatch.pipeline);
                }
                pass.set_bind_group(0, &dispatch.group, &[]);
                pass.set_bind_group(1, &self.uniform_group, &[(slot * SLOT) as u32]);
                pass.dispatch_workgroups(piece.groups[0], piece.groups[1], 1);
            }
            if let (None, Some(last)) = (cut, pieces.last()) {
                let after = memory.buffer(dispatches[last.dispatch].writable);
                self.advance_guard(device, &mut pass, pipelines, memory, after, first_slot + pieces.len());
            }
            first_slot += pieces.len() + 1;
            drop(pass);
            self.submit(device, encoder, Work::of(dispatches, pieces));
            device.check()?;
        }
        Ok(())
    }

    /// Submits, as a link of the guard chain, a copy of `bytes` bytes of `source` from `offset` on to the beginning of
    /// `target`, and then of the guard word to its byte `guard_at` where that is wanted.
    pub fn copy(
        &mut self,
        device: &Device,
        pipelines: &Pipelines,
        memory: &Memory,
        (source, offset, bytes): (&wgpu::Buffer, u64, u64),
        target: &wgpu::Buffer,
        guard_at: Option<u64>,
    ) -> Result<()> {
        self.submission = self.submission.wrapping_add(1);
        let header = Header { first_x: 0, first_y: 0, submission: self.submission };
        device.queue.write_buffer(&self.uniforms, 0, bytemuck::bytes_of(&header));
        let cut = self.cut();
        let mut encoder = device.wgpu.create_command_encoder(&Default::default());
        if bytes > 0 && cut != Some(0) {
            encoder.copy_buffer_to_buffer(source, offset, target, 0, bytes);
        }
        if cut.is_none() {
            let mut pass = encoder.begin_compute_pass(&Default::default());
            self.advance_guard(device, &mut pass, pipelines, memory, source, 0);
            drop(pass);
            if let Some(guard_at) = guard_at {
                encoder.copy_buffer_to_buffer(&memory.guard, 0, target, guard_at, 4);
            }
        }
        self.submit(device, encoder, Work::default());
        device.check()
    }

    /// Waits for everything.
    pub fn drain(&mut self, device: &Device) -> Result<()> {
        while !self.under_way.is_empty() {
            self.wait_for_oldest(device, false)?;
        }
        Ok(())
    }

    /// Advances the guard behind all that was encoded, of which the last thing used `after`. Dispatches run side by side
    /// unless a buffer that both may write puts a barrier between them, which then holds for everything before it: so the
    /// guard's kernel binds that buffer too.
    fn advance_guard(
        &self,
        device: &Device,
        pass: &mut wgpu::ComputePass<'_>,
        pipelines: &Pipelines,
        memory: &Memory,
        after: &wgpu::Buffer,
        slot: usize,
    ) {
        let pipeline = pipelines.get(self.guard_pipeline);
        let entry = |binding, buffer| wgpu::BindGroupEntry {
            binding,
            resource: wgpu::BindingResource::Buffer(wgpu::BufferBinding {
                buffer,
                offset: 0,
                size: wgpu::BufferSize::new(16),
            }),
        };
        let group = device.wgpu.create_bind_group(&wgpu::BindGroupDescriptor {
            label: Some("guard"),
            layout: &pipeline.storage,
            entries: &[entry(0, &memory.guard), entry(1, after)],
        });
        pass.set_pipeline(&pipeline.compute);
        pass.set_bind_group(0, &group, &[]);
        pass.set_bind_group(1, &self.uniform_group, &[(slot * SLOT) as u32]);
        pass.dispatch_workgroups(1, 1, 1);
    }

    /// How much of the submission that is encoded now runs, where it is the one to be cut.
    fn cut(&mut self) -> Option<usize> {
        match self.cutting {
            Some((0, dispatches)) => {
                self.cutting = None;
                Some(dispatches as usize)
            }
            Some((after, dispatches)) => {
                self.cutting = Some((after - 1, dispatches));
                None
            }
            None => None,
        }
    }

    /// The parameters of several submissions in one write, before the first of them: the queue orders it behind those that
    /// still read what was there.
    fn write_parameters(
        &mut self,
        device: &Device,
        pipelines: &Pipelines,
        dispatches: &[Dispatch],
        submissions: &[Vec<Piece>],
        slots: usize,
    ) -> Result<()> {
        if (slots * SLOT) as u64 > self.uniforms.size() {
            // One submission in more pieces than its run has launches: a grid beyond what a dispatch may have.
            (self.uniforms, self.uniform_group) = uniforms(device, pipelines, slots as u64)?;
        }
        let mut bytes = vec![0; slots * SLOT];
        let mut slot = bytes.chunks_exact_mut(SLOT);
        for pieces in submissions {
            self.submission = self.submission.wrapping_add(1);
            let mut next = |[first_x, first_y]: [u32; 2], params: &[u8]| {
                if let Some(slot) = slot.next() {
                    let (header, rest) = slot.split_at_mut(size_of::<Header>());
                    header.copy_from_slice(bytemuck::bytes_of(&Header {
                        first_x,
                        first_y,
                        submission: self.submission,
                    }));
                    rest[..params.len()].copy_from_slice(params);
                }
            };
            for piece in pieces {
                next(piece.first, &dispatches[piece.dispatch].params);
            }
            next([0, 0], &[]);
        }
        if !bytes.is_empty() {
            device.queue.write_buffer(&self.uniforms, 0, &bytes);
        }
        Ok(())
    }

    fn submit(&mut self, device: &Device, encoder: wgpu::CommandEncoder, work: Work) {
        match self.losing {
            Some(0) => {
                self.losing = None;
                device.wgpu.destroy();
            }
            Some(after) => self.losing = Some(after - 1),
            None => {}
        }
        let submitted = Instant::now();
        let index = device.queue.submit([encoder.finish()]);
        let submitting = submitted.elapsed().as_secs_f64();
        self.under_way.push_back(UnderWay { index, submitted, submitting, work });
    }

    fn wait_for_oldest(&mut self, device: &Device, within_run: bool) -> Result<()> {
        let Some(oldest) = self.under_way.pop_front() else { return Ok(()) };
        let began = Instant::now();
        device.wait(Some(oldest.index))?;
        let now = Instant::now();
        let seconds = (now - oldest.submitted.max(self.last_ended)).as_secs_f64();
        self.last_ended = now;
        // A wait that came long after the end has measured the caller, not the device.
        let waited = (now - began).as_secs_f64() + oldest.submitting;
        let timely = within_run || waited > 0.1 * seconds;
        if timely || seconds < self.pace.seconds(&oldest.work) {
            self.pace.learn(&oldest.work, seconds);
        }
        Ok(())
    }
}

/// Room for `launches` launches, each a submission of its own before its link of the guard chain.
fn slots_for(launches: usize) -> u64 {
    2 * launches as u64
}

fn uniforms(device: &Device, pipelines: &Pipelines, slots: u64) -> Result<(wgpu::Buffer, wgpu::BindGroup)> {
    let usage = wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST;
    let buffer = device.buffer("parameters", slots * SLOT as u64, usage)?;
    let group = device.wgpu.create_bind_group(&wgpu::BindGroupDescriptor {
        label: Some("parameters"),
        layout: &pipelines.uniform,
        entries: &[wgpu::BindGroupEntry {
            binding: 0,
            resource: wgpu::BindingResource::Buffer(wgpu::BufferBinding {
                buffer: &buffer,
                offset: 0,
                size: wgpu::BufferSize::new(SLOT as u64),
            }),
        }],
    });
    Ok((buffer, group))
}

/// Reads what a copy left in `staging`: `bytes` bytes of it, then the guard word.
pub(crate) fn read_staging(device: &Device, staging: &wgpu::Buffer, bytes: u64) -> Result<(Vec<f32>, u32)> {
    let lost = |e: &dyn std::fmt::Display| device.fail(Error::DeviceLost(format!("reading back: {e}")));
    let slice = staging.slice(..bytes + 4);
    slice.map_async(wgpu::MapMode::Read, |_| {});
    device.wait(None)?;
    let view = slice.get_mapped_range().map_err(|e| lost(&e))?;
    let words: &[u32] = bytemuck::cast_slice(&view);
    let (values, guard) = words.split_at(bytes as usize / 4);
    let result = (bytemuck::cast_slice(values).to_vec(), guard[0]);
    drop(view);
    staging.unmap();
    Ok(result)
}
