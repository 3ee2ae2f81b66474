//! What goes into the history and what comes out.

use std::fmt;
use std::path::Path;

use idiolect::history;
use idiolect::privacy::Filter;

use crate::error::Result;
use crate::learning::PrivacyRule;
use crate::mirror::mirror;

/// How a text came to be. Training uses what the person worded: what was typed, and suggestions that they changed. All else
/// is kept.
#[derive(Clone, PartialEq, Eq, uniffi::Enum)]
#[uniffi::export(Debug)]
pub enum Origin {
    /// The person wrote it.
    Typed,
    /// A suggestion, taken as it was.
    SuggestionAccepted,
    /// A suggestion that the person changed: their words.
    SuggestionEdited,
    /// A suggestion that was turned down; the text is the suggestion's.
    SuggestionTurnedDown,
    /// Another, of the app's own or of a later release: it is kept as it is, and not learned from.
    Other {
        /// Its name, as files have it.
        name: String,
    },
}

impl fmt::Debug for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        history::Origin::from(self.clone()).fmt(f)
    }
}

impl From<history::Origin> for Origin {
    fn from(origin: history::Origin) -> Self {
        match origin {
            history::Origin::Typed => Self::Typed,
            history::Origin::SuggestionAccepted => Self::SuggestionAccepted,
            history::Origin::SuggestionEdited => Self::SuggestionEdited,
            history::Origin::SuggestionTurnedDown => Self::SuggestionTurnedDown,
            other => Self::Other { name: other.name().into() },
        }
    }
}

impl From<Origin> for history::Origin {
    fn from(origin: Origin) -> Self {
        match origin {
            Origin::Typed => Self::Typed,
            Origin::SuggestionAccepted => Self::SuggestionAccepted,
            Origin::SuggestionEdited => Self::SuggestionEdited,
            Origin::SuggestionTurnedDown => Self::SuggestionTurnedDown,
            Origin::Other { name } => Self::named(name),
        }
    }
}

mirror! {
    /// The part that a sample plays in training, for ever.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, uniffi::Enum)]
    pub enum Split from history::Split {
        /// 80 %: what is learned from.
        Training,
        /// 10 %: early stopping and settings.
        Validation,
        /// 10 %: the gate alone.
        HeldOut,
    }
}

/// A text to add.
#[derive(Clone, PartialEq, Eq, uniffi::Record)]
#[uniffi::export(Debug)]
pub struct NewSample {
    /// What the person wrote.
    pub text: String,
    /// The app's own id, of this message alone. Under an id that the history knows, the same text is not added again, so a
    /// batch can be repeated, and another text is an edit: it takes the old one's place. Without an id, a text with a time is
    /// known by what it says, where and when.
    #[uniffi(default = None)]
    pub id: Option<String>,
    /// What they were answering.
    #[uniffi(default = None)]
    pub context: Option<String>,
    /// The app or field that it was written in.
    #[uniffi(default = None)]
    pub source: Option<String>,
    /// Whom it was written to.
    #[uniffi(default = None)]
    pub contact: Option<String>,
    /// The conversation that it belongs to.
    #[uniffi(default = None)]
    pub conversation: Option<String>,
    /// When it was written, in seconds since 1970 (UTC); none means now.
    #[uniffi(default = None)]
    pub timestamp: Option<i64>,
    /// How it came to be; none means `Typed`.
    #[uniffi(default = None)]
    pub origin: Option<Origin>,
    /// Whether the app marks the field as one that nothing may be kept of: it is dropped at once.
    #[uniffi(default = false)]
    pub incognito: bool,
}

impl fmt::Debug for NewSample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        hidden("NewSample", &self.text, f).field("origin", &self.origin).finish_non_exhaustive()
    }
}

impl From<NewSample> for history::NewSample {
    fn from(sample: NewSample) -> Self {
        Self {
            id: sample.id,
            text: sample.text,
            context: sample.context,
            source: sample.source,
            contact: sample.contact,
            conversation: sample.conversation,
            timestamp: sample.timestamp,
            origin: sample.origin.map(Into::into).unwrap_or_default(),
            incognito: sample.incognito,
        }
    }
}

