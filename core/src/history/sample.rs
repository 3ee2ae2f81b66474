//! What goes into the history and what comes out. No `Debug` of these shows what the person wrote.

use std::fmt;
use std::ops::{AddAssign, RangeInclusive};

use super::origin::Origin;
use crate::chat_export::ExportedSample;
use crate::privacy::Filter;

/// The longest text, context or name, in bytes.
pub(super) const LONGEST: usize = 1 << 20;

/// Seconds of the years 1 to 9999: what lies outside is no time in seconds.
const TIMES: RangeInclusive<i64> = -62_135_596_800..=253_402_300_799;

/// The part that a sample plays in training, for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Split {
    /// 80 %: what is learned from.
    Training,
    /// 10 %: early stopping and settings.
    Validation,
    /// 10 %: the gate alone.
    HeldOut,
}

impl Split {
    /// All three.
    pub const ALL: [Self; 3] = [Self::Training, Self::Validation, Self::HeldOut];

    /// Its number in the database.
    pub(super) fn code(self) -> i64 {
        match self {
            Self::Training => 0,
            Self::Validation => 1,
            Self::HeldOut => 2,
        }
    }

    pub(super) fn of_code(code: i64) -> Option<Self> {
        Self::ALL.into_iter().find(|split| split.code() == code)
    }
}

/// The number of a sample in its history; never used again for another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SampleId(pub i64);

impl fmt::Display for SampleId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The number of a cluster of near-duplicates; never used again for another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClusterId(pub i64);

/// A text to add.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct NewSample {
    /// The app's own id, of this message alone. Under an id that the history knows, the same text is not added again, so a
    /// batch can be repeated, and another text is an edit: it takes the old one's place.
    pub id: Option<String>,
    /// What the person wrote.
    pub text: String,
    /// What they were answering.
    pub context: Option<String>,
    /// The app or field that it was written in.
    pub source: Option<String>,
    /// Whom it was written to.
    pub contact: Option<String>,
    /// The conversation that it belongs to.
    pub conversation: Option<String>,
    /// When it was written, in seconds since 1970 (UTC); now, where it is not known.
    pub timestamp: Option<i64>,
    /// How it came to be.
    pub origin: Origin,
    /// Whether the app marks the field as one that nothing may be kept of: it is dropped at once.
    pub incognito: bool,
}

impl NewSample {
    /// A text alone, typed now.
    pub fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), ..Self::default() }
    }

    /// Whether anything of it may be kept.
    pub(super) fn says_something(&self) -> bool {
        !self.incognito && !self.text.trim().is_empty()
    }

    /// What of it the history refuses, in words that quote nothing.
    pub(super) fn check(&self) -> Result<(), String> {
        let fields = [
            ("id", self.id.as_ref()),
            ("text", Some(&self.text)),
            ("context", self.context.as_ref()),
            ("source", self.source.as_ref()),
            ("contact", self.contact.as_ref()),
            ("conversation", self.conversation.as_ref()),
        ];
        let fields = fields.map(|(field, value)| (field, value.map_or(0, String::len)));
        for (field, length) in fields.into_iter().chain([("origin", self.origin.name().len())]) {
            if length > LONGEST {
                return Err(format!("the {field} has {length} bytes, at most {LONGEST} are kept"));
            }
        }
        match self.timestamp {
            Some(time) if !TIMES.contains(&time) => Err(format!("the timestamp {time} is not in seconds since 1970")),
            _ => Ok(()),
        }
    }

    /// The sample with text and context as the privacy filter leaves them, for an app that keeps no more than that. (What
    /// training sees is masked anyway.)
    #[must_use]
    pub fn masked(self, filter: &Filter) -> Self {
        let mask = |text: String| filter.mask(&text).text;
        Self { text: mask(self.text), context: self.context.map(mask), ..self }
    }
}

impl From<ExportedSample> for NewSample {
    fn from(sample: ExportedSample) -> Self {
        Self {
            text: sample.text,
            context: sample.context,
            contact: sample.contact,
            conversation: sample.conversation,
            timestamp: sample.timestamp,
            ..Self::default()
        }
    }
}

impl fmt::Debug for NewSample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        hidden("NewSample", &self.text, f).field("origin", &self.origin).finish_non_exhaustive()
    }
}

/// What became of a batch; each message is counted once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Added {
    /// Texts that the history did not have.
    pub new: u64,
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

impl AddAssign for Added {
    fn add_assign(&mut self, other: Self) {
        self.new += other.new;
        self.repeated += other.repeated;
        self.known += other.known;
        self.replaced += other.replaced;
        self.excluded += other.excluded;
        self.incognito += other.incognito;
        self.blank += other.blank;
        self.expired += other.expired;
    }
}

/// A sample as it lies in the history.
#[derive(Clone, PartialEq, Eq)]
pub struct StoredSample {
    /// Its number.
    pub id: SampleId,
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
    /// Its near-duplicates.
    pub cluster: ClusterId,
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

/// A sample that training may use.
#[derive(Clone, PartialEq, Eq)]
pub struct LearnableSample {
    /// Its number.
    pub id: SampleId,
    /// What the person wrote.
    pub text: String,
    /// What they were answering.
    pub context: Option<String>,
    /// How it came to be.
    pub origin: Origin,
    /// How often it was written.
    pub count: u64,
    /// Its near-duplicates.
    pub cluster: ClusterId,
    /// How many messages the cluster holds, repeats included.
    pub cluster_size: u64,
}

impl fmt::Debug for LearnableSample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        hidden("LearnableSample", &self.text, f)
            .field("id", &self.id)
            .field("count", &self.count)
            .field("cluster", &self.cluster)
            .field("cluster_size", &self.cluster_size)
            .finish_non_exhaustive()
    }
}

/// Begins a `Debug` that tells the length of a text alone.
fn hidden<'a, 'b>(name: &str, text: &str, f: &'a mut fmt::Formatter<'b>) -> fmt::DebugStruct<'a, 'b> {
    let mut shown = f.debug_struct(name);
    shown.field("text", &format_args!("({} bytes)", text.len()));
    shown
}
