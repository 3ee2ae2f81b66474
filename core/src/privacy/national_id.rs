//! National identity numbers: a country's form and check, as people write it there or beside its name.
//!
//! A number of plain digits is one of a country's by chance as often as its check allows, one time in ten with a single
//! check digit. So it needs its name near, unless the table says how it is written by itself.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::{LazyLock, OnceLock};

use regex::Regex;

use super::check_digits::Check;
use super::lexicon::{IDENTITY, IDENTITY_NUMBERS, Keyword, Keywords, entries, rows};
use super::numbers::{digit, is_day};
use super::words::{char_after, char_before, joins};

/// The most parts that a number is written in, and the most characters that it has.
const PARTS: usize = 8;
const LONGEST: usize = 20;

/// From this length on small letters are as good as capitals.
const UNMISTAKABLE: usize = 14;

/// How far a name may stand before a number, and after it, in bytes.
const BEFORE: usize = 48;
const AFTER: usize = 24;

struct Number {
    name: &'static str,
    /// Its form as in the table; most are never asked for, and hundreds of patterns take megabytes.
    form: &'static str,
    pattern: OnceLock<Regex>,
    checks: Vec<Check>,
}

impl Number {
    /// Digits are brought to ASCII before; those of all scripts would make every pattern a hundred times as large.
    fn pattern(&self) -> &Regex {
        let form = || format!("^(?:{})$", self.form.replace(r"\d", "[0-9]"));
        self.pattern.get_or_init(|| Regex::new(&form()).expect("a pattern of the table"))
    }

    fn is(&self, compact: &str) -> bool {
        self.pattern().is_match(compact) && Check::all(&self.checks, compact)
    }

    /// The same of what stands beside its name: where nothing is checked, a day is no number.
    fn is_named(&self, compact: &str) -> bool {
        self.is(compact) && (!self.checks.is_empty() || !is_day(compact))
    }

    fn has_check_digit(&self) -> bool {
        self.checks.iter().any(Check::is_check_digit)
    }
}

struct Table {
    numbers: Vec<Number>,
    /// The places in `numbers` by how they are written by themselves.
    written: HashMap<&'static str, Vec<usize>>,
}

static TABLE: LazyLock<Table> = LazyLock::new(|| {
    let mut table = Table { numbers: Vec::new(), written: HashMap::new() };
    for [name, form, written, check] in rows(IDENTITY_NUMBERS) {
        for way in entries(written).filter(|way| *way != "-") {
            table.written.entry(way).or_default().push(table.numbers.len());
        }
        table.numbers.push(Number { name, form, pattern: OnceLock::new(), checks: Check::parse(check) });
    }
    table
});

static NAMES: LazyLock<Keywords> = LazyLock::new(|| Keywords::new(IDENTITY, &["name"]));
static ANY: LazyLock<Keywords> = LazyLock::new(|| Keywords::new(IDENTITY, &["id"]));

pub(super) fn find(text: &str) -> Vec<Range<usize>> {
    let runs = runs(text);
    let named = Named { names: NAMES.find(text).collect(), any: ANY.find(text).map(|word| word.range).collect() };
    let mut found = Vec::new();
    let mut first = 0;
    while first < runs.len() {
        let taken = number(text, &runs[first..], &named);
        if let Some(last) = taken.checked_sub(1) {
            found.push(runs[first].start..runs[first + last].end);
        }
        first += taken.max(1);
    }
    found
}

/// How many runs, from the first on, are the longest number; 0 for none.
fn number(text: &str, runs: &[Range<usize>], named: &Named) -> usize {
    let start = runs[0].start;
    let before = char_before(text, start);
    if before.is_some_and(joins) {
        return 0;
    }
    let mut compact = String::with_capacity(LONGEST);
    let mut written = String::with_capacity(2 * PARTS);
    let mut longest = 0;
    for (at, run) in runs.iter().take(PARTS).enumerate() {
        if at > 0 {
            let Some(sign) = separator(&text[runs[at - 1].end..run.start]) else { break };
            written.push(sign);
        }
        let part = &text[run.clone()];
        let length = part.chars().count();
        if compact.chars().count() + length > LONGEST {
            break;
        }
        written.push_str(&length.to_string());
        compact.extend(part.chars().map(plain));
        if !ends(text, run.end) {
            continue;
        }
        let whole = start..run.end;
        if is_alone(text, &whole, &written, &compact) || named.is_number(text, &whole, &compact) {
            longest = at + 1;
        }
    }
    longest
}

/// Whether a number is written as only one of its country is.
fn is_alone(text: &str, whole: &Range<usize>, written: &str, compact: &str) -> bool {
    let Some(candidates) = TABLE.written.get(written) else { return false };
    let capital = compact.len() >= UNMISTAKABLE || !text[whole.clone()].contains(char::is_lowercase);
    capital && begins(text, whole.start) && candidates.iter().any(|at| TABLE.numbers[*at].is(compact))
}

/// The names of numbers in a text.
struct Named<'a> {
    names: Vec<Keyword<'a>>,
    any: Vec<Range<usize>>,
}

