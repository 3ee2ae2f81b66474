//! The engine: one profile, one model.

use std::path::Path;
use std::sync::Arc;

use idiolect::samples::TextRow;
use idiolect::{engine, personalize};

use crate::adapters::Adapters;
use crate::answers::{
    AdapterWeight, Evaluation, EvaluationText, GenerateOptions, Generation, Prompt, Score, SuggestOptions, Suggestion,
    chosen,
};
use crate::attendance::{self, AttendListener, AttendSettings, Attendance};
use crate::cancel::CancelToken;
use crate::conversation::{Conversation, ConversationOptions};
use crate::error::Result;
use crate::events::LearnEvent;
use crate::history::History;
use crate::key_store::{KeyStore, key_source};
use crate::learning::{GateSettings, LearnSettings};
use crate::listeners::{LearnListener, TextListener};
use crate::mirror::mirror;
use crate::model::{DeviceInfo, ModelInfo};
use crate::options::{DeviceChoice, EngineOptions};
use crate::plan::TrainingPlan;
use crate::policy::DeviceSignals;
use crate::profile::{ArchivedProfile, EraseReport};
use crate::report::{LearnOutcome, LearnReport};
use crate::status::ProfileStatus;
use crate::text_batches::batched;

/// A profile with its model, ready to learn and to answer.
///
/// Calls may come from any thread and block until they are done. Answers are served while a training goes on. Freeing
/// the object does not end a call that is under way: shutting it down does.
#[derive(uniffi::Object)]
pub struct Engine {
    inner: Arc<idiolect::Engine>,
}

