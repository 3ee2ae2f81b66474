//! Keys and tokens: issuers' shapes, the secrets beside their ids, private keys, values named as keys, and long
//! random-looking tokens.

use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;

use super::issuers::{self, base64, letter, suffix, wide};
use super::lexicon::{Keyword, Keywords, SECRETS};
use super::said::{Tie, Value, value_after};
use super::words::{after, before, ends_word, starts_word};

/// `123456789:` and about 35 characters: a Telegram bot's token. Three parts between dots: a Discord bot's.
static BOTS: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(
        r"(?-u:\b)(?:[0-9]{8,10}:[A-Za-z0-9_-]{34,36}|[MNO][A-Za-z0-9_-]{23,27}\.[A-Za-z0-9_-]{6,7}\.[A-Za-z0-9_-]{27,40})",
    )
    .expect("a constant pattern")
});

/// Characters that a token needs to be taken for random without a word that names it: of the alphabet of addresses, and
/// of the one that has signs of paths.
const RANDOM: usize = 32;
const RANDOM_WITH_SLASHES: usize = 40;

/// How far an identifier may go on after the word for a key, in bytes.
const IDENTIFIER: usize = 24;

/// How far from its id a secret may stand, in bytes.
const PAIR: usize = 120;

pub(super) fn find(text: &str) -> Vec<Range<usize>> {
    static SURE: LazyLock<Keywords> = LazyLock::new(|| Keywords::new(SECRETS, &["key"]));
    static VAGUE: LazyLock<Keywords> = LazyLock::new(|| Keywords::new(SECRETS, &["key_vague"]));
    let issued = issuers::find(text);
    let mut found: Vec<Range<usize>> = Vec::new();
    for id in issued.iter().filter(|issued| issued.is_id) {
        found.extend(beside(text, &id.range));
    }
    found.extend(issued.into_iter().map(|key| key.range));
    found.extend(SURE.find(text).filter_map(|name| value_after(text, &name, is_named_key)));
    let vague = VAGUE.find(text);
    found
        .extend(vague.filter_map(|name| value_after(text, &name, |value| is_named_key(value) && is_token(value.text))));
    // Within an identifier: `SECRET_KEY_BASE=…`, `API_KEY_PROD: …`.
    for name in SURE.parts(text).filter(|name| text[name.range.end..].starts_with('_')) {
        let rest = after(text, name.range.end, IDENTIFIER);
        let end = name.range.end + rest.bytes().take_while(|byte| letter(*byte) || *byte == b'_').count();
        let name = Keyword { range: name.range.start..end, languages: name.languages };
        found.extend(value_after(text, &name, |value| {
            value.tie == Tie::Assigned && is_named_key(value) && is_token(value.text)
        }));
    }
    found.extend(BOTS.find_iter(text).map(|bot| bot.range()).filter(|range| ends_word(text, range.end)));
    found.extend(private_keys(text));
    found.extend(random(text, wide, RANDOM));
    found.extend(random(text, |byte| letter(byte) || matches!(byte, b'+' | b'/'), RANDOM_WITH_SLASHES));
    found
}

/// Whether a value is a key of an issuer's shape.
pub(super) fn is_issued(value: &str) -> bool {
    issuers::find(value).first().is_some_and(|key| key.range == (0..value.len()))
}

/// The secrets that stand beside a key's id.
fn beside(text: &str, id: &Range<usize>) -> Vec<Range<usize>> {
    let (head, tail) = (before(text, id.start, PAIR), after(text, id.end, PAIR + 100));
    let mut found = Vec::new();
    for (stretch, offset) in [(head, id.start - head.len()), (tail, id.end)] {
        let mut at = 0;
        for run in stretch.split(|c: char| !c.is_ascii() || !(letter(c as u8) || matches!(c, '+' | '/' | '~'))) {
            let start = offset + at;
            at += run.len() + stretch[at + run.len()..].chars().next().map_or(0, char::len_utf8);
            let near = start <= id.end + PAIR;
            let end = start + run.len();
            if near && is_opaque(run) && starts_word(text, start) && ends_word(text, end) {
                found.push(start..end + suffix(&text[end..]));
            }
        }
    }
    found
}

/// Whether a run of letters, digits, `+` and `/` beside an id is its secret: no word, no path.
fn is_opaque(run: &str) -> bool {
    let count = |test: fn(&u8) -> bool| run.bytes().filter(test).count();
    let (digits, small, capitals) =
        (count(u8::is_ascii_digit), count(u8::is_ascii_lowercase), count(u8::is_ascii_uppercase));
    let together = !run.contains('/') && digits >= 4 && small + capitals >= 4;
    run.len() >= 20 && (digits >= 1 && small >= 3 && capitals >= 3 || together)
}

