//! Keys and tokens: issuers' shapes, private keys, values named as keys, and long random-looking tokens.

use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;

use super::said::{Tie, value_after};
use super::words::{after, ends_word, starts_word};

/// A key's fixed beginning, and what follows it.
struct Shape {
    prefix: &'static str,
    alphabet: fn(u8) -> bool,
    /// The fewest and the most characters after the prefix.
    length: (usize, usize),
}

const fn shape(prefix: &'static str, alphabet: fn(u8) -> bool, least: usize, most: usize) -> Shape {
    Shape { prefix, alphabet, length: (least, most) }
}

const ANY: usize = usize::MAX;

const SHAPES: [Shape; 46] = [
    shape("AKIA", capital, 16, 16),
    shape("ASIA", capital, 16, 16),
    shape("AROA", capital, 16, 16),
    shape("AIza", wide, 35, 35),
    shape("GOCSPX-", wide, 24, 40),
    shape("ya29.", wide, 20, ANY),
    shape("ghp_", letter, 30, 255),
    shape("gho_", letter, 30, 255),
    shape("ghu_", letter, 30, 255),
    shape("ghs_", letter, 30, 255),
    shape("ghr_", letter, 30, 255),
    shape("github_pat_", wide, 22, 255),
    shape("glpat-", wide, 20, 255),
    shape("xoxb-", wide, 10, 255),
    shape("xoxp-", wide, 10, 255),
    shape("xoxa-", wide, 10, 255),
    shape("xoxr-", wide, 10, 255),
    shape("xoxs-", wide, 10, 255),
    shape("xapp-", wide, 10, 255),
    shape("hooks.slack.com/services/", path, 20, 255),
    shape("sk_live_", letter, 16, 255),
    shape("sk_test_", letter, 16, 255),
    shape("rk_live_", letter, 16, 255),
    shape("rk_test_", letter, 16, 255),
    shape("pk_live_", letter, 16, 255),
    shape("pk_test_", letter, 16, 255),
    shape("whsec_", base64, 16, 255),
    shape("sk-ant-", wide, 20, 255),
    shape("sk-proj-", wide, 20, 255),
    shape("sk-", wide, 20, 255),
    shape("gsk_", letter, 30, 255),
    shape("xai-", letter, 30, 255),
    shape("hf_", letter, 30, 64),
    shape("npm_", letter, 36, 36),
    shape("pypi-", wide, 50, ANY),
    shape("dckr_pat_", wide, 20, 64),
    shape("dop_v1_", hex, 64, 64),
    shape("shpat_", hex, 32, 32),
    shape("sq0atp-", wide, 22, 22),
    shape("lin_api_", letter, 30, 64),
    shape("ntn_", letter, 30, 64),
    shape("AC", hex, 32, 32),
    shape("SK", hex, 32, 32),
    shape("SG.", dotted, 40, 80),
    shape("eyJ", dotted, 40, ANY),
    shape("AGE-SECRET-KEY-1", capital, 58, 58),
];

fn capital(byte: u8) -> bool {
    byte.is_ascii_uppercase() || byte.is_ascii_digit()
}

fn letter(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
}

fn hex(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'a'..=b'f')
}

/// The alphabet of URL-safe base64.
fn wide(byte: u8) -> bool {
    letter(byte) || matches!(byte, b'_' | b'-')
}

fn dotted(byte: u8) -> bool {
    wide(byte) || byte == b'.'
}

fn path(byte: u8) -> bool {
    wide(byte) || byte == b'/'
}

fn base64(byte: u8) -> bool {
    wide(byte) || matches!(byte, b'+' | b'/' | b'=')
}

/// Words that name a key.
static NAMES: LazyLock<Regex> = LazyLock::new(|| {
    let words = "(?:api|access|auth|secret|private|client|account|service)[ _-]?(?:key|token|secret)|apikey|token|\
                 authorization|bearer|basic|api[ _-]?schlüssel|clé api|clave api|密钥|令牌|ключ api";
    Regex::new(&format!("(?i){words}")).expect("a constant pattern")
});

/// `123456789:` and about 35 characters: a Telegram bot's token. Three parts between dots: a Discord bot's.
static BOTS: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(
        r"(?-u:\b)(?:[0-9]{8,10}:[A-Za-z0-9_-]{34,36}|[MNO][A-Za-z0-9_-]{23,27}\.[A-Za-z0-9_-]{6,7}\.[A-Za-z0-9_-]{27,40})",
    )
    .expect("a constant pattern")
});

