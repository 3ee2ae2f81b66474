//! One-time codes: 4 to 8 digits near words that say what they are.

use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;

use super::numbers::Group;
use super::words::{after, before, ends_word, starts_word, unspaced};

/// Words that mean such a code and nothing else.
static SURE: LazyLock<Regex> = LazyLock::new(|| {
    let english = r"(?-u:\b)(?:otps?|2fa|mfa|tan|one[- ]time|passcode|(?:verif[a-z]{0,10}|security|log[- ]?in|sign[- ]?in|auth[a-z]{0,12}|confirmation|sms|access|activation) (?:code|pin|token|number))(?-u:\b)";
    let european = "best(?:ä|ae)tigungscode|sicherheitscode|verifizierungscode|einmalcode|authentifizierungscode|(?-u:\\b)mtan(?-u:\\b)|\
                     code de (?:v[ée]rification|confirmation|s[ée]curit[ée]|connexion)|\
                     c[oó]digo de (?:verifica[a-zçãó]{0,6}|seguran[çc]a|seguridad|confirma[a-zçãó]{0,6}|acceso|acesso)|\
                     codice di (?:verifica|sicurezza|conferma|accesso)|codice otp|(?:verificatie|bevestigings|inlog)code|\
                     kod (?:weryfikacyjny|potwierdzający|autoryzacyjny|sms)|(?:verifierings|engångs|säkerhets|bekræftelses|bekreftelses)ko[dt]e?n?|\
                     код (?:подтверждения|доступа|авторизации|из смс)|смс[- ]код|(?:doğrulama|onay|güvenlik) kodu(?:nuz)?|\
                     kode (?:verifikasi|otp|keamanan)|kod pengesahan|mã (?:xác (?:thực|nhận|minh)|otp)";
    let other = "验证码|驗證碼|校验码|动态码|动态密码|認証コード|確認コード|ワンタイム|인증\\s?번호|인증\\s?코드|ओटीपी|सत्यापन कोड|\
                 رمز التحقق|رمز التأكيد|קוד אימות|รหัสยืนยัน|รหัส otp";
    let words = [english, european, other].join("|");
    Regex::new(&format!("(?i){words}")).expect("a constant pattern")
});

/// Words for a code of any kind.
static CODE: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(?i)(?-u:\b)(?:codes?|c[oó]digo|codice|kode?|kodu(?:nuz)?)(?-u:\b)|код").expect("a constant pattern")
});

/// Kinds of code that are no secret, at the end of what stands before the word.
static PUBLIC: LazyLock<Regex> = LazyLock::new(|| {
    let words = "zip|post(?:al)?|area|country|dial(?:l?ing)?|error|fehler|status|http|exit|return|response|hs|sic|promo|\
                 coupon|voucher|discount|referral|dress|qr|bar|source|morse|colou?r|hex|product|item|section|of|this|byte|\
                 machine|unicode|legacy";
    Regex::new(&format!(r"(?i)(?:^|\P{{L}})(?:{words})[\s_-]{{0,2}}$")).expect("a constant pattern")
});

/// What ties the word to the digits after it: a copula, a sign, a few words of how it came.
static TIE: LazyLock<Regex> = LazyLock::new(|| {
    let copula = "is|was|its|it's|it is|says|changed to|now|ist|war|lautet|est|es|era|è|é|jest|to|är|er|adalah|это|है|here|i got|\
                  they sent";
    Regex::new(&format!(
        r#"(?i)^[\s"'»)\]?!.,]*(?:(?:now|just|still)\s+)?(?:{copula})?(?:\s+(?:now|just))?\s*[:=#–—\-"'«(\[]{{0,3}}\s*$"#
    ))
    .expect("a constant pattern")
});

/// `482913 is your … code`, `use 482913 to verify`: what follows the digits.
static FOLLOWED: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(?i)^\s+(?:is|ist|est|es|è|é|to|jest|är|er|as|adalah)\s+(?:your|my|the|ur|dein|ihr|ton|votre|tu|su|il|seu|uw|je|twój|din|deine?)(?-u:\b)[^.\d]{0,32}(?-u:\b)(?:code|c[óo]digo|codice|kode?)(?-u:\b)")
        .expect("a constant pattern")
});

static ENTERED: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"(?i)(?-u:\b)(?:enter|use|type|input|key in)\s+$").expect("a constant pattern"));

static PURPOSE: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(?i)^\s+(?:to|for)\s+(?:verify|verification|confirm|log\s?in|sign\s?in|authenticate|activate)(?-u:\b)")
        .expect("a constant pattern")
});

/// What numbers count.
static COUNTED: LazyLock<Regex> = LazyLock::new(|| {
    let units = "lines?|rows?|tests?|users?|times?|words?|chars?|bytes?|bugs?|errors?|warnings?|files?|items?|people|tokens?|\
                 points?|ms|px|km|kb|mb|gb|minutes?|mins?|hours?|hrs?|days?|years?|zeilen|lignes|líneas|righe|строк";
    Regex::new(&format!(r"(?i)^\s(?:{units})(?:\P{{L}}|$)")).expect("a constant pattern")
});

