//! A model on a device. Jobs (a training, an evaluation, a generation) borrow the session one at a time; each declares
//! its state and programs anew, so that memory holds what the present job needs and nothing else.

use std::ops::ControlFlow;
use std::sync::Arc;

use idiolect_kernels::{Between, Executor, Job, JobBytes};

use crate::adapter::Adapter;
use crate::device::{self, DeviceChoice, DeviceInfo};
use crate::error::Result;
use crate::model::Model;
use crate::passes::LoraBinding;
use crate::trace::{self, Event};

/// A model whose weights are on a device.
pub struct Session {
    model: Arc<Model>,
    executor: Box<dyn Executor>,
    device: DeviceInfo,
    between: Option<Between>,
}

impl Session {
    /// Puts `model` on the chosen device.
    ///
    /// # Errors
    /// When the device is missing or cannot hold the model, or the model's files were cut since they were opened.
    pub fn new(model: Arc<Model>, choice: DeviceChoice) -> Result<Self> {
        Self::with_threads(model, choice, 0)
    }

    /// The same with a number of CPU threads; 0 means one a core. Results do not depend on it.
    ///
    /// # Errors
    /// As [`Session::new`].
    pub fn with_threads(model: Arc<Model>, choice: DeviceChoice, threads: usize) -> Result<Self> {
        model.files().check_whole()?;
        let (executor, device) = device::open(choice, &model.base().weights, threads)?;
        let DeviceInfo { kind, name, reason, threads } = &device;
        trace::tell(Event::DeviceOpened { kind: kind.name(), name, reason, threads: *threads });
        Ok(Self { model, executor, device, between: None })
    }

    /// Another session on the same device and weights, for a second job at the same time.
    ///
    /// # Errors
    /// When the device was lost or is full.
    pub fn sibling(&self) -> Result<Self> {
        let (model, executor, device) = (Arc::clone(&self.model), self.executor.sibling()?, self.device.clone());
        Ok(Self { model, executor, device, between: None })
    }

    /// The same session, whose device was chosen for another reason than that it was asked for.
    pub(crate) fn chosen_because(mut self, reason: &str) -> Self {
        reason.clone_into(&mut self.device.reason);
        self
    }

    /// Has `between` called every few tens of milliseconds while a job runs. `Break` ends the job's call with
    /// [`ErrorKind::Cancelled`](crate::ErrorKind::Cancelled).
    pub fn set_between(&mut self, between: Option<Between>) {
        self.executor.set_between(between.clone());
        self.between = between;
    }

    /// Calls `between` where a job works for long without its device.
    ///
    /// # Errors
    /// [`ErrorKind::Cancelled`](crate::ErrorKind::Cancelled) where it ends the job.
    pub(crate) fn give_way(&self) -> Result<()> {
        match self.between.as_ref().map(|between| between()) {
            Some(ControlFlow::Break(())) => Err(idiolect_kernels::Error::Interrupted.into()),
            _ => Ok(()),
        }
    }

    pub(crate) fn lose_device_after(&mut self, submissions: u32) {
        self.executor.lose_device_after(submissions);
    }

    /// The model.
    pub fn model(&self) -> &Arc<Model> {
        &self.model
    }

    /// The device and why it was chosen.
    pub fn device(&self) -> &DeviceInfo {
        &self.device
    }

    /// The bytes that a job would take here beside the weights; nothing is allocated.
    ///
    /// # Errors
    /// When the device cannot hold one of its buffers in a piece.
    pub(crate) fn job_bytes(&self, job: &Job<'_>) -> Result<JobBytes> {
        Ok(self.executor.job_bytes(job)?)
    }

    /// Bytes of the weights as the device holds them.
    pub(crate) fn weight_bytes(&self) -> usize {
        self.executor.weight_bytes()
    }

    /// Bytes held on the device, weights included.
    pub fn device_bytes(&self) -> usize {
        self.executor.device_bytes()
    }

    /// Ends the job before and starts a new one.
    pub(crate) fn start_job(&mut self) -> &mut dyn Executor {
        self.executor.reset();
        &mut *self.executor
    }

    pub(crate) fn executor(&mut self) -> &mut dyn Executor {
        &mut *self.executor
    }

    /// Puts an adapter's parameters on the device, for a job that only reads them.
    pub(crate) fn bind(&mut self, adapter: Option<&Adapter>) -> Result<Option<LoraBinding>> {
        self.model.files().check_whole()?;
        let Some(adapter) = adapter.filter(|adapter| !adapter.layout().is_empty() && adapter.strength() > 0.0) else {
            return Ok(None);
        };
        adapter.check_fits(&self.model)?;
        let params = self.executor.add_state("adapter", adapter.layout().len())?;
        self.executor.write_state(params, adapter.params())?;
        let mut layout = adapter.layout().clone();
        layout.scale *= adapter.strength();
        Ok(Some(LoraBinding { layout, params, dropout: 0.0 }))
    }
}
