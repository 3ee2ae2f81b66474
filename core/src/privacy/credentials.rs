//! A user's name and password before a host: `https://user:password@host`, `ssh root:password@host`.

use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;

use super::words::{after, unspaced};

/// How far an address is looked at, in bytes.
const REACH: usize = 320;

/// A password before a host.
#[derive(Debug, Clone)]
pub(super) struct Credentials {
    pub password: Range<usize>,
    /// From the name up to the `@`: no part of an e-mail address.
    pub all: Range<usize>,
}

/// What a host is, behind the `@`: with its port, up to the path. The first group is a port or what makes its name a
/// host's beyond doubt.
static HOST: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"^(?:\[[0-9A-Fa-f:.]+\](:[0-9]{1,5})?|[\p{L}\p{N}_-]+((?:\.[\p{L}\p{N}_-]+)*)(:[0-9]{1,5})?(?:,[\p{L}\p{N}._:-]+)*)\.?(?:[/?#]|$)")
        .expect("a constant pattern")
});

/// In order of the text.
pub(super) fn find(text: &str) -> Vec<Credentials> {
    let mut found: Vec<Credentials> = in_addresses(text).chain(before_hosts(text)).collect();
    found.sort_by_key(|credentials| credentials.all.start);
    found
}

fn in_addresses(text: &str) -> impl Iterator<Item = Credentials> {
    text.match_indices("://").filter_map(|(at, scheme)| {
        let start = at + scheme.len();
        let rest = after(text, start, REACH);
        let rest = &rest
            [..rest.find(|c: char| c.is_whitespace() || unspaced(c) || "\"'`<>".contains(c)).unwrap_or(rest.len())];
        let rest = rest.trim_end_matches(['.', ',', ')', ']', ';']);
        let (name, behind) = rest.split_once(':')?;
        if name.contains(['/', '@', '?', '#', '[']) || is_port(behind) {
            return None;
        }
        let end = password(behind)?;
        let from = start + name.len() + 1;
        is_value(&behind[..end]).then_some(Credentials { password: from..from + end, all: start..from + end + 1 })
    })
}

/// Whether what follows a host's colon is its port.
fn is_port(behind: &str) -> bool {
    let digits = behind.bytes().take_while(u8::is_ascii_digit).count();
    (1..=5).contains(&digits) && matches!(behind.as_bytes().get(digits), None | Some(b'/' | b'?' | b'#'))
}

/// The end of a password: the `@` that a host follows. A password may hold `@`, `/` and `?` though it should not; a
/// host that is one beyond doubt goes before a bare name.
fn password(behind: &str) -> Option<usize> {
    let mut bare = None;
    for (at, _) in behind.match_indices('@') {
        let host = &behind[at + 1..];
        let host = &host
            [..host.find('@').map_or(host.len(), |next| host[..next].find(['/', '?', '#']).map_or(0, |end| end + 1))];
        let Some(found) = HOST.captures(host) else { continue };
        let sure = [1, 2, 3].into_iter().any(|group| found.get(group).is_some_and(|part| !part.is_empty()));
        if sure || host.starts_with("localhost") {
            return Some(at);
        }
        bare = bare.or(Some(at));
    }
    bare
}

/// Not a variable or a placeholder.
pub(super) fn is_value(password: &str) -> bool {
    let variable = password.starts_with(['$', '<', '{', '%'])
        && password.ends_with(|c: char| c.is_alphanumeric() || ">}%)_".contains(c));
    let variable = variable && !password.contains(|c: char| c.is_ascii_digit());
    !password.is_empty() && !variable && !password.bytes().all(|byte| matches!(byte, b'*' | b'x' | b'.'))
}

/// Without a scheme: after the name of a program that takes such an address, or before a number of the Internet
/// Protocol, or a port.
fn before_hosts(text: &str) -> impl Iterator<Item = Credentials> {
    static PATTERN: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(
            r#"(?-u:\b)((?:ssh|sftp|scp|sshfs|ftp|rsync|lftp|telnet|psql|mysql|curl|proxy)(?-u:\b)[^\n@:]{0,60}[\s"'=])?([A-Za-z0-9_.-]{1,32}):([^\s"'@]{3,64})@((?:[0-9]{1,3}\.){3}[0-9]{1,3}|[A-Za-z0-9.-]+)(:[0-9]{1,5})?"#,
        )
        .expect("a constant pattern")
    });
    PATTERN.captures_iter(text).filter_map(|found| {
        let (name, password, host) = (found.get(2)?, found.get(3)?, found.get(4)?);
        let numbered = host.as_str().split('.').count() == 4 && host.as_str().starts_with(|c: char| c.is_ascii_digit());
        let known = found.get(1).is_some() || numbered || found.get(5).is_some();
        let fields = ["mailto", "email", "mail", "to", "from", "cc", "bcc", "e-mail"];
        // A slash is a path's, but not in the address of a program for one.
        let slash = password.as_str().starts_with("//") || password.as_str().contains('/') && found.get(1).is_none();
        (known && !slash && !fields.contains(&name.as_str().to_lowercase().as_str()) && is_value(password.as_str()))
            .then(|| Credentials { password: password.range(), all: name.start()..password.end() + 1 })
    })
}
