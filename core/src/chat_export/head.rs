//! The head of a line that begins a message: a date, a time of day, mostly an author.
//!
//! There is no list of formats. Three numbers between separators are a date, two or three are a time; around them may
//! stand the words that a locale puts there (`à`, `klo`, `a las`, `г.`, `Uhr`), a part of the day, an era. A head
//! begins its line, and a bracket or a dash ends it.

use std::sync::LazyLock;

use regex::{Captures, Regex};

use super::date::{Calendar, DateOrder, Number, WrittenDate, YearPlace};
use super::day_part::DayPart;
use super::plain::{digit, is_direction, name};

/// The head of a line that begins a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Head<'a> {
    pub date: WrittenDate,
    /// Seconds since midnight.
    pub seconds: i64,
    pub shape: Shape,
    /// The author; none for what the app says itself.
    pub author: Option<String>,
    /// What follows, with the marks of direction that the app puts before what it says itself.
    pub text: &'a str,
}

/// What the heads of one export have in common.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Shape {
    /// `[…] Name`, as iPhones write it, rather than `… - Name`.
    pub bracketed: bool,
    time_first: bool,
    date_separators: [String; 2],
    time_separator: String,
    has_seconds: bool,
    has_comma: bool,
    has_words: bool,
}

/// The most characters of a line that are looked at for its head and author.
const LOOKED_AT: usize = 240;
/// The most bytes before the bracket or dash that ends date and time.
const LONGEST: usize = 96;

/// The head of a line, where it begins a message.
pub(super) fn head(line: &str) -> Option<Head<'_>> {
    let beginning = Beginning::of(line);
    let text = beginning.text.as_str();
    match text.strip_prefix('[') {
        Some(inside) => {
            let end = inside.find(']').filter(|end| *end <= LONGEST)?;
            let rest = beginning.rest(line, end + 2);
            let rest = rest.trim_start();
            Some(Moment::of(&inside[..end], true)?.head(rest.strip_prefix("- ").unwrap_or(rest)))
        }
        None => {
            static ENDS: LazyLock<Regex> = LazyLock::new(|| Regex::new(" [-–—] |: ").expect("a constant pattern"));
            let ends = ENDS.find_iter(text).take_while(|end| end.start() <= LONGEST);
            let mut moments = ends.filter_map(|end| Some((end.end(), Moment::of(&text[..end.start()], false)?)));
            let (end, moment) = moments.next()?;
            Some(moment.head(beginning.rest(line, end)))
        }
    }
}

/// The beginning of a line as the grammar reads it: without marks of direction, digits as ASCII, white space as spaces.
struct Beginning {
    text: String,
    /// Where each of its bytes ends in the line.
    ends: Vec<usize>,
}

impl Beginning {
    fn of(line: &str) -> Self {
        let mut beginning = Self { text: String::new(), ends: Vec::new() };
        for (at, c) in line.char_indices().filter(|(_, c)| !is_direction(*c)).take(LOOKED_AT) {
            let read = match digit(c) {
                Some(digit) => char::from(b'0' + digit),
                None if c.is_whitespace() => ' ',
                None => c,
            };
            beginning.text.push(read);
            beginning.ends.resize(beginning.text.len(), at + c.len_utf8());
        }
        beginning
    }

    /// The line after the first `length` bytes of this.
    fn rest<'a>(&self, line: &'a str, length: usize) -> &'a str {
        length.checked_sub(1).and_then(|last| self.ends.get(last)).map_or(line, |end| &line[*end..])
    }
}

/// A date and a time of day.
struct Moment {
    date: WrittenDate,
    seconds: i64,
    shape: Shape,
}

