//! The device: creation, errors, waiting.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::adapter::Adapter;
use crate::error::{Error, Result};

/// How long a wait for the GPU may take before the device counts as lost. Submissions are cut to a fraction of a
/// second; software adapters are slow on large dispatches.
const PATIENCE: Duration = Duration::from_secs(60);

/// The first thing that went wrong, kept for the caller: wgpu reports errors to callbacks.
type Fault = Arc<Mutex<Option<Error>>>;

/// A wgpu device and its queue. No error of theirs panics: [`Device::check`] tells. A clone is the same device.
#[derive(Clone)]
pub(crate) struct Device {
    pub wgpu: wgpu::Device,
    pub queue: wgpu::Queue,
    pub description: String,
    fault: Fault,
}

impl Device {
    /// Opens the adapter, for buffers of at most `buffer_limit` bytes.
    pub fn new(adapter: &Adapter, buffer_limit: u64) -> Result<Self> {
        let description = adapter.description();
        let limits = adapter.limits();
        let limits = wgpu::Limits { max_buffer_size: limits.max_buffer_size.min(buffer_limit), ..limits };
        let (wgpu, queue) = pollster::block_on(adapter.wgpu.request_device(&wgpu::DeviceDescriptor {
            label: Some("idiolect"),
            required_limits: limits,
            memory_hints: wgpu::MemoryHints::MemoryUsage,
            ..Default::default()
        }))
        .map_err(|e| Error::NoDevice(format!("{description}: {e}")))?;
        let fault = Fault::default();
        let on_error = fault.clone();
        wgpu.on_uncaptured_error(Arc::new(move |error| {
            keep_first(
                &on_error,
                match error {
                    wgpu::Error::OutOfMemory { .. } => Error::OutOfMemory("the GPU's memory is full".to_owned()),
                    other => Error::DeviceLost(other.to_string()),
                },
            );
        }));
        let on_loss = fault.clone();
        wgpu.set_device_lost_callback(move |reason, message| {
            keep_first(&on_loss, Error::DeviceLost(format!("lost ({reason:?}) {message}")));
        });
        Ok(Self { wgpu, queue, description, fault })
    }

    /// The first error so far. A device that failed once stays failed: what its memory holds is not known.
    pub fn check(&self) -> Result<()> {
        match &*self.fault.lock().unwrap_or_else(PoisonError::into_inner) {
            None => Ok(()),
            Some(error) => Err(error.clone()),
        }
    }

    /// Marks the device as failed.
    pub fn fail(&self, error: Error) -> Error {
        keep_first(&self.fault, error.clone());
        error
    }

    /// Forgets the first error, and returns it.
    pub fn take_fault(&self) -> Option<Error> {
        self.fault.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// The size of a buffer that is asked for with `bytes` bytes.
    pub fn rounded(bytes: u64) -> u64 {
        bytes.max(SMALLEST).checked_next_multiple_of(SMALLEST).unwrap_or(u64::MAX)
    }

    /// A buffer of at least `bytes` bytes, zeroed.
    pub fn buffer(&self, label: &str, bytes: u64, usage: wgpu::BufferUsages) -> Result<wgpu::Buffer> {
        let limit = self.wgpu.limits().max_buffer_size;
        if bytes > limit {
            return Err(Error::OutOfMemory(format!("{label}: {bytes} bytes, and a buffer holds {limit} at most")));
        }
        let descriptor =
            wgpu::BufferDescriptor { label: Some(label), size: Self::rounded(bytes), usage, mapped_at_creation: false };
        // A refusal for want of memory leaves the device whole: it goes to this scope, not to `fault`.
        let scope = self.wgpu.push_error_scope(wgpu::ErrorFilter::OutOfMemory);
        let buffer = self.wgpu.create_buffer(&descriptor);
        match pollster::block_on(scope.pop()) {
            Some(_) => Err(Error::OutOfMemory(format!("{label}: {bytes} bytes"))),
            None => self.check().map(|()| buffer),
        }
    }

    /// Waits for a submission, or for all.
    pub fn wait(&self, submission: Option<wgpu::SubmissionIndex>) -> Result<()> {
        let poll = wgpu::PollType::Wait { submission_index: submission, timeout: Some(PATIENCE) };
        // wgpu panics where a wait meets a lost device.
        match catch_unwind(AssertUnwindSafe(|| self.wgpu.poll(poll))) {
            Ok(Ok(_)) => self.check(),
            Ok(Err(error)) => Err(self.fail(Error::DeviceLost(format!("while waiting: {error}")))),
            Err(_) => Err(self.fail(Error::DeviceLost("lost while waiting".to_owned()))),
        }
    }
}

/// Bytes of the smallest buffer: what a `vec4` binding needs, and the alignment of every range that is bound.
const SMALLEST: u64 = 256;

fn keep_first(fault: &Fault, error: Error) {
    fault.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
}