/// How far a word may stand before the digits, and after them, in bytes.
const BEFORE: usize = 56;
const AFTER: usize = 48;

pub(super) fn find(text: &str, groups: &[Group]) -> Vec<Range<usize>> {
    let sure: Vec<Range<usize>> = SURE.find_iter(text).map(|word| word.range()).collect();
    let any: Vec<Range<usize>> =
        CODE.find_iter(text).map(|word| word.range()).filter(|word| !is_public(text, word)).collect();
    let mut found = Vec::new();
    let mut rest = groups;
    while !rest.is_empty() {
        let (number, further) = rest.split_at(written_together(text, rest));
        found.extend(code(text, number).filter(|range| is_said(text, range, &sure, &any)));
        rest = further;
    }
    found
}

/// `error code`, `code postal`: a code that is no secret.
fn is_public(text: &str, word: &Range<usize>) -> bool {
    static KIND: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"(?i)^[\s_-](?:postal|pocztowy|pos(?-u:\b)|pénal|civil|review|freeze|base|line|point|word)")
            .expect("a constant pattern")
    });
    PUBLIC.is_match(before(text, word.start, 20)) || KIND.is_match(after(text, word.end, 16))
}

/// How many groups, from the first on, are parted by no more than one sign.
fn written_together(text: &str, groups: &[Group]) -> usize {
    let parted = |pair: &[Group]| {
        let between = &text[pair[0].range.end..pair[1].range.start];
        !matches!(between, " " | "-" | "\u{a0}" | "." | "/" | ":" | "," | "–")
    };
    groups.windows(2).position(parted).map_or(groups.len(), |last| last + 1)
}

/// The code that groups written together are: 4 to 8 digits, also in equal parts; or the first of them, where the
/// sentence goes on with a small number.
fn code(text: &str, groups: &[Group]) -> Option<Range<usize>> {
    let separator = |at: usize| &text[groups[at - 1].range.end..groups[at].range.start];
    let spaced = (1..groups.len().min(3)).all(|at| matches!(separator(at), " " | "-" | "\u{a0}"));
    let count = |at: usize| groups.get(at).map_or(0, |group| group.count);
    let last = match (groups.len(), count(0), count(1), count(2)) {
        (1, 4..=8, ..) => 0,
        (2, 3, 3, _) | (2, 4, 4, _) if spaced => 1,
        (3, 2, 2, 2) if spaced => 2,
        (2.., 4..=8, 1..=3, _) if separator(1) == " " => 0,
        _ => return None,
    };
    let range = groups[0].range.start..groups[last].range.end;
    is_free(text, &range).then_some(range)
}

/// Neither part of a word, nor an amount.
fn is_free(text: &str, range: &Range<usize>) -> bool {
    let google = text[..range.start].ends_with("G-");
    let before = before(text, range.start, 4);
    let bound = before.ends_with(['$', '€', '£', '¥', '₹', '#', '.', '-', '/', ',']) && !before.ends_with(". ");
    let after = after(text, range.end, 12);
    let amount = after.trim_start().starts_with(['%', '€', '$', '£', '₽']) || COUNTED.is_match(after);
    starts_word(text, range.start) && ends_word(text, range.end) && (google || !bound) && !amount
}

fn is_said(text: &str, range: &Range<usize>, sure: &[Range<usize>], any: &[Range<usize>]) -> bool {
    let next = |words: &[Range<usize>]| words.partition_point(|word| word.start < range.start);
    let following =
        |words: &[Range<usize>]| words.get(next(words)).filter(|word| word.start < range.end + AFTER).cloned();
    let preceding = |words: &[Range<usize>]| {
        Some(words[next(words).checked_sub(1)?].clone()).filter(|word| word.end + BEFORE > range.start)
    };
    let digits = range.len();
    if let Some(word) = preceding(sure) {
        let between = &text[word.end.min(range.start)..range.start];
        let year = digits == 4 && (text[range.clone()].starts_with("19") || text[range.clone()].starts_with("20"));
        let glued = between.chars().next().is_some_and(unspaced);
        if glued || TIE.is_match(between) || !year && !between.contains('\n') {
            return true;
        }
    }
    if following(sure).is_some_and(|word| !text[range.end..word.start].contains(['.', '\n'])) {
        return true;
    }
    if let Some(word) = preceding(any) {
        let between = &text[word.end..range.start];
        // A line of its own, or the end of one, where a code was asked for.
        let ends = after(text, range.end, 8).trim_start_matches(['.', '!', ' ']);
        let alone = ends.is_empty() || ends.starts_with('\n');
        if TIE.is_match(between) || alone && digits == 6 && !between.contains(|c: char| c.is_numeric()) {
            return true;
        }
    }
    let tail = after(text, range.end, 96);
    FOLLOWED.is_match(tail) || ENTERED.is_match(before(text, range.start, 16)) && PURPOSE.is_match(tail)
}
