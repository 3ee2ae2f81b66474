//! Rows that are not as they should be, rows that come again, and what is printed of them.

use std::fs;
use std::path::Path;

use libtest_mimic::Trial;
use serde_json::{Value, json};

use crate::folders::listing;
use crate::run::{Run, idiolect, workspace};
use crate::{input, trial};

/// The trials of this subject.
pub fn trials() -> Vec<Trial> {
    vec![
        trial("14: a lone surrogate costs its row, and its line is named", lone_surrogate),
        trial("15: milliseconds are told from seconds, and a file added again counts once", milliseconds),
        trial("bad rows of every kind are skipped and named", kinds),
        trial("a file with nothing but bad rows is refused and makes no profile", nothing_but_bad_rows),
        trial("training and measuring skip the same rows", training_and_measuring),
        trial("another text under a known id is an edit, and an origin is kept by its name", edits_and_origins),
        trial("a later export adds what is new, and chats of one file's name stay two", exports),
        trial("what is printed to no terminal comes once", printed_once),
    ]
}

fn add(home: &Path, more: &[&str]) -> Value {
    idiolect(home, &[&["history", "add", "me", "--json"], more].concat()).object()
}

fn counts(added: &Value) -> [u64; 4] {
    ["new", "repeated", "known", "skipped"].map(|count| added[count].as_u64().unwrap_or_else(|| panic!("{added}")))
}

fn texts(home: &Path) -> Vec<String> {
    let rows = idiolect(home, &["history", "list", "me", "--json", "--limit", "10000"]).objects();
    rows.iter().map(|row| row["text"].as_str().unwrap().to_owned()).collect()
}

fn lone_surrogate() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let file = input("14/messages.jsonl");
    let added = add(home, &[file.to_str().unwrap()]);
    assert_eq!(counts(&added), [2, 0, 0, 1]);
    assert_eq!(added["skipped_rows"], json!([{ "line": 2, "why": "text: half of a surrogate pair" }]));
    assert_eq!(texts(home), ["good night", "ok, see you at nine"]);
    let people = idiolect(home, &["history", "add", "others", file.to_str().unwrap()]);
    let expected = "2 new, 0 repeats\nskipped 1 bad row: line 2 (text: half of a surrogate pair)\n";
    assert_eq!((people.code, people.stdout.as_str()), (Some(0), expected));
}

fn milliseconds() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let about = ["tea", "rain", "work", "cats", "music"];
    let row = |text: String, time: String| format!("{{\"text\": \"{text}\", \"timestamp\": {time}}}\n");
    let rows =
        (0..1000).map(|i| row(format!("message number {i} about {}", about[i % 5]), (1_700_000_000 + i).to_string()));
    let rows: String = rows.collect();
    let write = |time: &str| {
        fs::write(home.join("sms.jsonl"), rows.clone() + &row("sent from the other phone".into(), time.into()))
    };
    write("1701990508000").unwrap();
    assert_eq!(counts(&add(home, &["sms.jsonl"])), [1001, 0, 0, 0]);
    // The same time in seconds, in microseconds and as text: it is the same row.
    for same in ["1701990508000", "1701990508", "1701990508000000", "\"1701990508\"", "\"2023-12-07T23:08:28Z\""] {
        write(same).unwrap();
        assert_eq!(counts(&add(home, &["sms.jsonl"])), [0, 0, 1001, 0], "{same}");
    }
    let stats = idiolect(home, &["history", "stats", "me", "--json"]).object();
    assert_eq!((&stats["messages"], &stats["to"]), (&json!(1001), &json!(1_701_990_508)));
}

fn kinds() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let long = "x".repeat((1 << 20) + 1);
    let mut content = b"\xef\xbb\xbf{\"text\":\"one\",\"timestamp\":\"1700000000\"}\r\n\r\n".to_vec();
    let bad: [&[u8]; 10] = [
        b"{\"text\":null}",
        b"{\"text\":7}",
        b"{\"timestamp\":1700000000}",
        b"{\"text\":\"sesame \xff\"}",
        b"[\"sesame\"]",
        b"sesame",
        b"{\"text\":\"sesame\",\"timestamp\":\"soon\"}",
        b"{\"text\":\"sesame\",\"text\":\"sesame\"}",
        b"{\"text\":\"sesame\",\"origin\":7}",
        b"{\"text\":\"sesame\",\"incognito\":\"yes\"}",
    ];
    for line in bad {
        content.extend([line, b"\r\n"].concat());
    }
    content.extend(format!("{{\"text\":\"{long}\"}}\n{{\"text\":\" \"}}\n{{\"text\":\"two\"}}").into_bytes());
    fs::write(home.join("all.jsonl"), content).unwrap();
    let run = idiolect(home, &["history", "add", "me", "all.jsonl", "--json"]);
    assert!(!(run.stdout.clone() + &run.stderr).contains("sesame"), "{}", run.stdout);
    let added = run.object();
    assert_eq!(counts(&added), [2, 0, 0, 11]);
    assert_eq!(added["blank"], 1);
    let lines: Vec<u64> =
        added["skipped_rows"].as_array().unwrap().iter().map(|row| row["line"].as_u64().unwrap()).collect();
    assert_eq!(lines, (3..=13).collect::<Vec<_>>());
    assert_eq!(texts(home), ["two", "one"]);

    let lines = format!("one\n{long}\nthree\n");
    fs::write(home.join("lines.txt"), [lines.as_bytes(), b"f\xffur\n"].concat()).unwrap();
    let added = add(home, &["lines.txt"]);
    assert_eq!(counts(&added), [1, 1, 0, 2]);
    assert_eq!([&added["skipped_rows"][0]["line"], &added["skipped_rows"][1]["line"]], [&json!(2), &json!(4)]);
}

