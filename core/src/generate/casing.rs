//! Words that were found, one however it is cased, and the case that a sentence asks for.

use std::collections::BTreeMap;

use super::word_table::fold;

/// How far a text is what was typed, letters compared without case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fit {
    /// Something else.
    No,
    /// All of it, and more letters were typed.
    Begun,
    /// Its first bytes, so many, are all that was typed.
    Whole(usize),
}

impl Fit {
    /// How far `text`, followed by `half` a character, is what was typed.
    pub fn of(text: &str, half: &[u8], typed: &str) -> Self {
        let mut wanted = typed.chars().flat_map(fold).peekable();
        for (at, c) in text.char_indices() {
            if wanted.peek().is_none() {
                return Self::Whole(at);
            }
            if fold(c).any(|letter| wanted.next() != Some(letter)) {
                return Self::No;
            }
        }
        match wanted.peek() {
            None => Self::Whole(text.len()),
            Some(&letter) => {
                let forms = std::iter::once(letter).chain(letter.to_uppercase());
                let fits = |form: char| form.encode_utf8(&mut [0; 4]).as_bytes().starts_with(half);
                if forms.into_iter().any(fits) { Self::Begun } else { Self::No }
            }
        }
    }
}

/// A word as the model spells it.
#[derive(Clone, PartialEq)]
pub(super) struct Form {
    pub text: String,
    /// After a space of its own.
    pub spaced: bool,
    pub probability: f64,
}

/// Words by their letters.
#[derive(Default)]
pub(super) struct Found {
    words: BTreeMap<String, Vec<Form>>,
}

impl Found {
    pub fn add(&mut self, form: Form) {
        let forms = self.words.entry(form.text.chars().flat_map(fold).collect()).or_default();
        match forms.iter_mut().find(|known| known.text == form.text && known.spaced == form.spaced) {
            Some(known) => known.probability += form.probability,
            None => forms.push(form),
        }
    }

    /// The probability of the word that is number `place` among the likeliest; 0 where there are fewer.
    pub fn likelihood(&self, place: usize) -> f64 {
        let mut all: Vec<f64> = self.words.values().map(|forms| probability(forms)).collect();
        all.sort_by(|a, b| b.total_cmp(a));
        place.checked_sub(1).and_then(|place| all.get(place).copied()).unwrap_or(0.0)
    }

    /// The probability of all words.
    pub fn all(&self) -> f64 {
        self.words.values().map(|forms| probability(forms)).sum()
    }

    /// The words, likeliest first, each in the case that `typed` asks for, or the start of a sentence.
    pub fn cased(self, typed: &str, begins_sentence: bool) -> Vec<Form> {
        let mass = |upper: bool| -> f64 {
            let forms = self.words.values().flatten();
            forms.filter(|form| form.text.starts_with(|c: char| c.is_uppercase()) == upper).map(|f| f.probability).sum()
        };
        // As most of what may come: somebody who begins sentences in lower case goes on so.
        let capitals = typed.is_empty() && begins_sentence && mass(true) > mass(false);
        let word = |(key, mut forms): (String, Vec<Form>)| {
            forms.sort_by(|a, b| b.probability.total_cmp(&a.probability).then_with(|| a.text.cmp(&b.text)));
            let text = recase(typed, &forms);
            let text = if capitals { capitalized(&text) } else { text };
            (key, Form { text, spaced: forms[0].spaced, probability: probability(&forms) })
        };
        let mut words: Vec<(String, Form)> = self.words.into_iter().map(word).collect();
        words.sort_by(|(key, a), (other, b)| b.probability.total_cmp(&a.probability).then_with(|| key.cmp(other)));
        words.into_iter().map(|(_, form)| form).collect()
    }
}

fn probability(forms: &[Form]) -> f64 {
    forms.iter().map(|form| form.probability).sum()
}

