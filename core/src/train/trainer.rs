//! Training steps: forward and backward of packed rows, then one optimizer step.

use std::borrow::Borrow;
use std::sync::Arc;
use std::time::Instant;

use idiolect_kernels::ProgramId;
use idiolect_kernels::program::{BufferId, RowCounts, Run, Scalars, StateId};

use super::options::TrainOptions;
use super::plan::TrainPlan;
use crate::adapter::{Adapter, Unfilled};
use crate::error::{Error, ErrorKind, Result};
use crate::eval::{Evaluation, Measured, Scorer, counts, token_inputs};
use crate::passes::LoraBinding;
use crate::passes::training::{AdamSettings, TrainInputs, TrainState, accumulate, update};
use crate::samples::{PackedRow, Sample, pack};
use crate::session::Session;

/// What one step did.
#[derive(Debug, Clone, PartialEq)]
pub struct StepReport {
    /// The step, from 1.
    pub step: usize,
    /// Mean loss of the step's supervised tokens before the update, nats.
    pub loss: f32,
    /// Norm of the gradient before clipping.
    pub grad_norm: f32,
    /// The learning rate.
    pub learning_rate: f32,
    /// Tokens that went through the model.
    pub tokens: usize,
    /// Of them, per second.
    pub tokens_per_second: f64,
    /// Bytes on the device.
    pub device_bytes: usize,
}

/// All that the steps to come depend on, beside the samples and the options: taking it up again goes on with the same
/// bits.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct TrainerState {
    /// Steps taken.
    pub steps: usize,
    /// The adapter's parameters.
    pub params: Vec<f32>,
    /// AdamW's first moments.
    pub first_moment: Vec<f32>,
    /// AdamW's second moments.
    pub second_moment: Vec<f32>,
}

/// A training under way.
pub struct Trainer<'s> {
    session: &'s mut Session,
    adapter: Unfilled,
    options: TrainOptions,
    row_tokens: usize,
    params: StateId,
    state: TrainState,
    accumulate: (ProgramId, TrainInputs),
    update: (ProgramId, BufferId),
    scorer: Option<Scorer>,
    lora: LoraBinding,
    steps_done: usize,
    total_steps: usize,
}

impl<'s> Trainer<'s> {
    /// Prepares the training of `adapter` over `total_steps` steps within `plan`.
    ///
    /// # Errors
    /// When an option is out of range, the adapter does not fit the model, or the device cannot hold the plan.
    pub fn new(
        session: &'s mut Session,
        adapter: Adapter,
        options: &TrainOptions,
        plan: &TrainPlan,
        total_steps: usize,
    ) -> Result<Self> {
        options.check()?;
        if adapter.layout().is_empty() {
            return Err(Error::new(ErrorKind::BadOption, "the adapter has no trainable parameter"));
        }
        session.start_job();
        let mut lora = session
            .bind(Some(&adapter))?
            .ok_or_else(|| Error::new(ErrorKind::BadOption, "an adapter at strength 0 learns nothing"))?;
        lora.dropout = adapter.config().dropout;
        let model = Arc::clone(session.model());
        let executor = session.executor();
        let len = lora.layout.len();
        let state = TrainState {
            grads: executor.add_state("gradients", len)?,
            first_moment: executor.add_state("first moment", len)?,
            second_moment: executor.add_state("second moment", len)?,
            total: executor.add_state("loss", 1)?,
        };
        let adam = AdamSettings { clip: options.clip, weight_decay: options.weight_decay, ..AdamSettings::default() };
        let (program, inputs) = accumulate(model.base(), &lora, state, &plan.shape);
        let accumulate = (executor.load(Arc::new(program))?, inputs);
        let (program, report) = update(&lora, state, &adam);
        let update = (executor.load(Arc::new(program))?, report);
        Ok(Self {
            session,
            // The device has the parameters now: the host need not hold them twice.
            adapter: adapter.without_params(),
            options: options.clone(),
            row_tokens: plan.row_tokens,
            params: lora.params,
            state,
            accumulate,
            update,
            scorer: None,
            lora: LoraBinding { dropout: 0.0, ..lora },
            steps_done: 0,
            total_steps,
        })
    }