mirror! {
    /// What an engine is doing.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, uniffi::Enum)]
    pub enum EngineState from engine::EngineState {
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
}

#[uniffi::export]
impl Engine {
    /// Opens the profile, by the key of the options or by the app's key store. The model is opened with the first call
    /// that needs it.
    ///
    /// # Errors
    /// When the profile cannot be opened, or not with this key; `KeyStore` when the key store refuses.
    #[uniffi::constructor(default(key_store = None))]
    pub fn open(options: EngineOptions, key_store: Option<Arc<dyn KeyStore>>) -> Result<Arc<Self>> {
        Ok(Arc::new(Self { inner: Arc::new(idiolect::Engine::open(options.with(key_store)?)?) }))
    }

    /// Opens the model now, so that the first answer need not wait for it.
    ///
    /// # Errors
    /// When it cannot be opened, or the device cannot hold it.
    pub fn check(&self) -> Result<()> {
        Ok(self.inner.check()?)
    }

    /// The model, opened where it is not.
    ///
    /// # Errors
    /// When it cannot be opened, or the device cannot hold it.
    pub fn model(&self) -> Result<ModelInfo> {
        Ok(ModelInfo::of(&*self.inner.model()?))
    }

    /// What the engine is doing.
    pub fn state(&self) -> EngineState {
        self.inner.state().into()
    }

    /// What the person wrote.
    pub fn history(&self) -> Arc<History> {
        History::of(Arc::clone(&self.inner))
    }

    /// The adapters.
    pub fn adapters(&self) -> Arc<Adapters> {
        Adapters::of(Arc::clone(&self.inner))
    }

    /// The version in use, where it was made for another base than the engine's model: then the base alone answers, until
    /// a training has made a version of this one, or one is put to use.
    ///
    /// # Errors
    /// When the model cannot be opened, or the registry not be read.
    pub fn stale_version(&self) -> Result<Option<u32>> {
        Ok(self.inner.stale_version()?)
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
        let mut heard = Ok(());
        let outcome = self.inner.train(&settings.into(), &cancel.inner, &mut |event| {
            if let (Ok(()), Some(event)) = (&heard, LearnEvent::of(event)) {
                heard = listener.on_event(event).inspect_err(|_| cancel.cancel());
            }
        });
        heard?;
        Ok(outcome?.into())
    }

    /// Has a training under way write a checkpoint now and waits for it, as an app does that the system is about to suspend:
    /// a tenth of a second and the time of writing. The training goes on. Without one there is nothing to do.
    ///
    /// # Errors
    /// `Io` when the disk refuses the checkpoint; the training ends with the same error.
    pub fn save_progress(&self) -> Result<()> {
        Ok(self.inner.save_progress()?)
    }

    /// Attends to trainings from now on, on a thread of its own: one is begun, paused and gone on with as the rules have it,
    /// by what `push_signals` tells, the time of the day, the minutes trained today and the memory that is free. `train`
    /// stays: who attends waits meanwhile, and it is refused while a training is under way here. Attended already, it begins
    /// anew with these settings.
    ///
    /// # Errors
    /// `BadOption` for a setting out of its range; `Closed`.
    pub fn attend(&self, settings: AttendSettings, listener: Arc<dyn AttendListener>) -> Result<()> {
        Ok(self.inner.attend(settings.into(), attendance::told(listener))?)
    }

    /// Tells what the device says of itself now; it holds until it is told anew, and is kept where nobody attends yet. A
    /// local minute that is told is advanced from then on; without one, the system's local time is taken. Free memory that
    /// is not told is asked of the system.
    pub fn push_signals(&self, signals: DeviceSignals) {
        self.inner.push_signals(signals.into());
    }

    /// Attends to trainings no more, once one that was begun here has paused. Called by the listener, it does not wait for
    /// that.
    pub fn stop_attending(&self) {
        self.inner.stop_attending();
    }

    /// How the attendance stands, and why a training waits.
    pub fn attendance(&self) -> Attendance {
        self.inner.attendance().into()
    }

    /// How the profile stands, and what would make the next training worthwhile; `gate` is what a candidate will have to
    /// show. With `open_model` the model is opened where it is not, to say whether the version in use was made for it.
    ///
    /// # Errors
    /// When the profile cannot be read, or the model not be opened.
    pub fn status(&self, gate: GateSettings, open_model: bool) -> Result<ProfileStatus> {
        Ok(self.inner.status(&gate.into(), open_model)?.into())
    }

    /// The report of the last training that came to its end; none before the first.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn last_report(&self) -> Result<Option<LearnReport>> {
        Ok(personalize::last_report(self.inner.profile())?.map(Into::into))
    }

    /// Whether a training was paused or killed, so that `train` goes on with it.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn has_paused_training(&self) -> Result<bool> {
        Ok(personalize::is_paused(self.inner.profile())?)
    }

    /// Continues a prompt with the adapter in use, or those of the options. Cancelled, it gives what there is so far; so it does where the engine is
    /// shut down or memory asked back meanwhile.
    ///
    /// # Errors
    /// When the prompt is too long, an option is out of range, or the model cannot be opened; `OverBudget` when the machine
    /// has no memory for it; `Listener` when the listener failed.
    pub fn generate(
        &self,
        prompt: Prompt,
        options: GenerateOptions,
        cancel: Arc<CancelToken>,
        listener: Arc<dyn TextListener>,
    ) -> Result<Generation> {
        let (prompt, answering) = (prompt.into(), self.inner.using(chosen(options.adapters.clone())));
        batched(listener, |on_text| answering.generate(&prompt, &options.into(), &cancel.inner, on_text))
            .map(Into::into)
    }

    /// Begins a conversation, with the adapter that is in use at each of its turns. Several may go on side by side. The model
    /// is opened where it is not.
    ///
    /// # Errors
    /// `OverBudget`, saying what would fit, when its whole context does not fit the budget or, without one, what the machine
    /// has; `BadOption` for a context beyond what the engine was opened for; `Unsupported` when the model has no chat
    /// template, or one that takes no instructions; when the template refuses the turns, or the model cannot be opened.
    pub fn conversation(&self, options: ConversationOptions) -> Result<Arc<Conversation>> {
        Ok(Conversation::of(self.inner.conversation(options.into())?))
    }

    /// The likeliest words that complete the one begun at the text's end, or the likeliest next ones; likeliest first. A
    /// text longer than the model's context is read from its end.
    ///
    /// # Errors
    /// When an option is out of range, or the model cannot be opened; `OverBudget` when the machine has no memory for it;
    /// `Cancelled` when it was cancelled.
    pub fn suggest(
        &self,
        prompt: String,
        options: SuggestOptions,
        cancel: Arc<CancelToken>,
    ) -> Result<Vec<Suggestion>> {
        let answering = self.inner.using(chosen(options.adapters.clone()));
        let suggestions = answering.suggest(&prompt, &options.into(), &cancel.inner)?;
        Ok(suggestions.into_iter().map(Into::into).collect())
    }

    /// How likely each candidate is directly behind the prompt, in their order, under the adapter in use or those given: for
    /// ranking them. That a text ends behind its candidate is no part of it, so a longer candidate is never likelier than its
    /// own beginning: divide by `tokens` to compare across lengths.
    ///
    /// # Errors
    /// When prompt and candidate are too long, an adapter that was chosen is not there or was made for another base, or the
    /// model cannot be opened; `OverBudget` when the machine has no memory for it; `Cancelled` when it was cancelled.
    #[uniffi::method(default(adapters = None))]
    pub fn score(
        &self,
        prompt: Prompt,
        candidates: Vec<String>,
        cancel: Arc<CancelToken>,
        adapters: Option<Vec<AdapterWeight>>,
    ) -> Result<Vec<Score>> {
        let scores = self.inner.using(chosen(adapters)).score(&prompt.into(), &candidates, &cancel.inner)?;
        Ok(scores.into_iter().map(Into::into).collect())
    }

    /// The tokens of a text as the model reads them, without those that stand around a prompt: what it takes of a context.
    ///
    /// # Errors
    /// When the text cannot be tokenized, or the model cannot be opened.
    pub fn count_tokens(&self, text: String) -> Result<u64> {
        Ok(self.inner.count_tokens(&text)? as u64)
    }

    /// The loss of texts under the model, with the adapter in use or those given.
    ///
    /// # Errors
    /// When no text carries loss, an adapter that was chosen is not there or was made for another base, or it was
    /// cancelled.
    #[uniffi::method(default(adapters = None))]
    pub fn evaluate(
        &self,
        texts: Vec<EvaluationText>,
        cancel: Arc<CancelToken>,
        adapters: Option<Vec<AdapterWeight>>,
    ) -> Result<Evaluation> {
        let rows: Vec<TextRow> = texts.into_iter().map(Into::into).collect();
        Ok(self.inner.evaluate(&rows, &chosen(adapters), &cancel.inner)?.into())
    }

    /// Plans a training as `train` would begin it: what it learns from, the bytes and about the time that it takes. A few
    /// steps are tried for that, which takes seconds, and the memory of the training; nothing of them is kept. It does not
    /// look whether an earlier training has left something to go on from: `status` does.
    ///
    /// # Errors
    /// `BadData` when there is nothing to learn from yet, or the history is none to learn from; `OverBudget`, saying what
    /// would fit; `TrainingBusy` while a training is under way here; `Cancelled` when it was cancelled.
    pub fn plan_training(&self, settings: LearnSettings, cancel: Arc<CancelToken>) -> Result<TrainingPlan> {
        Ok(self.inner.plan_training(&settings.into(), &cancel.inner)?.into())
    }

    /// Gives the model's memory back; a training under way pauses, an answer ends. The next call opens the model again.
    ///
    /// # Errors
    /// When the engine is shut down.
    pub fn unload(&self) -> Result<()> {
        Ok(self.inner.unload()?)
    }

    /// The device in use, and why it was chosen; the model is opened where it is not.
    ///
    /// # Errors
    /// When the model cannot be opened, or the device cannot hold it.
    pub fn device(&self) -> Result<DeviceInfo> {
        Ok(self.inner.device()?.into())
    }

    /// Computes on another device from the next piece of work on, or tries the same one again: an app that comes to the
    /// foreground has its GPU back so. A training under way goes on there from where it is; an answer under way is given by
    /// the device that it began on.
    ///
    /// # Errors
    /// When the engine is shut down.
    pub fn set_device(&self, device: DeviceChoice) -> Result<()> {
        Ok(self.inner.set_device(device.into())?)
    }

    /// Has the engine hold no lock and no database of the profile's, as iOS demands of an app that it suspends: it ends
    /// those that hold one in a container that is shared. A training under way writes a checkpoint and rests, so that its
    /// call waits; an answer, a measurement or a merge under way ends; a change of the history that is under way is undone.
    /// Until `resume` calls fail with `Suspended`, those of history and adapters too. It returns as soon as all is
    /// released, within two seconds unless a profile is being exported or another process blocks the disk.
    ///
    /// # Errors
    /// When the engine is shut down.
    pub fn suspend(&self) -> Result<()> {
        Ok(self.inner.suspend()?)
    }

    /// Goes on after `suspend`: the training that rests, too, unless another process trains on the profile meanwhile; it is
    /// paused then. Without a suspension there is nothing to do.
    ///
    /// # Errors
    /// When the engine is shut down; when the history cannot be opened any more: it stays suspended then.
    pub fn resume(&self) -> Result<()> {
        Ok(self.inner.resume()?)
    }

    /// Ends all work, waits for it and frees the model. A training under way leaves a checkpoint. Later calls that need
    /// the model fail; history and adapters need none, and stay usable.
    pub fn shut_down(&self) {
        self.inner.close();
    }

    /// Shuts the engine down and erases the profile: key, history, checkpoints, adapters. Every later call on engine,
    /// history and adapters ends with `Closed`. It may be called while others are under way, from a callback too.
    ///
    /// # Errors
    /// `TrainingBusy` while another process trains: nothing is erased then. `Io` when a file cannot be removed:
    /// `erase_profile` takes what is left.
    pub fn erase(&self) -> Result<EraseReport> {
        Ok(self.inner.erase()?.into())
    }

    /// Keeps the profile's key in another way from now on: under another key of the app's, by its key store, or, with
    /// neither, in the folder. In place, and whole or not at all; nothing is sealed again, and this engine goes on.
    ///
    /// # Errors
    /// `BadOption` for a key that is none, and for a key and a key store together; `KeyStore` when the store refuses, or
    /// does not give back what it was given; `Io` when the disk refuses. Nothing has changed then.
    #[uniffi::method(default(key = None, key_store = None))]
    pub fn change_key(&self, key: Option<Vec<u8>>, key_store: Option<Arc<dyn KeyStore>>) -> Result<()> {
        Ok(self.inner.profile().change_key(&key_source(key, key_store)?)?)
    }

    /// Writes the whole profile, its key included, to one file sealed under a passphrase, in place of what lies there: for
    /// another device, where `import_profile` takes it in.
    ///
    /// # Errors
    /// `BadOption` for an empty passphrase, `TrainingBusy` while a training runs, `Io` when the file cannot be written.
    pub fn export_profile(&self, archive: String, passphrase: String) -> Result<ArchivedProfile> {
        Ok(self.inner.profile().export(Path::new(&archive), &passphrase)?.into())
    }
}
