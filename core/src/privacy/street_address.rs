//! House numbers with their street, and the postcode beside.

use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;

use super::lexicon::{STREET, any_of};
use super::numbers::Group;
use super::street::Word;
use super::words::{after, before, char_after, char_before, joins, split, starts_word};

/// How far around a house number its street may reach, in bytes.
const REACH: usize = 96;

/// What numbers before a capitalised name are not house numbers of: `Level 45 Boss Road`.
static COUNTING: LazyLock<Regex> = LazyLock::new(|| {
    let words = any_of(STREET, &["counting"]);
    Regex::new(&format!(r"(?i)(?:^|\P{{L}}){words}\.?\s$")).expect("a constant pattern")
});

/// Words after which a street may be written without capitals.
static CUE: LazyLock<Regex> = LazyLock::new(|| {
    let words = any_of(STREET, &["cue"]);
    Regex::new(&format!(r"(?i)(?-u:\b)(?:{words}(?-u:\b)[^.!?\n\d]{{0,28}}|(?:at|to) )$")).expect("a constant pattern")
});

static BLOCK: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"(?i)(?:^|\P{L})(bl(?:oc)?k\.? )$").expect("a constant pattern"));

static UNIT_BEFORE: LazyLock<Regex> = LazyLock::new(|| {
    let words = any_of(STREET, &["unit"]);
    Regex::new(&format!(r"(?i)(?:^|\P{{L}})({words}\.? [0-9]{{1,5}}[a-z]?(?:, ?| |/))$")).expect("a constant pattern")
});

static UNIT_AFTER: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(?i)^(?:,? ?(?:apt|apartment|suite|ste|unit|flat|floor)\.? ?#?[0-9][0-9a-z]{0,5}(?-u:\b)|,? ?#[0-9]{1,4}(?:-[0-9]{1,4}[a-z]?)?(?-u:\b))")
        .expect("a constant pattern")
});

/// The number of a numbered street: `Bedok North St 2`.
static STREET_NUMBER: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"^ [0-9]{1,3}[A-Z]?(?-u:\b)").expect("a constant pattern"));

/// A few names of places, then a postcode: of Britain, the Netherlands, Poland, the United States, Sweden, Singapore,
/// the many countries that have 5 or 6 digits; of 4 digits only with a place after it, for a year is no postcode.
static POSTCODE: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(
        r"^[\s,;–-]{0,4}(?:\p{Lu}[\p{L}.'’-]*[\s,–-]{1,3}){0,4}(?:([A-Z]{1,2}[0-9][A-Z0-9]? [0-9][A-Z]{2}|[0-9]{4} [A-Z]{2}|[0-9]{2}-[0-9]{3}|[0-9]{5}-[0-9]{4}|[0-9]{5,6}|[0-9]{3} [0-9]{2}|S\([0-9]{6}\))(?:[^\p{L}\p{N}]|$)|([0-9]{4}) \p{Lu}\p{Ll})",
    )
    .expect("a constant pattern")
});

/// `建国路88号`: a Chinese street with its number.
static HAN: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"\p{Han}{2,8}[路街道巷弄][0-9]{1,5}[号號]").expect("a constant pattern"));

/// `渋谷区神南1-2-3`: Japan's blocks and houses, after a prefecture, town or ward.
static BLOCKS: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(
        r"(?:\p{Han}{2,3}[都道府県])?(?:[\p{Han}\p{Katakana}ヶケ]{1,6}[市区町村郡]){1,3}[\p{Han}\p{Hiragana}\p{Katakana}ヶケー]{0,8}(?:[0-9０-９]{1,3}|[一二三四五六七八九十]{1,3})(?:丁目(?:[0-9０-９]{1,4}(?:[-－−番][0-9０-９]{1,4})?[番号]?)?|(?:[-－−][0-9０-９]{1,4}){1,2}|番地(?:の?[0-9０-９]{1,4})?|番[0-9０-９]{1,4}号)",
    )
    .expect("a constant pattern")
});

/// `강남구 테헤란로 152`: a Korean street with its number, after a town, county or district.
static ROADS: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(?:\p{Hangul}+[시군구읍면]\s)+\p{Hangul}[\p{Hangul}0-9]*[\p{Hangul}0-9--으][로길]\s?[0-9]{1,4}(?:-[0-9]{1,4})?(?-u:\b)")
        .expect("a constant pattern")
});

/// A word of any script. It has no upper bound: each copy of a class with all letters takes memory.
const LETTERS: &str = r"[\p{L}\p{M}]{2,}";

/// A street and its number in a script without capitals, the street first.
static CASELESS: LazyLock<Regex> = LazyLock::new(|| {
    let words = |kind| any_of(STREET, &[kind]);
    let (street, article, number) = (words("caseless_before"), words("caseless_article"), words("caseless_number"));
    let word = LETTERS;
    Regex::new(&format!(
        r"(?:^|[^\p{{L}}\p{{M}}])(?P<street>{street}(?:\s{article}{word}(?:\s{word}){{0,2}}|(?:\s{word}){{1,3}}[،,]?\s{number})\s\p{{Nd}}{{1,4}})(?:\P{{Nd}}|$)"
    ))
    .expect("a constant pattern")
});

