//! Passwords and PINs that a text names as such. Those within addresses and on command lines have their own files.

use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;

use super::api_key::{is_issued, is_token};
use super::lexicon::{GRAMMAR, Keyword, Keywords, SECRETS, Set, any_of};
use super::misspelt;
use super::one_time_code::{is_counted, is_year, named_in};
use super::said::{Tie, Value, value_after, value_before};
use super::striking;
use super::words::{after, before, split};

static SURE: LazyLock<Keywords> = LazyLock::new(|| Keywords::new(SECRETS, &["password"]));
static WORD: LazyLock<Keywords> = LazyLock::new(|| Keywords::new(SECRETS, &["password_word"]));
static VAGUE: LazyLock<Keywords> = LazyLock::new(|| Keywords::new(SECRETS, &["password_vague"]));
static HOMOGRAPH: LazyLock<Keywords> = LazyLock::new(|| Keywords::new(SECRETS, &["password_homograph"]));
static NETWORK: LazyLock<Keywords> = LazyLock::new(|| Keywords::new(SECRETS, &["network_key"]));
static VAGUE_NETWORK: LazyLock<Keywords> = LazyLock::new(|| Keywords::new(SECRETS, &["network_key_vague"]));
static PIN: LazyLock<Keywords> = LazyLock::new(|| Keywords::new(SECRETS, &["pin"]));
static VAGUE_PIN: LazyLock<Keywords> = LazyLock::new(|| Keywords::new(SECRETS, &["pin_vague"]));

static ACCOUNT: LazyLock<Keywords> = LazyLock::new(|| Keywords::new(SECRETS, &["account"]));

/// The longest password, in bytes.
const LONGEST: usize = 128;

/// How far after the name of an account a password may be called by a vague word, in bytes.
const NEAR: usize = 48;

/// What stands where a password could, and is none: words about passwords, and code.
static NONE: LazyLock<Set> = LazyLock::new(|| Set::new(GRAMMAR, "no_password"));

/// The words of forms and their messages: a phrase with one is no passphrase.
static PROMPT: LazyLock<Set> = LazyLock::new(|| Set::new(GRAMMAR, "prompt"));