/// From `-----BEGIN … PRIVATE KEY-----` to the line that ends it; without one, as far as what follows is base64.
fn private_keys(text: &str) -> Vec<Range<usize>> {
    const BEGIN: &str = "-----BEGIN ";
    const END: &str = "-----END ";
    const DASHES: &str = "-----";
    let ends: Vec<usize> = text.match_indices(END).map(|(at, _)| at).collect();
    let mut found: Vec<Range<usize>> = Vec::new();
    for (start, _) in text.match_indices(BEGIN) {
        if found.last().is_some_and(|last| start < last.end) {
            continue;
        }
        let title = after(text, start + BEGIN.len(), 60);
        let Some((title, _)) = title.split_once(DASHES).filter(|(title, _)| title.contains("PRIVATE KEY")) else {
            continue;
        };
        let body = start + BEGIN.len() + title.len() + DASHES.len();
        let end = match ends.get(ends.partition_point(|end| *end < body)) {
            Some(end) => {
                let from = end + END.len();
                Some(after(text, from, 60).find(DASHES).map_or(from, |dashes| from + dashes + DASHES.len()))
            }
            None => encoded(text, body),
        };
        found.extend(end.map(|end| start..end));
    }
    found
}

/// The end of the lines of base64 from `start` on.
fn encoded(text: &str, start: usize) -> Option<usize> {
    let mut end = None;
    let mut at = start;
    for line in text[start..].split([' ', '\n', '\r', '\t', '\\']) {
        let last = at + line.len();
        at = last + 1;
        let code = line.len() >= 16 && line.bytes().all(base64);
        if code {
            end = Some(last);
        } else if line.len() > 1 && !line.ends_with(':') && end.is_none_or(|end| last > end + 80) {
            break;
        }
    }
    end
}

/// A value that something named as a key can have.
fn is_named_key(value: Value<'_>) -> bool {
    // What follows the name of a scheme is found on its own: `Authorization: Bearer …`.
    let text = value.text;
    let plain = text.bytes().all(|byte| base64(byte) || matches!(byte, b'.' | b'~' | b'%' | b':' | b'|'));
    let address = text.contains("://") || text.contains(":/");
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    let capitals = text.bytes().filter(u8::is_ascii_uppercase).count();
    let letters = capitals + text.bytes().filter(u8::is_ascii_lowercase).count();
    let least = if value.tie == Tie::Beside { 20 } else { 16 };
    let mixed = digits >= 2 && letters >= 2 || digits >= 1 && capitals >= 4 && letters - capitals >= 4;
    plain && !address && text.len() >= least && mixed
}

/// Whether a value is a key by its looks: hexadecimal, or capitals, small letters and digits in one piece.
pub(super) fn is_token(value: &str) -> bool {
    let pieces = value.split(|c: char| !c.is_ascii_alphanumeric() && !matches!(c, '+' | '/'));
    let longest = pieces.max_by_key(|piece| piece.len()).unwrap_or_default();
    let count = |test: fn(&u8) -> bool| longest.bytes().filter(test).count();
    let (digits, small, capitals) =
        (count(u8::is_ascii_digit), count(u8::is_ascii_lowercase), count(u8::is_ascii_uppercase));
    longest.len() >= 16 && digits >= 3 && small + capitals >= 3 && (small >= 2 && capitals >= 2 || digits >= 5)
        || value.len() >= 32 && is_opaque(longest)
        || longest.len() >= 12
            && value.len() > 36
            && digits >= 3
            && value.bytes().filter(u8::is_ascii_digit).count() >= 10
}

/// Long tokens in which capitals, small letters and digits change places as in random ones.
fn random(text: &str, alphabet: fn(u8) -> bool, least: usize) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut at = 0;
    for run in text.split(|c: char| !c.is_ascii() || !alphabet(c as u8)) {
        let (start, end) = (at, at + run.len());
        at = end + text[end..].chars().next().map_or(0, char::len_utf8);
        // The host and the path of an address are no parts of a token.
        let word = || before(text, start, PAIR).rsplit(char::is_whitespace).next().unwrap_or_default();
        let address = || text[..start].ends_with(['.', '@']) || run.contains('/') && word().contains("://");
        if run.len() >= least && looks_random(run) && !address() && starts_word(text, start) && ends_word(text, end) {
            found.push(start..end + suffix(&text[end..]));
        }
    }
    found
}

fn looks_random(token: &str) -> bool {
    let class = |byte: u8| match byte {
        b'0'..=b'9' => 0,
        b'a'..=b'z' => 1,
        b'A'..=b'Z' => 2,
        _ => 3,
    };
    let mut counts = [0; 4];
    token.bytes().for_each(|byte| counts[class(byte)] += 1);
    let changes = token.as_bytes().windows(2).filter(|pair| class(pair[0]) != class(pair[1])).count();
    // A year at the end of a hashtag is one run of digits.
    let numbers = token.split(|c: char| !c.is_ascii_digit()).filter(|run| !run.is_empty()).count();
    numbers >= 2
        && counts[0] >= 3
        && counts[1] >= 3
        && counts[2] >= 3
        && changes * 5 >= token.len() * 2
        && counts[3] * 8 <= token.len()
}