/// The same with the number first.
static CASELESS_AFTER: LazyLock<Regex> = LazyLock::new(|| {
    let street = any_of(STREET, &["caseless_after"]);
    let word = LETTERS;
    Regex::new(&format!(
        r"(?:^|[^\p{{Nd}}/:.-])(?P<street>\p{{Nd}}{{1,4}}(?:[/-]\p{{Nd}}{{1,4}})?,?\s(?P<first>{word})(?:\s{word}){{0,2}}\s{street})(?:[^\p{{L}}\p{{M}}]|$)"
    ))
    .expect("a constant pattern")
});

fn caseless(text: &str) -> impl Iterator<Item = Range<usize>> {
    let streets = [&*CASELESS, &*CASELESS_AFTER].into_iter().flat_map(|pattern| pattern.captures_iter(text));
    let counted = |word: &str| Word(word).is_counted() || word.is_ascii();
    streets.filter_map(move |found| {
        found
            .name("street")
            .filter(|_| !found.name("first").is_some_and(|word| counted(word.as_str())))
            .map(|street| street.range())
    })
}

/// The streets in scripts that have no capitals.
fn without_capitals(text: &str) -> Vec<Range<usize>> {
    if text.is_ascii() {
        return Vec::new();
    }
    let without_spaces = [&*HAN, &*BLOCKS, &*ROADS].into_iter().flat_map(|pattern| pattern.find_iter(text));
    without_spaces.map(|street| street.range()).chain(caseless(text)).collect()
}

pub(super) fn find(text: &str, groups: &[Group]) -> Vec<Range<usize>> {
    let mut found = without_capitals(text);
    let mut passed = 0;
    for group in groups.iter().filter(|group| group.count <= 5) {
        if group.range.start < passed {
            continue;
        }
        let Some(house) = house(text, group) else { continue };
        let Some(address) = street_after(text, &house).or_else(|| street_before(text, &house)) else { continue };
        passed = address.end;
        if let Some(code) =
            POSTCODE.captures(after(text, address.end, REACH)).and_then(|found| found.get(1).or(found.get(2)))
        {
            found.push(address.end + code.start()..address.end + code.end());
            passed = address.end + code.end();
        }
        found.push(address);
    }
    found
}

/// A house number: up to 5 digits that are no part of another number, with a letter (`7a`) or a range (`5-7`).
fn house(text: &str, group: &Group) -> Option<Range<usize>> {
    let start = group.range.start;
    let bound = match char_before(text, start) {
        Some(c @ ('.' | ':' | '-' | '/' | '#' | '+' | '$' | '€' | '£')) => {
            c != '.' || !text[..start].ends_with("No.")
        }
        _ => !starts_word(text, start),
    };
    let mut end = group.range.end;
    let rest = after(text, end, 8);
    let range =
        rest.strip_prefix(['-', '–', '/']).map(|second| second.chars().take_while(char::is_ascii_digit).count());
    if let Some(digits @ 1..=4) = range {
        end += rest.chars().next().map_or(0, char::len_utf8) + digits;
    }
    let letter = char_after(text, end).filter(|c| c.is_ascii_alphabetic());
    if letter.is_some_and(|_| !char_after(text, end + 1).is_some_and(joins)) {
        end += 1;
    }
    let runs_on = match char_after(text, end) {
        Some('.' | ':' | ',') => char_after(text, end + 1).is_some_and(|c| c.is_ascii_digit()),
        Some(c) => joins(c) || "-/%€$£°".contains(c),
        None => false,
    };
    (!bound && !runs_on).then_some(start..end)
}

/// The number first: `221B Baker St`, `14 rue de la Paix`, `Blk 45 Bedok North St 2`.
fn street_after(text: &str, house: &Range<usize>) -> Option<Range<usize>> {
    let line = after(text, house.end, REACH);
    let line = &line[..line.find(['\n', ';', '!', '?', '(']).unwrap_or(line.len())];
    // Most numbers are settled by the word after them.
    if !line.trim_start_matches([' ', ',', '\u{a0}']).starts_with(|c: char| c.is_alphanumeric()) {
        return None;
    }
    let words: Vec<Range<usize>> = split(line, house.end).take(8).collect();
    let head = before(text, house.start, 48);
    let end = french(text, &words)
        .or_else(|| english(text, &words, false))
        .or_else(|| english(text, &words, true).filter(|_| CUE.is_match(head)))?;
    if COUNTING.is_match(head) {
        return None;
    }
    let block = BLOCK.captures(head).and_then(|found| found.get(1));
    let unit = UNIT_BEFORE.captures(head).and_then(|found| found.get(1));
    let start = house.start - block.or(unit).map_or(0, |part| part.len());
    let numbered = block.and_then(|_| STREET_NUMBER.find(after(text, end, 8))).map_or(end, |number| end + number.end());
    let unit = UNIT_AFTER.find(after(text, numbered, 24)).map_or(0, |unit| unit.end());
    Some(start..numbered + unit)
}