pub(super) fn find(text: &str, emails: &[Range<usize>]) -> Vec<Range<usize>> {
    // A number after the name of a one-time code is another rule's.
    let codes = named_in(text);
    let is_code = |keyword: &Keyword<'_>, value: Value<'_>| {
        let before = codes.partition_point(|code| code.start < keyword.range.end);
        let beside = |code: &Range<usize>| code.end + 2 >= keyword.range.start && *code != keyword.range;
        is_number(value.text) && before > 0 && codes[..before].iter().rev().take(2).any(beside)
    };
    // `user/password: x/y` is found as a pair.
    let paired = |keyword: &Keyword<'_>| text[..keyword.range.start].ends_with('/');
    let accounts: Vec<Range<usize>> = ACCOUNT.find(text).map(|word| word.range).collect();
    let mut found = Vec::new();
    let misspelt = misspelt::find(text).map(|range| Keyword { range, languages: &[] });
    for keyword in SURE.endings(text).chain(WORD.find(text)).chain(misspelt).filter(|keyword| !paired(keyword)) {
        let beside_name = is_beside_name(text, &accounts, &keyword);
        let accept = |value: Value<'_>| {
            let tie = if value.quoted && beside_name { Tie::Stated } else { value.tie };
            is_password(Value { tie, ..value }) && !is_code(&keyword, value)
        };
        let said = value_after(text, &keyword, accept).or_else(|| {
            value_before(text, &keyword, |value| {
                let number = value.tie == Tie::Assigned && is_number(value.text);
                (is_strong(value) || value.quoted || number) && is_password(value)
            })
        });
        let said = said.or_else(|| number_beside(text, keyword.range.end));
        match said {
            Some(value) => {
                found.extend(striking::following(text, value.end));
                found.push(value);
            }
            None => found.extend(striking::near(text, &keyword.range)),
        }
    }
    for keyword in VAGUE.find(text).filter(|keyword| !paired(keyword)) {
        let named = is_beside_name(text, &accounts, &keyword);
        let accept = |value: Value<'_>| match value.tie {
            Tie::Beside => (value.quoted || named) && is_strong(value),
            _ => value.unknown == 0 && is_password(value),
        };
        found.extend(value_after(text, &keyword, accept).or_else(|| near_name(text, &accounts, &keyword)));
    }
    for keyword in HOMOGRAPH.find(text) {
        let named = is_beside_name(text, &accounts, &keyword);
        let sure = |value: Value<'_>| (value.tie != Tie::Beside || named) && value.unknown == 0;
        let accept =
            |value: Value<'_>| sure(value) && is_strong(value) && !(value.text.len() >= 20 && is_token(value.text));
        found.extend(value_after(text, &keyword, accept).or_else(|| near_name(text, &accounts, &keyword)));
    }
    for keyword in NETWORK.find(text) {
        let number =
            |value: Value<'_>| value.unknown == 0 && (8..=63).contains(&value.text.len()) && is_number(value.text);
        let chain = |value: Value<'_>| value.tie != Tie::Beside && value.unknown == 0 && is_chain(value.text);
        let said = value_after(text, &keyword, |value| is_strong(value) || number(value) || chain(value));
        found.extend(said.or_else(|| striking::near(text, &keyword.range)));
    }
    for keyword in VAGUE_NETWORK.find(text).filter(|keyword| is_beside_name(text, &accounts, keyword)) {
        let number = |value: Value<'_>| value.tie == Tie::Assigned && value.text.len() >= 8 && is_number(value.text);
        found.extend(value_after(text, &keyword, |value| is_strong(value) || number(value)));
    }
    for keyword in PIN.find(text) {
        let accept = |value: Value<'_>| is_pin(value.text) && !is_code(&keyword, value);
        let said = value_after(text, &keyword, accept).or_else(|| value_before(text, &keyword, accept));
        found.extend(said.or_else(|| pin_below(text, keyword.range.end)));
    }
    for keyword in VAGUE_PIN.find(text) {
        let accept = |value: Value<'_>| value.tie != Tie::Beside && is_pin(value.text) || is_combination(value.text);
        found.extend(value_after(text, &keyword, accept));
    }
    found.extend(beside_names(text, emails));
    found
}

/// Whether the name of an account stands before a keyword: a vague one then means a password.
fn is_beside_name(text: &str, accounts: &[Range<usize>], keyword: &Keyword<'_>) -> bool {
    let start = keyword.range.start;
    let before = accounts.partition_point(|account| account.end <= start);
    let account = accounts[..before].last().filter(|account| account.end + NEAR >= start);
    account.is_some_and(|account| !text[account.end..start].contains('\n') || account.end + NEAR / 2 >= start)
}

/// The value near a vague word, in a line that names an account or a network.
fn near_name(text: &str, accounts: &[Range<usize>], keyword: &Keyword<'_>) -> Option<Range<usize>> {
    let Range { start, end } = keyword.range;
    let at = accounts.partition_point(|account| account.end <= start);
    let own = |account: &&Range<usize>| account.start < end && account.end > start;
    let next = accounts[at..].iter().take_while(|account| account.start < end + NEAR).find(|account| !own(account));
    let named = is_beside_name(text, accounts, keyword)
        || next.is_some_and(|next| !text[end..next.start.max(end)].contains('\n'));
    named.then(|| striking::near(text, &keyword.range)).flatten()
}

fn is_number(value: &str) -> bool {
    value.bytes().all(|byte| byte.is_ascii_digit() || byte == b' ' || byte == b'-')
}

/// A PIN on the line below the question for it.
fn pin_below(text: &str, start: usize) -> Option<Range<usize>> {
    static BELOW: LazyLock<Regex> = LazyLock::new(|| {
        let copula = any_of(GRAMMAR, &["copula"]);
        Regex::new(&format!(r"(?i)^(?:\s\p{{L}}+){{0,3}}[?:.! ]*\n\s*(?:{copula}\s)?([0-9]{{4,8}})[.! ]*(?:\n|$)"))
            .expect("a constant pattern")
    });
    let pin = BELOW.captures(after(text, start, NEAR))?.get(1)?;
    Some(start + pin.start()..start + pin.end())
}

