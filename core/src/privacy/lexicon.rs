//! What the rules know of languages and issuers: the data files of `words/`, a language (or an issuer) a row.

use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;

use super::words::{char_after, char_before, ends_word, starts_word, unspaced};

pub(super) const SECRETS: &str = include_str!("words/secrets.tsv");
pub(super) const GRAMMAR: &str = include_str!("words/grammar.tsv");
pub(super) const PHONE: &str = include_str!("words/phone.tsv");
pub(super) const STREET: &str = include_str!("words/street.tsv");
pub(super) const COMMANDS: &str = include_str!("words/commands.tsv");
pub(super) const ISSUERS: &str = include_str!("words/issuers.tsv");
pub(super) const IBANS: &str = include_str!("words/iban.tsv");
pub(super) const IDENTITY: &str = include_str!("words/identity.tsv");
pub(super) const IDENTITY_NUMBERS: &str = include_str!("words/identity_numbers.tsv");
pub(super) const COORDINATES: &str = include_str!("words/coordinates.tsv");
pub(super) const MAPS: &str = include_str!("words/maps.tsv");
pub(super) const DOMAINS: &str = include_str!("words/domains.tsv");

/// The rows of a data file: fields parted by tabs, without comments.
pub(super) fn rows<const FIELDS: usize>(file: &'static str) -> impl Iterator<Item = [&'static str; FIELDS]> {
    file.lines().filter(|line| !line.starts_with('#')).map(|line| {
        let mut fields = line.split('\t');
        std::array::from_fn(|_| fields.next().unwrap_or_default())
    })
}

/// The entries of a field.
pub(super) fn entries(field: &'static str) -> impl Iterator<Item = &'static str> {
    field.split(", ").filter(|entry| !entry.is_empty())
}

/// The words of some kinds, each with its language.
fn words(file: &'static str, kinds: &[&str]) -> Vec<(&'static str, &'static str)> {
    let rows = rows(file).filter(|[_, kind, _]| kinds.contains(kind));
    rows.flat_map(|[language, _, words]| entries(words).map(move |word| (language, word))).collect()
}

/// The endings that the words of a language may have.
fn suffixes(file: &'static str, language: &str) -> Vec<&'static str> {
    let own = rows(file).filter(|[code, kind, _]| *code == language && *kind == "suffix");
    own.flat_map(|[_, _, suffixes]| entries(suffixes)).collect()
}

/// A pattern for any of the words, the longest first, and with the endings of their languages; a space in one may be a
/// hyphen, an underscore, or nothing.
pub(super) fn any_of(file: &'static str, kinds: &[&str]) -> String {
    any_word(file, words(file, kinds))
}

fn any_word(file: &'static str, mut words: Vec<(&'static str, &'static str)>) -> String {
    words.sort_by(|(_, a), (_, b)| b.len().cmp(&a.len()).then(a.cmp(b)));
    let mut endings: HashMap<&str, String> = HashMap::new();
    let mut patterns: Vec<String> = Vec::with_capacity(words.len());
    for (language, word) in words {
        let ending = endings.entry(language).or_insert_with(|| match suffixes(file, language) {
            suffixes if suffixes.is_empty() => String::new(),
            mut suffixes => {
                suffixes.sort_by_key(|suffix| Reverse(suffix.len()));
                format!("(?:{})?", suffixes.join("|"))
            }
        });
        let inflected = word.chars().count() >= INFLECTED && !word.ends_with(unspaced);
        let pattern = regex::escape(word).replace(' ', "[ _-]?");
        patterns.push(if inflected { pattern + ending } else { pattern });
    }
    patterns.dedup();
    format!("(?:{})", patterns.join("|"))
}

/// The shortest word that may have an ending, in characters: shorter ones begin others.
const INFLECTED: usize = 5;

/// Words as a set, to ask for single ones in small letters.
pub(super) struct Set(HashSet<&'static str>);

impl Set {
    pub fn new(file: &'static str, kind: &str) -> Self {
        Self(words(file, &[kind]).into_iter().map(|(_, word)| word).collect())
    }

    /// The words that one language has of a kind.
    pub fn of(file: &'static str, kind: &str, language: &str) -> Self {
        let own = rows(file).filter(|[code, row, _]| *code == language && *row == kind);
        Self(own.flat_map(|[_, _, words]| entries(words)).collect())
    }

    pub fn has(&self, lower: &str) -> bool {
        self.0.contains(lower)
    }

    pub fn iter(&self) -> impl Iterator<Item = &'static str> {
        self.0.iter().copied()
    }
}

/// A word of the lists, found in a text.
#[derive(Debug, Clone)]
pub(super) struct Keyword<'a> {
    pub range: Range<usize>,
    /// The languages that have it.
    pub languages: &'a [&'static str],
}

/// Words to be found in texts.
pub(super) struct Keywords {
    /// Those of ASCII alone; none where there are none.
    ascii: Option<Regex>,
    /// The others. Only texts that are not of ASCII alone need their pattern: it takes most of the memory.
    others: LazyLock<Option<Regex>, Box<dyn FnOnce() -> Option<Regex> + Send>>,
    languages: HashMap<String, Vec<&'static str>>,
}