/// `31/12/2023`, `31. 12. 2023.`, `2023年12月31日`, `R5/12/31`.
const DATE: &str = concat!(
    r"(?P<a>[0-9]{1,4})(?P<s1> ?[-/.‐‑–年년] ?|')(?P<b>[0-9]{1,2})(?P<s2> ?[-/.‐‑–月월] ?|')",
    r"(?P<era>[A-Za-z\x{80}-\x{10ffff}]{1,3})?(?P<c>[0-9]{1,4}) ?[日号號일]?"
);
/// `21:41`, `21.41`, `21:41:05`, `21 h 41 min 05 s`.
const TIME: &str = concat!(
    r"(?P<hour>[0-9]{1,2})(?P<ts> ?(?:[:.：]|h|時|时|시) ?)(?P<minute>[0-9]{2})",
    r"(?: ?(?:[:.：]|min|m|分|분) ?(?P<second>[0-9]{2}))?(?: ?(?:s\b|秒|초|分|분))?"
);
/// The separators of dates that belong together.
const PAIRS: &[(char, char)] = &[('年', '月'), ('년', '월')];

impl Moment {
    fn of(written: &str, bracketed: bool) -> Option<Self> {
        static GRAMMARS: LazyLock<[Regex; 2]> = LazyLock::new(|| {
            let around = |inner: String| format!("^(?P<before>[^0-9]*){inner}(?P<after>[^0-9]*)$");
            [(DATE, TIME), (TIME, DATE)].map(|(first, second)| {
                let pattern = around(format!("{first}(?P<between>[^0-9]+){second}"));
                Regex::new(&pattern).expect("a constant pattern")
            })
        });
        let mut readings = GRAMMARS.iter().zip([false, true]);
        readings.find_map(|(grammar, time_first)| Self::read(&grammar.captures(written)?, bracketed, time_first))
    }

    fn read(found: &Captures<'_>, bracketed: bool, time_first: bool) -> Option<Self> {
        let part = |name: &str| found.name(name).map_or("", |part| part.as_str());
        let number = |name: &str| part(name).parse::<u32>().ok();
        let separators = [part("s1"), part("s2")].map(|separator| separator.trim().to_owned());
        let pair = (separators[0].chars().next()?, separators[1].chars().next()?);
        if pair.0 != pair.1 && !PAIRS.contains(&pair) {
            return None;
        }

        let before = Words::of(part("before"), 0)?;
        let between = Words::of(part("between"), 2)?;
        let after = Words::of(part("after"), 1)?;
        let inside = match part("era") {
            "" => None,
            era => Some(Calendar::of(era)?),
        };
        let parts = [(number("a")?, part("a")), (number("b")?, part("b")), (number("c")?, part("c"))]
            .map(|(value, digits)| Number { value, digits: digits.len() });
        let calendar = inside.or(before.calendar).or(between.calendar).or(after.calendar);
        // Korean writes the year first, in two digits too; the calendars of eras have years of one.
        let korean = |text: &str| text.chars().any(|c| ('가'..='힣').contains(&c));
        let year = match (parts[0].digits, parts[2].digits) {
            (3 | 4, 1 | 2) => YearPlace::First,
            (1 | 2, 4) => YearPlace::Last,
            (1 | 2, 1 | 2) if pair.0 != pair.1 || before.calendar.is_some() => YearPlace::First,
            (1 | 2, 1 | 2) if inside.is_some() => YearPlace::Last,
            (1 | 2, 1 | 2) if calendar.is_some() => YearPlace::Either,
            (2, 1 | 2) if korean(part("between")) => YearPlace::First,
            (2, 2) => YearPlace::Either,
            (1, 2) => YearPlace::Last,
            (2, 1) => YearPlace::First,
            _ => return None,
        };
        let date = WrittenDate { parts, year, calendar };
        DateOrder::ALL.into_iter().find(|order| date.fits(*order))?;

        let written = number("hour")?;
        let day_part = before.day_part.or(between.day_part).or(after.day_part);
        let hour = day_part.map_or(Some(written), |day_part| day_part.hour(written))?;
        let (minute, second) = (number("minute")?, number("second").unwrap_or(0));
        let shape = Shape {
            bracketed,
            time_first,
            date_separators: separators,
            time_separator: part("ts").trim().to_owned(),
            has_seconds: found.name("second").is_some(),
            has_comma: part("between").contains([',', '،', '、']),
            has_words: between.others + after.others > 0,
        };
        let seconds = i64::from(hour * 3600 + minute * 60 + second);
        (hour < 24 && minute < 60 && second < 61).then_some(Self { date, seconds, shape })
    }

