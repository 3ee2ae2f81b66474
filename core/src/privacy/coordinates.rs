//! Where on earth something is: degrees as decimals or with minutes, `geo:` addresses, links to maps, plus codes (Open
//! Location Code) and three words (what3words).

use std::ops::{Range, RangeInclusive};
use std::sync::LazyLock;

use regex::{Captures, Regex};

use super::lexicon::{COORDINATES, Keywords, MAPS, any_of, rows};
use super::words::{char_after, char_before, ends_word, joins, starts_word};

/// How far a word that says that two numbers are a place may stand before them, in bytes.
const BEFORE: usize = 40;

/// The decimals of both numbers where nothing else says that they are a place: ten metres.
const DECIMALS: usize = 4;

const HEMISPHERES: &str = "NSEWOСЮВЗ";

/// Two decimal numbers: what parts them says how their fractions are written.
static PAIR: LazyLock<Regex> = LazyLock::new(|| {
    let (point, comma) = (r"[-+−]?\d{1,3}\.\d{2,}", r"[-+−]?\d{1,3},\d{2,}");
    pattern(&format!(
        r"(?P<first>{point})°?(?:\s{{0,2}}[,;]\s{{0,2}}|\s/\s|\s{{1,2}})(?P<second>{point})|(?P<comma>{comma})°?(?:\s{{0,2}};\s{{0,2}}|\s{{1,2}})(?P<other>{comma})"
    ))
});

/// Two angles with the letters of their hemispheres, before or behind.
static ANGLES: LazyLock<Regex> = LazyLock::new(|| {
    let minutes = r#"\d{1,3}\s?°\s?\d{1,2}(?:[.,]\d+)?\s?(?:['′’]\s?(?:\d{1,2}(?:[.,]\d+)?\s?(?:["″”]|''|′′|’’)?)?)?"#;
    let decimal = r"\d{1,3}[.,]\d{2,}\s?°?";
    let angle = format!("(?:{minutes}|{decimal})");
    let (behind, before) = (format!(r"{angle}\s?[{HEMISPHERES}]"), format!(r"[{HEMISPHERES}]\s?{angle}"));
    pattern(&format!(r"{behind}[\s,;/]{{0,4}}{behind}|{before}[\s,;/]{{0,4}}{before}"))
});

/// Two numbers with their names, as in `lat 52.52 lon 13.40`.
static NAMED: LazyLock<Regex> = LazyLock::new(|| {
    let (latitude, longitude) = (any_of(COORDINATES, &["latitude"]), any_of(COORDINATES, &["longitude"]));
    let number = r"[-+−]?\d{1,3}[.,]\d{2,}";
    let tie = r#"[\s"'=:：.]{0,4}"#;
    pattern(&format!(
        r"(?i)(?:{latitude}{tie}(?P<first>{number})[^\d]{{1,16}}?{longitude}{tie}(?P<second>{number})|{longitude}{tie}(?P<third>{number})[^\d]{{1,16}}?{latitude}{tie}(?P<fourth>{number}))"
    ))
});

static GEO: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"(?i)geo:(?P<first>-?\d{1,3}(?:\.\d+)?),(?P<second>-?\d{1,3}(?:\.\d+)?)"));

/// Two numbers in a link.
static LINKED: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?i)(?P<first>-?\d{1,3}\.\d{2,})(?:,|;|~|/|_|\+|%2C|%3B|%20)(?P<second>[-+]?\d{1,3}\.\d{2,})|!3d(?P<third>-?\d{1,3}\.\d{2,})!4d(?P<fourth>-?\d{1,3}\.\d{2,})",
    )
});

static LINKS: LazyLock<Regex> = LazyLock::new(|| {
    let mut beginnings: Vec<&str> = rows(MAPS).map(|[beginning, _, _]| beginning).collect();
    beginnings.sort_by_key(|beginning| std::cmp::Reverse(beginning.len()));
    let beginnings: Vec<String> = beginnings.into_iter().map(regex::escape).collect();
    pattern(&format!(
        r"(?i)(?:https?://(?:www\.|m\.)?|(?-u:\b))(?P<beginning>{})(?P<rest>[^\s<>]*)",
        beginnings.join("|")
    ))
});