/// One of the forms of a word, likeliest first, as what was typed has it: what is all capitals stays so, a capital stays
/// one, and small letters leave the choice to the model.
fn recase(typed: &str, forms: &[Form]) -> String {
    let cased = typed.chars().filter(|c| c.is_uppercase() || c.is_lowercase()).count();
    let capitals = typed.chars().filter(|c| c.is_uppercase()).count();
    if capitals == 0 {
        // Of forms that differ in more than what was typed, the likeliest counts; apostrophes stay as they were typed.
        let likeliest = &forms[0].text;
        return match typed.contains(['\'', '’']) {
            true => typed.to_owned() + rest(likeliest, typed),
            false => likeliest.clone(),
        };
    }
    if capitals == cased && capitals > 1 {
        return typed.to_owned() + &rest(&forms[0].text, typed).to_uppercase();
    }
    let exact = forms.iter().find_map(|form| form.text.strip_prefix(typed));
    let rest = exact.map_or_else(
        || {
            let rest = rest(&forms[0].text, typed);
            if rest.chars().any(char::is_lowercase) { rest.to_owned() } else { rest.to_lowercase() }
        },
        str::to_owned,
    );
    typed.to_owned() + &rest
}

/// What `word` has behind the letters that were typed.
fn rest<'w>(word: &'w str, typed: &str) -> &'w str {
    match Fit::of(word, &[], typed) {
        Fit::Whole(bytes) => &word[bytes..],
        Fit::No | Fit::Begun => "",
    }
}

pub(super) fn capitalized(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(forms: &[(&str, f64)]) -> Found {
        let mut found = Found::default();
        for &(text, probability) in forms {
            found.add(Form { text: text.into(), spaced: false, probability });
        }
        found
    }

    #[test]
    fn words_are_cased_as_they_were_begun() {
        for (typed, begins, forms, expected) in [
            ("", false, vec![("going", 0.5), ("home", 0.2)], vec!["going", "home"]),
            ("", false, vec![("paris", 0.1), ("Paris", 0.2), ("PARIS", 0.1)], vec!["Paris"]),
            ("", true, vec![("The", 0.4), ("we", 0.1)], vec!["The", "We"]),
            ("", true, vec![("The", 0.1), ("we", 0.4)], vec!["we", "The"]),
            ("go", false, vec![("going", 0.5), ("Going", 0.1)], vec!["going"]),
            ("go", true, vec![("going", 0.1), ("Going", 0.5)], vec!["Going"]),
            ("par", false, vec![("Paris", 0.5), ("party", 0.3)], vec!["Paris", "party"]),
            ("Go", false, vec![("going", 0.5), ("GOING", 0.6)], vec!["Going"]),
            ("G", false, vec![("going", 0.5)], vec!["Going"]),
            ("G", false, vec![("GPS", 0.5)], vec!["GPS"]),
            ("GO", false, vec![("going", 0.5)], vec!["GOING"]),
            ("iP", false, vec![("iPhone", 0.5), ("iphone", 0.6)], vec!["iPhone"]),
            ("Mc", false, vec![("McDonald", 0.5)], vec!["McDonald"]),
            ("ÉT", false, vec![("été", 0.5)], vec!["ÉTÉ"]),
            ("don’", false, vec![("don't", 0.5)], vec!["don’t"]),
            ("जा", false, vec![("जाना", 0.5)], vec!["जाना"]),
        ] {
            let cased = found(&forms).cased(typed, begins);
            let texts: Vec<&str> = cased.iter().map(|form| form.text.as_str()).collect();
            assert_eq!(texts, expected, "{typed:?} {forms:?}");
        }
    }

    #[test]
    fn a_word_counts_once_however_it_is_spelled() {
        let found = found(&[("going", 0.5), ("Going", 0.25), ("going", 0.125), ("don't", 0.01), ("don’t", 0.02)]);
        assert_eq!([found.likelihood(1), found.likelihood(2), found.likelihood(3)], [0.875, 0.03, 0.0]);
        assert_eq!(found.all(), 0.905);
    }

    #[test]
    fn letters_fit_what_was_typed() {
        for (text, half, typed, fit) in [
            ("going", &[][..], "go", Fit::Whole(2)),
            ("Going", &[], "go", Fit::Whole(2)),
            ("g", &[], "go", Fit::Begun),
            ("", &[], "go", Fit::Begun),
            ("get", &[], "go", Fit::No),
            ("any", &[], "", Fit::Whole(0)),
            ("É", &[], "ét", Fit::Begun),
            ("", &[0xc3], "é", Fit::Begun),
            ("", &[0xc3], "É", Fit::Begun),
            ("", &[0xc4], "é", Fit::No),
            ("İstanbul", &[], "i", Fit::No),
            ("don’t", &[], "don't", Fit::Whole(7)),
        ] {
            assert_eq!(Fit::of(text, half, typed), fit, "{text:?} {typed:?}");
        }
    }
}
