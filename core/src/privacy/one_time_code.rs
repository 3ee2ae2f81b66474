//! One-time codes: 4 to 8 digits near words that say what they are.

use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;

use super::lexicon::{GRAMMAR, Keyword, Keywords, SECRETS, any_of, starts_part};
use super::lock::Locks;
use super::numbers::Group;
use super::phone::is_named_otherwise;
use super::said::{Tie, Value, is_copula, value_after};
use super::words::{after, before, ends_word, starts_word, unspaced};

/// Words that mean such a code and nothing else, by themselves or as a noun and what kind it is.
static SURE: LazyLock<Keywords> = LazyLock::new(|| {
    let kinds = [&["code"][..], &["code_kind"], &["code_place"], &["code_noun"], &["code_noun", "code_part"]];
    let [word, kind, place, noun, part] = kinds.map(|kinds| any_of(SECRETS, kinds));
    let pattern = format!(
        r"(?:{word}|{kind}[ -]{{1,2}}{part}|{place}[ -]{{1,2}}{noun}|{noun}[ -](?:\p{{L}}{{1,5}}['’ ]){{0,2}}(?:{kind}|{place}))"
    );
    Keywords::with_pattern(SECRETS, &["code"], &pattern)
});

/// Words for a code of any kind.
static CODE: LazyLock<Keywords> = LazyLock::new(|| Keywords::new(SECRETS, &["code_noun"]));

/// Kinds of code that are no secret, at the end of what stands before the word.
static PUBLIC: LazyLock<Regex> = LazyLock::new(|| {
    let words = any_of(GRAMMAR, &["public_before"]);
    Regex::new(&format!(r"(?i)(?:^|\P{{L}}){words}[\s_-]{{0,2}}$")).expect("a constant pattern")
});

/// What ties the word to the digits after it: a copula, a sign, a few words of how it came or what it is for.
static TIE: LazyLock<Regex> = LazyLock::new(|| {
    let kinds = [&["copula", "copula_glued"][..], &["filler"], &["preposition"], &["article"]];
    let [copula, filler, preposition, article] = kinds.map(|kinds| any_of(GRAMMAR, kinds));
    Regex::new(&format!(
        r#"(?i)^(?:['’]s\b|[\s"'»)\]?!.,–—-]*(?:{filler}\s+){{0,3}}{copula}?(?:\s+(?:{filler}|{article})){{0,3}}|\s{preposition}\s[^\d!?\n.]{{0,40}}(?:\s{copula}(?:\s{article})?|[:=：]|->|→)|(?:\s\p{{L}}{{2,16}}){{1,2}}\s{copula}(?:\s{article})?)\s*[:=：#–—>\-"'«(\[]{{0,3}}\s*$"#
    ))
    .expect("a constant pattern")
});

/// What such a code is for: `code van de garage 9934`.
static PURPOSED: LazyLock<Regex> = LazyLock::new(|| {
    let preposition = any_of(GRAMMAR, &["preposition"]);
    Regex::new(&format!(r"(?i)^\s{preposition}(?:\s\p{{L}}[\p{{L}}'’-]*){{1,3}}\s*[:–—-]?\s*$"))
        .expect("a constant pattern")
});

static ENTERED: LazyLock<Regex> = LazyLock::new(|| {
    let enter = any_of(GRAMMAR, &["enter"]);
    Regex::new(&format!(r"(?i)(?-u:\b){enter}\s+$")).expect("a constant pattern")
});

static PURPOSE: LazyLock<Regex> = LazyLock::new(|| {
    let opens = any_of(GRAMMAR, &["opens"]);
    Regex::new(&format!(r"(?i)^\s+(?:to|for)\s+{opens}(?-u:\b)")).expect("a constant pattern")
});

/// What numbers count.
static COUNTED: LazyLock<Regex> = LazyLock::new(|| {
    let (units, glued) = (any_of(GRAMMAR, &["unit"]), any_of(GRAMMAR, &["unit_glued"]));
    Regex::new(&format!(r"(?i)^(?:\s{units}(?:\P{{L}}|$)|\s?{glued})")).expect("a constant pattern")
});

