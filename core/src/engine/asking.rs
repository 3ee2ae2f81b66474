//! Asking the worker for an answer: the caller's side.

use std::cell::Cell;
use std::ops::ControlFlow;
use std::sync::mpsc::{Receiver, channel};

use super::cancel::CancelToken;
use super::device_use::MOST_LOSSES;
use super::queue::{Queue, Ticket};
use super::serving::Serving;
use crate::error::{Error, ErrorKind, Result};

/// Has an answer made as soon as may be.
pub(super) fn begin_answer<T: Send + 'static>(
    queue: &Queue,
    make: impl FnOnce(&mut Serving) -> Result<T> + Send + 'static,
) -> Result<(Ticket, Receiver<Result<T>>)> {
    let (reply, answer) = channel();
    let ticket = queue.add_answer(Box::new(move |serving| drop(reply.send(serving.and_then(make)))))?;
    Ok((ticket, answer))
}

/// The same, and waits for it. Where the device was lost, it is asked for again.
///
/// # Errors
/// [`ErrorKind::Cancelled`] where it was cancelled before it was begun; what `make` gives.
pub(super) fn answered<T: Send + 'static>(
    queue: &Queue,
    cancel: &CancelToken,
    make: impl FnOnce(&mut Serving) -> Result<T> + Clone + Send + 'static,
) -> Result<T> {
    let ask = || {
        let (ticket, answer) = begin_answer(queue, make.clone())?;
        queue.wait_for(ticket, cancel)?;
        received(&answer)
    };
    whatever_is_lost(queue, ask, || true)
}

/// The same for an answer whose text is shown as it comes, on the calling thread; where `on_text` breaks, it is cancelled.
/// Where the device was lost before any text came, it is asked for again.
///
/// # Errors
/// [`ErrorKind::Cancelled`] where it was cancelled before it was begun; what `make` gives.
pub(super) fn streamed<T: Send + 'static>(
    queue: &Queue,
    cancel: &CancelToken,
    on_text: &mut dyn FnMut(&str) -> ControlFlow<()>,
    make: impl FnOnce(&mut Serving, &mut dyn FnMut(&str) -> ControlFlow<()>) -> Result<T> + Clone + Send + 'static,
) -> Result<T> {
    let began = Cell::new(false);
    let ask = || {
        let make = make.clone();
        let (pieces, shown) = channel::<String>();
        let (ticket, answer) = begin_answer(queue, move |serving| {
            let mut show = |text: &str| match pieces.send(text.to_owned()) {
                Ok(()) => ControlFlow::Continue(()),
                Err(_) => ControlFlow::Break(()),
            };
            make(serving, &mut show)
        })?;
        queue.wait_for(ticket, cancel)?;
        for piece in shown {
            began.set(true);
            if on_text(&piece).is_break() {
                cancel.cancel();
                break;
            }
        }
        received(&answer)
    };
    whatever_is_lost(queue, ask, || !began.get())
}

/// Asks again where the device was lost, the CPU may go on, and `may_repeat` says that nothing was told yet: the worker
/// opens the device anew, and then the CPU.
pub(super) fn whatever_is_lost<T>(
    queue: &Queue,
    mut ask: impl FnMut() -> Result<T>,
    may_repeat: impl Fn() -> bool,
) -> Result<T> {
    for _ in 0..MOST_LOSSES {
        match ask() {
            Err(error) if error.kind() == ErrorKind::Device && queue.cpu_fallback && may_repeat() => {}
            done => return done,
        }
    }
    ask()
}

/// What the worker sent. It sends nothing where it was closed first, or failed.
pub(super) fn received<T>(answer: &Receiver<Result<T>>) -> Result<T> {
    answer.recv().unwrap_or_else(|_| Err(gone()))
}

/// What becomes of work that nobody has answered for.
pub(super) fn gone() -> Error {
    Error::new(ErrorKind::Closed, "the engine was closed, or its worker failed")
}
