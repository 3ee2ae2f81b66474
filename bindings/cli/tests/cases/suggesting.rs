//! Suggestions.

use std::fs;
use std::path::Path;

use libtest_mimic::Trial;
use serde_json::Value;

use crate::run::{idiolect, workspace};
use crate::{published, trial};

/// The trials of this subject.
pub fn trials() -> Vec<Trial> {
    let mut trials = vec![
        trial("24 the end of a long text counts", the_end_of_a_long_text_counts),
        trial("words are whole, without doubles, and begin as typed", || words_hold(Path::new("base"))),
        trial("options of suggestions", options_of_suggestions),
    ];
    let published = published();
    let missing = published.is_none();
    let words = move || {
        let model = published.expect("ignored without it");
        words_hold(&model);
        completions(&model);
    };
    trials.push(trial("words of the published model", words).with_ignored_flag(missing));
    trials
}

struct Profile {
    home: tempfile::TempDir,
}

/// A word as `suggest --json` gives it.
#[derive(Debug, PartialEq)]
struct Word {
    text: String,
    replaces: u64,
    probability: f64,
}

impl Profile {
    fn new() -> Self {
        let home = workspace();
        fs::write(home.path().join("t.txt"), "hello there\nsee you at nine\n").unwrap();
        assert_eq!(idiolect(home.path(), &["history", "add", "me", "t.txt"]).code, Some(0));
        Self { home }
    }

    fn suggest(&self, model: &Path, prompt: &str, more: &[&str]) -> Vec<Word> {
        let model = model.to_str().unwrap();
        let args = ["suggest", "me", "--model", model, "--device", "cpu", "--json", "--prompt", prompt];
        let word = |word: Value| Word {
            text: word["text"].as_str().unwrap().to_owned(),
            replaces: word["replaces"].as_u64().unwrap(),
            probability: word["probability"].as_f64().unwrap(),
        };
        idiolect(self.home.path(), &[&args[..], more].concat()).objects().into_iter().map(word).collect()
    }
}

fn the_end_of_a_long_text_counts() {
    let profile = Profile::new();
    let base = Path::new("base");
    let long = "the rain came down and we stayed inside and read until it was dark, and then ".repeat(80);
    let words = profile.suggest(base, &long, &[]);
    assert_eq!(words.len(), 3);
    // What is far before the end does not count; the end does.
    let other = format!("{}{long}", "one two three four five. ".repeat(200));
    assert_eq!(profile.suggest(base, &other, &[]).len(), 3);
    let ends =
        ["the boat is on the ", "what time are ", "th"].map(|end| profile.suggest(base, &format!("{long}{end}"), &[]));
    assert!(ends[0] != ends[1] && ends[0] != words, "{ends:?}");
    assert!(ends[2].iter().all(|word| word.text.to_lowercase().starts_with("th")), "{ends:?}");
    // However the text is written: without spaces, or in one word.
    for text in ["今天天气很好。".repeat(600), "a".repeat(20_000), "\n".repeat(5000)] {
        profile.suggest(base, &text, &[]);
    }
}

fn words_hold(model: &Path) {
    let profile = Profile::new();
    for (prompt, begun) in [
        ("I am go", "go"),
        ("I am GO", "GO"),
        ("I am going ", ""),
        ("It rained. ", ""),
        ("", ""),
        ("Hello,", ""),
        ("don'", "don'"),
        ("see you tom", "tom"),
        ("(h", "h"),
        ("well-kn", "kn"),
        ("one\nt", "t"),
        ("मैं घर जा", "जा"),
        ("今天", ""),
        ("Я люб", "люб"),
        ("on the 1", "1"),
        ("hi 😀 ", ""),
    ] {
        let words = profile.suggest(model, prompt, &["--count", "6"]);
        let mut seen = Vec::new();
        for word in &words {
            let text = word.text.trim_start();
            let key = text.to_lowercase();
            assert!(key.starts_with(&begun.to_lowercase()), "{prompt:?}: {words:?}");
            assert!(!seen.contains(&key), "twice: {words:?}");
            assert!(text.chars().any(char::is_alphanumeric) && !text.contains(char::is_whitespace), "{words:?}");
            assert_eq!(word.replaces, begun.chars().count() as u64, "{words:?}");
            // Behind these a space may come or not.
            assert!(word.text.len() == text.len() || prompt.ends_with([',', '天']), "a space too many: {words:?}");
            assert!((0.0..=1.0).contains(&word.probability));
            seen.push(key);
        }
        assert!(words.is_sorted_by(|a, b| a.probability >= b.probability), "{words:?}");
        assert!(words.iter().map(|word| word.probability).sum::<f64>() <= 1.0 + 1e-6, "{words:?}");
        if begun.is_empty() && prompt.is_ascii() {
            assert!(words.len() >= 3, "{prompt:?}: {words:?}");
        }
    }
}

fn completions(model: &Path) {
    let profile = Profile::new();
    for (prompt, first) in [
        ("I am go", "going"),
        ("I am Go", "Going"),
        ("I am GO", "GOING"),
        ("I am goi", "going"),
        ("see you tom", "tomorrow"),
        ("I live in Par", "Paris"),
        ("12 o'cl", "o'clock"),
        ("I live in New Y", "York"),
        ("I am going ", "to"),
        ("The quick brown fo", "fox"),
    ] {
        let words = profile.suggest(model, prompt, &[]);
        assert_eq!(words.first().map(|word| word.text.as_str()), Some(first), "{prompt:?}: {words:?}");
    }
}

fn options_of_suggestions() {
    let profile = Profile::new();
    let base = Path::new("base");
    let marks = |more: &[&str]| {
        let words = profile.suggest(base, "thank you so much ", &[&["--count", "40"], more].concat());
        words.into_iter().filter(|word| !word.text.chars().any(char::is_alphanumeric)).collect::<Vec<_>>()
    };
    assert_eq!(marks(&[]), []);
    let punctuation = marks(&["--punctuation"]);
    // A mark goes in the place of the space.
    assert!(punctuation.iter().any(|mark| mark.replaces == 1), "{punctuation:?}");
    for count in ["0", "65"] {
        let args = ["suggest", "me", "--model", "base", "--prompt", "hello", "--count", count];
        let run = idiolect(profile.home.path(), &args);
        assert!(run.code != Some(0) && run.stderr.contains("1 to 64"), "{}", run.stderr);
    }
}
