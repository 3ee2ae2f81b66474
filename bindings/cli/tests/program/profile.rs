//! The profile's commands as a user runs them: what they print, and what they refuse.

use serde_json::json;

use crate::folders::{base, listing};
use crate::run::{idiolect, workspace};

#[test]
fn files_become_history() {
    let home = workspace();
    let home = home.path();
    std::fs::write(home.join("a.txt"), "kettle is on\n\nkettle is on\nback by six\n").unwrap();
    std::fs::write(
        home.join("b.jsonl"),
        "{\"text\":\"ta flower\",\"id\":\"m1\",\"timestamp\":\"2024-01-02T03:04:05\"}\n\
         {\"text\":\"a secret\",\"incognito\":true}\n",
    )
    .unwrap();
    let chat = "31/12/2023, 21:41 - Ben: u coming?\n31/12/2023, 21:43 - Ana: on my way\nbringing bread\n\
                31/12/2023, 21:44 - Ben: <Media omitted>\n";
    std::fs::write(home.join("chat.txt"), chat).unwrap();
    let whatsapp = ["--format", "whatsapp", "--name", "Ana"];
    for (file, options, new, repeated, incognito) in [
        ("a.txt", &[][..], 2, 1, 0),
        ("b.jsonl", &["--source", "notes"], 1, 0, 1),
        ("b.jsonl", &[], 0, 0, 1),
        ("chat.txt", &whatsapp, 1, 0, 0),
    ] {
        let run = idiolect(home, &[&["history", "add", "me", file, "--json"], options].concat());
        let added = run.object();
        let counts = ["new", "repeated", "incognito"].map(|count| &added[count]);
        assert_eq!(counts, [&json!(new), &json!(repeated), &json!(incognito)], "{file}: {added}");
    }
    let authors = idiolect(home, &["history", "authors", "chat.txt", "--json"]).objects();
    assert_eq!(authors, [json!({"name": "Ana", "messages": 1}), json!({"name": "Ben", "messages": 1})]);
    let rows = idiolect(home, &["history", "list", "me", "--json"]).objects();
    let texts: Vec<_> = rows.iter().map(|row| row["text"].as_str().unwrap()).collect();
    assert_eq!(texts, ["on my way\nbringing bread", "ta flower", "back by six", "kettle is on"]);
    assert_eq!((&rows[0]["context"], &rows[0]["contact"]), (&json!("u coming?"), &json!("Ben")));
    assert_eq!((&rows[1]["source"], &rows[1]["timestamp"]), (&json!("notes"), &json!(1_704_164_645)));
    assert_eq!(rows[3]["count"], 2);

    std::fs::write(home.join("c.txt"), "write to ana@example.com\n").unwrap();
    idiolect(home, &["history", "add", "masked", "c.txt", "--mask"]);
    assert_eq!(idiolect(home, &["history", "list", "masked", "--json"]).object()["text"], "write to ***");

    let removed = idiolect(home, &["history", "remove", "me", "--source", "notes", "--json"]).object();
    assert_eq!((&removed["messages"], &removed["pending"]), (&json!(1), &json!(false)));
    let stats = idiolect(home, &["history", "stats", "me", "--json"]).object();
    assert_eq!((&stats["messages"], &stats["samples"]), (&json!(4), &json!(3)));
    let status = idiolect(home, &["status", "me", "--json"]).object();
    assert_eq!((&status["messages"], &status["active"], &status["training"]), (&json!(4), &json!(null), &json!(false)));
}

