//! Exported chats.

use std::path::Path;

use libtest_mimic::Trial;
use serde_json::{Value, json};

use crate::folders::base;
use crate::run::idiolect;
use crate::{input, trial};

/// The trials of this subject.
pub fn trials() -> Vec<Trial> {
    vec![
        reported("01", &["oui, vers 9h", "garde-moi une place"], &[("Ana", 2), ("Ben", 1)]),
        reported("03", &["dir auch, liebe grüße", "bis später"], &[("Ana", 2), ("Ben", 1)]),
        reported("04", &["that is the lease"], &[("Ana", 1), ("Ben", 1)]),
        reported("05", &["who drives?"], &[("Ana", 1), ("Ben", 1)]),
        reported("06", &["fine by me"], &[("Ana", 1), ("Ben", 1)]),
        trial("chats: what the app says is no context", || {
            let home = tempfile::tempdir().unwrap();
            let rows = added(home.path(), &input("05/chat.txt"), "Ana");
            assert_eq!(rows[0]["context"], Value::Null, "{rows:?}");
        }),
        trial("chats: the name in whichever encoding", || {
            let home = tempfile::tempdir().unwrap();
            let chat = home.path().join("chat.txt");
            let lines = "31. 12. 2023. 오후 9:41 - Ben: u coming?\n31. 12. 2023. 오후 9:42 - Ange\u{301}lique: ya\n";
            std::fs::write(&chat, lines).unwrap();
            let rows = added(home.path(), &chat, "Angélique");
            assert_eq!((&rows[0]["text"], &rows[0]["timestamp"]), (&json!("ya"), &json!(1_704_058_920)));
        }),
        trial("chats: an export is not learned as lines", exports_are_refused),
    ]
}

/// A reported chat: what Ana wrote of it, oldest first, and who wrote how much.
fn reported(case: &'static str, texts: &'static [&'static str], authors: &'static [(&'static str, u64)]) -> Trial {
    trial(&format!("chats: report {case}"), move || {
        let home = tempfile::tempdir().unwrap();
        let chat = input(&format!("{case}/chat.txt"));
        let found = idiolect(home.path(), &["history", "authors", chat.to_str().unwrap(), "--json"]).objects();
        let expected: Vec<Value> =
            authors.iter().map(|(name, messages)| json!({"name": name, "messages": messages})).collect();
        assert_eq!(found, expected);
        let rows = added(home.path(), &chat, "Ana");
        let found: Vec<&str> = rows.iter().map(|row| row["text"].as_str().unwrap()).collect();
        assert_eq!(found, texts);
    })
}

/// What a history holds to which the messages of `name` were added, oldest first.
fn added(home: &Path, chat: &Path, name: &str) -> Vec<Value> {
    let options = ["--format", "whatsapp", "--name", name, "--json"];
    idiolect(home, &[&["history", "add", "me", chat.to_str().unwrap()][..], &options].concat()).object();
    let mut rows = idiolect(home, &["history", "list", "me", "--json"]).objects();
    rows.reverse();
    rows
}

fn exports_are_refused() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let export = "31/12/2023, 21:41 - Ben: the code is 1234\n31/12/2023, 21:42 - Ana: on my way\n\
                  31/12/2023, 21:43 - Ana: bringing bread\n";
    std::fs::write(home.join("chat.txt"), export).unwrap();
    std::fs::write(home.join("_chat"), export).unwrap();
    std::fs::write(home.join("diary.txt"), "31/12/2023 we had dinner at 21:41\nand went home\n").unwrap();
    std::os::unix::fs::symlink(base(), home.join("base")).unwrap();
    let train = |file: &'static str, options: &[&'static str]| {
        let train = ["train", "base", "--text", file, "--out", "adapter", "--steps", "1", "--device", "cpu"];
        [&train[..], options].concat()
    };
    for args in [
        vec!["history", "add", "me", "chat.txt"],
        vec!["history", "add", "me", "chat.txt", "--name", "Ana"],
        vec!["history", "add", "me", "_chat"],
        train("chat.txt", &[]),
        train("_chat", &[]),
        vec!["eval", "base", "--text", "chat.txt", "--device", "cpu"],
    ] {
        let run = idiolect(home, &args);
        assert_eq!(run.code, Some(2), "{args:?}: {}", run.stderr);
        for part in ["--format whatsapp --name NAME", "--format text"] {
            assert!(run.stderr.contains(part), "{args:?}: {}", run.stderr);
        }
        assert!(!run.stderr.contains("1234") && !home.join("me").exists() && !home.join("adapter").exists());
    }
    assert_eq!(idiolect(home, &["history", "add", "diary", "diary.txt", "--json"]).object()["new"], 2);
    let overruled = ["history", "add", "me", "chat.txt", "--format", "text", "--json"];
    assert_eq!(idiolect(home, &overruled).object()["new"], 3);

    // The same options say it to a training and to an evaluation.
    let tokens = |options: &[&'static str]| {
        let eval = ["eval", "base", "--text", "chat.txt", "--device", "cpu", "--json"];
        idiolect(home, &[&eval[..], options].concat()).object()["tokens"].as_u64().unwrap()
    };
    let (own, every) = (tokens(&["--format", "whatsapp", "--name", "Ana"]), tokens(&["--format", "text"]));
    assert!(own > 0 && own < every, "{own} tokens of {every}");
    let trained = idiolect(home, &train("chat.txt", &["--format", "whatsapp", "--name", "Ana"]));
    assert_eq!(trained.code, Some(0), "{}", trained.stderr);
}
