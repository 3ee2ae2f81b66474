//! What a training learns of long texts and contexts, and what memory it may take by default.

use std::fs;
use std::path::Path;

use libtest_mimic::Trial;
use serde_json::{Value, json};

use crate::folders::listing;
use crate::run::{idiolect, workspace};
use crate::{input, published, trial};

/// The trials of this subject.
pub fn trials() -> Vec<Trial> {
    vec![
        trial("16: a reply to a long mail is learned", long_mail),
        trial("16: answers in a Hindi chat are learned", hindi_chat),
        trial("long texts are learned whole, in parts", long_texts),
        trial("what is left out is said", left_out),
        trial("what the model refuses costs no other text", refused),
        trial("8: the default plan is the smallest where the usual one is too large", default_plan)
            .with_ignored_flag(published().is_none()),
    ]
}

/// What a training says before its first step, and its steps.
fn train(folder: &Path, file: &str, options: &[&str]) -> (Value, Vec<Value>) {
    let common = ["train", "base", "--text", file, "--out", "a", "--steps", "1", "--device", "cpu", "--json"];
    let mut objects = idiolect(folder, &[&common, options].concat()).objects();
    let prepared = match objects[0]["step"].is_null() {
        true => objects.remove(0),
        false => Value::Null,
    };
    (prepared, objects)
}

fn eval(folder: &Path, file: &str, seq_len: &str) -> Value {
    idiolect(folder, &["eval", "base", "--text", file, "--seq-len", seq_len, "--json", "--device", "cpu"]).object()
}

fn long_mail() {
    let home = workspace();
    let home = home.path();
    fs::copy(input("16/mail.jsonl"), home.join("mail.jsonl")).unwrap();
    let (prepared, steps) = train(home, "mail.jsonl", &[]);
    assert_eq!(steps.len(), 1);
    let samples = &prepared["samples"];
    assert_eq!((&samples["texts"], &samples["samples"]), (&json!(2), &json!(2)));
    assert_eq!(samples["contexts_cut"], 1);
    assert!(samples["context_tokens_cut"].as_u64().unwrap() > 0);
    // Reply and end count in every row that has room for them, whatever there is of the context.
    let whole = eval(home, "mail.jsonl", "1024");
    assert!(whole["samples"].is_null(), "{whole}");
    for seq_len in ["64", "100", "256"] {
        let cut = eval(home, "mail.jsonl", seq_len);
        assert_eq!((&cut["tokens"], &cut["samples"]["contexts_cut"]), (&whole["tokens"], &json!(1)), "{cut}");
    }
    let people = idiolect(home, &["train", "base", "--text", "mail.jsonl", "--out", "b", "--steps", "1"]);
    for shown in [&people.stdout, &people.stderr] {
        assert!(shown.contains("1 context cut at the start, by "), "{shown}");
    }
}

fn hindi_chat() {
    let home = workspace();
    let home = home.path();
    let chat = input("16/chat.txt");
    let train = |profile: &str, seq_len: &str| {
        let common = ["train", "--profile", profile, "--model", "base", "--device", "cpu", "--epochs", "1", "--json"];
        idiolect(home, &[&common[..], &["--seq-len", seq_len]].concat())
    };
    // Answers so alike have one part in training, which the profile's key draws: one time in five, to be measured only.
    let learns = (0..20).map(|number| format!("me{number}")).find(|profile| {
        let add =
            ["history", "add", profile, chat.to_str().unwrap(), "--format", "whatsapp", "--name", "Ana", "--json"];
        assert_eq!(idiolect(home, &add).object()["new"], 40);
        let run = train(profile, "256");
        let nothing = run.stderr.contains("nothing to learn from yet");
        assert!(nothing || run.objects().pop().unwrap()["counts"]["contexts_cut"] == 40, "{}", run.stdout);
        !nothing
    });
    let report = train(&learns.expect("a profile that learns"), "1024").objects().pop().unwrap();
    let counts = &report["counts"];
    assert_eq!((&counts["texts"], &counts["samples"]), (&json!(40), &json!(40)), "{report}");
    assert_eq!(counts["contexts_cut"], 0, "{report}");
}

fn long_texts() {
    let home = workspace();
    let home = home.path();
    let sentences = "we walked along the canal and it was lovely. did you see the ducks? ".repeat(30);
    let hindi = "कल शाम को सब लोग घर पर आ रहे हैं। खाना भी यहीं बनेगा। ".repeat(6);
    let unbroken = "qzxjk".repeat(60);
    let context = "so, what did you do yesterday? ".repeat(40);
    let rows = [json!({"text": sentences}), json!({"text": hindi}), json!({"text": unbroken})];
    let answers = [json!({"text": sentences, "context": context}), json!({"text": "nothing", "context": context})];
    let lines = |rows: &[Value]| rows.iter().map(|row| format!("{row}\n")).collect::<String>();
    fs::write(home.join("alone.jsonl"), lines(&rows)).unwrap();
    fs::write(home.join("answers.jsonl"), lines(&answers)).unwrap();
    for (file, parted, cut) in [("alone.jsonl", 3, 0), ("answers.jsonl", 1, 2)] {
        let tokens = eval(home, file, "1024")["tokens"].clone();
        for seq_len in ["64", "100", "256"] {
            let report = eval(home, file, seq_len);
            // Each token of the person's carries loss once, and each text has one end.
            assert_eq!(report["tokens"], tokens, "{file} in {seq_len}");
            assert_eq!(report["samples"]["contexts_cut"], cut, "{report}");
            let expected = if seq_len == "64" { parted } else { report["samples"]["texts_parted"].as_u64().unwrap() };
            assert_eq!(report["samples"]["texts_parted"], expected, "{report}");
        }
        let (prepared, steps) = train(home, file, &["--seq-len", "64", "--batch-samples", "1000"]);
        assert_eq!(prepared["samples"]["parts"], eval(home, file, "64")["samples"]["parts"]);
        // The first step's loss is that of all samples before the update.
        let (step, report) = (steps[0]["loss"].as_f64().unwrap(), eval(home, file, "64")["nll"].as_f64().unwrap());
        assert!((step - report).abs() < 1e-4, "{step}, not {report}");
    }
}