impl From<history::NewSample> for NewSample {
    fn from(sample: history::NewSample) -> Self {
        Self {
            text: sample.text,
            id: sample.id,
            context: sample.context,
            source: sample.source,
            contact: sample.contact,
            conversation: sample.conversation,
            timestamp: sample.timestamp,
            origin: Some(sample.origin.into()),
            incognito: sample.incognito,
        }
    }
}

/// What became of a batch; each message is counted once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, uniffi::Record)]
pub struct Added {
    /// Texts that the history did not have.
    pub new_texts: u64,
    /// Exact repeats, counted at the text that was there.
    pub repeated: u64,
    /// Messages that the history has already, by the app's id or by what they say, where and when, and those whose id comes
    /// again later in the same call: nothing was done.
    pub known: u64,
    /// Messages that the history had under the app's id with another text, which this one replaced.
    pub replaced: u64,
    /// Messages of an excluded source or contact: nothing of them was kept.
    pub excluded: u64,
    /// Messages marked incognito: nothing of them was kept.
    pub incognito: u64,
    /// Texts of white space only.
    pub blank: u64,
    /// Messages, these or older ones, that the retention cap removed.
    pub expired: u64,
}

impl From<history::Added> for Added {
    fn from(added: history::Added) -> Self {
        Self {
            new_texts: added.new,
            repeated: added.repeated,
            known: added.known,
            replaced: added.replaced,
            excluded: added.excluded,
            incognito: added.incognito,
            blank: added.blank,
            expired: added.expired,
        }
    }
}

/// A sample as it lies in the history.
#[derive(Clone, PartialEq, Eq, uniffi::Record)]
#[uniffi::export(Debug)]
pub struct StoredSample {
    /// Its number.
    pub id: i64,
    /// What the person wrote.
    pub text: String,
    /// What they were answering.
    pub context: Option<String>,
    /// How it came to be.
    pub origin: Origin,
    /// How often it was written.
    pub count: u64,
    /// When it was last written, in seconds since 1970 (UTC).
    pub timestamp: i64,
    /// The app's id of the last time.
    pub app_id: Option<String>,
    /// Where it was last written.
    pub source: Option<String>,
    /// To whom it was last written.
    pub contact: Option<String>,
    /// In which conversation it was last written.
    pub conversation: Option<String>,
    /// Its part in training.
    pub split: Split,
    /// Its cluster of near-duplicates.
    pub cluster: i64,
}

impl fmt::Debug for StoredSample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        hidden("StoredSample", &self.text, f)
            .field("id", &self.id)
            .field("count", &self.count)
            .field("split", &self.split)
            .finish_non_exhaustive()
    }
}

impl From<history::StoredSample> for StoredSample {
    fn from(sample: history::StoredSample) -> Self {
        Self {
            id: sample.id.0,
            text: sample.text,
            context: sample.context,
            origin: sample.origin.into(),
            count: sample.count,
            timestamp: sample.timestamp,
            app_id: sample.app_id,
            source: sample.source,
            contact: sample.contact,
            conversation: sample.conversation,
            split: sample.split.into(),
            cluster: sample.cluster.0,
        }
    }
}

mirror! {
    /// A number of texts and how often they were written.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, uniffi::Record)]
    pub struct Tally from history::Tally {
        /// Distinct texts.
        pub samples: u64,
        /// Messages, repeats included.
        pub messages: u64,
    }
}

/// What a file holds.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
#[uniffi::export(Debug)]
pub struct FileRows {
    /// The rows, in the file's order: ready for `History.add_all`.
    pub samples: Vec<NewSample>,
    /// How many rows were bad and are left out.
    pub skipped: u64,
    /// The first twenty of those.
    pub skipped_rows: Vec<SkippedRow>,
}

