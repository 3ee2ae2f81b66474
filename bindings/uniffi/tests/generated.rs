//! What is generated of this library: the same surface in both languages, all of it documented.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The shared library that cargo made beside this test.
fn library() -> PathBuf {
    let name = format!("{}idiolect_ffi{}", std::env::consts::DLL_PREFIX, std::env::consts::DLL_SUFFIX);
    std::env::current_exe().unwrap().parent().unwrap().join(name)
}

/// The sources in `language`, of files that end in `.extension`.
fn generated(language: &str, extension: &str) -> String {
    let out = tempfile::tempdir().unwrap();
    let mut generator = Command::new(env!("CARGO_BIN_EXE_uniffi-bindgen"));
    generator.arg("generate").arg(library()).args(["--language", language, "--no-format", "--out-dir"]).arg(out.path());
    let ended = generator.output().unwrap();
    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
    sources(out.path(), extension)
}

fn sources(folder: &Path, extension: &str) -> String {
    let mut text = String::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            text += &sources(&path, extension);
        } else if path.extension().is_some_and(|found| found == extension) {
            text += &fs::read_to_string(&path).unwrap();
        }
    }
    text
}

/// How a language writes what is looked for.
struct Grammar {
    /// What stands before the name of an interface, and behind it where that is the library's.
    interface: [&'static str; 2],
    method: &'static str,
    error: &'static str,
    case: &'static str,
}

const KOTLIN: Grammar = Grammar {
    interface: ["public interface ", "Interface {"],
    method: "    fun `",
    error: "sealed class EngineException",
    case: "    class ",
};

const SWIFT: Grammar = Grammar {
    interface: ["public protocol ", "Protocol: AnyObject, Sendable {"],
    method: "    func ",
    error: "enum EngineError: Swift.Error",
    case: "    case ",
};

fn name(rest: &str) -> String {
    rest.chars().take_while(|c| c.is_alphanumeric()).collect()
}

/// The methods of every object, by its name, and the cases of the error, under none. What has no comment above it is told.
fn surface(text: &str, grammar: &Grammar) -> BTreeMap<String, BTreeSet<String>> {
    let mut found = BTreeMap::<String, BTreeSet<String>>::new();
    let (mut within, mut above, mut bare) = (None, "", Vec::new());
    for line in text.lines() {
        let object = line.strip_prefix(grammar.interface[0]).and_then(|rest| rest.strip_suffix(grammar.interface[1]));
        if let Some(object) = object {
            within = Some(object.to_owned());
        } else if line.starts_with(grammar.error) {
            within = Some(String::new());
        } else if line.starts_with('}') {
            within = None;
        }
        let member = if within.as_deref() == Some("") { grammar.case } else { grammar.method };
        if let (Some(object), Some(rest)) = (&within, line.strip_prefix(member)) {
            if !above.trim_end().ends_with("*/") {
                bare.push(format!("{object}.{}", name(rest)));
            }
            found.entry(object.clone()).or_default().insert(name(rest));
        }
        // Annotations stand between a comment and what it is about.
        if !line.trim().is_empty() && !line.trim_start().starts_with('@') {
            above = line;
        }
    }
    assert!(bare.is_empty(), "without a comment: {bare:?}");
    found
}

#[test]
fn both_languages_have_the_same_documented_surface() {
    let kotlin = surface(&generated("kotlin", "kt"), &KOTLIN);
    let swift = surface(&generated("swift", "swift"), &SWIFT);
    assert_eq!(kotlin, swift);
    for (object, method) in [("Engine", "train"), ("Conversation", "say"), ("History", "add"), ("", "OverBudget")] {
        assert!(kotlin.get(object).is_some_and(|methods| methods.contains(method)), "no {object}.{method}: {kotlin:?}");
    }
}
