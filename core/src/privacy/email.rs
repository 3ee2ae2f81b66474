//! E-mail addresses: what stands around an `@`, in any script (RFC 6531).

use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;

use super::credentials::Credentials;
use super::lexicon::{DOMAINS, GRAMMAR, any_of, entries, rows};
use super::words::{after, before, char_after, char_before, unspaced};

/// The lengths that RFC 5321 allows.
const LOCAL: usize = 64;
const DOMAIN: usize = 255;

pub(super) fn find(text: &str, credentials: &[Credentials]) -> Vec<Range<usize>> {
    let free = |at: usize| {
        let next = credentials.partition_point(|found| found.all.end <= at);
        credentials.get(next).is_none_or(|found| at < found.all.start)
    };
    // `name [at] example [dot] com`
    static VEILED: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"(?i)(?-u:\b)[a-z0-9][a-z0-9._+-]{0,63}\s?[\[({]at[\])}]\s?[a-z0-9-]{1,63}(?:(?:\.|\s?[\[({]dot[\])}]\s?)[a-z0-9-]{2,63}){1,3}(?-u:\b)")
            .expect("a constant pattern")
    });
    let veiled = VEILED.find_iter(text).map(|address| address.range());
    let places = text.match_indices('@').map(|(at, _)| at).filter(|at| free(*at));
    let mut found: Vec<Range<usize>> =
        places.filter_map(|at| Some(local(text, at)?..domain(text, at + 1)?)).chain(veiled).collect();
    found.sort_by_key(|address| address.start);
    found
}

/// Where the name before the `@` begins.
fn local(text: &str, at: usize) -> Option<usize> {
    static SPACED: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"[\p{L}\p{N}\p{M}._%+'-]+$").expect("a constant pattern"));
    /// What ties an address to the words before it where no space does.
    static TIED: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(&format!("^.*{}", any_of(GRAMMAR, &["copula_glued"]))).expect("a constant pattern")
    });
    let head = before(text, at, LOCAL);
    let last = char_before(text, at)?;
    let name = if last == '"' {
        let inner = &head[..head.len() - 1];
        return inner
            .rfind(['"', '\n'])
            .filter(|open| inner[*open..].starts_with('"'))
            .map(|open| at - head.len() + open);
    } else if unspaced(last) {
        let name = head.rsplit(|c: char| !unspaced(c) || is_sign(c)).next().unwrap_or_default();
        &name[TIED.find(name).map_or(0, |words| words.end())..]
    } else {
        let name = head.rsplit(|c: char| unspaced(c)).next().unwrap_or_default();
        SPACED.find(name)?.as_str().trim_start_matches(|c: char| !c.is_alphanumeric())
    };
    static REMOTE: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"(?-u:\b)(?:ssh|scp|sftp|rsync|sshfs|mosh|ssh-copy-id)\s[^\n]*$").expect("a constant pattern")
    });
    // `git@host:path` is a repository, and before a host in a web address stands a user.
    let start = at - name.len();
    let address = before(text, start, LOCAL).rsplit_once("://");
    if address.is_some_and(|(_, user)| !user.contains('/') && !user.contains(char::is_whitespace)) {
        return None;
    }
    let repository = name == "git" || name.ends_with('.') || REMOTE.is_match(before(text, start, LOCAL));
    (!name.is_empty() && !repository).then_some(start)
}

/// Full-width signs and punctuation of writing without spaces.
fn is_sign(c: char) -> bool {
    matches!(c, '\u{3000}'..='\u{303f}' | '\u{ff00}'..='\u{ff0f}' | '\u{ff1a}'..='\u{ff20}')
}

/// Where the domain from `start` on ends: labels and dots, the last label of letters.
fn domain(text: &str, start: usize) -> Option<usize> {
    static SPACED: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"^[\p{L}\p{N}\p{M}.-]+").expect("a constant pattern"));
    let after = after(text, start, DOMAIN);
    // In writing with spaces, a letter of the other kind is the sentence's.
    let glued = char_after(text, start).is_some_and(unspaced);
    let end = after.find(|c: char| unspaced(c) && (!glued || is_sign(c))).unwrap_or(after.len());
    let mut name = SPACED.find(&after[..end])?.as_str().trim_end_matches(['-', '.']);
    let (rest, mut last) = name.rsplit_once('.')?;
    if let Some(sentence) = last.find(unspaced).filter(|at| *at > 0) {
        name = &name[..name.len() - (last.len() - sentence)];
        last = &last[..sentence];
    } else if last.starts_with(unspaced) {
        let known = rows(DOMAINS).flat_map(|[_, domains]| entries(domains)).filter(|domain| last.starts_with(domain));
        if let Some(known) = known.max_by_key(|domain| domain.len()) {
            name = &name[..name.len() - (last.len() - known.len())];
            last = known;
        }
    }
    let letters = last.chars().all(|c| c.is_alphabetic() || !c.is_ascii() && !c.is_numeric());
    let named = last.chars().count() >= 2 && (letters || last.starts_with("xn--"));
    let labels = rest.split('.').all(|label| !label.is_empty() && !label.starts_with('-'));
    (named && labels).then_some(start + name.len())
}
