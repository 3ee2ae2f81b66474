//! One person's messages in a chat as samples.

use super::read::{ChatExport, Message};
use crate::error::Result;

/// What a person wrote, and what they were answering.
#[derive(Clone, PartialEq, Eq)]
pub struct ExportedSample {
    /// What the person wrote.
    pub text: String,
    /// What the others wrote just before, oldest first, a message a line.
    pub context: Option<String>,
    /// Whom the person was answering, or else the only other author of the chat.
    pub contact: Option<String>,
    /// With whom and when the conversation began: a gap of more than an hour begins another.
    pub conversation: Option<String>,
    /// Seconds since 1970 (see [`Message::timestamp`]).
    pub timestamp: Option<i64>,
}

/// Texts and names stay out of logs.
impl std::fmt::Debug for ExportedSample {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ExportedSample({} bytes, {:?})", self.text.len(), self.timestamp)
    }
}

/// A longer silence begins another conversation, in seconds.
const SILENCE: i64 = 3600;
/// So long after their own last message, in seconds, a person says something new rather than more of the same answer.
const TURN: i64 = 300;
/// The most that a context takes of the messages before, in bytes; at least the last is taken.
const CONTEXT_BYTES: usize = 600;

/// The messages of `name` as samples, each on its own, in the file's order. The context is what the others wrote since
/// the person's turn before, within the conversation; what the person adds within a few minutes has the same.
///
/// A conversation is named by whom of the others is the last to have written when it begins (or else the first to write),
/// and by its beginning. The file's name says nothing: many are called `_chat.txt`. All of it lies in the messages up to
/// there, so that a later export with more of the same chat tells the same, also where somebody new has come into it.
///
/// # Errors
/// `BadOption` when no message is by `name`; the hint lists the authors.
pub fn samples_of(export: &ChatExport, name: &str) -> Result<Vec<ExportedSample>> {
    export.check_author(name)?;
    let name = super::plain::name(name);
    let name = name.as_str();
    let mut others = export.authors().into_keys().filter(|author| *author != name);
    let only_other = others.next().filter(|_| others.next().is_none()).map(str::to_owned);
    let first_other = export.messages.iter().find(|message| message.author != name);
    // In a chat where nobody else has written, the person.
    let mut partner = first_other.map_or(name, |message| &message.author);
    let mut samples = Vec::new();
    let mut conversation = String::new();
    let mut heard: Vec<&Message> = Vec::new();
    let mut before: Option<&Message> = None;
    for message in &export.messages {
        if message.author != name {
            partner = &message.author;
        }
        // Clocks are set back now and then: only time that goes on is silence.
        if before.is_none_or(|before| message.timestamp - before.timestamp > SILENCE) {
            conversation = format!("{partner}/{}", message.timestamp);
            heard.clear();
        }
        let own_before = before.filter(|before| before.author == name);
        if message.author == name {
            if own_before.is_some_and(|before| message.timestamp - before.timestamp > TURN) {
                heard.clear();
            }
            samples.push(ExportedSample {
                text: message.text.clone(),
                context: context(&heard),
                contact: heard.last().map(|other| other.author.clone()).or_else(|| only_other.clone()),
                conversation: Some(conversation.clone()),
                timestamp: Some(message.timestamp),
            });
        } else {
            // The others' turn after the person's own answers something new.
            if own_before.is_some() {
                heard.clear();
            }
            heard.push(message);
        }
        before = Some(message);
    }
    Ok(samples)
}

/// The end of what was heard, as much as a context takes.
fn context(heard: &[&Message]) -> Option<String> {
    let mut bytes = 0;
    let taken = heard.iter().rev().take_while(|message| {
        let first = bytes == 0;
        bytes += message.text.len() + 1;
        first || bytes <= CONTEXT_BYTES
    });
    let mut texts: Vec<&str> = taken.map(|message| message.text.as_str()).collect();
    texts.reverse();
    (!texts.is_empty()).then(|| texts.join("\n"))
}
