//! What a person wrote of a message, without what the app wrote into it: files, edits, deleted messages, calls, places,
//! polls, notices.
//!
//! Much of that is known in any language: an iPhone puts a mark of direction before its own words, and names of files,
//! links to maps and the lines of a poll have looks of their own. The rest are the tables of [`marks`](super::marks).

use std::sync::LazyLock;

use regex::Regex;

use super::marks::{
    ATTACHED, ATTACHED_TAGS, CALLS, DELETED, EDITED, LIVE_LOCATION, NOTICES, OMITTED, OMITTED_OR_SAID, OMITTED_TAGS,
    POLLS,
};
use super::plain::{is_apps_mark, is_direction, plain};

/// What a message comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Said {
    /// What the person wrote, lines parted by `\n`.
    Text(String),
    /// A file, a call, a place, a poll or a deleted message.
    Mark,
    /// Something that the app says about the chat, under somebody's name.
    Notice,
}

/// How the phone that wrote the message tells its own words.
#[derive(Debug, Clone, Copy)]
pub(super) struct Writer {
    /// An iPhone, which puts a mark of direction before its own words.
    pub iphone: bool,
    /// An iPhone's mark of direction before the line: something in the message is the app's own.
    pub marked: bool,
}

/// What the person said in a message, of which `text` is what follows the author, marks of direction included.
pub(super) fn said(text: &str, writer: Writer) -> Said {
    let text = without_edit(text.trim());
    let lines: Vec<&str> = text.split('\n').collect();
    if is_poll(&lines) {
        return Said::Mark;
    }
    let first = lines[0];
    let mut words = Vec::new();
    let mut rest = &lines[1..];
    if let Some(file) = FileMark::of(first, writer) {
        words.push(file.caption);
        // A document's caption is its name, where the person wrote none.
        let named_again = |line: &str| plain(line).trim() == file.name || is_document(&plain(line));
        rest = if rest.first().is_some_and(|line| named_again(line)) { &rest[1..] } else { rest };
    } else if stands_for_a_message(&lines) {
        return Said::Mark;
    } else if writer.iphone && first.starts_with(is_apps_mark) || NOTICES.has(first) {
        return Said::Notice;
    } else {
        words.push(plain(first));
    }
    words.extend(rest.iter().map(|line| FileMark::of(line, writer).map_or_else(|| plain(line), |file| file.caption)));
    match words.join("\n").trim() {
        "" => Said::Mark,
        text => Said::Text(text.to_owned()),
    }
}

/// A file's mark at the end of a line.
struct FileMark {
    /// The file's name, where the mark tells it.
    name: String,
    /// What the person wrote before the mark.
    caption: String,
}

impl FileMark {
    fn of(line: &str, writer: Writer) -> Option<Self> {
        let shown = plain(line);
        let shown = shown.trim();
        if let Some(name) = sent_by_android(line) {
            return Some(Self { name, caption: String::new() });
        }
        let before = before_tag(shown)
            .or_else(|| before_omitted(shown, writer))
            .or_else(|| writer.marked.then(|| before_direction(line)).flatten())?;
        Some(match is_document(&before) {
            true => Self { name: before, caption: String::new() },
            false => Self { name: String::new(), caption: before },
        })
    }
}

/// The name of a file that Android says was sent: `Lease.pdf (file attached)`.
fn sent_by_android(line: &str) -> Option<String> {
    static SENT: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"^(?P<name>\S.{0,250}?) ?[(（](?P<words>.{2,60})[)）]$").expect("a constant pattern")
    });
    // The names that the app gives: `IMG-20231231-WA0003.jpg`, a hash.
    static GIVEN: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"^(?:[A-Z]{3}-[0-9]{8}-WA[0-9]{4}.*|[0-9a-f]{32})\.[0-9A-Za-z]{0,5}$").expect("a constant pattern")
    });
    if !line.ends_with([')', '）', '\u{200e}', '\u{200f}']) {
        return None;
    }
    let shown = plain(line);
    let found = SENT.captures(shown.trim())?;
    let name = &found["name"];
    // Such names and, before any name, a mark of direction show that the app wrote this, in whatever language.
    let by_the_app = GIVEN.is_match(name) || line.starts_with(is_apps_mark) && is_document(name);
    let has_ending = name.rsplit_once('.').is_some_and(|(_, ending)| ending.len() <= 10 && !ending.contains(' '));
    (by_the_app || has_ending && ATTACHED.has(&found["words"])).then(|| name.to_owned())
}

/// What stands before `<attached: 00000012-PHOTO.jpg>`, or before `<Media omitted>` alone on its line.
fn before_tag(shown: &str) -> Option<String> {
    static TAG: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"^(?P<before>.*?)<(?:(?P<word>[^<>:：]{1,40}?)\s?[:：]\s?(?P<file>[^<>]+)|(?P<omitted>[^<>:]+))>$")
            .expect("a constant pattern")
    });
    // The names that iPhones give: `00000012-PHOTO-2023-12-31-21-41-05.jpg`.
    static NUMBERED: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"^[0-9]{8}-.+\.\w+$").expect("a constant pattern"));
    if !shown.ends_with('>') {
        return None;
    }
    let found = TAG.captures(shown)?;
    let before = found["before"].trim();
    let is_mark = match found.name("omitted") {
        Some(words) => before.is_empty() && (OMITTED_TAGS.has(words.as_str()) || OMITTED.has(words.as_str())),
        None => NUMBERED.is_match(found["file"].trim()) || ATTACHED_TAGS.has(&found["word"]),
    };
    is_mark.then(|| before.to_owned())
}

