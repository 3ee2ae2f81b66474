//! Passwords on command lines: `curl -u user:password`, `sshpass -p password`, `mysql -ppassword`.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;

use super::credentials::is_value;
use super::lexicon::{COMMANDS, GRAMMAR, Set, entries, rows};
use super::words::{after, ends_word, starts_word};

/// How much of a command's line is read, in bytes.
const REACH: usize = 320;

/// Where an option's value stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// The next argument.
    Next,
    /// The one after the next that is no option: a name goes before.
    Second,
    /// In the same argument, behind the option.
    Glued,
    /// Either of the two.
    Either,
    /// The argument after the option's own value.
    After,
}

struct Flag {
    name: &'static str,
    place: Place,
    /// What the password follows within the value.
    sign: Option<char>,
}

static OPTIONS: LazyLock<HashMap<&str, Vec<Flag>>> = LazyLock::new(|| {
    let mut options: HashMap<&str, Vec<Flag>> = HashMap::new();
    for [commands, names, place, what] in rows(COMMANDS) {
        let place = match place {
            "next" => Place::Next,
            "second" => Place::Second,
            "glued" => Place::Glued,
            "after" => Place::After,
            _ => Place::Either,
        };
        let sign = what.chars().next().filter(|_| what != "all");
        for command in entries(commands) {
            let known = options.entry(command).or_default();
            known.extend(entries(names).map(|name| Flag { name, place, sign }));
        }
    }
    options
});

static COMMAND: LazyLock<Regex> = LazyLock::new(|| {
    let mut commands: Vec<String> = OPTIONS.keys().map(|command| regex::escape(command)).collect();
    commands.sort_by(|a, b| b.len().cmp(&a.len()).then(a.cmp(b)));
    Regex::new(&commands.join("|")).expect("a constant pattern")
});

pub(super) fn find(text: &str) -> Vec<Range<usize>> {
    let commands: Vec<_> = COMMAND
        .find_iter(text)
        .filter(|command| starts_word(text, command.start()) && ends_word(text, command.end()))
        .filter(|command| text[command.end()..].starts_with([' ', '\t']))
        .collect();
    let mut found = Vec::new();
    for command in commands {
        let line = after(text, command.end(), REACH);
        let line = &line[..line.find(['\n', '|', ';']).unwrap_or(line.len())];
        let arguments: Vec<Argument> = arguments(line).collect();
        let options = &OPTIONS[command.as_str()];
        for at in 0..arguments.len() {
            let range = options.iter().find_map(|flag| flag.value(line, &arguments, at));
            found.extend(range.map(|range| command.end() + range.start..command.end() + range.end));
        }
    }
    found.extend(PIPED.captures_iter(text).filter_map(|echo| echo.get(1).or(echo.get(2))).map(|value| value.range()));
    found
}

/// `echo password | sudo -S …`
static PIPED: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r#"(?-u:\b)(?:echo|printf)\s(?:-[ne]+\s)?(?:["']([^"'$\n|]{3,64})["']|([^\s"'$|<][^\s"'|]{2,63}))\s*\|\s?(?:sudo\s[^\n|]{0,40}-S|[^\n|]{0,80}(?:--password-stdin|--stdin|-passin stdin)|su(?-u:\b))"#)
        .expect("a constant pattern")
});

/// An argument without its quotation marks.
struct Argument {
    range: Range<usize>,
    quoted: bool,
}

/// The arguments of a line.
fn arguments(line: &str) -> impl Iterator<Item = Argument> {
    let mut at = 0;
    std::iter::from_fn(move || {
        at += line[at..].len() - line[at..].trim_start().len();
        let rest = &line[at..];
        let first = rest.chars().next()?;
        let start = at;
        if matches!(first, '"' | '\'')
            && let Some(end) = rest[1..].find(first)
        {
            at += end + 2;
            return Some(Argument { range: start + 1..start + 1 + end, quoted: true });
        }
        // An option may have its value quoted behind it: `-p'two words'`, `--user="a b"`.
        let mut inside = None;
        let end = rest.find(|c: char| {
            match inside {
                None if matches!(c, '"' | '\'') => inside = Some(c),
                Some(open) if open == c => inside = None,
                _ => {}
            }
            inside.is_none() && c.is_whitespace()
        });
        let end = end.unwrap_or_else(|| {
            if inside.is_some() { rest.find(char::is_whitespace).unwrap_or(rest.len()) } else { rest.len() }
        });
        at += end;
        Some(Argument { range: start..start + end, quoted: false })
    })
}

