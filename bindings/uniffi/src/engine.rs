//! The engine: one profile, one model.

use std::ops::ControlFlow;
use std::sync::Arc;

use idiolect::engine;
use idiolect::train::TextRow;

use crate::adapters::Adapters;
use crate::answers::{Evaluation, EvaluationText, GenerateOptions, Generation, Prompt, Suggestion};
use crate::cancel::CancelToken;
use crate::error::Result;
use crate::events::LearnEvent;
use crate::history::History;
use crate::learning::LearnSettings;
use crate::listeners::{LearnListener, TextListener};
use crate::options::EngineOptions;
use crate::profile::EraseReport;
use crate::report::LearnOutcome;
use crate::shared::Shared;
use crate::text_batches::TextBatches;

/// A profile with its model, ready to learn and to answer.
///
/// Calls may come from any thread and block until they are done. Answers are served while a training goes on. Freeing
/// the object does not end a call that is under way: [`Engine::shut_down`] does.
#[derive(uniffi::Object)]
pub struct Engine {
    shared: Arc<Shared>,
}

/// What an engine is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, uniffi::Enum)]
pub enum EngineState {
    /// Nothing, or answering.
    Idle,
    /// Training.
    Training {
        /// Steps taken.
        step: u64,
        /// In all; 0 while the history is read.
        steps: u64,
    },
    /// It was shut down or erased.
    Closed,
}

impl From<engine::EngineState> for EngineState {
    fn from(state: engine::EngineState) -> Self {
        match state {
            engine::EngineState::Idle => Self::Idle,
            engine::EngineState::Training { step, steps } => Self::Training { step: step as u64, steps: steps as u64 },
            engine::EngineState::Closed => Self::Closed,
        }
    }
}

#[uniffi::export]
impl Engine {
    /// Opens the profile. The model is opened with the first call that needs it.
    ///
    /// # Errors
    /// When the profile cannot be opened, or not with this key.
    #[uniffi::constructor]
    pub fn open(options: EngineOptions) -> Result<Arc<Self>> {
        let engine = idiolect::Engine::open(options.try_into()?)?;
        Ok(Arc::new(Self { shared: Arc::new(Shared::new(engine)) }))
    }

    /// Opens the model now, so that the first answer need not wait for it.
    ///
    /// # Errors
    /// When it cannot be opened, or the device cannot hold it.
    pub fn check(&self) -> Result<()> {
        Ok(self.shared.engine()?.check()?)
    }

    /// What the engine is doing.
    pub fn state(&self) -> EngineState {
        self.shared.engine().map_or(EngineState::Closed, |engine| engine.state().into())
    }

    /// What the person wrote.
    pub fn history(&self) -> Arc<History> {
        History::of(Arc::clone(&self.shared))
    }

    /// The adapters.
    pub fn adapters(&self) -> Arc<Adapters> {
        Adapters::of(Arc::clone(&self.shared))
    }

    /// Learns from the history: trains, measures, asks the gate. Goes on where an earlier call was paused or killed.
    /// Nothing changed since the last training: its report again.
    ///
    /// # Errors
    /// `TrainingBusy` while this or another process trains on the profile; what training, history and adapters refuse;
    /// `Listener` when the listener failed.
    pub fn train(
        &self,
        settings: LearnSettings,
        cancel: Arc<CancelToken>,
        listener: Arc<dyn LearnListener>,
    ) -> Result<LearnOutcome> {
        let engine = self.shared.engine()?;
        let mut heard = Ok(());
        let outcome = engine.train(&settings.into(), &cancel.inner, &mut |event| {
            if let (Ok(()), Some(event)) = (&heard, LearnEvent::of(event)) {
                heard = listener.on_event(event).inspect_err(|_| cancel.cancel());
            }
        });
        heard?;
        Ok(outcome?.into())
    }

    /// Continues a prompt with the adapter in use. Cancelled, it gives what there is so far.
    ///
    /// # Errors
    /// When the prompt is too long, an option is out of range, or the model cannot be opened; `Listener` when the
    /// listener failed.
    pub fn generate(
        &self,
        prompt: Prompt,
        options: GenerateOptions,
        cancel: Arc<CancelToken>,
        listener: Arc<dyn TextListener>,
    ) -> Result<Generation> {
        let engine = self.shared.engine()?;
        let mut batches = TextBatches::new(listener);
        let mut heard = Ok(());
        let generation = engine.generate(&prompt.into(), &options.into(), &cancel.inner, &mut |text| {
            heard = batches.add(text);
            if heard.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        });
        heard?;
        batches.flush()?;
        Ok(generation?.into())
    }

    /// The likeliest next words after a text, likeliest first.
    ///
    /// # Errors
    /// As for `generate`; `Cancelled` when it was cancelled.
    pub fn suggest(&self, prompt: String, count: u32, cancel: Arc<CancelToken>) -> Result<Vec<Suggestion>> {
        let suggestions = self.shared.engine()?.suggest(&prompt, count as usize, &cancel.inner)?;
        Ok(suggestions.into_iter().map(Into::into).collect())
    }

    /// The loss of texts under the model, with the adapter in use or without any.
    ///
    /// # Errors
    /// When no text carries loss, or it was cancelled.
    pub fn evaluate(
        &self,
        texts: Vec<EvaluationText>,
        with_adapter: bool,
        cancel: Arc<CancelToken>,
    ) -> Result<Evaluation> {
        let rows: Vec<TextRow> = texts.into_iter().map(Into::into).collect();
        Ok(self.shared.engine()?.evaluate(&rows, with_adapter, &cancel.inner)?.into())
    }

    /// Gives the model's memory back; a training under way pauses. The next call opens the model again.
    ///
    /// # Errors
    /// When the engine is shut down.
    pub fn unload(&self) -> Result<()> {
        Ok(self.shared.engine()?.unload()?)
    }

    /// Ends all work, waits for it and frees the model. A training under way leaves a checkpoint. Later calls fail.
    pub fn shut_down(&self) {
        if let Ok(engine) = self.shared.engine() {
            engine.close();
        }
    }

    /// Shuts the engine down and erases the profile: key, history, checkpoints, adapters.
    ///
    /// # Errors
    /// `Io` when a file cannot be removed; `TrainingBusy` when it is called from within a callback.
    pub fn erase(&self) -> Result<EraseReport> {
        Ok(self.shared.erase()?.into())
    }
}
