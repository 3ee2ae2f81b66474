//! Long work beside trainings: texts that are measured, versions that are merged, trainings that are planned.

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::channel;

use super::asking::{received, whatever_is_lost};
use super::choice::{self, AdapterChoice};
use super::{CancelToken, Engine, EngineState};
use crate::error::{Error, ErrorKind, Result};
use crate::eval::{Evaluation, evaluate};
use crate::merge::{MergeOptions, MergeReport, MergeStage, merge};
use crate::personalize::{self, LearnSettings, TrainingPlan};
use crate::samples::TextRow;
use crate::train::TrainingData;

/// Longest text in tokens that an evaluation takes whole.
const LONGEST_EVALUATED: usize = 1024;

impl Engine {
    /// The loss of texts under the model, with the adapters that were chosen.
    ///
    /// # Errors
    /// When no text carries loss, an adapter that was chosen is not there or was made for another base, or it was
    /// cancelled.
    pub fn evaluate(&self, rows: &[TextRow], adapters: &AdapterChoice, cancel: &CancelToken) -> Result<Evaluation> {
        let ask = || {
            let (rows, adapters) = (rows.to_vec(), adapters.clone());
            let (token, registry) = (cancel.clone(), self.registry.clone());
            let (reply, answer) = channel();
            let ticket = self.queue.add_task(Box::new(move |worker| {
                let measured = worker.model().and_then(|model| {
                    let using = choice::chosen(&adapters, &registry, &model)?;
                    let adapter = choice::load(&using, &registry, &model)?;
                    worker.long_work(
                        move || token.is_cancelled(),
                        |session| {
                            let longest = model.base().context.min(LONGEST_EVALUATED);
                            let give_way = &mut || session.give_way();
                            let data = TrainingData::from_many_texts(&rows, &model, longest, give_way)?;
                            let evaluation = evaluate(session, adapter.as_ref(), data.samples())?.finite()?;
                            let texts = data.by_text(&evaluation.samples);
                            Ok(Evaluation { counts: data.counts(), texts, ..evaluation })
                        },
                    )
                });
                drop(reply.send(measured));
            }))?;
            self.queue.wait_for(ticket, cancel)?;
            received(&answer)
        };
        whatever_is_lost(&self.queue, ask, || true)
    }

    /// Plans a training on the history as [`Engine::train`] would begin it: what it learns from, the bytes and about the time
    /// that it takes. A few steps are tried for that, which takes seconds, and the memory of the training; nothing of them
    /// is kept.
    ///
    /// # Errors
    /// [`ErrorKind::BadData`] when there is nothing to learn from yet, or the history is none to learn from;
    /// [`ErrorKind::OverBudget`], saying what would fit; [`ErrorKind::TrainingBusy`] while a training is under way here;
    /// [`ErrorKind::Cancelled`].
    pub fn plan_training(&self, settings: &LearnSettings, cancel: &CancelToken) -> Result<TrainingPlan> {
        if let EngineState::Training { .. } = self.state() {
            let message = "a training is under way, whose plan stands";
            return Err(Error::new(ErrorKind::TrainingBusy, message).with_hint("plan the next one when it has ended"));
        }
        let ask = || {
            let (settings, token, profile) = (settings.clone(), cancel.clone(), Arc::clone(&self.profile));
            let (reply, answer) = channel();
            let ticket = self.queue.add_task(Box::new(move |worker| {
                let planned = worker.long_work(
                    move || token.is_cancelled(),
                    |session| personalize::plan(session, profile.history(), &settings),
                );
                drop(reply.send(planned));
            }))?;
            self.queue.wait_for(ticket, cancel)?;
            received(&answer)
        };
        whatever_is_lost(&self.queue, ask, || true)
    }

    /// Writes the base with a version at its strength merged in as a model folder, unsealed, which appears whole or not at
    /// all; `on_progress` is told of what is done and of how much in all, on the calling thread.
    ///
    /// # Errors
    /// When there is no such version, something lies at `destination`, or the disk refuses; [`ErrorKind::TooLossy`] when
    /// rounding would lose too much of it; [`ErrorKind::Cancelled`] when it was cancelled, memory asked back or the engine
    /// closed.
    pub fn merge(
        &self,
        version: u32,
        destination: &Path,
        options: MergeOptions,
        cancel: &CancelToken,
        on_progress: &mut dyn FnMut(MergeStage, u64, u64),
    ) -> Result<MergeReport> {
        let ask = || {
            let (destination, token, registry) = (destination.to_owned(), cancel.clone(), self.registry.clone());
            let (progress, heard) = channel();
            let (reply, answer) = channel();
            let ticket = self.queue.add_task(Box::new(move |worker| {
                let merged = worker.model().and_then(|model| {
                    let adapter = registry.load(version, &model)?;
                    let (cancel, queue) = (token.clone(), Arc::clone(&worker.queue));
                    // Most of it is no pass of the session, which would be ended between two pieces.
                    let mut tell = move |stage, done, all| {
                        // A caller that has gone does not want to know.
                        let _ = progress.send((stage, done, all));
                        match cancel.is_cancelled() || queue.ends_work() {
                            true => ControlFlow::Break(()),
                            false => ControlFlow::Continue(()),
                        }
                    };
                    worker.long_work(
                        move || token.is_cancelled(),
                        |session| merge(session, &adapter, &destination, options, &mut tell),
                    )
                });
                drop(reply.send(merged));
            }))?;
            self.queue.wait_for(ticket, cancel)?;
            heard.into_iter().for_each(|(stage, done, all)| on_progress(stage, done, all));
            received(&answer)
        };
        whatever_is_lost(&self.queue, ask, || true)
    }
}
