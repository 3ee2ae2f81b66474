//! Payment cards: 13 to 19 digits of an issuer's range, grouped as on a card, whose check digit is right.

use std::ops::Range;
use std::sync::LazyLock;

use super::check_digits::luhn;
use super::lexicon::{Keywords, SECRETS};
use super::numbers::{Group, digits};
use super::words::{ends_word, starts_word};

const LONGEST: usize = 19;

/// How much white space may stand between two groups, around a sign too.
const SPACES: usize = 4;

/// How far before a number a word for cards may stand, in bytes: its groups may then be any.
const CUE: usize = 48;

pub(super) fn find(text: &str, groups: &[Group]) -> Vec<Range<usize>> {
    static CARD: LazyLock<Keywords> = LazyLock::new(|| Keywords::new(SECRETS, &["card"]));
    let cues: Vec<usize> = CARD.find(text).map(|word| word.range.end).collect();
    let mut found = Vec::new();
    let mut first = 0;
    while first < groups.len() {
        let start = groups[first].range.start;
        let cue = cues[..cues.partition_point(|end| *end <= start)].last().is_some_and(|end| end + CUE >= start);
        let taken = card(text, &groups[first..], cue);
        if let Some(last) = taken.checked_sub(1) {
            found.push(start..groups[first + last].range.end);
        }
        first += taken.max(1);
    }
    found
}

/// How many groups, from the first on, are the longest card number; 0 for none.
fn card(text: &str, groups: &[Group], cue: bool) -> usize {
    let start = groups[0].range.start;
    if !starts_word(text, start) || is_fraction(text, start) {
        return 0;
    }
    let mut number = Vec::with_capacity(LONGEST);
    let mut longest = 0;
    let mut sign = None;
    for (at, group) in groups.iter().enumerate() {
        if number.len() + group.count > LONGEST {
            break;
        }
        if at > 0 {
            let Some(own) = separator(&text[groups[at - 1].range.end..group.range.start]) else { break };
            // Spaces and hyphens are mixed; other signs are all the same.
            let plain = |sign: char| matches!(sign, ' ' | '-');
            if sign.is_some_and(|sign| sign != own && !(plain(sign) && plain(own))) {
                break;
            }
            sign = Some(own);
        }
        number.extend(digits(&text[group.range.clone()]).map(u32::from));
        // Two groups with a full stop between are a decimal number.
        let decimal = at == 1 && sign == Some('.');
        let grouped = !decimal && grouped(&groups[..=at]) || cue && groups[..=at].iter().all(|group| group.count > 1);
        if grouped && issued(&number) && luhn(&number) && ends_word(text, group.range.end) {
            longest = at + 1;
        }
    }
    longest
}

/// The sign between two groups, white space counting as one, where it can separate them.
fn separator(between: &str) -> Option<char> {
    let sign = between.trim();
    let spaces = between.chars().count() - sign.chars().count();
    let mut signs = sign.chars();
    let own = match (signs.next(), signs.next()) {
        (None, _) if spaces > 0 => ' ',
        (Some('-' | '‐' | '‑' | '–'), None) => '-',
        (Some(sign @ ('.' | '·' | '_' | '/')), None) if spaces == 0 => sign,
        _ => return None,
    };
    (spaces <= SPACES && !between.contains('\n')).then_some(own)
}

/// Whether the digits from `start` on are the fraction of a decimal number.
fn is_fraction(text: &str, start: usize) -> bool {
    let mut before = text[..start].chars().rev();
    before.next().is_some_and(|c| matches!(c, '.' | ',')) && before.next().is_some_and(|c| c.is_ascii_digit())
}

/// As printed on cards: all together, fours with a shorter end, some of them run together, American Express and Diners
/// (4-6-5, 4-6-4), and three or more parts as they came.
fn grouped(groups: &[Group]) -> bool {
    let counts: Vec<usize> = groups.iter().map(|group| group.count).collect();
    let total: usize = counts.iter().sum();
    match counts.as_slice() {
        [_] | [4, 6, 4 | 5] | [6, 7..=13] => true,
        [fours @ .., last] => {
            fours.iter().all(|count| count % 4 == 0) && (*last <= 4 || last % 4 == 0)
                || matches!(total, 15 | 16) && counts.len() > 2 && counts.iter().all(|count| (3..=6).contains(count))
        }
        [] => false,
    }
}

/// Whether an issuer gives out such numbers, of this length.
fn issued(number: &[u32]) -> bool {
    let prefix = |length: usize| number.iter().take(length).fold(0, |value, digit| value * 10 + digit);
    let length = number.len();
    match (prefix(1), prefix(2), prefix(3), prefix(4)) {
        (4, ..) => matches!(length, 13 | 16 | 19), // Visa
        (_, 34 | 37, ..) => length == 15,          // American Express
        (_, 36 | 38 | 39, ..) | (_, _, 300..=305 | 309, _) => (14..=19).contains(&length), // Diners
        (_, _, _, 3528..=3589) => (16..=19).contains(&length), // JCB
        (_, 51..=55, ..) | (_, _, _, 2221..=2720) => length == 16, // Mastercard
        (_, _, _, 2200..=2204) => (16..=19).contains(&length), // Mir
        (_, _, _, 9792) => length == 16,           // Troy
        (_, 60 | 62 | 64 | 65 | 81 | 82, ..) => (16..=19).contains(&length), // Discover, UnionPay, RuPay
        (_, 50 | 56..=58 | 63 | 67, ..) => (13..=19).contains(&length), // Maestro
        _ => false,
    }
}
