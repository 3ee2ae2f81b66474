//! Chats exported as text (WhatsApp on iOS and on Android, and what looks like them): messages with author and time,
//! and one person's messages as samples.
//!
//! Errors name the file and the line, never the text.

mod line;
mod read;
mod sample;
mod time;

pub use read::{ChatExport, Message, parse, read};
pub use sample::{ExportedSample, samples_of};
pub use time::DateOrder;
pub(crate) use time::iso_seconds;

#[cfg(test)]
mod tests;
