//! The one thread that owns device and model.

use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use cpu_time::ProcessTime;

use super::EngineOptions;
use super::device_use::DeviceUse;
use super::faults::Faults;
use super::queue::{Answer, NAP, Next, Queue, closed};
use super::serving::Serving;
use crate::device::{DeviceChoice, DeviceKind};
use crate::error::{ErrorKind, Result};
use crate::model::{Model, ModelSource};
use crate::policy::DutyCycle;
use crate::profile::Profile;
use crate::registry::Registry;
use crate::session::Session;

/// Runs on its own thread until it is closed.
pub(super) struct Worker {
    model: ModelSource,
    context: Option<usize>,
    pub device: DeviceUse,
    faults: Faults,
    duty: Option<Arc<Mutex<DutyCycle>>>,
    profile: Arc<Profile>,
    registry: Registry,
    pub queue: Arc<Queue>,
    loaded: Option<Loaded>,
}

/// The model on its device, twice: for long work and for answers.
struct Loaded {
    session: Session,
    serving: Arc<Mutex<Serving>>,
}

impl Worker {
    pub fn new(
        options: EngineOptions,
        faults: Faults,
        duty: Option<DutyCycle>,
        profile: Arc<Profile>,
        registry: Registry,
        queue: Arc<Queue>,
    ) -> Self {
        let device = DeviceUse::new(options.device, options.threads, queue.cpu_fallback);
        let duty = duty.map(|duty| Arc::new(Mutex::new(duty)));
        let EngineOptions { model, context, .. } = options;
        Self { model, context, device, faults, duty, profile, registry, queue, loaded: None }
    }

    /// Works until the queue is closed.
    pub fn run(mut self) {
        loop {
            match self.queue.next() {
                Next::Close => return,
                Next::Unload => {
                    self.loaded = None;
                    self.device.forget_losses();
                    self.queue.note_unloaded();
                }
                Next::Device(choice) => self.use_device(choice),
                // A panic is a defect of ours; the caller gets an error, and the next call a new model.
                Next::Answer(answer) => {
                    if catch_unwind(AssertUnwindSafe(|| self.answer(answer))).is_err() {
                        self.loaded = None;
                    }
                }
                Next::Task(task) => {
                    if catch_unwind(AssertUnwindSafe(|| task(&mut self))).is_err() {
                        self.loaded = None;
                    }
                }
            }
        }
    }

    fn answer(&mut self, answer: Answer) {
        match self.load() {
            Ok(loaded) => {
                let serving = Arc::clone(&loaded.serving);
                let kind = loaded.session.device().kind;
                serve(&serving, answer);
                if lock(&serving).has_failed() {
                    self.device_lost();
                } else {
                    self.device.worked(kind);
                }
            }
            Err(error) => answer(Err(error)),
        }
    }

    fn load(&mut self) -> Result<&mut Loaded> {
        if self.loaded.is_none() {
            let model = self.profile.open_model(self.model.clone())?;
            let model = match self.context {
                Some(context) => model.with_context(context)?,
                None => model,
            };
            let mut session = self.device.open(Arc::new(model))?;
            let mut answering = session.sibling()?;
            if session.device().kind == DeviceKind::Gpu {
                for (session, losses) in
                    [(&mut session, &mut self.faults.long_work_after), (&mut answering, &mut self.faults.answers_after)]
                {
                    if let Some(submissions) = losses.pop_front() {
                        session.lose_device_after(submissions);
                    }
                }
            }
            let serving = Serving::new(answering, self.registry.clone(), Arc::clone(&self.queue));
            self.loaded = Some(Loaded { session, serving: Arc::new(Mutex::new(serving)) });
        }
        self.loaded.as_mut().ok_or_else(closed)
    }

    /// The model, opened where it is not.
    pub fn model(&mut self) -> Result<Arc<Model>> {
        Ok(Arc::clone(self.load()?.session.model()))
    }

    /// Uses another device from now on, or tries the same one again.
    fn use_device(&mut self, choice: DeviceChoice) {
        self.device.ask(choice);
        self.loaded = None;
    }

    /// Does what was ordered of devices while long work was under way.
    pub fn change_device(&mut self) {
        if let Some(choice) = self.queue.take_device() {
            self.use_device(choice);
        }
    }

    /// Begins with the device that was asked for, whatever was lost in earlier work.
    pub fn retry_device(&mut self) {
        if self.device.is_given_up() {
            self.loaded = None;
        }
        self.device.forget_losses();
    }

    /// Drops the model: what its device holds is not known any more.
    fn device_lost(&mut self) {
        self.loaded = None;
        self.device.lost();
    }

    /// Does long work on the session. Answers are served meanwhile; `ends` says when it has to end.
    pub fn long_work<T>(
        &mut self,
        ends: impl Fn() -> bool + Send + Sync + 'static,
        work: impl FnOnce(&mut Session) -> Result<T>,
    ) -> Result<T> {
        let (queue, duty) = (Arc::clone(&self.queue), self.duty.clone());
        let loaded = self.load()?;
        let kind = loaded.session.device().kind;
        let serving = Arc::clone(&loaded.serving);
        let between = move || {
            loop {
                // Between any two answers as well: however many wait, work that has to end does.
                if ends() || queue.ends_work() {
                    return ControlFlow::Break(());
                }
                if let Some(answer) = queue.next_answer() {
                    serve(&serving, answer);
                    continue;
                }
                let rest = duty.as_ref().map_or(Duration::ZERO, |duty| owed_rest(duty));
                if rest.is_zero() {
                    return ControlFlow::Continue(());
                }
                std::thread::sleep(rest.min(NAP));
            }
        };
        loaded.session.set_between(Some(Arc::new(between)));
        let done = work(&mut loaded.session);
        loaded.session.set_between(None);
        match &done {
            Ok(_) => self.device.worked(kind),
            Err(error) if error.kind() == ErrorKind::Device => self.device_lost(),
            Err(_) => {}
        }
        done
    }
}

/// How long the duty cycle wants a rest now.
fn owed_rest(duty: &Mutex<DutyCycle>) -> Duration {
    static BEGAN: OnceLock<Instant> = OnceLock::new();
    let now = BEGAN.get_or_init(Instant::now).elapsed();
    duty.lock().unwrap_or_else(PoisonError::into_inner).rest(now, ProcessTime::now().as_duration())
}

fn lock(serving: &Mutex<Serving>) -> MutexGuard<'_, Serving> {
    serving.lock().unwrap_or_else(PoisonError::into_inner)
}

fn serve(serving: &Mutex<Serving>, answer: Answer) {
    answer(Ok(&mut lock(serving)));
}