fn nothing_but_bad_rows() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    for (content, part) in [
        ("{\"text\":null}\n", "bad.jsonl: line 1: text: missing"),
        ("[{\"text\":\"sesame\"},\n {\"text\":\"sesame\"}]\n", "bad.jsonl: line 1: not a JSON object"),
        ("\u{fffd}sesame\n", "hint: write one JSON object a line"),
    ] {
        fs::write(home.join("bad.jsonl"), content).unwrap();
        let run = idiolect(home, &["history", "add", "me", "bad.jsonl"]);
        assert_eq!((run.code, run.stdout.as_str()), (Some(1), ""), "{}", run.stderr);
        assert!(run.stderr.contains(part) && !run.stderr.contains("sesame"), "{}", run.stderr);
        assert_eq!(listing(home), [home.join("bad.jsonl")]);
    }
}

fn training_and_measuring() {
    let home = workspace();
    let home = home.path();
    let good = ["kettle is on if youre passing x", "right then duck, off to bed", "six locks and no rain today"];
    let rows = good.map(|text| format!("{{\"text\":\"{text}\"}}\n"));
    fs::write(home.join("good.jsonl"), rows.concat()).unwrap();
    let bad = ["{\"text\":null}\n", "{\"text\":\"a secret\",\"incognito\":true}\n", "{\"text\":\"half \\udc00\"}\n"];
    fs::write(home.join("bad.jsonl"), rows.join(bad[0]) + bad[1] + bad[2]).unwrap();
    let eval = |file: &str| idiolect(home, &["eval", "base", "--text", file, "--json", "--device", "cpu"]).object();
    let (of_good, of_bad) = (eval("good.jsonl"), eval("bad.jsonl"));
    assert_eq!((&of_good["nll"], &of_good["tokens"]), (&of_bad["nll"], &of_bad["tokens"]));
    assert!(of_good.get("skipped").is_none());
    let skipped = json!([
        { "line": 2, "why": "text: missing" },
        { "line": 4, "why": "text: missing" },
        { "line": 7, "why": "text: half of a surrogate pair" },
    ]);
    assert_eq!((&of_bad["skipped"], &of_bad["skipped_rows"]), (&json!(3), &skipped));

    let train = |file: &str, json: bool| {
        let args = ["train", "base", "--text", file, "--out", "a", "--steps", "2", "--device", "cpu"];
        let run = idiolect(home, &[&args[..], if json { &["--json"] } else { &[] }].concat());
        fs::remove_dir_all(home.join("a")).unwrap();
        run
    };
    let objects = train("bad.jsonl", true).objects();
    assert_eq!(objects[0], json!({ "skipped": 3, "skipped_rows": skipped }));
    let losses = |objects: &[Value]| objects.iter().map(|step| step["loss"].clone()).collect::<Vec<_>>();
    assert_eq!(losses(&objects[1..]), losses(&train("good.jsonl", true).objects()));
    let people = train("bad.jsonl", false).stderr;
    assert!(people.contains("skipped 3 bad rows: line 2 (text: missing), line 4"), "{people}");
}