#[test]
fn a_profile_moves_under_a_passphrase() {
    let home = workspace();
    let home = home.path();
    std::fs::write(home.join("a.txt"), "kettle is on\nback by six\n").unwrap();
    idiolect(home, &["history", "add", "me", "a.txt"]);
    for (name, passphrase) in [("right", "correct horse\r\nignored\n"), ("wrong", "correct house"), ("none", "\n")] {
        std::fs::write(home.join(name), passphrase).unwrap();
    }
    let moved = |args: &[&str], passphrase: &str| {
        idiolect(home, &[&["profile"], args, &["--passphrase-file", passphrase, "--json"]].concat())
    };
    let archived = moved(&["export", "me", "me.archive"], "right").object();
    assert_eq!(archived["files"], 1, "{archived}");
    let whole = std::fs::read(home.join("me.archive")).unwrap();
    std::fs::write(home.join("cut.archive"), &whole[..whole.len() / 2]).unwrap();
    let before = listing(home);
    for (args, passphrase, code, part) in [
        (&["import", "me.archive", "new"][..], "wrong", 1, "passphrase"),
        (&["import", "cut.archive", "new"], "right", 1, "cut.archive"),
        (&["import", "a.txt", "new"], "right", 1, "a.txt"),
        (&["import", "me.archive", "me"], "right", 1, "me"),
        (&["import", "me.archive", "new"], "missing", 1, "missing"),
        (&["export", "me", "other.archive"], "none", 2, "passphrase"),
        (&["export", "nobody", "other.archive"], "right", 1, "no profile"),
    ] {
        let run = moved(args, passphrase);
        assert_eq!(run.code, Some(code), "{args:?}: {}", run.stderr);
        assert!(run.stderr.contains(part), "{args:?}: {}", run.stderr);
        assert_eq!(listing(home), before, "{args:?}");
    }
    assert_eq!(std::fs::read(home.join("me.archive")).unwrap(), whole);
    let imported = moved(&["import", "me.archive", "new"], "right").object();
    assert_eq!((&imported["messages"], &imported["versions"]), (&json!(2), &json!(0)));
    let texts = |profile: &str| {
        let rows = idiolect(home, &["history", "list", profile, "--json"]).objects();
        rows.into_iter().map(|row| row["text"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(texts("new"), texts("me"));
}

#[test]
fn a_history_that_was_put_back_opens_once_it_is_accepted() {
    let home = workspace();
    let home = home.path();
    std::fs::write(home.join("a.txt"), "kettle is on\nback by six\n").unwrap();
    idiolect(home, &["history", "add", "me", "a.txt"]);
    let file = home.join("me/history.db");
    std::fs::copy(&file, home.join("backup")).unwrap();
    assert_eq!(idiolect(home, &["history", "remove", "me", "--number", "1", "--json"]).object()["messages"], 1);
    std::fs::copy(home.join("backup"), &file).unwrap();
    for command in [&["status", "me"][..], &["history", "list", "me"], &["history", "add", "me", "a.txt"]] {
        let refused = idiolect(home, command);
        assert_eq!((refused.code, refused.stdout.as_str()), (Some(1), ""), "{command:?}");
        assert!(refused.stderr.contains("put back") && refused.stderr.contains("hint: "), "{}", refused.stderr);
    }
    assert_eq!(idiolect(home, &["profile", "accept-history", "me", "--json"]).object()["messages"], 2);
    assert_eq!(idiolect(home, &["status", "me", "--json"]).object()["messages"], 2);
}

#[test]
fn an_adapter_of_another_base_is_stale_until_it_trains_again() {
    let home = workspace();
    let home = home.path();
    idiolect(home, &["import", "base", "other", "--bits", "8", "--group-size", "64"]);
    std::fs::copy(base().join("../history.jsonl"), home.join("all.jsonl")).unwrap();
    idiolect(home, &["history", "add", "me", "all.jsonl"]);
    let train = |model: &str| {
        let args = ["train", "--profile", "me", "--model", model, "--device", "cpu", "--steps", "40", "--json"];
        idiolect(home, &args).objects().pop().unwrap()["version"].as_u64().expect("promoted")
    };
    let stale = |model: &str| idiolect(home, &["status", "me", "--model", model, "--json"]).object()["stale"].clone();
    let words = |model: &str| {
        let run =
            idiolect(home, &["suggest", "me", "--model", model, "--device", "cpu", "--prompt", "ay up", "--json"]);
        (run.objects(), run.stderr.contains("another model"))
    };
    let status = |model: &[&str]| idiolect(home, &[&["status", "me", "--json"], model].concat()).object();
    let before = status(&[]);
    let parts = ["trains", "validates", "held_out"].map(|part| before[part]["samples"].as_u64().unwrap());
    assert_eq!(parts.iter().sum::<u64>(), before["texts"].as_u64().unwrap());
    assert_eq!((&before["in_use"], &before["new_texts"]), (&json!(null), &json!(parts[0])));
    assert_eq!(before["next_training"], json!({ "code": "new_texts", "texts": parts[0] }));
    let first = train("base");
    let after = status(&["--model", "base"]);
    let (version, report) = (&after["in_use"], &after["in_use"]["report"]);
    assert_eq!((&version["version"], &version["origin"]), (&json!(first), &json!("trained")));
    assert_eq!(report["samples"][2].as_u64(), Some(parts[2]));
    assert!(report["verdict"]["gain"]["low"].as_f64().unwrap() > 0.0 && version["created"].as_i64().unwrap() > 0);
    assert_eq!((&after["next_training"]["code"], &after["next_worthwhile"]), (&json!("unchanged"), &json!(false)));
    assert_eq!(status(&["--model", "other"])["next_training"]["code"], "other_base");
    let people = idiolect(home, &["status", "me"]).stdout;
    for shown in ["653, ", "2023-09-02 to ", "are held out", "made 2", "on CPU", "nats a token", "not yet: no text"] {
        assert!(people.contains(shown), "{shown}: {people}");
    }
    // Of a few new texts that are nothing alike, some are to be learned from.
    let few: Vec<&str> = include_str!("../../../../core/src/gate/generic/replay.txt").split("\n\n").take(40).collect();
    std::fs::write(home.join("few.txt"), few.join("\n")).unwrap();
    idiolect(home, &["history", "add", "me", "few.txt"]);
    let more = status(&[]);
    let texts = more["trains"]["samples"].as_u64().unwrap() - parts[0];
    assert_eq!(more["next_training"], json!({ "code": "new_texts", "texts": texts }));
    assert_eq!([stale("base"), stale("other")], [json!(false), json!(true)]);
    let (learned, noted) = words("base");
    assert!(!noted);
    // The new base answers alone, as it does where nothing was learned.
    let (unlearned, noted) = words("other");
    assert!(noted && unlearned != learned);
    idiolect(home, &["adapters", "none", "me"]);
    assert_eq!(words("other"), (unlearned.clone(), false));
    idiolect(home, &["adapters", "use", "me", &first.to_string()]);

    assert_ne!(train("other"), first);
    assert_eq!([stale("base"), stale("other")], [json!(true), json!(false)]);
    let (relearned, noted) = words("other");
    assert!(!noted && relearned != unlearned);
}

#[test]
fn what_cannot_be_is_refused_and_nothing_is_written() {
    let home = workspace();
    let home = home.path();
    std::fs::write(home.join("bad.jsonl"), "\nquixotic\n").unwrap();
    std::fs::write(home.join("chat.txt"), "31/12/2023, 21:41 - Ben: u coming?\n").unwrap();
    let before = listing(home);
    for (args, code, part) in [
        (&["history", "add", "me", "bad.jsonl"][..], 1, "line 2"),
        (&["history", "add", "me", "chat.txt", "--format", "whatsapp", "--name", "Ana"], 2, "history authors"),
        (&["history", "add", "me", "chat.txt", "--format", "whatsapp"], 2, "--name"),
        (&["history", "stats", "me"], 1, "no profile"),
        (&["history", "remove", "me"], 2, "required"),
        (&["status", "me"], 1, "no profile"),
        (&["train", "--profile", "me", "--model", "base"], 1, "no profile"),
        (&["train", "--profile", "me"], 2, "--model"),
        (&["train", "base", "--profile", "me", "--model", "base"], 2, "cannot be used with"),
        (&["train", "base", "--text", "bad.jsonl"], 2, "--out"),
        (&["adapters", "use", "me", "1"], 1, "no profile"),
        (&["erase", "base", "--yes"], 1, "profile"),
        (&["erase", "me"], 2, "--yes"),
    ] {
        let run = idiolect(home, args);
        assert_eq!(run.code, Some(code), "{args:?}: {}", run.stderr);
        assert!(run.stderr.contains(part), "{args:?}: {}", run.stderr);
        assert!(!run.stderr.contains("quixotic") && !run.stderr.contains("Ben"), "{args:?}: {}", run.stderr);
        assert_eq!(listing(home), before, "{args:?}");
    }
    std::fs::write(home.join("a.txt"), "kettle is on\n").unwrap();
    idiolect(home, &["history", "add", "me", "a.txt", "--json"]).object();
    for (args, part) in [
        (&["adapters", "use", "me", "1"][..], "no adapter version 1"),
        (&["adapters", "rollback", "me"], "before"),
        (&["adapters", "strength", "me", "0.5"], "no version is in use"),
    ] {
        let run = idiolect(home, args);
        assert_eq!(run.code, Some(2), "{args:?}: {}", run.stderr);
        assert!(run.stderr.contains(part), "{args:?}: {}", run.stderr);
    }
}

#[test]
fn the_policy_explains_itself() {
    let home = workspace();
    for (signals, verdict) in [
        (&["--charging", "true", "--idle", "true", "--battery", "0.8", "--low-power", "false"][..], "run"),
        (&["--charging", "false", "--idle", "true"], "wait"),
        (&["--charging", "false", "--running"], "pause"),
    ] {
        let lines = idiolect(home.path(), &[&["policy", "explain", "--json"], signals].concat()).objects();
        let (decision, rules) = lines.split_last().unwrap();
        assert_eq!(decision["verdict"], verdict, "{signals:?}");
        assert!(rules.len() >= 8 && rules.iter().all(|rule| rule["words"].is_string()), "{rules:?}");
        assert_eq!(decision["reasons"].as_array().unwrap().is_empty(), verdict == "run");
    }
}