    /// This before `rest`, which is an author and a text or what the app says.
    fn head(self, rest: &str) -> Head<'_> {
        let (author, text) = match author_and_text(rest) {
            Some((author, text)) => (Some(author), text),
            None => (None, rest),
        };
        Head { date: self.date, seconds: self.seconds, shape: self.shape, author, text }
    }
}

/// What stands around date and time.
struct Words {
    day_part: Option<DayPart>,
    calendar: Option<Calendar>,
    /// Words of a locale: `klo`, `a las`, `г.`.
    others: usize,
}

impl Words {
    /// The words of a stretch between the numbers; none where it is no such stretch, or has more than `most` words that
    /// are neither a part of the day nor an era.
    fn of(text: &str, most: usize) -> Option<Self> {
        let word = |c: char| c.is_alphanumeric() || matches!(c, '.' | '\'' | '’' | '-') || is_mark_of_letter(c);
        const LONGEST: usize = 32;
        let length = text.chars().count();
        if length > LONGEST
            || !text.chars().all(|c| word(c) || matches!(c, ' ' | ',' | '،' | '、' | '(' | ')' | ';' | '–' | '·'))
        {
            return None;
        }
        let mut words: Vec<&str> = text.split(|c: char| !word(c)).collect();
        words.retain(|word| word.chars().any(char::is_alphabetic));
        let mut found = Self { day_part: None, calendar: None, others: 0 };
        let era = words.iter().enumerate().find_map(|(at, word)| Some((at, Calendar::of(word)?)));
        if let Some((at, calendar)) = era {
            found.calendar = Some(calendar);
            words.remove(at);
        }
        // A part of the day may be several words: the longest run that is one counts.
        let runs = (1..=words.len()).rev().flat_map(|length| (0..=words.len() - length).map(move |at| at..at + length));
        let mut parts = runs.filter_map(|run| Some((run.clone(), DayPart::of(&words[run].concat())?)));
        if let Some((run, day_part)) = parts.next() {
            found.day_part = Some(day_part);
            words.drain(run);
        }
        found.others = words.len();
        let short = words.iter().all(|word| word.chars().count() <= 8);
        (short && words.len() <= most).then_some(found)
    }
}

/// Whether a character belongs to a word without being a letter: vowel signs, joiners, marks of syllables.
fn is_mark_of_letter(c: char) -> bool {
    unicode_normalization::char::is_combining_mark(c) || matches!(c, '\u{200b}'..='\u{200d}' | '་' | '\u{70f}')
}

/// `Name: text`. A name has no colon followed by white space, and is not as long as a sentence.
fn author_and_text(rest: &str) -> Option<(String, &str)> {
    const LONGEST: usize = 100;
    let colon = rest.char_indices().find(|(at, c)| {
        *c == ':' && rest[at + 1..].chars().find(|c| !is_direction(*c)).is_none_or(char::is_whitespace)
    });
    let (author, text) = rest.split_at(colon?.0);
    if opens_a_quotation(author) {
        return None;
    }
    let author = name(author);
    (!author.is_empty() && author.chars().count() <= LONGEST).then(|| (author, text[1..].trim_start()))
}

/// Whether a quotation is open at the end: the app quotes names of groups, which have colons too.
fn opens_a_quotation(text: &str) -> bool {
    let count = |quotes: &[char]| text.matches(quotes).count();
    // “ opens in English and closes in German.
    let curved = match text.contains(['„', '‚']) {
        true => count(&['„']) > count(&['“', '”']),
        false => count(&['“']) > count(&['”']),
    };
    curved || count(&['"']) % 2 == 1 || count(&['«']) != count(&['»']) || count(&['「', '『']) > count(&['」', '』'])
}

#[cfg(test)]
#[path = "head_tests.rs"]
mod tests;