impl Named<'_> {
    fn is_number(&self, text: &str, whole: &Range<usize>, compact: &str) -> bool {
        let numbers = &TABLE.numbers;
        let near = |name: &Range<usize>| {
            let between = if name.end <= whole.start { name.end..whole.start } else { whole.end..name.start };
            let reach = if name.end <= whole.start { BEFORE } else { AFTER };
            between.start <= between.end
                && between.len() <= reach
                && !text[between].contains(|c: char| c == '\n' || digit(c).is_some())
        };
        let names = around(&self.names, whole, |name| &name.range).filter(|name| near(&name.range));
        let mut own = names.flat_map(|name| name.languages);
        own.any(|name| numbers.iter().any(|number| number.name == *name && number.is_named(compact)))
            || around(&self.any, whole, |name| name).any(near)
                && numbers.iter().any(|number| number.has_check_digit() && number.is(compact))
    }
}

/// The words right before and right behind a stretch: two before, for a name may have another in it or beside it.
fn around<'a, T>(words: &'a [T], whole: &Range<usize>, range: fn(&T) -> &Range<usize>) -> impl Iterator<Item = &'a T> {
    let next = words.partition_point(|word| range(word).start < whole.start);
    words[next.saturating_sub(2)..].iter().take(next.min(2) + 1)
}

/// The runs of digits and Latin letters of a text.
fn runs(text: &str) -> Vec<Range<usize>> {
    let mut runs: Vec<Range<usize>> = Vec::new();
    for (at, c) in text.char_indices().filter(|(_, c)| c.is_ascii_alphabetic() || *c == 'Ñ' || digit(*c).is_some()) {
        match runs.last_mut().filter(|run| run.end == at) {
            Some(run) => run.end += c.len_utf8(),
            None => runs.push(at..at + c.len_utf8()),
        }
    }
    runs
}

/// A character as it stands in the forms.
fn plain(c: char) -> char {
    digit(c).map_or(c.to_ascii_uppercase(), |value| char::from(b'0' + value))
}

/// What stands between two parts of a number, in its plain form.
fn separator(between: &str) -> Option<char> {
    let mut signs = between.chars();
    let sign = match signs.next()? {
        ' ' | '\u{a0}' | '\u{202f}' | '\u{2009}' => ' ',
        '-' | '‐' | '‑' | '–' => '-',
        sign @ ('.' | '/' | '+' | '(') => sign,
        _ => return None,
    };
    signs.next().is_none().then_some(sign)
}

/// Not the rest of a longer number, an amount or an order's number.
fn begins(text: &str, start: usize) -> bool {
    let Some(sign) = char_before(text, start) else { return true };
    let further = char_before(text, start - sign.len_utf8());
    match sign {
        '-' | '.' | ',' | '/' | '+' | '–' | ' ' if further.is_some_and(|c| digit(c).is_some()) => false,
        '-' | '.' | '/' | '+' | '#' | '$' | '€' | '£' | '¥' | '₹' => sign == '/' && !further.is_some_and(joins),
        _ => true,
    }
}

/// Whether nothing behind goes on with the number.
fn ends(text: &str, end: usize) -> bool {
    let Some(sign) = char_after(text, end) else { return true };
    let further = char_after(text, end + sign.len_utf8());
    match sign {
        '-' | '.' | ',' | '/' | '+' | '–' | ':' => further.is_none_or(|c| digit(c).is_none()),
        '%' | '°' | '€' | '$' => false,
        sign => !joins(sign),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What python-stdnum says of numbers that it knows, by the golden that `tests/goldens/identity_numbers.py` makes.
    #[test]
    fn numbers_are_those_of_stdnum() {
        #[derive(serde::Deserialize)]
        struct Golden {
            valid: Vec<String>,
            invalid: Vec<String>,
        }
        let golden: HashMap<String, Golden> =
            serde_json::from_str(include_str!("../../../tests/goldens/identity_numbers.json")).unwrap();
        assert!(golden.len() >= 50);
        for (name, Golden { valid, invalid }) in golden {
            let own: Vec<&Number> = TABLE.numbers.iter().filter(|number| number.name == name).collect();
            assert!(!valid.is_empty() && !invalid.is_empty() && !own.is_empty(), "{name}");
            for (numbers, right) in [(valid, true), (invalid, false)] {
                let differ = |number: &&String| own.iter().any(|own| own.is(number)) != right;
                let differing: Vec<&String> = numbers.iter().filter(differ).collect();
                assert!(differing.is_empty(), "{name}, valid {right}: {differing:?}");
            }
        }
    }

    /// The numbers that stdnum has not, by the examples that their issuers publish.
    #[test]
    fn other_numbers_are_as_their_issuers_say() {
        for (name, valid, invalid) in [
            ("hk.hkid", "A1234563", "A1234564"),
            ("hu.taj", "111111110", "111111111"),
            ("ir.melli", "0499370899", "0499370890"),
            ("kz.iin", "860904350504", "860904350505"),
            ("ru.snils", "11223344595", "11223344596"),
            ("sg.nric", "S1234567D", "S1234567E"),
            ("tw.id", "A123456789", "A123456788"),
        ] {
            let is = |compact: &str| TABLE.numbers.iter().any(|number| number.name == name && number.is(compact));
            assert!(is(valid) && !is(invalid), "{name}");
        }
    }

    /// Every name is that of a number, and every number has a name.
    #[test]
    fn numbers_have_names() {
        let named = |name: &str| rows(IDENTITY).any(|[own, kind, _]| own == name && kind == "name");
        assert!(TABLE.numbers.iter().all(|number| named(number.name)));
        for [name, kind, _] in rows(IDENTITY).filter(|[_, kind, _]| *kind == "name") {
            assert!(TABLE.numbers.iter().any(|number| number.name == name), "{name} {kind}");
        }
    }
}
