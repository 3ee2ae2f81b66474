//! Chats exported as text (WhatsApp on iOS and on Android, and what looks like them): messages with author and time,
//! and one person's messages as samples. Beside them the plain forms: a text a line, and JSON lines.
//!
//! Errors name the file and the line, never the text.

mod line;
mod read;
mod rows;
mod sample;
mod time;

pub use read::{ChatExport, Message, parse, read};
pub use rows::{read_json_lines, read_text_lines};
pub use sample::{ExportedSample, samples_of};
pub use time::DateOrder;

#[cfg(test)]
mod tests;