/// What a lock with keys is told, right behind a word for it: `password 3850*`.
fn number_beside(text: &str, start: usize) -> Option<Range<usize>> {
    static NUMBER: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"^[ \u{a0}]{1,2}([#*]?[0-9]{4,8}[#*]?)(?:[^\p{L}\p{N}]|$)").expect("a constant pattern")
    });
    let value = NUMBER.captures(after(text, start, 24))?.get(1)?;
    let round = value.as_str().ends_with("00");
    (!round && !is_year(value.as_str()) && !is_counted(text, start + value.end()))
        .then_some(start + value.start()..start + value.end())
}

fn is_pin(value: &str) -> bool {
    (4..=8).contains(&value.len()) && value.bytes().all(|byte| byte.is_ascii_digit())
}

/// A lock's: `18-36-07`.
fn is_combination(value: &str) -> bool {
    let mut parts = value.split('-');
    (8..=11).contains(&value.len()) && parts.all(|part| part.len() == 2 && is_number(part))
}

/// What a value is made of.
struct Makeup {
    letters: bool,
    digits: bool,
    /// Signs that do not stand in ordinary words and identifiers as dots, slashes, hyphens and apostrophes do.
    signs: bool,
}

impl Makeup {
    fn of(value: &str) -> Self {
        let inner = value.trim_end_matches(['!', '?', '~']);
        Self {
            letters: value.chars().any(char::is_alphabetic),
            digits: value.chars().any(|c| c.is_ascii_digit()),
            signs: inner.chars().any(|c| c.is_ascii_punctuation() && !".-/'_:".contains(c)),
        }
    }

    /// Letters together with something else.
    fn is_mixed(&self) -> bool {
        self.letters && (self.digits || self.signs)
    }
}

/// Whether a value could be a password at all, whatever says so.
fn is_possible(value: Value<'_>) -> bool {
    let text = value.text;
    let literal = value.quoted && value.tie == Tie::Assigned;
    let code = text.contains("://") || text.contains(['<', '>']) || text.contains("${") || text.contains("{{");
    let code = code || !literal && text.contains(['(', ')', '{', '}']) || text.starts_with(['$', '%', '&', '[', '-']);
    // `autocomplete=off`
    let attribute = value.tie == Tie::Beside
        && text.split_once('=').is_some_and(|(name, rest)| {
            !rest.is_empty() && name.chars().all(|c| c.is_alphabetic() || matches!(c, '-' | '_'))
        });
    // `:DDD`, `haaaa`.
    let drawn = text.chars().skip(1).all(|c| text.ends_with(c));
    (4..=128).contains(&text.chars().count()) && !code && !attribute && !drawn && !is_issued(text)
}

/// Whether a value is a password, where a word for one is tied to it.
fn is_password(value: Value<'_>) -> bool {
    let Value { text, tie, quoted, .. } = value;
    if !is_possible(value) {
        return false;
    }
    let makeup = Makeup::of(text);
    if text.contains(char::is_whitespace) {
        return quoted && is_phrase(text) && (tie != Tie::Beside || makeup.digits || makeup.signs);
    }
    let length = text.chars().count();
    let mixed = makeup.is_mixed() && length >= 5 && !is_measure(text);
    let inner_capital = text.chars().skip(1).any(char::is_uppercase) && text.chars().any(char::is_lowercase);
    match tie {
        Tie::Assigned if makeup.letters && !makeup.digits && !makeup.signs => {
            let lower = text.to_lowercase();
            let path = text.contains('.') && !text.contains('-');
            !NONE.has(lower.trim_end_matches(['!', '?', '…'])) && !path
        }
        Tie::Assigned => true,
        Tie::Stated => mixed || is_chain(text) || inner_capital && length >= 6 || makeup.digits && !makeup.letters,
        Tie::Beside if striking::is_product(text) || striking::is_file(text) => false,
        Tie::Beside => mixed && text.chars().filter(|c| *c == '/').count() < 2,
    }
}

/// Whether a value looks like a password where the word beside it may mean something else.
fn is_strong(value: Value<'_>) -> bool {
    let makeup = Makeup::of(value.text);
    let tie = if value.quoted { Tie::Assigned } else { Tie::Beside };
    makeup.is_mixed() && !is_address(value.text) && is_password(Value { tie, ..value })
}

