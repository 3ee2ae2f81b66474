//! Passwords and PINs: the value after a word for one, and the one within a web address.

use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;

use super::api_key::is_issued;
use super::said::{Tie, value_after};
use super::words::{after, before, listed, starts_word};

/// Words for password that also stand at the end of longer ones (`DB_PASSWORD`, `Benutzerpasswort`).
static LONG: LazyLock<Regex> = LazyLock::new(|| {
    let words = "password|passwd|passwrd|passcode|passphrase|passwort|kennwort|mot de passe|contraseña|contrasena|\
                 palavra-passe|wachtwoord|hasło|lösenord|passord|adgangskode|пароль|пароля|пароль от|heslo|jelszó|\
                 salasana|kata sandi|mật khẩu|密码|密碼|口令|パスワード|暗証番号|비밀번호|비번|암호|पासवर्ड|كلمة المرور|\
                 كلمة السر|รหัสผ่าน|סיסמה|סיסמא";
    Regex::new(&format!("(?i){words}")).expect("a constant pattern")
});

/// Words for password that are parts of others.
static SHORT: LazyLock<Regex> =
    LazyLock::new(|| Regex::new("(?i)pwd|psw|pw|pword|mdp|senha|haslo|şifre|sifre|sandi").expect("a constant pattern"));

/// Words that mean other things as well: what merely stands beside them is no password.
static VAGUE: LazyLock<Regex> =
    LazyLock::new(|| Regex::new("(?i)pass|secret|clave|parola|parolă").expect("a constant pattern"));

static PIN: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"(?i)pin|puk|geheimzahl").expect("a constant pattern"));

/// What stands where a password could, and is none: words about passwords, and code.
const NONE: &str = "\
    required optional none null nil true false undefined string bool varchar text self user username password \
    passwd missing incorrect invalid wrong correct must should please enter type your this that with minimum \
    maximum least forgot forgotten reset change changed expired empty same what when where which there they have \
    need falsch vergessen oublié incorrecta obligatoria hidden redacted unknown hashed xxxx";

pub(super) fn find(text: &str) -> Vec<Range<usize>> {
    let long = LONG.find_iter(text).filter(|word| !is_one_time(text, word.start()));
    let long = long.filter_map(|word| value_after(text, word.end(), is_password));
    let short = SHORT.find_iter(text).filter(|word| stands_alone(text, word.start()));
    let short = short.filter_map(|word| value_after(text, word.end(), is_password));
    let vague = VAGUE.find_iter(text).filter(|word| stands_alone(text, word.start()));
    let vague = vague
        .filter_map(|word| value_after(text, word.end(), |value, tie| tie != Tie::Beside && is_password(value, tie)));
    let pins = PIN.find_iter(text).filter(|word| stands_alone(text, word.start()) && !is_one_time(text, word.start()));
    let pins = pins.filter_map(|word| value_after(text, word.end(), |value, _| is_pin(value)));
    long.chain(short).chain(vague).chain(pins).chain(in_addresses(text)).chain(beside_names(text)).collect()
}

/// Whether a keyword begins a word, or a part of an identifier.
fn stands_alone(text: &str, at: usize) -> bool {
    starts_word(text, at) || text[..at].ends_with('_')
}

/// Whether a keyword is part of the name of a one-time code: another rule's.
fn is_one_time(text: &str, at: usize) -> bool {
    static KIND: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"(?i)(?:one[- ]?time|single[- ]use|log[- ]?in|sign[- ]?in|sms|verification)[ -]$")
            .expect("a constant pattern")
    });
    KIND.is_match(before(text, at, 20))
}

fn is_pin(value: &str) -> bool {
    (4..=8).contains(&value.len()) && value.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_password(value: &str, tie: Tie) -> bool {
    let length = value.chars().count();
    let any = |test: fn(char) -> bool| value.chars().any(test);
    let (letters, digits) = (any(char::is_alphabetic), any(|c| c.is_ascii_digit()));
    // Dots, slashes, hyphens and apostrophes also stand in ordinary words and identifiers.
    let inner = value.trim_end_matches(['!', '?', '~']);
    let signs = inner.chars().any(|c| c.is_ascii_punctuation() && !".-/'_:".contains(c));
    let code = any(|c| "(){}<>".contains(c)) || value.starts_with(['$', '%', '&', '[', '-']);
    // `:DDD`, `haaaa`.
    let drawn = value.chars().skip(1).all(|c| value.ends_with(c));
    let phrase = tie != Tie::Assigned && any(char::is_whitespace);
    if !(4..=128).contains(&length) || code || drawn || phrase || is_issued(value) {
        return false;
    }
    let mixed = letters && (digits || signs) && length >= 5;
    let inner_capital = value.chars().skip(1).any(char::is_uppercase) && any(char::is_lowercase);
    match tie {
        Tie::Assigned if letters && !digits && !signs => {
            let lower = value.to_lowercase();
            let path = value.contains('.') && !value.contains('-');
            !listed(NONE, lower.trim_end_matches('!')) && !path
        }
        Tie::Assigned => true,
        Tie::Stated => mixed && !is_measure(value) || inner_capital && length >= 6 || digits && !letters,
        Tie::Beside => mixed && !is_measure(value) && value.chars().filter(|c| *c == '/').count() < 2,
    }
}

/// A number with a unit or an ending (`1500ms`, `100th`): digits, then letters.
fn is_measure(value: &str) -> bool {
    let unit = value.trim_start_matches(|c: char| c.is_ascii_digit() || ".,:".contains(c));
    unit.len() < value.len() && unit.len() <= 3 && unit.chars().all(|c| c.is_alphabetic() || c == '%')
}

/// `https://user:password@host`.
fn in_addresses(text: &str) -> impl Iterator<Item = Range<usize>> {
    text.match_indices("://").filter_map(|(at, scheme)| {
        let start = at + scheme.len();
        let rest = after(text, start, 256);
        let authority = &rest[..rest.find(|c: char| c == '/' || c.is_whitespace()).unwrap_or(rest.len())];
        let (user, _) = authority.rsplit_once('@')?;
        let (name, password) = user.split_once(':')?;
        let from = start + name.len() + 1;
        (!password.is_empty()).then_some(from..from + password.len())
    })
}

/// `log in with name / password`, `wifi: name / password`.
fn beside_names(text: &str) -> impl Iterator<Item = Range<usize>> {
    static ACCOUNT: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"(?i)log[ -]?in|username|user|wi-?fi|wlan|credentials|creds|zugangsdaten|identifiants|логин")
            .expect("a constant pattern")
    });
    static PAIR: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"^[^\n/]{1,48} / ?([^\s,;]{5,64})").expect("a constant pattern"));
    ACCOUNT.find_iter(text).filter_map(|word| {
        let value = PAIR.captures(after(text, word.end(), 160))?.get(1)?;
        let kept = value.as_str().trim_end_matches(['.', ')', '"', '\'']);
        let start = word.end() + value.start();
        is_password(kept, Tie::Beside).then_some(start..start + kept.len())
    })
}