fn edits_and_origins() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let row =
        |id: &str, text: &str, origin: &str| json!({ "id": id, "text": text, "origin": origin }).to_string() + "\n";
    let write = |rows: [String; 3]| fs::write(home.join("rows.jsonl"), rows.concat()).unwrap();
    let rest = [row("2", "sounds good", "suggestion_accepted"), row("3", "note to self", "dictated")];
    let with = |first: String| [first, rest[0].clone(), rest[1].clone()];
    write(with(row("1", "see you at nine", "")));
    assert_eq!(counts(&add(home, &["rows.jsonl"])), [3, 0, 0, 0]);
    write(with(row("1", "see you at ten", "suggestion_edited")));
    let added = add(home, &["rows.jsonl"]);
    assert_eq!((counts(&added), &added["replaced"]), ([0, 0, 2, 0], &json!(1)));
    let people = idiolect(home, &["history", "add", "me", "rows.jsonl"]);
    assert_eq!(people.stdout, "0 new, 0 repeats, 3 known already\n");
    let rows = idiolect(home, &["history", "list", "me", "--json"]).objects();
    let rows: Vec<_> =
        rows.iter().map(|row| [&row["text"], &row["origin"]].map(|value| value.as_str().unwrap())).collect();
    let expected =
        [["see you at ten", "suggestion_edited"], ["note to self", "dictated"], ["sounds good", "suggestion_accepted"]];
    assert_eq!(rows, expected);
    let one = json!({ "samples": 1, "messages": 1 });
    let stats = idiolect(home, &["history", "stats", "me", "--json"]).object();
    let origins = json!({ "suggestion_edited": one, "dictated": one, "suggestion_accepted": one });
    assert_eq!((&stats["messages"], &stats["origins"]), (&json!(3), &origins));
    let status = idiolect(home, &["status", "me", "--json"]).object();
    let learned = ["trains", "validates", "held_out"].map(|part| status[part]["samples"].as_u64().unwrap());
    assert_eq!(learned.iter().sum::<u64>(), 1, "{status}");
}

fn exports() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let line =
        |day: usize, time: &str, author: &str, text: &str| format!("[{day:02}/12/2023, {time}] {author}: {text}\n");
    // Two "ok" of one minute, as phones without seconds write them.
    let chat = |partner: &str| {
        line(30, "21:40", "Ana", "hi")
            + &line(30, "21:41", partner, "u coming?")
            + &line(30, "21:42", "Ana", "ok")
            + &line(30, "21:42", "Ana", "ok")
            + &line(31, "09:00", "Ana", "good morning")
    };
    let write = |folder: &str, text: String| {
        fs::create_dir_all(home.join(folder)).unwrap();
        fs::write(home.join(folder).join("_chat.txt"), text).unwrap();
    };
    let take = |folder: &str| {
        let file = format!("{folder}/_chat.txt");
        counts(&add(home, &[&file, "--format", "whatsapp", "--name", "Ana"]))
    };
    write("ben", chat("Ben"));
    assert_eq!(take("ben"), [3, 1, 0, 0]);
    assert_eq!(take("ben"), [0, 0, 4, 0]);
    // More of it, by somebody new, and one "ok" more in a minute that was told already; renamed; from a later message on.
    let more = line(31, "09:00", "Cy", "back yet?")
        + &line(31, "09:05", "Ana", "no")
        + &line(31, "09:05", "Ana", "good morning");
    write("ben", chat("Ben") + &more);
    assert_eq!(take("ben"), [2, 0, 4, 0]);
    fs::rename(home.join("ben"), home.join("moved")).unwrap();
    assert_eq!(take("moved"), [0, 0, 6, 0]);
    let later = chat("Ben").lines().skip(1).map(|line| format!("{line}\n")).collect::<String>() + &more;
    write("later", later);
    assert_eq!(take("later")[..3].iter().sum::<u64>(), 5);
    // The same words at the same times with somebody else.
    write("cy", chat("Cy"));
    let [new, repeated, known, _] = take("cy");
    assert_eq!((new + repeated, known), (4, 0), "another chat's messages count");
    assert_eq!(take("cy"), [0, 0, 4, 0]);
}

fn printed_once() {
    let home = workspace();
    let home = home.path();
    let history = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/history.jsonl");
    let history = history.to_str().unwrap();
    let done = |args: &[&str]| -> Run {
        let run = idiolect(home, args);
        assert_eq!(run.code, Some(0), "{}", run.stderr);
        run.check_no_line_comes_twice();
        run
    };
    // On whatever device there is: looking for one prints nothing either.
    let bench = done(&["bench", "base"]);
    assert!(bench.stderr.contains("5/6") && bench.stdout.contains("decode"), "{}", bench.stderr);
    let train = done(&["train", "base", "--text", history, "--out", "a", "--steps", "12"]);
    assert!(train.stderr.contains("12/12"), "{}", train.stderr);
    done(&["history", "add", "me", history]);
    let learn = done(&["train", "--profile", "me", "--model", "base", "--steps", "12"]);
    assert!(learn.stderr.contains("12/12") && learn.stderr.contains("measuring"), "{}", learn.stderr);
    done(&["status", "me", "--model", "base"]);
}