/// The shortest noun that ends longer ones, in bytes.
const COMPOUND: usize = 4;

/// How far a word may stand before the digits, and after them, in bytes.
const BEFORE: usize = 56;
const AFTER: usize = 48;

/// The names of one-time codes in a text.
pub(super) fn named_in(text: &str) -> Vec<Range<usize>> {
    SURE.find(text).map(|word| word.range).collect()
}

pub(super) fn find(text: &str, groups: &[Group]) -> Vec<Range<usize>> {
    let sure: Vec<Keyword<'_>> = SURE.find(text).collect();
    let any: Vec<Keyword<'_>> = codes(text).filter(|word| !is_public(text, &word.range)).collect();
    let any_word = any.iter().filter(|word| starts_word(text, word.range.start));
    let named = sure.iter().map(|word| (word, true)).chain(any_word.map(|word| (word, false)));
    let lettered = |(word, sure)| value_after(text, word, |value| is_lettered(value, sure));
    let mut found: Vec<Range<usize>> = named.filter_map(lettered).collect();
    let locks = Locks::of(text);
    let mut rest = groups;
    while !rest.is_empty() {
        let (number, further) = rest.split_at(written_together(text, rest));
        found.extend(code(text, number).filter(|range| is_said(text, range, &sure, &any) || locks.open_with(range)));
        rest = further;
    }
    found
}

/// The nouns for a code; the longer ones also end words, such as `Haustürcode`.
fn codes(text: &str) -> impl Iterator<Item = Keyword<'_>> {
    CODE.endings(text).filter(|word| starts_part(text, word.range.start) || word.range.len() >= COMPOUND)
}

/// `error code`, `code postal`: a code that is no secret.
fn is_public(text: &str, word: &Range<usize>) -> bool {
    static KIND: LazyLock<Regex> = LazyLock::new(|| {
        let words = any_of(GRAMMAR, &["public_after"]);
        Regex::new(&format!(r"(?i)^[\s_-]{words}(?:\P{{L}}|$)")).expect("a constant pattern")
    });
    PUBLIC.is_match(before(text, word.start, 24)) || KIND.is_match(after(text, word.end, 24))
}

/// A code of capitals and digits; where a word means nothing but a secret code, right beside it.
fn is_lettered(value: Value<'_>, sure: bool) -> bool {
    let count = |test: fn(char) -> bool| value.text.chars().filter(|c| test(*c)).count();
    let (digits, capitals) = (count(|c| c.is_ascii_digit()), count(char::is_uppercase));
    (value.tie != Tie::Beside || sure && digits >= 3)
        && value.unknown == 0
        && (4..=11).contains(&value.text.len())
        && digits > 0
        && capitals > 0
        && digits + capitals + count(|c| c == '-') == value.text.chars().count()
}

/// How many groups, from the first on, are parted by no more than one sign.
fn written_together(text: &str, groups: &[Group]) -> usize {
    let parted = |pair: &[Group]| {
        let between = &text[pair[0].range.end..pair[1].range.start];
        !matches!(between, " " | "-" | "\u{a0}" | "." | "/" | ":" | "," | "–")
    };
    groups.windows(2).position(parted).map_or(groups.len(), |last| last + 1)
}

/// The code that groups written together are: 4 to 8 digits, also in equal parts; or the first of them, where the
/// sentence goes on with a small number.
fn code(text: &str, groups: &[Group]) -> Option<Range<usize>> {
    let separator = |at: usize| &text[groups[at - 1].range.end..groups[at].range.start];
    let spaced = (1..groups.len().min(3)).all(|at| matches!(separator(at), " " | "-" | "\u{a0}"));
    let count = |at: usize| groups.get(at).map_or(0, |group| group.count);
    let last = match (groups.len(), count(0), count(1), count(2)) {
        (1, 4..=8, ..) => 0,
        (2, 3, 3, _) | (2, 4, 4, _) if spaced => 1,
        (3, 2, 2, 2) if spaced => 2,
        (2.., 4..=8, 1..=3, _) if separator(1) == " " => 0,
        _ => return None,
    };
    let range = groups[0].range.start..groups[last].range.end;
    is_free(text, &range).then_some(range)
}

