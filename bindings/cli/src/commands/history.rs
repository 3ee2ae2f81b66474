//! `idiolect history`.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::fmt::{self, Display};
use std::path::PathBuf;

use clap::{Args, Subcommand};
use idiolect::Result;
use idiolect::chat_export;
use idiolect::history::{Added, Rows, SampleId, Selection, Skipped, Tally};
use idiolect::personalize::remove_from_history;
use idiolect::privacy::Filter;
use serde::Serialize;

use crate::args::{FormatArgs, ProfileArgs};
use crate::output::{Output, SkippedRows, Table};

#[derive(Debug, Args)]
pub struct History {
    #[command(subcommand)]
    command: HistoryCommand,
}

#[derive(Debug, Subcommand)]
enum HistoryCommand {
    /// Add what the person wrote; the profile is made where it is missing. Added again, nothing counts twice, and another text
    /// under a known id takes the old one's place
    Add(Add),
    /// List who wrote in a chat export, most messages first
    Authors(Authors),
    /// List what it holds, latest first
    List(List),
    /// Figures of what it holds
    Stats(ProfileArgs),
    /// Remove for good, by number, source or time
    Remove(Remove),
}

#[derive(Debug, Args)]
struct Add {
    #[command(flatten)]
    profile: ProfileArgs,

    /// The file to read
    file: PathBuf,

    #[command(flatten)]
    format: FormatArgs,

    /// Where the messages were written, for all that do not say
    #[arg(long)]
    source: Option<String>,

    /// Keep no card numbers, passwords, addresses …: what is stored is masked as well
    #[arg(long)]
    mask: bool,
}

#[derive(Debug, Args)]
struct Authors {
    /// The chat export
    file: PathBuf,
}

/// Somebody who wrote in a chat export.
#[derive(Serialize)]
struct Author<'a> {
    name: &'a str,
    messages: usize,
}

impl Display for Author<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:>7}  {}", self.messages, self.name)
    }
}

#[derive(Debug, Args)]
struct List {
    #[command(flatten)]
    profile: ProfileArgs,

    /// At most so many
    #[arg(long, default_value_t = 20)]
    limit: usize,

    /// Only those added before this number
    #[arg(long, value_name = "NUMBER")]
    before: Option<i64>,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false, args = ["number", "source", "after"])]
struct Remove {
    #[command(flatten)]
    profile: ProfileArgs,

    /// Numbers as `history list` shows them
    #[arg(long, value_name = "NUMBER", num_args = 1..)]
    number: Vec<i64>,

    /// Everything written there
    #[arg(long)]
    source: Option<String>,

    /// Everything written from this time on, in seconds since 1970
    #[arg(long, value_name = "SECONDS", allow_negative_numbers = true)]
    after: Option<i64>,

    /// With --after: until before this time
    #[arg(long, value_name = "SECONDS", requires = "after", allow_negative_numbers = true)]
    before: Option<i64>,
}

/// What became of the messages of a file.
#[derive(Serialize)]
struct AddedReport {
    new: u64,
    repeated: u64,
    known: u64,
    replaced: u64,
    excluded: u64,
    incognito: u64,
    blank: u64,
    expired: u64,
    #[serde(flatten)]
    skipped: SkippedRows,
}

impl AddedReport {
    fn new(added: &Added, skipped: Skipped) -> Self {
        Self {
            new: added.new,
            repeated: added.repeated,
            known: added.known,
            replaced: added.replaced,
            excluded: added.excluded,
            incognito: added.incognito,
            blank: added.blank,
            expired: added.expired,
            skipped: skipped.into(),
        }
    }
}

impl Display for AddedReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} new, {} repeats", self.new, self.repeated)?;
        for (count, what) in [
            (self.known, "known already"),
            (self.replaced, "edited"),
            (self.excluded, "excluded"),
            (self.incognito, "incognito"),
            (self.blank, "blank"),
            (self.expired, "expired"),
        ] {
            if count > 0 {
                write!(f, ", {count} {what}")?;
            }
        }
        if self.skipped.count() > 0 {
            write!(f, "\n{}", self.skipped)?;
        }
        Ok(())
    }
}

/// One sample, as `history list` prints it.
#[derive(Serialize)]
struct Row<'a> {
    number: i64,
    text: &'a str,
    context: Option<&'a str>,
    origin: &'a str,
    count: u64,
    timestamp: i64,
    source: Option<&'a str>,
    contact: Option<&'a str>,
}

impl Display for Row<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let times = if self.count > 1 { format!(" ×{}", self.count) } else { String::new() };
        write!(f, "{:>7}{times}  {}", self.number, self.text.replace('\n', " ⏎ "))
    }
}

