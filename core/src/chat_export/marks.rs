//! The words that the app writes into chats, as the tables in `marks/` have them: a table a kind, a row a language.
//! `marks/README.md` says which kinds are known in which languages.

use std::collections::HashSet;
use std::sync::LazyLock;

use regex::RegexSet;

use super::plain::phrase;
use super::table::{alternatives, rows};

/// Lines in place of a message that was deleted.
pub(super) static DELETED: LazyLock<Phrases> = LazyLock::new(|| Phrases::of(include_str!("marks/deleted.tsv"), 1));
/// Lines in place of a call, without how long it was.
pub(super) static CALLS: LazyLock<Phrases> = LazyLock::new(|| Phrases::of(include_str!("marks/calls.tsv"), 1));
/// Lines in place of a place that was shared as it changed.
pub(super) static LIVE_LOCATION: LazyLock<Phrases> =
    LazyLock::new(|| Phrases::of(include_str!("marks/live_location.tsv"), 1));
/// What the app says under somebody's name.
pub(super) static NOTICES: LazyLock<Phrases> = LazyLock::new(|| Phrases::of(include_str!("marks/notices.tsv"), 1));
/// What an edited message ends with, without `<` and `>`.
pub(super) static EDITED: LazyLock<Phrases> = LazyLock::new(|| Phrases::of(include_str!("marks/edited.tsv"), 1));
/// The word that begins a poll, without its colon.
pub(super) static POLLS: LazyLock<Phrases> = LazyLock::new(|| Phrases::of(include_str!("marks/polls.tsv"), 1));
/// Android's words after the name of a file that was sent, without brackets.
pub(super) static ATTACHED: LazyLock<Phrases> = LazyLock::new(|| Phrases::of(include_str!("marks/attached.tsv"), 1));
/// The iPhone's word before the name of a file that was sent, without `<` and the colon.
pub(super) static ATTACHED_TAGS: LazyLock<Phrases> =
    LazyLock::new(|| Phrases::of(include_str!("marks/attached.tsv"), 2));
/// Android's words for a file that was not exported, without `<` and `>`.
pub(super) static OMITTED_TAGS: LazyLock<Phrases> = LazyLock::new(|| Phrases::of(include_str!("marks/omitted.tsv"), 1));
/// The iPhone's lines for a file that was not exported.
pub(super) static OMITTED: LazyLock<Phrases> = LazyLock::new(|| Phrases::of(include_str!("marks/omitted.tsv"), 2));
/// More of these lines, which people say, too.
pub(super) static OMITTED_OR_SAID: LazyLock<Phrases> =
    LazyLock::new(|| Phrases::of(include_str!("marks/omitted.tsv"), 3));

/// What the app writes in one place, in all languages; `…` in a table stands for anything.
pub(super) struct Phrases {
    exact: HashSet<String>,
    patterns: RegexSet,
    /// No longer text is one of them, in bytes.
    longest: usize,
}

impl Phrases {
    /// The phrases in a column of a table.
    fn of(table: &'static str, column: usize) -> Self {
        /// Room for what `…` stands for.
        const ANYTHING: usize = 1000;
        let (mut exact, mut patterns) = (HashSet::new(), Vec::new());
        let cells = rows(table).filter_map(|row| row.get(column).copied());
        for known in cells.flat_map(alternatives).map(phrase) {
            if known.contains('…') {
                let parts: Vec<String> = known.split('…').map(regex::escape).collect();
                patterns.push(format!("^{}$", parts.join(".*")));
            } else {
                exact.insert(known);
            }
        }
        let longest = exact.iter().map(String::len).max().unwrap_or_default() + 20;
        let longest = if patterns.is_empty() { longest } else { ANYTHING };
        Self { exact, patterns: RegexSet::new(patterns).expect("escaped patterns"), longest }
    }

    /// Whether `written` is one of them, by case, spaces and full stop as it may be.
    pub fn has(&self, written: &str) -> bool {
        if written.len() > self.longest {
            return false;
        }
        let phrase = phrase(written);
        self.exact.contains(&phrase) || self.patterns.is_match(&phrase)
    }

    /// How many words at the end of `written`, after others, are one of them.
    pub fn words_at_end(&self, written: &str) -> Option<usize> {
        let mut from = written.len().saturating_sub(self.longest);
        while !written.is_char_boundary(from) {
            from += 1;
        }
        let end = phrase(&written[from..]);
        let mut ends = end.match_indices(' ').map(|(at, _)| &end[at + 1..]);
        ends.find(|words| self.exact.contains(*words)).map(|words| words.split(' ').count())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_readme_names_the_languages_of_every_table() {
        let readme = include_str!("marks/README.md");
        for (name, table) in [
            ("attached", include_str!("marks/attached.tsv")),
            ("omitted", include_str!("marks/omitted.tsv")),
            ("edited", include_str!("marks/edited.tsv")),
            ("deleted", include_str!("marks/deleted.tsv")),
            ("calls", include_str!("marks/calls.tsv")),
            ("live_location", include_str!("marks/live_location.tsv")),
            ("polls", include_str!("marks/polls.tsv")),
            ("notices", include_str!("marks/notices.tsv")),
        ] {
            let languages: Vec<&str> = rows(table).map(|row| row[0]).collect();
            assert!(languages.is_sorted() && languages.len() > 1, "{name}");
            let line = format!("| `{name}.tsv` | {} |", languages.join(" "));
            assert!(readme.contains(&line), "marks/README.md lacks: {line}");
            assert!(table.lines().any(|line| line.starts_with("# Source: ")), "{name}");
        }
    }
}