impl Flag {
    /// The password, where argument `at` is this option.
    fn value(&self, line: &str, arguments: &[Argument], at: usize) -> Option<Range<usize>> {
        let argument = &arguments[at];
        let text = &line[argument.range.clone()];
        let rest = if self.ends(text) { "" } else { text.strip_prefix(self.name)? };
        if argument.quoted {
            return None;
        }
        let start = argument.range.end - rest.len();
        let plain =
            |at: usize| arguments.get(at).filter(|next| next.quoted || !line[next.range.clone()].starts_with('-'));
        let (range, quoted) = if rest.is_empty() {
            let next = match self.place {
                Place::Next | Place::Either => plain(at + 1)?,
                Place::Second => plain(at + 3)?,
                Place::Glued | Place::After => return None,
            };
            (next.range.clone(), next.quoted)
        } else {
            match self.place {
                Place::After => (plain(at + 1)?.range.clone(), false),
                Place::Next | Place::Second if !rest.starts_with('=') => return None,
                // A long option ends here, or has another name.
                _ if self.name.starts_with("--") && !rest.starts_with('=') => return None,
                _ => unquoted(line, start + rest.len() - rest.trim_start_matches('=').len()..argument.range.end),
            }
        };
        let value = &line[range.clone()];
        let from = match self.sign {
            Some(sign) => range.start + value.find(sign)? + sign.len_utf8(),
            None => range.start,
        };
        let (range, quoted) = if quoted { (from..range.end, true) } else { unquoted(line, from..range.end) };
        let value = &line[range.clone()];
        let glued = !rest.is_empty() && self.place != Place::After;
        let value = if quoted { value } else { value.trim_end_matches(['.', ',', ')', '`', '?']) };
        (self.is_password(value, glued) || quoted && value.len() >= 3 && is_value(value) && !value.starts_with('$'))
            .then_some(range.start..range.start + value.len())
    }

    /// Whether an argument has this short option as the last of several: `-sSu`.
    fn ends(&self, argument: &str) -> bool {
        let letters = argument.strip_prefix('-').unwrap_or_default();
        let short = self.name.len() == 2 && self.name.starts_with('-') && self.place != Place::Glued;
        short
            && (2..=6).contains(&letters.len())
            && letters.ends_with(&self.name[1..])
            && letters.bytes().all(|byte| byte.is_ascii_alphabetic())
    }

    /// Whether a value is no variable, and no word of a sentence about the option.
    fn is_password(&self, value: &str, glued: bool) -> bool {
        static NONE: LazyLock<Set> = LazyLock::new(|| Set::new(GRAMMAR, "no_password"));
        static PROSE: LazyLock<Set> = LazyLock::new(|| Set::new(GRAMMAR, "prose"));
        let lower = value.to_lowercase();
        let numbers = self.sign.is_some() && value.bytes().all(|byte| byte.is_ascii_digit()) && value.len() < 6;
        value.len() >= 3
            && is_value(value)
            && !value.starts_with(['$', '`'])
            && !numbers
            && (glued || !NONE.has(&lower) && !PROSE.has(&lower))
    }
}

/// A stretch without the quotation marks around it.
fn unquoted(line: &str, range: Range<usize>) -> (Range<usize>, bool) {
    let text = &line[range.clone()];
    let quoted = text.len() >= 2 && text.starts_with(['"', '\'']) && text.ends_with(&text[..1]);
    if quoted { (range.start + 1..range.end - 1, true) } else { (range, false) }
}