/// Names, then the word for a street.
fn english(text: &str, words: &[Range<usize>], any_case: bool) -> Option<usize> {
    for (at, range) in words.iter().enumerate().take(6) {
        let word = Word(&text[range.clone()]);
        // A comma ends the street.
        if at > 0 && text[words[at - 1].end..range.start].contains(',') {
            return None;
        }
        if at > 0 && word.is_after_name(any_case) {
            // The full stop of an abbreviation stays with the sentence.
            return Some(range.start + text[range.clone()].trim_end_matches(|c| !joins(c)).len());
        }
        let named = word.is_name() && !word.0.ends_with(['.', ':'])
            || word.0.trim_end_matches('.').len() == 1 && word.is_name();
        let plain = any_case && word.is_letters() && !word.is_counted();
        if !(named || plain || at > 0 && word.is_particle()) {
            return None;
        }
    }
    None
}

/// The word for a street, particles, then names.
fn french(text: &str, words: &[Range<usize>]) -> Option<usize> {
    let mut words = words.iter().peekable();
    words.next_if(|range| matches!(&text[(*range).clone()], "bis" | "ter" | "quater"));
    let street = words.next().map(|range| Word(&text[range.clone()])).filter(Word::is_number_first)?;
    let (mut end, mut particle) = (None, false);
    for range in words.take(6) {
        if end.is_some_and(|end| text[end..range.start].contains([',', '.'])) {
            break;
        }
        let word = Word(&text[range.clone()]);
        let plain = particle && end.is_none() && street.is_number_first_plain() && word.0.len() >= 4;
        particle = word.is_particle();
        if word.is_name() || plain && !particle && word.is_letters() {
            end = Some(range.start + word.0.trim_end_matches(|c| !joins(c)).len());
        } else if !word.is_particle() || end.is_some() {
            break;
        }
    }
    end
}

/// The street first: `Hauptstraße 12`, `Berliner Straße 5`, `Via Roma, 45`, `Jl. Sudirman No. 52`.
fn street_before(text: &str, house: &Range<usize>) -> Option<Range<usize>> {
    let head = before(text, house.start, REACH);
    let offset = house.start - head.len();
    let line = head.rfind(['\n', ';', '!', '?']).map_or(0, |at| at + 1);
    let mut words = split(&head[line..], offset + line).rev().take(8).peekable();
    words.next_if(|range| Word(&text[range.clone()]).is_number_sign());
    let last = words.next()?;
    let word = Word(&text[last.clone()]);
    if word.is_compound() {
        return Some(last.start..house.end);
    }
    if word.is_between() {
        let first = words.next().filter(|range| is_name(text, range) || is_locative(text, range))?;
        let mut start = first.start;
        if is_locative(text, &first) {
            return Some(start..house.end);
        }
        while let Some(range) = words.next_if(|range| is_name(text, range) || is_locative(text, range)) {
            start = range.start;
            if is_locative(text, &range) {
                break;
            }
        }
        return Some(start..house.end);
    }
    if let Some(start) = locative_before(text, &last, words.clone(), house) {
        return Some(start..house.end);
    }
    let mut named = false;
    for range in std::iter::once(last).chain(words.take(5)) {
        let word = Word(&text[range.clone()]);
        if named && word.is_before_name() {
            let opening = word.0.len() - word.0.trim_start_matches(|c| !joins(c)).len();
            return Some(range.start + opening..house.end);
        }
        named |= word.is_name();
        if !word.is_name() && !word.is_particle() {
            return None;
        }
    }
    None
}

/// `Am Weidenbusch 23`: where such a street begins, if a postcode follows or the sentence has begun before its capital.
fn locative_before(
    text: &str,
    last: &Range<usize>,
    words: impl Iterator<Item = Range<usize>>,
    house: &Range<usize>,
) -> Option<usize> {
    let mut words = words.skip_while(|range| is_name(text, range)).take(1);
    let first = words.next().filter(|range| is_locative(text, range) && is_name(text, last))?;
    let small = text[first.start..].chars().skip(1).take_while(|c| c.is_alphabetic()).all(char::is_lowercase);
    let before = text[..first.start].trim_end_matches(' ');
    let within = before.len() < first.start && before.ends_with(|c: char| c.is_lowercase());
    let coded = POSTCODE.is_match(after(text, house.end, REACH));
    (small && (within || coded) && last.end - first.start <= 48).then_some(first.start)
}

fn is_name(text: &str, range: &Range<usize>) -> bool {
    let word = &text[range.clone()];
    Word(word).is_name() && Word(word).is_letters() && !Word(word).is_article()
}

fn is_locative(text: &str, range: &Range<usize>) -> bool {
    Word(&text[range.clone()]).is_locative()
}