/// An address with a place in it as `@latitude,longitude,zoom`.
static ZOOMED: LazyLock<Regex> = LazyLock::new(|| {
    pattern(r"@(?P<first>-?\d{1,2}\.\d{2,}),(?P<second>-?\d{1,3}\.\d{2,}),\d+(?:\.\d+)?[zma](?-u:\b)")
});

static PLUS_CODE: LazyLock<Regex> = LazyLock::new(|| pattern("(?:[2-9CFGHJMPQRVWX]{2}){2,4}\\+[2-9CFGHJMPQRVWX]{2,7}"));

/// Three words of any script. How long they are is looked at afterwards: so many copies of a class with all letters would
/// take ten megabytes.
static THREE_WORDS: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"///(?P<words>[\p{L}\p{M}]+[.。][\p{L}\p{M}]+[.。][\p{L}\p{M}]+)"));

/// The characters of such a word.
const WORD: RangeInclusive<usize> = 3..=24;

static CUES: LazyLock<Keywords> = LazyLock::new(|| Keywords::new(COORDINATES, &["cue"]));

/// A digit is one of ASCII's: others are no part of a number that can be read, and make a pattern many times as large.
fn pattern(pattern: &str) -> Regex {
    Regex::new(&pattern.replace(r"[^\d]", "[^0-9]").replace(r"\d", "[0-9]")).expect("a constant pattern")
}

pub(super) fn find(text: &str) -> Vec<Range<usize>> {
    let cues: Vec<usize> = CUES.find(text).map(|word| word.range.end).collect();
    let mut found: Vec<Range<usize>> = Vec::new();
    found.extend(
        PAIR.captures_iter(text)
            .filter_map(|pair| Pair::of(&pair))
            .filter(|pair| pair.is_place(text, &cues))
            .map(|pair| pair.whole),
    );
    for named in [&NAMED, &GEO, &ZOOMED] {
        found.extend(
            named
                .captures_iter(text)
                .filter_map(|pair| Pair::of(&pair))
                .filter(Pair::is_on_earth)
                .map(|pair| pair.whole),
        );
    }
    let angles = ANGLES.find_iter(text).map(|angles| angles.start()..angles.start() + angles.as_str().trim_end().len());
    found.extend(angles.filter(|angles| stands_alone(text, angles)));
    for link in LINKS.captures_iter(text) {
        let (beginning, rest) = (link.name("beginning"), link.name("rest"));
        let (Some(beginning), Some(rest)) = (beginning, rest) else { continue };
        if is_path(beginning.as_str()) {
            let path = rest.as_str().find(|c: char| !c.is_alphanumeric() && !"-_.+/".contains(c)).unwrap_or(rest.len());
            let path = rest.as_str()[..path].trim_end_matches(['.', '/']);
            if !path.is_empty() {
                found.push(rest.start()..rest.start() + path.len());
            }
        } else {
            let pairs =
                LINKED.captures_iter(rest.as_str()).filter_map(|pair| Pair::of(&pair)).filter(Pair::is_on_earth);
            found.extend(pairs.map(|pair| pair.whole.start + rest.start()..pair.whole.end + rest.start()));
        }
    }
    found.extend(PLUS_CODE.find_iter(text).map(|code| code.range()).filter(|code| is_plus_code(text, code)));
    for words in THREE_WORDS.captures_iter(text) {
        let free = words
            .get(0)
            .is_some_and(|all| !char_before(text, all.start()).is_some_and(|c| matches!(c, ':' | '/') || joins(c)));
        found.extend(
            words
                .name("words")
                .filter(|words| free && ends_word(text, words.end()))
                .filter(|words| words.as_str().split(['.', '。']).all(|word| WORD.contains(&word.chars().count())))
                .map(|words| words.range()),
        );
    }
    found
}

/// Two numbers, and the stretch from the first to the second.
struct Pair {
    first: f64,
    second: f64,
    /// The fewest decimals of both.
    decimals: usize,
    whole: Range<usize>,
}