/// Characters that a token needs to be taken for random without a word that names it.
const RANDOM: usize = 32;

pub(super) fn find(text: &str) -> Vec<Range<usize>> {
    let named = NAMES.find_iter(text).filter_map(|name| value_after(text, name.end(), is_named_key));
    let bots = BOTS.find_iter(text).map(|found| found.range()).filter(|range| ends_word(text, range.end));
    shaped(text).into_iter().chain(private_keys(text)).chain(named).chain(bots).chain(random(text)).collect()
}

/// Whether a value is a key of an issuer's shape.
pub(super) fn is_issued(value: &str) -> bool {
    shaped(value).first().is_some_and(|range| *range == (0..value.len()))
}

/// Keys of the issuers' shapes.
fn shaped(text: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut at = 0;
    // One step for every run of characters that keys are made of; a run is read once for each part between signs.
    while at < text.len() {
        let bytes = &text.as_bytes()[at..];
        let begins = at == 0 || !letter(text.as_bytes()[at - 1]);
        let shape = SHAPES.iter().find(|shape| begins && bytes.starts_with(shape.prefix.as_bytes()));
        let Some(shape) = shape else {
            at += 1;
            continue;
        };
        let start = at + shape.prefix.len();
        let length = text.as_bytes()[start..].iter().take_while(|byte| (shape.alphabet)(**byte)).count();
        let key = text[start..start + length].trim_end_matches(['.', '-', '/']);
        let digits = key.bytes().any(|byte| byte.is_ascii_digit()) || shape.prefix == "hf_";
        if (shape.length.0..=shape.length.1).contains(&key.len()) && digits && ends_word(text, start + key.len()) {
            let from = if shape.prefix.ends_with('/') { start } else { at };
            found.push(from..start + key.len());
        }
        at = start + length;
    }
    found
}

/// From `-----BEGIN … PRIVATE KEY-----` to the line that ends it, or to the end of the text.
fn private_keys(text: &str) -> Vec<Range<usize>> {
    const BEGIN: &str = "-----BEGIN ";
    const END: &str = "-----END ";
    let mut found: Vec<Range<usize>> = Vec::new();
    for (start, _) in text.match_indices(BEGIN) {
        if found.last().is_some_and(|last| start < last.end) {
            continue;
        }
        let title = after(text, start + BEGIN.len(), 60);
        if !title.split_once("-----").is_some_and(|(title, _)| title.contains("PRIVATE KEY")) {
            continue;
        }
        let end = text[start..].find(END).map_or(text.len(), |end| {
            let from = start + end + END.len();
            text[from..].find("-----").map_or(text.len(), |dashes| from + dashes + 5)
        });
        found.push(start..end);
    }
    found
}

/// A value that something named as a key can have.
fn is_named_key(value: &str, tie: Tie) -> bool {
    // What follows the name of a scheme is found on its own: `Authorization: Bearer …`.
    let plain = value.bytes().all(|byte| base64(byte) || matches!(byte, b'.' | b'~'));
    let digits = value.bytes().filter(u8::is_ascii_digit).count();
    let capitals = value.bytes().filter(u8::is_ascii_uppercase).count();
    let letters = capitals + value.bytes().filter(u8::is_ascii_lowercase).count();
    let least = if tie == Tie::Beside { 20 } else { 16 };
    let mixed = digits >= 2 && letters >= 2 || digits >= 1 && capitals >= 4 && letters - capitals >= 4;
    plain && value.len() >= least && mixed
}

/// Long tokens in which capitals, small letters and digits change places as in random ones.
fn random(text: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut at = 0;
    for run in text.split(|c: char| !c.is_ascii() || !wide(c as u8)) {
        let start = at;
        at += run.len() + text[start + run.len()..].chars().next().map_or(0, char::len_utf8);
        if run.len() >= RANDOM && looks_random(run) && starts_word(text, start) && ends_word(text, start + run.len()) {
            found.push(start..start + run.len());
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
    counts[0] >= 3 && counts[1] >= 3 && counts[2] >= 3 && changes * 5 >= token.len() * 2 && counts[3] * 8 <= token.len()
}