#[derive(Serialize)]
struct StatsReport {
    messages: u64,
    samples: u64,
    /// By how the texts came to be.
    origins: BTreeMap<String, Tally>,
    clusters: u64,
    largest_cluster: u64,
    revision: u64,
    removal_pending: bool,
    from: Option<i64>,
    to: Option<i64>,
}

impl Display for StatsReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rows = vec![
            ("messages", self.messages.to_string()),
            ("different texts", self.samples.to_string()),
            ("clusters of near-duplicates", self.clusters.to_string()),
            ("largest cluster", self.largest_cluster.to_string()),
        ];
        rows.extend(self.origins.iter().map(|(name, tally)| (name.as_str(), tally.messages.to_string())));
        Table(&rows).fmt(f)
    }
}

#[derive(Serialize)]
struct RemovedReport {
    messages: u64,
    samples: u64,
    /// Adapter versions that learned from what was removed.
    marked: Vec<u32>,
    pending: bool,
    /// Whether a paused training lost its checkpoint.
    checkpoint_dropped: bool,
}

impl Display for RemovedReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} messages, {} different texts removed", self.messages, self.samples)?;
        if !self.marked.is_empty() {
            let versions = self.marked.iter().map(u32::to_string).collect::<Vec<_>>().join(", ");
            write!(f, "; adapter versions {versions} learned from them: train again")?;
        }
        if self.checkpoint_dropped {
            write!(f, "; the training under way may know them: the next one begins anew")?;
        }
        if self.pending {
            write!(f, "; traces stay in the log until another process has stopped reading")?;
        }
        Ok(())
    }
}

impl History {
    pub fn run(&self, output: &Output) -> Result<()> {
        match &self.command {
            HistoryCommand::Add(add) => add.run(output),
            HistoryCommand::Authors(authors) => authors.run(output),
            HistoryCommand::List(list) => list.run(output),
            HistoryCommand::Stats(profile) => stats(profile, output),
            HistoryCommand::Remove(remove) => remove.run(output),
        }
    }
}

impl Add {
    fn run(&self, output: &Output) -> Result<()> {
        let Rows { mut samples, skipped } = self.format.read(&self.file)?;
        for sample in &mut samples {
            sample.source = sample.source.take().or_else(|| self.source.clone());
        }
        if self.mask {
            let filter = Filter::default();
            samples = samples.into_iter().map(|sample| sample.masked(&filter)).collect();
        }
        let added = self.profile.create()?.history().add_all(&samples)?;
        output.result(&AddedReport::new(&added, skipped))
    }
}

impl Authors {
    fn run(&self, output: &Output) -> Result<()> {
        let export = chat_export::read(&self.file)?;
        let mut authors: Vec<Author<'_>> =
            export.authors().into_iter().map(|(name, messages)| Author { name, messages }).collect();
        authors.sort_by_key(|author| Reverse(author.messages));
        authors.iter().try_for_each(|author| output.result(author))
    }
}

impl List {
    fn run(&self, output: &Output) -> Result<()> {
        let profile = self.profile.open()?;
        for sample in profile.history().list(self.before.map(SampleId), self.limit)? {
            output.result(&Row {
                number: sample.id.0,
                text: &sample.text,
                context: sample.context.as_deref(),
                origin: sample.origin.name(),
                count: sample.count,
                timestamp: sample.timestamp,
                source: sample.source.as_deref(),
                contact: sample.contact.as_deref(),
            })?;
        }
        Ok(())
    }
}

fn stats(profile: &ProfileArgs, output: &Output) -> Result<()> {
    let stats = profile.open()?.history().stats()?;
    let met = stats.origins.into_iter().filter(|(_, tally)| tally.samples > 0);
    output.result(&StatsReport {
        messages: stats.total.messages,
        samples: stats.total.samples,
        origins: met.map(|(origin, tally)| (origin.name().to_owned(), tally)).collect(),
        clusters: stats.clusters,
        largest_cluster: stats.largest_cluster,
        revision: stats.revision,
        removal_pending: stats.removal_pending,
        from: stats.period.map(|(from, _)| from),
        to: stats.period.map(|(_, to)| to),
    })
}

impl Remove {
    fn run(&self, output: &Output) -> Result<()> {
        let selection = match (&self.source, self.after) {
            (Some(source), _) => Selection::Source(source.clone()),
            (None, Some(after)) => Selection::Time(after..self.before.unwrap_or(i64::MAX)),
            (None, None) => Selection::Samples(self.number.iter().copied().map(SampleId).collect()),
        };
        let removed = remove_from_history(&self.profile.open()?, &selection)?;
        output.result(&RemovedReport {
            messages: removed.messages,
            samples: removed.samples,
            marked: removed.marked,
            pending: removed.pending,
            checkpoint_dropped: removed.checkpoint_dropped,
        })
    }
}