/// Whether the number that ends here counts something.
pub(super) fn is_counted(text: &str, end: usize) -> bool {
    COUNTED.is_match(after(text, end, 12))
}

/// Whether a number could be a year of this time.
pub(super) fn is_year(number: &str) -> bool {
    number.len() == 4 && (number.starts_with("19") || number.starts_with("20"))
}

/// Neither part of a word, nor an amount.
fn is_free(text: &str, range: &Range<usize>) -> bool {
    let google = text[..range.start].ends_with("G-");
    let before = before(text, range.start, 4);
    let bound = before.ends_with(['$', '€', '£', '¥', '₹', '#', '.', '-', '/', ',']) && !before.ends_with(". ");
    let after = after(text, range.end, 12);
    let amount = after.trim_start().starts_with(['%', '€', '$', '£', '₽']) || is_counted(text, range.end);
    starts_word(text, range.start) && ends_word(text, range.end) && (google || !bound) && !amount
}

fn is_said(text: &str, range: &Range<usize>, sure: &[Keyword<'_>], any: &[Keyword<'_>]) -> bool {
    let digits = text[range.clone()].chars().count();
    if let Some(word) = preceding(sure, range) {
        let between = &text[word.range.end.min(range.start)..range.start];
        let year = is_year(&text[range.clone()]);
        let glued = between.chars().next().is_some_and(unspaced);
        if glued || TIE.is_match(between) || !year && !between.contains('\n') {
            return true;
        }
    }
    if following(sure, range).is_some_and(|word| !text[range.end..word.range.start].contains(['.', '\n'])) {
        return true;
    }
    if let Some(word) = preceding(any, range) {
        let between = &text[word.range.end..range.start];
        // A line of its own, or the end of one, where a code was asked for.
        let ends = after(text, range.end, 8).trim_start_matches(['.', '!', ' ']);
        let alone = ends.is_empty() || ends.starts_with('\n');
        let own = is_copula(between.trim(), word.languages);
        // `Code(1000)` is code.
        if between.starts_with('(') {
            return false;
        }
        let year = is_year(&text[range.clone()]);
        let purpose = !year && PURPOSED.is_match(between) && !is_named_otherwise(text, range.start);
        let tied = TIE.is_match(between) && !(year && between.trim().is_empty());
        if own || purpose || tied || alone && digits == 6 && !between.contains(|c: char| c.is_numeric()) {
            return true;
        }
    }
    // `482913 is your … code`.
    let named = following(any, range).is_some_and(|word| {
        let between = text[range.end..word.range.start].trim_start_matches([' ', '-', '–', '—', ',']);
        let mut words = between.split_whitespace();
        let copula =
            words.next().is_some_and(|first| is_copula(&first.to_lowercase(), word.languages) || first == "as");
        copula && words.next().is_some() && !text[range.end..word.range.start].contains(['.', '\n'])
    });
    let entered = ENTERED.is_match(before(text, range.start, 16)) && PURPOSE.is_match(after(text, range.end, 96));
    named || entered
}

/// The word before a number, where it is near.
fn preceding<'a, 'b>(words: &'a [Keyword<'b>], range: &Range<usize>) -> Option<&'a Keyword<'b>> {
    let next = words.partition_point(|word| word.range.start < range.start);
    words[..next].last().filter(|word| word.range.end + BEFORE > range.start)
}

/// The word after it.
fn following<'a, 'b>(words: &'a [Keyword<'b>], range: &Range<usize>) -> Option<&'a Keyword<'b>> {
    let next = words.partition_point(|word| word.range.start < range.start);
    words.get(next).filter(|word| word.range.start < range.end + AFTER && word.range.start >= range.end)
}