impl Keywords {
    pub fn new(file: &'static str, kinds: &[&str]) -> Self {
        let (ascii, others): (Vec<_>, Vec<_>) = words(file, kinds).into_iter().partition(|(_, word)| word.is_ascii());
        let pattern = move |words: Vec<_>| (!words.is_empty()).then(|| compile(&any_word(file, words)));
        let others = LazyLock::new(Box::new(move || pattern(others)) as Box<dyn FnOnce() -> _ + Send>);
        Self { ascii: pattern(ascii), others, languages: languages(file, kinds) }
    }

    /// With a pattern that is more than those words.
    pub fn with_pattern(file: &'static str, kinds: &[&str], pattern: &str) -> Self {
        let others = LazyLock::new(Box::new(|| None) as Box<dyn FnOnce() -> _ + Send>);
        Self { ascii: Some(compile(pattern)), others, languages: languages(file, kinds) }
    }

    /// All words and parts of words.
    pub fn parts<'a>(&'a self, text: &'a str) -> impl Iterator<Item = Keyword<'a>> {
        let others = if text.is_ascii() { None } else { self.others.as_ref() };
        // Each pattern with its next word, which is looked for anew only where another one's has covered its beginning.
        let mut patterns: Vec<_> =
            self.ascii.iter().chain(others).map(|pattern| (pattern, pattern.find(text))).collect();
        std::iter::from_fn(move || {
            let words = patterns.iter().filter_map(|(_, word)| *word);
            // The first one; of two that begin at one place, the longer.
            let word = words.min_by_key(|word| (word.start(), Reverse(word.end())))?;
            for (pattern, next) in &mut patterns {
                if next.is_some_and(|next| next.start() < word.end()) {
                    *next = pattern.find_at(text, word.end());
                }
            }
            Some(Keyword { range: word.range(), languages: self.languages_of(word.as_str()) })
        })
    }

    /// The languages of a word, whose ending may be of no list.
    fn languages_of(&self, word: &str) -> &[&'static str] {
        let plain = plain(word);
        let stems = plain.char_indices().rev().map(|(end, _)| &plain[..end]).take(INFLECTED);
        std::iter::once(plain.as_str())
            .chain(stems)
            .find_map(|stem| self.languages.get(stem))
            .map_or(&[], Vec::as_slice)
    }

    /// Those that stand alone, or as a part of an identifier: `DB_PASS`, `awsSecretKey`.
    pub fn find<'a>(&'a self, text: &'a str) -> impl Iterator<Item = Keyword<'a>> {
        self.endings(text).filter(|word| starts_part(text, word.range.start))
    }

    /// Those at the end of a word, whatever it begins with.
    pub fn endings<'a>(&'a self, text: &'a str) -> impl Iterator<Item = Keyword<'a>> {
        let ends = |end: usize| ends_word(text, end) || char_before(text, end).is_some_and(unspaced);
        self.parts(text).filter(move |word| ends(word.range.end))
    }
}

fn compile(pattern: &str) -> Regex {
    Regex::new(&format!("(?i){pattern}")).expect("a constant pattern")
}

/// The languages that have a word, by the word in small letters.
fn languages(file: &'static str, kinds: &[&str]) -> HashMap<String, Vec<&'static str>> {
    let mut languages: HashMap<String, Vec<&'static str>> = HashMap::new();
    for (language, word) in words(file, kinds) {
        languages.entry(plain(word)).or_default().push(language);
    }
    languages
}

/// A word in small letters, as one.
fn plain(word: &str) -> String {
    word.chars().filter(|c| !matches!(c, ' ' | '_' | '-')).flat_map(char::to_lowercase).collect()
}

/// Whether a word can begin here, or a part of an identifier.
pub(super) fn starts_part(text: &str, at: usize) -> bool {
    let before = char_before(text, at);
    let hump = before.is_some_and(char::is_lowercase) && char_after(text, at).is_some_and(char::is_uppercase);
    let glued = char_after(text, at).is_some_and(unspaced);
    starts_word(text, at) || glued || before == Some('_') || hump
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every file's rows have their fields, and the lists that grow by language have many.
    #[test]
    fn data_files_are_whole() {
        for (file, fields) in [
            (SECRETS, 3),
            (GRAMMAR, 3),
            (PHONE, 3),
            (STREET, 3),
            (IDENTITY, 3),
            (COORDINATES, 3),
            (COMMANDS, 4),
            (ISSUERS, 6),
            (IBANS, 3),
            (IDENTITY_NUMBERS, 4),
            (MAPS, 3),
            (DOMAINS, 2),
        ] {
            for line in file.lines().filter(|line| !line.starts_with('#')) {
                assert_eq!(line.split('\t').filter(|field| !field.trim().is_empty()).count(), fields, "{line:?}");
            }
        }
        for file in [SECRETS, GRAMMAR, PHONE, STREET, IDENTITY, COORDINATES] {
            let described = |kind: &str| {
                file.lines()
                    .any(|line| line.strip_prefix("# ").is_some_and(|line| line.split(' ').next() == Some(kind)))
            };
            for [language, kind, words] in rows(file) {
                assert!(described(kind), "{language} {kind}");
                assert!(entries(words).all(|word| word == word.trim() && word == word.to_lowercase()), "{words:?}");
            }
        }
        for kinds in [&["password", "password_word", "password_homograph"][..], &["code", "code_noun"]] {
            let languages: HashSet<_> = words(SECRETS, kinds).into_iter().map(|(language, _)| language).collect();
            assert!(languages.len() >= 20, "{kinds:?}: {}", languages.len());
        }
    }
}
