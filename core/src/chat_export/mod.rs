//! Chats exported as text (WhatsApp on iOS and on Android, and what looks like them): messages with author and time,
//! and one person's messages as samples.
//!
//! Errors name the file and the line, never the text.

mod date;
mod day_part;
mod head;
mod marks;
mod plain;
mod read;
mod refusal;
mod said;
mod sample;
mod table;

pub use date::DateOrder;
pub use read::{ChatExport, Message, parse, read};
pub use refusal::{begins_like_export, refuse_export};
pub use sample::{ExportedSample, samples_of};

#[cfg(test)]
mod tests;
