//! `idiolect chat`, fed with lines.

use std::fs::{self, File};
use std::path::Path;

use crate::run::{Run, idiolect, idiolect_where, workspace};

/// A chat over `lines` with further arguments, with a profile in `me`.
fn chat(home: &Path, lines: &str, more: &[&str]) -> Run {
    fs::write(home.join("lines.txt"), lines).unwrap();
    let args = ["chat", "me", "--model", "base", "--device", "cpu", "--max-tokens", "16"];
    idiolect_where(home, &[&args[..], more].concat(), |command| {
        command.stdin(File::open(home.join("lines.txt")).unwrap())
    })
}

#[test]
fn a_chat_remembers_what_was_said() {
    let home = workspace();
    let home = home.path();
    fs::write(home.join("m.jsonl"), "{\"text\":\"ay up flower\"}\n").unwrap();
    idiolect(home, &["history", "add", "me", "m.jsonl"]);
    let lines = "are you coming?\nand when?\ngood\n\nthis is not read\n";
    let answers = chat(home, lines, &["--json", "--instructions", "- Be brief."]).objects();
    assert_eq!(answers.len(), 3);
    let number = |answer: usize, name: &str| answers[answer][name].as_u64().unwrap();
    assert_eq!(number(0, "cached_tokens"), 0);
    for turn in 1..3 {
        // What was run before, but for the few tokens that close a turn and open the next one.
        assert!(number(turn, "cached_tokens") >= number(turn - 1, "prompt_tokens"), "{answers:?}");
        assert!(number(turn, "prompt_tokens") > number(turn, "cached_tokens"), "{answers:?}");
        assert_eq!(number(turn, "forgotten_turns"), 0);
    }
    let plain = chat(home, lines, &["--json"]).objects();
    assert!(plain[0]["prompt_tokens"].as_u64().unwrap() < number(0, "prompt_tokens"), "no instructions were given");

    let many = "and what did you do on that day?\n".repeat(8);
    let short = chat(home, &many, &["--context", "128", "--budget-mb", "200"]);
    assert_eq!(short.code, Some(0), "{}", short.stderr);
    assert!(short.stderr.contains("turns do not fit the context and are forgotten"), "{}", short.stderr);

    for (more, part, hint) in [
        (["--context", "5000"], "a context of 5000 tokens", "give 1 to 1024"),
        (["--context", "0"], "a context of 0 tokens", "give 1 to 1024"),
        (["--budget-mb", "1"], "a budget of 1000000 bytes cannot hold a context of 1024 tokens", "give at least"),
    ] {
        let refused = chat(home, lines, &more);
        assert_ne!(refused.code, Some(0), "{more:?}");
        assert!(refused.stderr.contains(part) && refused.stderr.contains(hint), "{more:?}: {}", refused.stderr);
        assert_eq!(refused.stdout, "", "{more:?}");
    }
    let generated = ["generate", "base", "--prompt", "see you", "--device", "cpu", "--budget-mb"];
    assert_eq!(idiolect(home, &[&generated[..], &["200"]].concat()).code, Some(0));
    let refused = idiolect(home, &[&generated[..], &["1"]].concat());
    assert!(refused.code != Some(0) && refused.stderr.contains("a budget of 1000000 bytes"), "{}", refused.stderr);
}
