//! Exported chats as samples.

use std::fmt;
use std::path::Path;

use idiolect::chat_export;

use crate::error::Result;
use crate::mirror::mirror;
use crate::samples::NewSample;

mirror! {
    /// In which order a chat export writes the numbers of a date.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, uniffi::Enum)]
    pub enum DateOrder from chat_export::DateOrder {
        /// 31/12/2023
        DayFirst,
        /// 12/31/2023
        MonthFirst,
        /// 2023-12-31
        YearFirst,
    }
}

/// Somebody who wrote in a chat.
#[derive(Clone, PartialEq, Eq, uniffi::Record)]
#[uniffi::export(Debug)]
pub struct ChatAuthor {
    /// As the export names them, in NFC.
    pub name: String,
    /// How many messages they wrote.
    pub messages: u64,
}

impl fmt::Debug for ChatAuthor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChatAuthor").field("messages", &self.messages).finish_non_exhaustive()
    }
}

/// One person's messages of an exported chat.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
#[uniffi::export(Debug)]
pub struct ChatExport {
    /// The messages, in the file's order, with what they answer: ready for `History.add_all`. They name no source.
    pub samples: Vec<NewSample>,
    /// How dates were read.
    pub date_order: DateOrder,
    /// Whether the file tells the order of day, month and year; where it does not, day first is taken if that can be.
    pub order_is_sure: bool,
    /// Messages of anybody's left out: media, calls, deleted ones.
    pub marks: u64,
    /// Lines left out that the app itself says.
    pub system_lines: u64,
}

/// Who wrote in an exported chat (WhatsApp's `[date, time] Name: text`, and what looks like it), most messages first: to
/// ask the person which of them they are.
///
/// # Errors
/// `Io` or `BadFile` when the file cannot be read or is no such export.
#[uniffi::export]
pub fn chat_authors(path: String) -> Result<Vec<ChatAuthor>> {
    let export = chat_export::read(Path::new(&path))?;
    let authors = export.authors().into_iter();
    let mut authors: Vec<ChatAuthor> =
        authors.map(|(name, messages)| ChatAuthor { name: name.to_owned(), messages: messages as u64 }).collect();
    authors.sort_by_key(|author| std::cmp::Reverse(author.messages));
    Ok(authors)
}

/// Reads the messages of `name` in an exported chat, in whatever way the letters of the name are encoded. Times are the
/// phone's clock, taken as UTC.
///
/// # Errors
/// As for `chat_authors`; `BadOption` when no message is by `name`.
#[uniffi::export]
pub fn read_chat(path: String, name: String) -> Result<ChatExport> {
    let export = chat_export::read(Path::new(&path))?;
    let samples = chat_export::samples_of(&export, &name)?.into_iter();
    Ok(ChatExport {
        samples: samples.map(|sample| idiolect::history::NewSample::from(sample).into()).collect(),
        date_order: export.date_order.into(),
        order_is_sure: export.order_is_sure,
        marks: export.marks as u64,
        system_lines: export.system_lines as u64,
    })
}
