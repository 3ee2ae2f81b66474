//! A whole export: messages of one or more lines.

use std::collections::BTreeMap;
use std::path::Path;

use super::line::{head, is_mark, plain, unedited};
use super::time::{DateOrder, WrittenDate};
use crate::error::{Error, ErrorKind, Result};
use crate::format::text_file::read_utf8;

/// One message.
#[derive(Clone, PartialEq, Eq)]
pub struct Message {
    /// Seconds since 1970. Exports tell the wall clock of the phone and not its zone: it is taken as UTC, so times are
    /// off by the zone, and differences between them are right but where the clock was changed.
    pub timestamp: i64,
    /// Who wrote it, as the export names them.
    pub author: String,
    /// What was written; lines are parted by `\n`.
    pub text: String,
    /// The line of the file on which it begins, from 1.
    pub line: usize,
}

/// The text and the name stay out of logs.
impl std::fmt::Debug for Message {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Message(line {}, {} bytes)", self.line, self.text.len())
    }
}

/// A chat as exported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChatExport {
    /// The messages with text, in the file's order; what the app itself says, media and deleted messages are left out.
    pub messages: Vec<Message>,
    /// How dates were read.
    pub date_order: DateOrder,
    /// Whether the file tells the order of day and month. Where no day is above 12, and neither order alone keeps the
    /// messages in order of time, day first is taken.
    pub order_is_sure: bool,
    /// Messages left out: media, calls, deleted ones.
    pub marks: usize,
    /// Lines left out that the app itself says.
    pub system_lines: usize,
}

/// Reads an exported chat.
///
/// # Errors
/// When the file cannot be read or is not UTF-8 (`Io`, `BadFile`), or as [`parse`].
pub fn read(path: &Path) -> Result<ChatExport> {
    parse(&read_utf8(path)?, path)
}

/// Reads the text of an exported chat; `path` is for errors.
///
/// # Errors
/// `BadFile` when no line begins a message, when text comes before the first message, or when a date is none in the
/// order of the file's others.
pub fn parse(text: &str, path: &Path) -> Result<ChatExport> {
    let mut drafts: Vec<Draft> = Vec::new();
    for (at, line) in text.lines().enumerate() {
        let line = plain(line);
        match head(&line) {
            Some(found) => drafts.push(Draft {
                line: at + 1,
                date: found.date,
                seconds: found.seconds,
                author: found.author.map(str::to_owned),
                text: found.text.to_owned(),
            }),
            None => match drafts.last_mut() {
                Some(draft) => {
                    draft.text.push('\n');
                    draft.text.push_str(&line);
                }
                None if line.trim().is_empty() => {}
                None => {
                    let error = Error::bad_file(path, &format!("line {}", at + 1), "no date, time and name begin it");
                    return Err(error.with_hint(
                        "a line of a chat export begins as `[12/31/23, 9:41:05 PM] Name: …` or `31/12/2023, 21:41 - Name: …`",
                    ));
                }
            },
        }
    }
    if drafts.is_empty() {
        return Err(Error::bad_file(path, "messages", "there is none"));
    }
    let (date_order, order_is_sure) = order(&drafts, path)?;
    let mut export = ChatExport { messages: Vec::new(), date_order, order_is_sure, marks: 0, system_lines: 0 };
    for draft in drafts {
        let Some(author) = draft.author else {
            export.system_lines += 1;
            continue;
        };
        let Some(day) = draft.date.day(date_order) else {
            return Err(Error::bad_file(path, &format!("line {}", draft.line), "no such date"));
        };
        let lines: Vec<&str> = unedited(draft.text.trim_end()).lines().filter(|line| !is_mark(line)).collect();
        let text = lines.join("\n").trim().to_owned();
        if text.is_empty() {
            export.marks += 1;
            continue;
        }
        export.messages.push(Message { timestamp: day * 86_400 + draft.seconds, author, text, line: draft.line });
    }
    Ok(export)
}

/// A message whose date is not yet understood.
struct Draft {
    line: usize,
    date: WrittenDate,
    seconds: i64,
    author: Option<String>,
    text: String,
}

/// The order of day and month, and whether the file tells it.
fn order(drafts: &[Draft], path: &Path) -> Result<(DateOrder, bool)> {
    let misfit = |order| drafts.iter().find(|draft| !draft.date.fits(order));
    match (misfit(DateOrder::DayFirst), misfit(DateOrder::MonthFirst)) {
        (None, Some(_)) => Ok((DateOrder::DayFirst, true)),
        (Some(_), None) => Ok((DateOrder::MonthFirst, true)),
        (Some(one), Some(other)) => {
            let line = one.line.max(other.line);
            let what = "no such date in the order of day and month that the lines before have";
            Err(Error::bad_file(path, &format!("line {line}"), what))
        }
        (None, None) => {
            // Both can be read: the right order is the one in which time goes on.
            let falls = |order| {
                let times = drafts.iter().filter_map(|draft| Some((draft.date.day(order)?, draft.seconds)));
                let times: Vec<_> = times.collect();
                times.windows(2).filter(|pair| pair[1].0 < pair[0].0).count()
            };
            let (day_first, month_first) = (falls(DateOrder::DayFirst), falls(DateOrder::MonthFirst));
            let order = if month_first < day_first { DateOrder::MonthFirst } else { DateOrder::DayFirst };
            let written_once = drafts.iter().all(|draft| draft.date.year_first);
            Ok((order, day_first != month_first || written_once))
        }
    }
}

impl ChatExport {
    /// How many messages each author wrote.
    pub fn authors(&self) -> BTreeMap<&str, usize> {
        let mut authors = BTreeMap::new();
        for message in &self.messages {
            *authors.entry(message.author.as_str()).or_default() += 1;
        }
        authors
    }

    /// Refuses a name that no author has.
    ///
    /// # Errors
    /// `BadOption`. It names nobody: errors end in logs.
    pub fn check_author(&self, name: &str) -> Result<()> {
        let authors = self.authors();
        if authors.contains_key(name) {
            return Ok(());
        }
        let message = format!("no message is by the given name; authors in the export: {}", authors.len());
        Err(Error::new(ErrorKind::BadOption, message)
            .with_hint("give a name as the export spells it, from the list of its authors"))
    }
}
