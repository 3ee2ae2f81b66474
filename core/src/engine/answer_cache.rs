//! A key/value cache with the session that it lies on: of the engine's single answers, or of one conversation.

use crate::adapter::Adapter;
use crate::error::{Error, ErrorKind, Result};
use crate::generate::{Generator, check_capacity};
use crate::session::Session;
use crate::trace::{self, Event};

/// Tokens that a cache grows by.
const CAPACITY_STEP: usize = 256;

/// Versions and their weights, as bits: what an answer, and the cache, depend on beside the prompt. None is the base alone.
pub(super) type Using = Vec<(u32, u32)>;

/// What a cache has to have room for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Room {
    /// Tokens of prompt and answer.
    pub tokens: usize,
    /// Tokens that it may ever have room for.
    pub context: usize,
    /// Bytes that it keeps to, where that was asked for.
    pub budget_bytes: Option<usize>,
}

/// A cache, empty until it is needed.
pub(super) struct AnswerCache {
    /// The session while nothing is loaded on it.
    session: Option<Box<Session>>,
    generator: Option<(Using, Generator<Box<Session>>)>,
}

impl AnswerCache {
    /// An empty one.
    pub fn new(session: Session) -> Self {
        Self { session: Some(Box::new(session)), generator: None }
    }

    /// The session.
    pub fn session(&self) -> Result<&Session> {
        let loaded = || self.generator.as_ref().map(|(_, generator)| generator.session());
        self.session.as_deref().or_else(loaded).ok_or_else(lost)
    }

    /// Frees what it holds; `false` where that is nothing.
    pub fn free(&mut self) -> bool {
        let Some((_, generator)) = self.generator.take() else { return false };
        let mut session = generator.into_session();
        session.start_job();
        self.session = Some(session);
        true
    }

    /// Makes room, for the adapter that is in use now: it grows where it is of that one, else it is made anew. What memory
    /// refuses is tried again for as long as `give_way` says that some was freed.
    ///
    /// # Errors
    /// As [`Generator::within`].
    pub fn prepare(
        &mut self,
        using: &Using,
        adapter: Option<&Adapter>,
        room: Room,
        give_way: &mut dyn FnMut() -> bool,
    ) -> Result<&mut Generator<Box<Session>>> {
        loop {
            match self.try_prepare(using, adapter, room) {
                Ok(()) => break,
                Err(error) => {
                    let for_memory = error.kind() == ErrorKind::OverBudget && room.budget_bytes.is_none();
                    if !for_memory || !give_way() {
                        return Err(error);
                    }
                }
            }
        }
        self.generator.as_mut().map(|(_, generator)| generator).ok_or_else(lost)
    }

    fn try_prepare(&mut self, using: &Using, adapter: Option<&Adapter>, room: Room) -> Result<()> {
        let Room { tokens, context, budget_bytes } = room;
        // Before the session is handed over: what a caller asked too much must not cost the next one's answer.
        check_capacity(tokens, context)?;
        let capacity = tokens.next_multiple_of(CAPACITY_STEP).min(context);
        if let Some((_, generator)) = self.generator.as_mut().filter(|(key, _)| key == using) {
            if generator.capacity() >= tokens {
                return Ok(());
            }
            let grown = generator.grow(capacity);
            if generator.capacity() == 0 {
                self.free();
            }
            grown?;
            trace::tell(Event::CacheGrown { tokens: capacity });
            return Ok(());
        }
        self.free();
        match Generator::on(self.session.take().ok_or_else(lost)?, adapter, capacity, budget_bytes) {
            Ok(generator) => {
                trace::tell(Event::CacheGrown { tokens: capacity });
                self.generator = Some((using.clone(), generator));
            }
            Err((session, error)) => {
                self.session = Some(session);
                return Err(error);
            }
        }
        Ok(())
    }
}

fn lost() -> Error {
    Error::new(ErrorKind::Device, "the device was lost in an earlier call")
}
