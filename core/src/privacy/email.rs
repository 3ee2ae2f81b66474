//! E-mail addresses: what stands around an `@`.

use std::ops::Range;

use super::words::{after, before, unspaced};

/// The lengths that RFC 5321 allows.
const LOCAL: usize = 64;
const DOMAIN: usize = 255;

pub(super) fn find(text: &str) -> Vec<Range<usize>> {
    text.match_indices('@').filter_map(|(at, _)| Some(local(text, at)?..domain(text, at + 1)?)).collect()
}

fn is_letter(c: char) -> bool {
    c.is_alphanumeric() && !unspaced(c)
}

/// Where the name before the `@` begins.
fn local(text: &str, at: usize) -> Option<usize> {
    let head = before(text, at, LOCAL);
    let name = head.rsplit(|c| !is_letter(c) && !"._%+-'".contains(c)).next().unwrap_or_default();
    let name = name.trim_start_matches(|c| !is_letter(c));
    // `git@host:path` is a repository, and before a host in a web address stand a user and a password.
    let start = at - name.len();
    let address = before(text, start, LOCAL).rsplit_once("://");
    if address.is_some_and(|(_, user)| !user.contains('/') && !user.contains(char::is_whitespace)) {
        return None;
    }
    (!name.is_empty() && !name.ends_with('.') && name != "git").then_some(start)
}

/// Where the domain from `start` on ends: labels and dots, the last label of letters.
fn domain(text: &str, start: usize) -> Option<usize> {
    let after = after(text, start, DOMAIN);
    let name = &after[..after.find(|c| !is_letter(c) && !"-.".contains(c)).unwrap_or(after.len())];
    let name = name.trim_end_matches(['-', '.']);
    let (rest, last) = name.rsplit_once('.')?;
    let named = last.chars().count() >= 2 && (last.chars().all(char::is_alphabetic) || last.starts_with("xn--"));
    let labels = rest.split('.').all(|label| !label.is_empty() && !label.starts_with('-'));
    (named && labels).then_some(start + name.len())
}