/// Whether a value has the shape of an e-mail address.
fn is_address(value: &str) -> bool {
    value.split_once('@').is_some_and(|(name, domain)| {
        !name.is_empty() && domain.contains('.') && !domain.ends_with(|c: char| c.is_ascii_digit())
    })
}

/// Some words that a form would not say.
fn is_phrase(text: &str) -> bool {
    let words = text.split_whitespace();
    (6..=LONGEST).contains(&text.len())
        && !words.map(str::to_lowercase).any(|word| PROMPT.has(word.trim_matches(['.', ':', '!', '?'])))
}

/// Words strung together, as `rødgrød-med-fløde`.
fn is_chain(value: &str) -> bool {
    value.chars().count() >= 14
        && value.split('-').count() >= 3
        && value.split('-').all(|word| !word.is_empty() && word.chars().all(char::is_alphabetic))
}

/// A number with a unit or an ending (`1500ms`, `100th`): digits, then letters.
fn is_measure(value: &str) -> bool {
    let unit = value.trim_start_matches(|c: char| c.is_ascii_digit() || ".,:".contains(c));
    unit.len() < value.len() && unit.len() <= 3 && unit.chars().all(|c| c.is_alphabetic() || c == '%')
}

static CREDENTIALS: LazyLock<Keywords> = LazyLock::new(|| Keywords::new(SECRETS, &["credentials"]));

static CREDENTIAL_PAIR: LazyLock<Regex> = LazyLock::new(|| {
    let (copula, and) = (any_of(GRAMMAR, &["copula", "plural_copula", "as"]), any_of(GRAMMAR, &["and"]));
    Regex::new(&format!(
        r"(?i)^(?:\s{{0,2}}[:=–-]|\s{copula})?\s{{1,2}}([^\s:/,;]{{2,40}})(?:\s?[/:,|]\s?|\s{and}\s(?:then\s)?|\s)([^\s,;]{{6,64}})"
    ))
    .expect("a constant pattern")
});

/// Whether a word belongs to the sentence rather than being a name.
fn is_grammar(word: &str) -> bool {
    static KINDS: LazyLock<Vec<Set>> = LazyLock::new(|| {
        ["copula", "plural_copula", "filler", "article", "preposition", "as", "and", "modal", "no_password", "thing"]
            .map(|kind| Set::new(GRAMMAR, kind))
            .into()
    });
    KINDS.iter().any(|kind| kind.has(word))
}

/// The passwords of `name/password` and `name:password` in the line of a word for both.
fn joined_pairs(text: &str, word: &Range<usize>) -> Vec<Range<usize>> {
    let (head, tail) = (before(text, word.start, LONGEST), after(text, word.end, LONGEST));
    let line = word.start - head.len() + head.rfind('\n').map_or(0, |at| at + 1);
    let end = word.end + tail.find('\n').unwrap_or(tail.len());
    let pair = |range: Range<usize>| {
        let (name, value) = text[range.clone()].split_once(['/', ':'])?;
        let value = value.trim_end_matches(['.', ')', '"', '\'']);
        let named = name.len() >= 2 && name.chars().all(|c| c.is_alphanumeric() || "._-".contains(c));
        let start = range.start + name.len() + 1;
        (named && striking::is_striking(value)).then_some(start..start + value.len())
    };
    split(&text[line..end], line).filter_map(pair).collect()
}