/// What stands before `image omitted`: nothing, a document's name, or on an iPhone a caption.
fn before_omitted(shown: &str, writer: Writer) -> Option<String> {
    if OMITTED.has(shown) || writer.iphone && OMITTED_OR_SAID.has(shown) {
        return Some(String::new());
    }
    let words = OMITTED.words_at_end(shown)?;
    let without = |text: &str| text.trim_end().rsplit_once(char::is_whitespace).map(|(before, _)| before.len());
    let before = (0..words).try_fold(shown, |text, _| without(text).map(|length| &shown[..length]))?;
    (writer.iphone || is_document(before)).then(|| before.trim().to_owned())
}

/// What stands before the line's last mark of direction, where that follows white space or begins the line.
fn before_direction(line: &str) -> Option<String> {
    let (before, _) = line.split_at(line.rfind(is_apps_mark)?);
    let before = before.trim_end_matches(is_direction);
    (before.is_empty() || before.ends_with(char::is_whitespace)).then(|| plain(before).trim().to_owned())
}

/// Whether a text is the name of a file, with its pages where it says how many: `Lease.pdf • 14 pages`.
fn is_document(text: &str) -> bool {
    static NAME: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"^\S[^\n]{0,250}\.(?:[A-Za-z][A-Za-z0-9]{1,3}|[0-9][A-Za-z]{1,2})$").expect("a constant pattern")
    });
    let name = text.split_once('•').map_or(text, |(name, _)| name).trim();
    NAME.is_match(name) && !name.contains("://")
}

/// Whether the lines stand for something else than words: a deleted message, a call, a place.
fn stands_for_a_message(lines: &[&str]) -> bool {
    // A word and the place in degrees; a name with its street, on one line or each on its own.
    static PLACE: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(concat!(
            r"^(?:\S+ ?\S* ?\S*[:：]\s?https?://maps\.google\.com/\?q=-?[0-9.]+,-?[0-9.]+",
            r"|[^\n]{1,160}(?:[:：]\s?|\n(?:[^\n]{1,160}\n)?)https?://(?:www\.)?foursquare\.com/v/\S+)$"
        ))
        .expect("a constant pattern")
    });
    let shown: Vec<String> = lines.iter().map(|line| plain(line).trim().to_owned()).collect();
    let first = shown[0].as_str();
    // Android writes `null` for what it cannot export, such as a picture to be seen once.
    shown == ["null"]
        || DELETED.has(first)
        || LIVE_LOCATION.has(first)
        || is_call(first)
        || PLACE.is_match(&shown.join("\n"))
}

/// Whether a line stands for a call, with how long it was: `Voice call, 12 min`.
fn is_call(shown: &str) -> bool {
    const LONGEST: usize = 90;
    let ends = shown.match_indices([',', '،', '、', '.', '。', '•']).map(|(at, _)| at);
    shown.chars().count() <= LONGEST && ends.chain([shown.len()]).any(|end| CALLS.has(&shown[..end]))
}

/// Whether a message is a poll: a word with a colon, the question, and options such as `OPTION: Friday (3 votes)`, all
/// with the same word. Both words are in capitals where the script has them.
fn is_poll(lines: &[&str]) -> bool {
    static OPTION: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"^(?P<word>[^:：\s][^:：]{0,23}?)\s?[:：]\s.*[(（][^()（）]{0,20}\p{Nd}[^()（）]{0,20}[)）]$")
            .expect("a constant pattern")
    });
    let loud = |word: &str| word.chars().count() <= 24 && !word.chars().any(char::is_lowercase);
    let shown: Vec<String> = lines.iter().map(|line| plain(line).trim().to_owned()).collect();
    let Some(title) = shown[0].strip_suffix([':', '：']).map(str::trim_end).filter(|title| loud(title)) else {
        return false;
    };
    let words = || shown[1..].iter().filter_map(|line| OPTION.captures(line)).map(|found| found["word"].to_owned());
    POLLS.has(title) || words().next().is_some_and(|first| loud(&first) && words().all(|word| word == first))
}

/// A text without the mark of an edit at its end. What an iPhone marks as its own there is one in any language.
fn without_edit(text: &str) -> &str {
    static EDIT: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"<([^<>:：\n]{4,60})>\W*$").expect("a constant pattern"));
    let Some(found) = text.contains('>').then(|| EDIT.captures(text)).flatten() else { return text };
    let (before, _) = text.split_at(found.get(0).map_or(text.len(), |tag| tag.start()));
    let words = &found[1];
    let marked = before.ends_with(is_apps_mark) && !OMITTED_TAGS.has(words) && !OMITTED.has(words);
    let before = before.trim_end_matches(|c: char| c.is_whitespace() || is_direction(c));
    let edited = EDITED.has(words) || marked && !before.is_empty();
    if edited { before } else { text }
}

#[cfg(test)]
#[path = "said_tests.rs"]
mod tests;
