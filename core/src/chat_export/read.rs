//! A whole export: messages of one or more lines.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use super::date::{DateOrder, WrittenDate};
use super::head::{Head, Shape, head};
use super::plain::{is_apps_mark, name};
use super::said::{Said, Writer, said};
use crate::disk::text_file::read_utf8;
use crate::error::{Error, ErrorKind, Result};
use crate::time::{DAY, now};

/// One message.
#[derive(Clone, PartialEq, Eq)]
pub struct Message {
    /// Seconds since 1970. Exports tell the wall clock of the phone and not its zone: it is taken as UTC, so times are
    /// off by the zone, and differences between them are right but where the clock was changed.
    pub timestamp: i64,
    /// Who wrote it, as the export names them, in NFC.
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
    /// Whether the file tells the order of day, month and year. Where several orders can be read, and none alone keeps
    /// the messages in order of time, the first of them in [`DateOrder`] is taken.
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
    parse_on(text, path, now() / DAY)
}

/// As [`parse`], where it is the day `today` since 1970.
pub(super) fn parse_on(text: &str, path: &Path, today: i64) -> Result<ChatExport> {
    let drafts = drafts(text, path)?;
    let (date_order, order_is_sure) = order(&drafts, path, today)?;
    let mut export = ChatExport { messages: Vec::new(), date_order, order_is_sure, marks: 0, system_lines: 0 };
    for draft in drafts {
        let Some(author) = draft.author else {
            export.system_lines += 1;
            continue;
        };
        let Some(day) = draft.date.day(date_order) else {
            return Err(Error::bad_file(path, &format!("line {}", draft.line), "no such date"));
        };
        let timestamp = day * DAY + draft.seconds;
        match said(&draft.text, draft.writer) {
            Said::Text(text) => export.messages.push(Message { timestamp, author, text, line: draft.line }),
            Said::Mark => export.marks += 1,
            Said::Notice => export.system_lines += 1,
        }
    }
    Ok(export)
}

/// A message whose date is not yet understood.
struct Draft {
    line: usize,
    date: WrittenDate,
    seconds: i64,
    author: Option<String>,
    writer: Writer,
    text: String,
}

/// The messages with all that the app wrote into them. A line begins one when it has a head like those of the file; the
/// others belong to the message before.
fn drafts(text: &str, path: &Path) -> Result<Vec<Draft>> {
    let lines: Vec<(&str, Option<Head<'_>>)> = text.lines().map(|line| (line, head(line))).collect();
    let shapes = shapes(lines.iter().filter_map(|(_, head)| head.as_ref()));
    let mut drafts: Vec<Draft> = Vec::new();
    for (number, (line, head)) in (1..).zip(lines) {
        match head.filter(|head| shapes.contains(&head.shape)) {
            Some(head) => {
                let iphone = head.shape.bracketed;
                drafts.push(Draft {
                    line: number,
                    date: head.date,
                    seconds: head.seconds,
                    author: head.author,
                    writer: Writer { iphone, marked: iphone && line.starts_with(is_apps_mark) },
                    text: head.text.to_owned(),
                });
            }
            None => match drafts.last_mut() {
                Some(draft) => {
                    draft.text.push('\n');
                    draft.text.push_str(line);
                }
                None if line.trim().is_empty() => {}
                None => {
                    let error = Error::bad_file(path, &format!("line {number}"), "no date, time and name begin it");
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
    Ok(drafts)
}

/// The shapes of the file's heads. A phone writes all of a chat in one; what somebody pasted into a message, or a line
/// that happens to begin with a date, has mostly another. Chats that were joined have several, each of them often.
fn shapes<'a>(heads: impl Iterator<Item = &'a Head<'a>>) -> Vec<Shape> {
    const OFTEN: usize = 3;
    let mut counts: HashMap<&Shape, usize> = HashMap::new();
    let mut first = None;
    for head in heads {
        *counts.entry(&head.shape).or_default() += 1;
        first.get_or_insert(&head.shape);
    }
    let often = counts.values().copied().max().unwrap_or_default().min(OFTEN);
    counts.retain(|shape, count| *count >= often || Some(*shape) == first);
    counts.into_keys().cloned().collect()
}

/// The order of the numbers in dates, and whether the file tells it.
fn order(drafts: &[Draft], path: &Path, today: i64) -> Result<(DateOrder, bool)> {
    let misfit = |order| drafts.iter().find(|draft| !draft.date.fits(order));
    let fitting: Vec<DateOrder> = DateOrder::ALL.into_iter().filter(|order| misfit(*order).is_none()).collect();
    // `30/12/23` was hardly written in 2030: what lies ahead is a misreading, if another has nothing there.
    let is_past = |order| drafts.iter().all(|draft| draft.date.day(order).is_none_or(|day| day <= today + 1));
    let past: Vec<DateOrder> = fitting.iter().copied().filter(|order| is_past(*order)).collect();
    let fitting = if past.is_empty() { fitting } else { past };
    match fitting[..] {
        [] => {
            let firsts = DateOrder::ALL.into_iter().filter_map(|order| Some(misfit(order)?.line));
            let line = firsts.max().unwrap_or_default();
            let what = "no such date in the order of day and month that the lines before have";
            Err(Error::bad_file(path, &format!("line {line}"), what))
        }
        [order] => Ok((order, true)),
        _ => {
            // Several can be read: the right order is the one in which time goes on.
            let falls = |order| {
                let times = drafts.iter().filter_map(|draft| Some((draft.date.day(order)?, draft.seconds)));
                let times: Vec<_> = times.collect();
                times.windows(2).filter(|pair| pair[1].0 < pair[0].0).count()
            };
            let falls: Vec<usize> = fitting.iter().map(|order| falls(*order)).collect();
            let fewest = falls.iter().copied().min().unwrap_or_default();
            let at = falls.iter().position(|falls| *falls == fewest).unwrap_or_default();
            Ok((fitting[at], falls.iter().filter(|falls| **falls == fewest).count() == 1))
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

    /// Refuses a name that no author has. However letters with accents are encoded (NFC, NFD), they are the same.
    ///
    /// # Errors
    /// `BadOption`. It names nobody: errors end in logs.
    pub fn check_author(&self, written: &str) -> Result<()> {
        let authors = self.authors();
        if authors.contains_key(name(written).as_str()) {
            return Ok(());
        }
        let message = format!("no message is by the given name; authors in the export: {}", authors.len());
        Err(Error::new(ErrorKind::BadOption, message)
            .with_hint("give a name as the export spells it, from the list of its authors"))
    }
}
