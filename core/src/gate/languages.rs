//! The languages that a person writes in: what is replayed, and what forgetting is measured on, follows them.

use serde::{Deserialize, Serialize};
use whatlang::{Script, detect, detect_script};

use super::generic;
use crate::random::Random;

/// Texts that are looked at, drawn evenly from the whole history.
const TEXTS: usize = 500;

/// Characters of each of them.
const CHARACTERS: usize = 400;

/// Characters that are looked at together: in a single message trigrams tell too little.
const TOGETHER: usize = 300;

/// The share of the characters from which on a language is one of the person's.
const LEAST: f64 = 0.1;

/// The most languages that are replayed and measured: each costs time.
const MOST: usize = 3;

/// The languages of a history, by ISO 639-3, those that most is written in first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Languages {
    /// Those that there is generic text in; English where there is none.
    pub measured: Vec<String>,
    /// Those that there is none in.
    pub unmeasured: Vec<String>,
}

impl Default for Languages {
    fn default() -> Self {
        Self { measured: vec![generic::ENGLISH.into()], unmeasured: Vec::new() }
    }
}

/// Looks at a history, text by text, in an order that is always the same; what it finds is then the same, too.
#[derive(Debug)]
pub struct Survey {
    texts: Vec<String>,
    seen: u64,
    random: Random,
}

impl Default for Survey {
    fn default() -> Self {
        Self { texts: Vec::new(), seen: 0, random: Random::new(0x4c61_6e67) }
    }
}

impl Survey {
    /// Sees one text, which stays in memory if it is drawn (Vitter's algorithm R).
    pub fn see(&mut self, text: &str) {
        self.seen += 1;
        let place =
            if self.texts.len() < TEXTS { self.texts.len() } else { (self.random.next_u64() % self.seen) as usize };
        let beginning = || text.chars().take(CHARACTERS).collect();
        match self.texts.get_mut(place) {
            Some(text) => *text = beginning(),
            None if place < TEXTS => self.texts.push(beginning()),
            None => {}
        }
    }

    /// The languages of what it has seen. Texts are joined, each with others of its script, until there is enough to tell
    /// by; what the detector (whatlang: trigrams) is not sure of counts for nothing.
    pub fn finish(self) -> Languages {
        let mut joined: Vec<(Script, String)> = Vec::new();
        let mut found: Vec<(&'static str, usize)> = Vec::new();
        let mut tell = |text: &str| {
            let Some(info) = detect(text).filter(|info| info.is_reliable()) else { return };
            let (code, characters) = (info.lang().code(), text.chars().count());
            match found.iter_mut().find(|(known, _)| *known == code) {
                Some((_, sum)) => *sum += characters,
                None => found.push((code, characters)),
            }
        };
        for text in &self.texts {
            let Some(script) = detect_script(text).map(family) else { continue };
            let place = joined.iter().position(|(of, _)| *of == script).unwrap_or_else(|| {
                joined.push((script, String::new()));
                joined.len() - 1
            });
            let together = &mut joined[place].1;
            together.push_str(text);
            together.push('\n');
            if together.chars().count() >= TOGETHER {
                tell(together);
                together.clear();
            }
        }
        joined.iter().filter(|(_, rest)| !rest.is_empty()).for_each(|(_, rest)| tell(rest));
        let all: usize = found.iter().map(|(_, characters)| characters).sum();
        found.retain(|&(_, characters)| characters as f64 >= LEAST * all as f64);
        found.sort_by_key(|&(code, characters)| (std::cmp::Reverse(characters), code));
        let codes = found.into_iter().map(|(code, _)| code.to_owned());
        let (mut measured, unmeasured): (Vec<String>, Vec<String>) =
            codes.partition(|code| generic::languages().any(|known| known == code));
        measured.truncate(MOST);
        if measured.is_empty() {
            measured = Languages::default().measured;
        }
        Languages { measured, unmeasured }
    }
}

/// The language that one text looks like most, by ISO 639-3; in a short one it may be a near one.
pub fn language_of(text: &str) -> Option<&'static str> {
    detect(text).map(|info| info.lang().code())
}

/// Scripts that are written in one text stand together: Japanese is not Chinese where it has few kana.
fn family(script: Script) -> Script {
    match script {
        Script::Hiragana | Script::Katakana => Script::Mandarin,
        script => script,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(texts: impl IntoIterator<Item = String>) -> Languages {
        let mut survey = Survey::default();
        texts.into_iter().for_each(|text| survey.see(&text));
        survey.finish()
    }

    /// Message-sized pieces of the generic text in a language.
    fn messages(code: &str) -> Vec<String> {
        let text = [generic::replay(code), generic::measuring(code)].concat().join(" ");
        let characters: Vec<char> = text.chars().collect();
        characters.chunks(40).map(String::from_iter).collect()
    }

    fn codes(languages: &[String]) -> Vec<&str> {
        languages.iter().map(String::as_str).collect()
    }

    #[test]
    fn every_language_is_known_again() {
        for code in generic::languages() {
            let found = of(messages(code));
            assert_eq!((codes(&found.measured), codes(&found.unmeasured)), (vec![code], vec![]));
        }
    }

    #[test]
    fn what_most_is_written_in_comes_first() {
        let mixed = |parts: &[(&str, usize)]| -> Vec<String> {
            parts.iter().flat_map(|&(code, count)| messages(code).into_iter().cycle().take(count)).collect()
        };
        for (name, texts, measured, unmeasured) in [
            ("nothing", vec![], vec!["eng"], vec![]),
            ("emoji", vec!["😂😂".into(); 50], vec!["eng"], vec![]),
            (
                "a few words of English",
                vec!["see you at the station, I will be late again today".into()],
                vec!["eng"],
                vec![],
            ),
            ("two languages", mixed(&[("deu", 150), ("hin", 250)]), vec!["hin", "deu"], vec![]),
            ("a little of another", mixed(&[("fra", 400), ("rus", 20)]), vec!["fra"], vec![]),
            ("four", mixed(&[("deu", 100), ("hin", 90), ("cmn", 80), ("ara", 70)]), vec!["deu", "hin", "cmn"], vec![]),
            (
                "one that there is no text in",
                vec![
                    "მე მიყვარს ჩემი ქალაქი და მისი ხალხი".into();
                    60
                ],
                vec!["eng"],
                vec!["kat"],
            ),
        ] {
            let found = of(texts);
            assert_eq!((codes(&found.measured), codes(&found.unmeasured)), (measured, unmeasured), "{name}");
        }
    }

    #[test]
    fn a_long_history_is_looked_at_all_over() {
        // Half of it in German, half in French: far more than is kept.
        let texts =
            || messages("deu").into_iter().cycle().take(20_000).chain(messages("fra").into_iter().cycle().take(20_000));
        let found = of(texts());
        assert_eq!(found.measured.len(), 2, "{found:?}");
        assert_eq!(found, of(texts()), "the same again");
    }
}