/// `log in with name / password`, `credentials: name:password`, `u: name p: password`, `me@example.com / password`.
fn beside_names(text: &str, emails: &[Range<usize>]) -> Vec<Range<usize>> {
    static PAIR: LazyLock<Regex> = LazyLock::new(|| {
        let copula = any_of(GRAMMAR, &["copula"]);
        Regex::new(&format!(
            r"(?i)^(?:[^\n/]{{1,48}} / ?([^\s,;]{{5,64}})|(?:\s?[:=]|\s{copula})\s{{1,2}}[^\s:/,;]{{2,32}}[:/]([^\s,;]{{5,64}}))"
        ))
        .expect("a constant pattern")
    });
    // `sign in with x`
    static WITH: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"^\s(?:with|using|mit|avec|con|com|met)\s([^\s,;]{6,64})").expect("a constant pattern")
    });
    static INITIALS: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(
            r"(?i)(?-u:\b)(?:u|usr|user|un|login|name)\s?[:=]\s?\S{2,40}[\s,;/|]{1,3}p(?:w|ass)?\s?[:=]\s?(\S{4,64})",
        )
        .expect("a constant pattern")
    });
    // The name is an e-mail address.
    static BEHIND: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"^(?:\s{1,2}(?:[/|]|//)\s{1,2}|:\s?)([^\s,;/]+)").expect("a constant pattern"));
    // `user/password: x/y`
    static ANNOUNCED: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"^\s?[:=–-]\s{0,2}[^\s/:]+\s?[/:]\s?([^\s,;]+)").expect("a constant pattern"));
    let kept = |start: usize, value: &str| {
        let kept = value.trim_end_matches(['.', ',', ')', '"', '\'']);
        (
            start..start + kept.len(),
            Value { text: &text[start..start + kept.len()], tie: Tie::Beside, quoted: false, unknown: 0 },
        )
    };
    let pairs = ACCOUNT.find(text).filter_map(|word| {
        let found = PAIR.captures(after(text, word.range.end, 160))?;
        let value = found.get(1).or(found.get(2))?;
        let (range, value) = kept(word.range.end + value.start(), value.as_str());
        is_password(value).then_some(range)
    });
    let with = ACCOUNT.find(text).filter_map(|word| {
        let value = WITH.captures(after(text, word.range.end, 96))?.get(1)?;
        let (range, value) = kept(word.range.end + value.start(), value.as_str());
        let makeup = Makeup::of(value.text);
        (makeup.digits && makeup.signs && is_strong(value)).then_some(range)
    });
    let initials = INITIALS.captures_iter(text).filter_map(|found| {
        let value = found.get(1)?;
        let (range, value) = kept(value.start(), value.as_str());
        is_password(Value { tie: Tie::Stated, ..value }).then_some(range)
    });
    // `creds: name password`, `login is name and password`, `use name:password to log in`.
    let credentials = CREDENTIALS.find(text).flat_map(|word| {
        let behind = CREDENTIAL_PAIR.captures(after(text, word.range.end, 96)).and_then(|found| {
            let (name, value) = (found.get(1)?, found.get(2)?);
            let (range, value) = kept(word.range.end + value.start(), value.as_str());
            let name = name.as_str().to_lowercase();
            (striking::is_striking(value.text) && !is_grammar(&name)).then_some(range)
        });
        behind.into_iter().chain(joined_pairs(text, &word.range))
    });
    let addresses = emails.iter().filter_map(|email| {
        let value = BEHIND.captures(after(text, email.end, LONGEST))?.get(1)?;
        let (range, value) = kept(email.end + value.start(), value.as_str());
        is_strong(value).then_some(range)
    });
    // `me@example.com and x`
    static NEXT: LazyLock<Regex> = LazyLock::new(|| {
        let and = any_of(GRAMMAR, &["and"]);
        Regex::new(&format!(r"(?i)^(?:,?\s{{1,2}}{and}\s|,?\s{{1,2}}(?:[+>=–-]{{1,2}}\s)?)([^\s,;/]+)"))
            .expect("a constant pattern")
    });
    let next = emails.iter().filter_map(|email| {
        let value = NEXT.captures(after(text, email.end, LONGEST))?.get(1)?;
        let (range, value) = kept(email.end + value.start(), value.as_str());
        striking::is_striking(value.text).then_some(range)
    });
    let passwords = SURE.endings(text).chain(WORD.find(text)).chain(VAGUE.find(text));
    let announced = passwords.filter(|word| text[..word.range.start].ends_with('/')).filter_map(|word| {
        let value = ANNOUNCED.captures(after(text, word.range.end, 160))?.get(1)?;
        let (range, value) = kept(word.range.end + value.start(), value.as_str());
        is_password(value).then_some(range)
    });
    pairs.chain(with).chain(credentials).chain(initials).chain(addresses).chain(next).chain(announced).collect()
}