impl From<history::Rows> for FileRows {
    fn from(rows: history::Rows) -> Self {
        let named = rows.skipped.named.into_iter();
        Self {
            samples: rows.samples.into_iter().map(Into::into).collect(),
            skipped: rows.skipped.rows,
            skipped_rows: named.map(|row| SkippedRow { line: row.line, why: row.why }).collect(),
        }
    }
}

/// A bad row of a file.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct SkippedRow {
    /// Its line in the file, from 1.
    pub line: u64,
    /// What is wrong with it, in words: of which key, and nothing of what is written there.
    pub why: String,
}

/// Reads JSON lines with `text` and optionally `context`, `id`, `timestamp`, `source`, `contact`, `conversation`, `origin`
/// (`typed` where there is none, `suggestion_edited`, `suggestion_accepted`, `suggestion_turned_down`; any other is kept by its
/// name, and not learned from) and `incognito`. A timestamp is ISO 8601 or a number since 1970, bare or in a string: of seconds, milliseconds, microseconds or nanoseconds, as its size tells.
/// A bad row costs one row.
///
/// # Errors
/// When the file cannot be read, or holds bad rows only.
#[uniffi::export]
pub fn read_jsonl(path: String) -> Result<FileRows> {
    Ok(history::read_jsonl(Path::new(&path))?.into())
}

/// Reads one text a line that is not empty. A bad row costs one row.
///
/// # Errors
/// When the file cannot be read, or holds bad rows only; `BadOption` when it begins like an exported chat, in which others
/// wrote, too: `read_chat` reads one person's messages of it.
#[uniffi::export]
pub fn read_lines(path: String) -> Result<FileRows> {
    Ok(history::read_lines(Path::new(&path))?.into())
}

/// Reads one text a line that is not empty, whatever the file looks like. A bad row costs one row.
///
/// # Errors
/// When the file cannot be read, or holds bad rows only.
#[uniffi::export]
pub fn read_every_line(path: String) -> Result<FileRows> {
    Ok(history::read_every_line(Path::new(&path))?.into())
}

/// The samples with texts and contexts as the privacy filter leaves them, for an app that keeps no more than that; all
/// rules but those in `unmasked` apply. (What training sees is masked anyway.)
#[uniffi::export]
pub fn masked(samples: Vec<NewSample>, unmasked: Vec<PrivacyRule>) -> Vec<NewSample> {
    let filter = Filter::without(unmasked.into_iter().map(Into::into));
    samples.into_iter().map(|sample| history::NewSample::from(sample).masked(&filter).into()).collect()
}

/// Begins a `Debug` that tells the length of a text alone.
pub(crate) fn hidden<'a, 'b>(name: &str, text: &str, f: &'a mut fmt::Formatter<'b>) -> fmt::DebugStruct<'a, 'b> {
    let mut shown = f.debug_struct(name);
    shown.field("text", &format_args!("({} bytes)", text.len()));
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_open_is_the_engines_default() {
        let plain = history::NewSample::new("a text");
        let open = NewSample { origin: None, ..NewSample::from(plain.clone()) };
        assert_eq!(history::NewSample::from(open), plain);
    }

    #[test]
    fn origins_come_back_as_they_were_given() {
        for name in ["typed", "suggestion_accepted", "suggestion_edited", "suggestion_turned_down", "dictated"] {
            let origin = history::Origin::named(name);
            let mirrored = Origin::from(origin.clone());
            assert_eq!(matches!(mirrored, Origin::Other { .. }), name == "dictated");
            assert_eq!(history::Origin::from(mirrored), origin, "{name}");
        }
    }

    #[test]
    fn what_is_masked_is_masked_by_the_rules_that_are_on() {
        let sample = || NewSample::from(history::NewSample::new("write to ana@example.com"));
        let text = |unmasked| masked(vec![sample()], unmasked).remove(0).text;
        assert_eq!(text(vec![]), "write to ***");
        assert_eq!(text(vec![PrivacyRule::Email]), sample().text);
    }
}