fn left_out() {
    let home = workspace();
    let home = home.path();
    fs::write(home.join("t.jsonl"), "{\"text\":\" \"}\n{\"text\":\"hello\"}\n{\"text\":\"yes\",\"context\":\"so?\"}\n")
        .unwrap();
    let (prepared, _) = train(home, "t.jsonl", &["--seq-len", "6"]);
    let samples = &prepared["samples"];
    assert_eq!((&samples["texts"], &samples["blank"], &samples["no_room"]), (&json!(3), &json!(1), &json!(1)));
    fs::write(home.join("none.jsonl"), "{\"text\":\"yes\",\"context\":\"so?\"}\n").unwrap();
    let args = ["train", "base", "--text", "none.jsonl", "--out", "b", "--seq-len", "6", "--device", "cpu"];
    let before = listing(home);
    let refused = idiolect(home, &args);
    assert_eq!(refused.code, Some(1));
    assert_eq!(listing(home), before);
    assert!(refused.stderr.contains("room for more than the model's chat template"), "{}", refused.stderr);
}

fn refused() {
    let home = workspace();
    let home = home.path();
    let template = "{% for m in messages %}{% if 'zebra' in m.content %}{{ raise_exception('no such words') }}{% endif %}\
                    <|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}";
    fs::write(home.join("base/chat_template.jinja"), template).unwrap();
    // A token of the vocabulary for which the model, of 8,192 tokens, has no row.
    let path = home.join("base/tokenizer.json");
    let mut tokenizer: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
    let mut added = tokenizer["added_tokens"][0].clone();
    (added["id"], added["content"], added["special"]) = (json!(8192), json!("<beyond>"), json!(false));
    tokenizer["added_tokens"].as_array_mut().unwrap().push(added);
    fs::write(&path, tokenizer.to_string()).unwrap();

    let good = "{\"text\":\"hello there\"}\n{\"text\":\"yes\",\"context\":\"so?\"}\n";
    let bad = "{\"text\":\"no\",\"context\":\"a zebra?\"}\n{\"text\":\"it is <beyond> me\"}\n";
    for (name, rows) in [("good.jsonl", good.to_owned()), ("mixed.jsonl", format!("{bad}{good}"))] {
        fs::write(home.join(name), rows).unwrap();
    }
    let whole = eval(home, "good.jsonl", "64");
    let report = eval(home, "mixed.jsonl", "64");
    assert_eq!((&report["nll"], &report["samples"]["refused"]), (&whole["nll"], &json!(2)), "{report}");
    let (prepared, steps) = train(home, "mixed.jsonl", &[]);
    assert_eq!((&prepared["samples"]["refused"], steps.len()), (&json!(2), 1), "{prepared}");
    let people = idiolect(home, &["eval", "base", "--text", "mixed.jsonl", "--device", "cpu"]);
    assert!(people.stdout.contains("2 texts left out: the model's chat template or vocabulary refuses them"));

    fs::write(home.join("bad.jsonl"), bad).unwrap();
    for command in [&["train", "base", "--out", "b"][..], &["eval", "base"]] {
        let before = listing(home);
        let run = idiolect(home, &[command, &["--text", "bad.jsonl", "--device", "cpu"]].concat());
        assert_eq!((run.code, listing(home)), (Some(1), before));
        assert!(run.stderr.contains("the model's chat template refuses the conversation"), "{}", run.stderr);
    }
}

fn default_plan() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let model = published().unwrap();
    let model = model.to_str().unwrap();
    fs::write(home.join("t.txt"), "hello there\n").unwrap();
    let usual = json!(350_000_000);
    let plan = |options: &[&str]| idiolect(home, &[&["plan", model, "--device", "cpu", "--json"], options].concat());
    let default = plan(&[]).object();
    assert!(default["exceeded_budget_bytes"].is_null() && default["total_bytes"].as_u64() <= usual.as_u64());
    for (number, options) in [["--seq-len", "2048"], ["--rank", "64"]].iter().enumerate() {
        let smallest = plan(options).object();
        assert_eq!(smallest["exceeded_budget_bytes"], usual, "{smallest}");
        assert_eq!(smallest["recomputed_attention"], 30, "{smallest}");
        let total = smallest["total_bytes"].as_u64().unwrap();
        // A budget that was asked for refuses, to the byte where the smallest plan begins.
        let least = total.div_ceil(1_000_000);
        let within = |budget: u64| plan(&[&options[..], &["--budget-mb", &budget.to_string()]].concat());
        assert!(within(least).object()["exceeded_budget_bytes"].is_null());
        assert_eq!(within(least - 1).code, Some(1));
        let out = format!("a{number}");
        let train = ["train", model, "--text", "t.txt", "--out", &out, "--steps", "1", "--device", "cpu", "--json"];
        let run = idiolect(home, &[&train[..], options].concat());
        let objects = run.objects();
        assert_eq!((objects.len(), &objects[0]["exceeded_budget_bytes"]), (2, &usual), "{}", run.stdout);
        assert!(run.stderr.contains("none keeps to the usual 350.0 MB"), "{}", run.stderr);
    }
}