impl Pair {
    fn of(pair: &Captures<'_>) -> Option<Self> {
        let names = [("first", "second"), ("third", "fourth"), ("comma", "other")];
        let (first, second) = names.into_iter().find_map(|(first, second)| {
            // A pattern has the names that it needs.
            Some((pair.name(first)?, pair.name(second)?))
        })?;
        let value = |number: &str| number.replace('−', "-").replace(',', ".").parse::<f64>().ok();
        let decimals = |number: &str| number.len() - number.find(['.', ',']).map_or(number.len(), |point| point + 1);
        Some(Self {
            first: value(first.as_str())?,
            second: value(second.as_str())?,
            decimals: decimals(first.as_str()).min(decimals(second.as_str())),
            whole: first.start()..second.end(),
        })
    }

    /// In whichever order they are written: some links have the longitude first.
    fn is_on_earth(&self) -> bool {
        let (least, most) = (self.first.abs().min(self.second.abs()), self.first.abs().max(self.second.abs()));
        least <= 90.0 && most <= 180.0
    }

    /// Whether two numbers with nothing to name them are a place: precise ones, or behind a word that says so.
    fn is_place(&self, text: &str, cues: &[usize]) -> bool {
        let start = self.whole.start;
        let cue = cues[..cues.partition_point(|end| *end <= start)].last();
        let cue = cue.is_some_and(|end| {
            start - end <= BEFORE && !text[*end..start].contains(|c: char| c == '\n' || c.is_ascii_digit())
        });
        // Where one is less than one degree from the origin on both axes is only water; probabilities are there.
        let fractions = self.first.abs() < 1.0 && self.second.abs() < 1.0;
        let parted = text[self.whole.clone()].contains([',', ';', '/']);
        self.is_on_earth()
            && self.first.abs() <= 90.0
            && stands_alone(text, &self.whole)
            && (cue || self.decimals >= DECIMALS && !fractions && parted)
    }
}

/// Whether no number stands beside that goes on, or that makes two numbers a longer list.
fn stands_alone(text: &str, whole: &Range<usize>) -> bool {
    let listed = |c: Option<char>| c.is_some_and(|c| c.is_ascii_digit() || matches!(c, '-' | '+'));
    let before = text[..whole.start].trim_end_matches([' ', ',', ';']);
    let after = text[whole.end..].trim_start_matches([' ', ',', ';']);
    let parted = |sign: Option<char>| sign.is_some_and(|c| matches!(c, ' ' | ',' | ';'));
    let (sign, next) = (char_before(text, whole.start), char_after(text, whole.end));
    let more = parted(sign)
        && before.ends_with(|c: char| c.is_ascii_digit())
        && text[before.len()..whole.start].contains([',', ';'])
        || parted(next)
            && listed(after.chars().next())
            && text[whole.end..text.len() - after.len()].contains([',', ';']);
    let bound = sign.is_some_and(|c| joins(c) || "$€£¥₹.#".contains(c));
    let runs_on = match next {
        Some('.' | '/' | '-') => char_after(text, whole.end + 1).is_some_and(|c| c.is_ascii_digit()),
        Some(c) => joins(c) || "%€$£¥".contains(c),
        None => false,
    };
    !more && !bound && !runs_on
}

/// Whether what follows such a beginning is a place as a whole.
fn is_path(beginning: &str) -> bool {
    rows(MAPS).any(|[own, kind, _]| own.eq_ignore_ascii_case(beginning) && kind == "path")
}

/// Full codes, and short ones with letters enough to be no sum.
fn is_plus_code(text: &str, code: &Range<usize>) -> bool {
    let own = &text[code.clone()];
    let letters = own.chars().filter(|c| c.is_ascii_alphabetic()).count();
    let (area, _) = own.split_once('+').unwrap_or((own, ""));
    starts_word(text, code.start)
        && ends_word(text, code.end)
        && !char_before(text, code.start).is_some_and(|c| matches!(c, '+' | '.' | '-' | '='))
        && !char_after(text, code.end).is_some_and(|c| matches!(c, '+' | '='))
        && letters >= if area.len() == 8 { 1 } else { 2 }
}
