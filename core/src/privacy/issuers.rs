//! Keys by the shapes that their issuers give them.

use std::ops::Range;
use std::sync::LazyLock;

use super::lexicon::{ISSUERS, rows};
use super::words::{char_after, ends_word};

/// A key's fixed beginning, and what follows it.
struct Shape {
    prefix: &'static str,
    alphabet: fn(u8) -> bool,
    /// The fewest and the most characters after the prefix.
    length: (usize, usize),
    kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Key,
    /// The secret stands beside it.
    Id,
    /// An address, of which only what follows is secret.
    Path,
}

static SHAPES: LazyLock<Vec<Shape>> = LazyLock::new(|| {
    let shape = |[prefix, alphabet, least, most, kind, _]: [&'static str; 6]| Shape {
        prefix,
        alphabet: match alphabet {
            "capital" => capital,
            "small" => small,
            "letter" => letter,
            "hex" => hex,
            "hexadecimal" => |byte| byte.is_ascii_hexdigit(),
            "dotted" | "jwt" => dotted,
            "path" => path,
            "address" => |byte| path(byte) || matches!(byte, b'.' | b'@'),
            "base64" => base64,
            "percent" => |byte| base64(byte) || byte == b'%',
            _ => wide,
        },
        length: (least.parse().unwrap_or(0), most.parse().unwrap_or(usize::MAX)),
        kind: match kind {
            "id" => Kind::Id,
            "path" => Kind::Path,
            _ => Kind::Key,
        },
    };
    let mut shapes: Vec<Shape> = rows(ISSUERS).map(shape).collect();
    // `sk-proj-` goes before `sk-`.
    shapes.sort_by_key(|shape| std::cmp::Reverse(shape.prefix.len()));
    shapes
});

/// The shapes by the first byte of their beginnings.
static BY_FIRST: LazyLock<[Vec<&Shape>; 128]> = LazyLock::new(|| {
    let mut shapes = std::array::from_fn(|_| Vec::new());
    for shape in SHAPES.iter() {
        shapes[usize::from(shape.prefix.as_bytes()[0] & 127)].push(shape);
    }
    shapes
});

fn capital(byte: u8) -> bool {
    byte.is_ascii_uppercase() || byte.is_ascii_digit()
}

fn small(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit()
}

pub(super) fn letter(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
}

fn hex(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'a'..=b'f')
}

/// The alphabet of URL-safe base64.
pub(super) fn wide(byte: u8) -> bool {
    letter(byte) || matches!(byte, b'_' | b'-')
}

fn dotted(byte: u8) -> bool {
    wide(byte) || byte == b'.'
}

fn path(byte: u8) -> bool {
    wide(byte) || byte == b'/'
}

pub(super) fn base64(byte: u8) -> bool {
    wide(byte) || matches!(byte, b'+' | b'/' | b'=')
}

/// A key of an issuer's shape.
pub(super) struct Issued {
    pub range: Range<usize>,
    /// Whether it is the name of a key whose secret stands beside it.
    pub is_id: bool,
}

/// The keys of a text that have an issuer's shape.
pub(super) fn find(text: &str) -> Vec<Issued> {
    let mut found = Vec::new();
    let mut at = 0;
    // One step for every run of characters that keys are made of; a run is read once for each part between signs.
    while at < text.len() {
        let bytes = &text.as_bytes()[at..];
        let begins = at == 0 || !letter(text.as_bytes()[at - 1]);
        let candidates = BY_FIRST.get(usize::from(bytes[0])).filter(|_| begins).map_or(&[][..], Vec::as_slice);
        let Some(shape) = candidates.iter().find(|shape| bytes.starts_with(shape.prefix.as_bytes())) else {
            at += 1;
            continue;
        };
        let start = at + shape.prefix.len();
        let length = text.as_bytes()[start..].iter().take_while(|byte| (shape.alphabet)(**byte)).count();
        let key = text[start..start + length].trim_end_matches(['.', '/']);
        let end = start + key.len() + suffix(&text[start + key.len()..]);
        if (shape.length.0..=shape.length.1).contains(&key.len()) && is_random(key) && ends_word(text, end) {
            let from = if shape.kind == Kind::Path { start } else { at };
            found.push(Issued { range: from..end, is_id: shape.kind == Kind::Id });
        }
        at = start + length;
    }
    found
}

/// Not a name or a placeholder: with a digit, or with capitals and small letters that change places often.
fn is_random(key: &str) -> bool {
    let changes = key.as_bytes().windows(2).filter(|pair| pair[0].is_ascii_uppercase() != pair[1].is_ascii_uppercase());
    key.bytes().any(|byte| byte.is_ascii_digit()) || changes.count() * 3 >= key.len()
}

/// How long the padding of base64 is, or the sign of its alphabet that ends a key, at the beginning of a stretch.
pub(super) fn suffix(rest: &str) -> usize {
    let signs = |sign: u8| rest.bytes().take_while(|byte| *byte == sign).count();
    let length = match signs(b'=') {
        padding @ 1..=2 => padding,
        _ => signs(b'_').min(2),
    };
    if char_after(rest, length).is_some_and(|c| c.is_alphanumeric() || matches!(c, '=' | '_')) { 0 } else { length }
}