    /// One optimizer step on `samples`, packed into rows; loss and gradient are the mean over all their supervised
    /// tokens.
    ///
    /// # Errors
    /// When no token carries loss, or loss or gradient are not finite (the adapter stays as it was), or the device fails.
    pub fn step<'a>(&mut self, samples: impl IntoIterator<Item = &'a Sample>) -> Result<StepReport> {
        self.step_rows(&pack(samples, self.row_tokens), |_| Ok(()))
    }

    /// One optimizer step on rows that are already packed; `with_gradients` sees the flat gradient before clipping.
    ///
    /// # Errors
    /// As [`Trainer::step`], and whatever `with_gradients` returns. A step that was cancelled has not been taken.
    pub fn step_rows(
        &mut self,
        rows: &[PackedRow],
        with_gradients: impl FnOnce(&mut Self) -> Result<()>,
    ) -> Result<StepReport> {
        let supervised = rows.iter().map(|row| row.targets.len()).sum();
        self.step_over(supervised, rows, with_gradients)
    }

    /// The same on rows that are made as they are needed; `supervised` tokens of them carry loss.
    pub(super) fn step_over<R: Borrow<PackedRow>>(
        &mut self,
        supervised: usize,
        rows: impl IntoIterator<Item = R>,
        with_gradients: impl FnOnce(&mut Self) -> Result<()>,
    ) -> Result<StepReport> {
        let taken = self.take_step(supervised, rows, with_gradients);
        if taken.as_ref().is_err_and(|error| error.kind() == ErrorKind::Cancelled) {
            self.clear_sums()?;
        }
        taken
    }

    /// Forgets the gradients and the loss of a step that was begun.
    fn clear_sums(&mut self) -> Result<()> {
        let zeros = vec![0.0; self.lora.layout.len()];
        let (grads, total) = (self.state.grads, self.state.total);
        let executor = self.session.executor();
        executor.write_state(grads, &zeros)?;
        Ok(executor.write_state(total, &[0.0])?)
    }

    fn take_step<R: Borrow<PackedRow>>(
        &mut self,
        supervised: usize,
        rows: impl IntoIterator<Item = R>,
        with_gradients: impl FnOnce(&mut Self) -> Result<()>,
    ) -> Result<StepReport> {
        let started = Instant::now();
        self.session.model().files().check_whole()?;
        if supervised == 0 {
            return Err(Error::new(ErrorKind::BadData, "no token of this step carries loss"));
        }
        let learning_rate = self.options.schedule.rate(self.steps_done, self.total_steps);
        let mut scalars = Scalars {
            loss_weight: 1.0 / supervised as f32,
            step: self.steps_done as u32 + 1,
            learning_rate,
            dropout_seed: 0,
        };
        let (program, inputs) = self.accumulate;
        let mut tokens = 0;
        for (number, row) in rows.into_iter().enumerate() {
            let row = row.borrow();
            tokens += row.ids.len();
            scalars.dropout_seed = self.dropout_seed(number);
            let mut values = token_inputs(inputs.tokens, row);
            values.extend([
                (inputs.reach, &row.packing.reach[..]),
                (inputs.selected, &row.selected[..]),
                (inputs.targets, &row.targets[..]),
            ]);
            self.session.executor().run(program, &Run { rows: counts(row), inputs: values, scalars })?;
        }
        with_gradients(self)?;
        let (program, report) = self.update;
        let executor = self.session.executor();
        executor.run(program, &Run { rows: Default::default(), inputs: Vec::new(), scalars })?;
        let values = executor.read(program, report)?;
        let [loss, grad_norm, applied] = values[..] else {
            return Err(Error::new(ErrorKind::Device, "the step's report has another size"));
        };
        if applied == 0.0 {
            let message =
                format!("step {}: loss {loss} and gradient norm {grad_norm} are not finite", self.steps_done + 1);
            return Err(Error::new(ErrorKind::NotFinite, message).with_hint("lower the learning rate"));
        }
        self.steps_done += 1;
        Ok(StepReport {
            step: self.steps_done,
            loss,
            grad_norm,
            learning_rate,
            tokens,
            tokens_per_second: tokens as f64 / started.elapsed().as_secs_f64(),
            device_bytes: self.session.device_bytes(),
        })
    }

    /// The gradients summed so far in this step, laid out as the adapter's parameters.
    ///
    /// # Errors
    /// When the device fails.
    pub fn gradients(&mut self) -> Result<Vec<f32>> {
        Ok(self.session.executor().read_state(self.state.grads)?)
    }

    /// Shows the arrays of [`TrainerState`] to `visit`, one after the other and in its order, so that only one is held.
    ///
    /// # Errors
    /// When the device fails, and whatever `visit` returns.
    pub fn visit_state(&mut self, visit: &mut dyn FnMut(&[f32]) -> Result<()>) -> Result<()> {
        for state in [self.params, self.state.first_moment, self.state.second_moment] {
            visit(&self.session.executor().read_state(state)?)?;
        }
        Ok(())
    }

    /// Goes on from `state`.
    ///
    /// # Errors
    /// When it belongs to an adapter of another shape, or the device fails.
    pub fn resume(&mut self, state: &TrainerState) -> Result<()> {
        let (params, moments) = (self.params, [self.state.first_moment, self.state.second_moment]);
        let executor = self.session.executor();
        executor.write_state(params, &state.params)?;
        executor.write_state(moments[0], &state.first_moment)?;
        executor.write_state(moments[1], &state.second_moment)?;
        self.steps_done = state.steps;
        self.clear_sums()
    }

    /// The loss of `samples` under the adapter as trained so far.
    ///
    /// # Errors
    /// When no token of theirs carries loss, a sample is longer than the training's rows, or the device fails.
    pub fn evaluate(&mut self, samples: &[Sample]) -> Result<Evaluation> {
        let mut measured = Measured::default();
        self.measure(samples, &mut measured, &mut |_| false)?;
        Ok(Evaluation::of(samples, measured.sums().to_vec()))
    }

    /// The same from where `measured` says on, until `leave` says to leave it there; whether all samples are done.
    pub(crate) fn measure(
        &mut self,
        samples: &[Sample],
        measured: &mut Measured,
        leave: &mut dyn FnMut(&Measured) -> bool,
    ) -> Result<bool> {
        let rows = pack(samples, self.row_tokens);
        if rows.iter().any(|row| row.ids.len() > self.row_tokens) {
            return Err(Error::new(ErrorKind::BadData, "a sample is longer than the training's rows"));
        }
        if rows.is_empty() {
            return Err(Error::new(ErrorKind::BadData, "no token of the samples carries loss"));
        }
        let scorer = match self.scorer.take() {
            Some(scorer) => scorer,
            None => {
                let capacity = RowCounts { tokens: self.row_tokens, selected: self.row_tokens };
                Scorer::load(self.session, Some(&self.lora), capacity)?
            }
        };
        let executor = self.session.executor();
        let done = measured.go_on(&rows, samples.len(), leave, |row, sums| scorer.add(executor, row, sums));
        self.scorer = Some(scorer);
        done
    }

    /// The adapter's parameters as trained so far.
    ///
    /// # Errors
    /// When the device fails.
    pub fn params(&mut self) -> Result<Vec<f32>> {
        Ok(self.session.executor().read_state(self.params)?)
    }

    /// The adapter as trained so far.
    ///
    /// # Errors
    /// When the device fails.
    pub fn adapter(&mut self) -> Result<Adapter> {
        let params = self.params()?;
        self.adapter.with_params(params)
    }

    /// The trained adapter; what the training held on the device is freed.
    ///
    /// # Errors
    /// When the device fails.
    pub fn finish(mut self) -> Result<Adapter> {
        let adapter = self.adapter()?;
        self.session.start_job();
        Ok(adapter)
    }

    /// A seed for the dropout masks of one row of one step.
    fn dropout_seed(&self, row: usize) -> u32 {
        let mut random = crate::random::Random::new(self.options.seed ^ ((self.steps_done as u64) << 20) ^ row as u64);
        random.next_u64() as u32
    }
}
