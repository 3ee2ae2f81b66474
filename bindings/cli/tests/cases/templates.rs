//! Chat templates, the tokens that end a turn, and what else model files hold that other readers take as it is.

use std::fs;
use std::path::Path;

use libtest_mimic::Trial;
use serde_json::{Value, json};

use crate::gguf::Gguf;
use crate::run::{idiolect, workspace};
use crate::{input, published, trial};

/// The trials of this subject.
pub fn trials() -> Vec<Trial> {
    let on_published = |name: &str, change: fn(Gguf) -> Gguf| {
        trial(name, move || answers_as_published(change)).with_ignored_flag(published().is_none())
    };
    vec![
        trial("17: a template's line ends change nothing", line_ends),
        on_published("17: a GGUF template's line ends change nothing", |gguf| {
            let template = gguf.text(TEMPLATE).replace('\n', "\r\n");
            gguf.set_text(TEMPLATE, template.as_bytes())
        }),
        on_published("19: generation stops at eot beside eos", |gguf| gguf.set_id(EOS, 0).set_id(EOT, 2)),
        on_published("19: and at eom", |gguf| gguf.set_id(EOS, 2).set_id(EOT, 0).set_id(EOM, 1)),
        on_published("19: and where the template alone tells the end", |gguf| gguf.set_id(EOS, 0)),
        on_published("a GGUF file without token types", |gguf| gguf.remove("tokenizer.ggml.token_type")),
        on_published("a GGUF description in Latin-1", |gguf| gguf.set_text("general.description", b"caf\xe9")),
        trial("JSON with NaN or a byte order mark", json_of_python),
    ]
}

const TEMPLATE: &str = "tokenizer.chat_template";
const EOS: &str = "tokenizer.ggml.eos_token_id";
const EOT: &str = "tokenizer.ggml.eot_token_id";
const EOM: &str = "tokenizer.ggml.eom_token_id";

/// The loss of an exchange under a model in `folder`.
fn loss(folder: &Path, model: &str) -> Value {
    idiolect(folder, &["eval", model, "--text", "turn.jsonl", "--json", "--device", "cpu"]).object()
}

fn line_ends() {
    let home = workspace();
    let home = home.path();
    fs::copy(input("17/turn.jsonl"), home.join("turn.jsonl")).unwrap();
    let template = home.join("base/chat_template.jinja");
    fs::copy(input("17/lf.jinja"), &template).unwrap();
    let expected = loss(home, "base");
    fs::copy(input("17/crlf.jinja"), &template).unwrap();
    assert_eq!(loss(home, "base"), expected);
    let source = fs::read_to_string(input("17/lf.jinja")).unwrap();
    fs::write(&template, source.replace('\n', "\r")).unwrap();
    assert_eq!(loss(home, "base"), expected);
    // As Jinja2 renders it: a template of other text gives another loss.
    fs::write(&template, source.replace("{{ m[\"content\"] }}", "{{ m[\"content\"] }}{{ '\\r' }}")).unwrap();
    assert_ne!(loss(home, "base"), expected);
}

/// What a model answers.
fn answer(folder: &Path, model: &Path) -> Value {
    let question = ["--chat", "--temperature", "0", "--max-tokens", "40", "--prompt", "What is the capital of France?"];
    let common = ["generate", model.to_str().unwrap(), "--device", "cpu", "--json"];
    let mut answer = idiolect(folder, &[&common[..], &question].concat()).object();
    answer.as_object_mut().unwrap().retain(|key, _| !key.ends_with("seconds") && !key.ends_with("per_second"));
    answer
}

fn answers_as_published(change: fn(Gguf) -> Gguf) {
    let home = tempfile::tempdir().unwrap();
    let original = published().unwrap();
    let changed = home.path().join("changed.gguf");
    change(Gguf::read(&original)).write(&changed);
    let answered = answer(home.path(), &changed);
    assert!(answered["text"].as_str().unwrap().contains("Paris"), "{answered}");
    assert_eq!(answered, answer(home.path(), &original));
    let info = idiolect(home.path(), &["info", changed.to_str().unwrap(), "--json"]).object();
    assert_eq!(info["end_of_turn"], json!("<|im_end|>"), "a turn is learned with the end that the template gives it");
}

fn json_of_python() {
    let home = workspace();
    let home = home.path();
    fs::copy(input("17/turn.jsonl"), home.join("turn.jsonl")).unwrap();
    let expected = loss(home, "base");
    for file in ["config.json", "generation_config.json", "tokenizer_config.json", "tokenizer.json"] {
        let path = home.join("base").join(file);
        let text = fs::read_to_string(&path).unwrap();
        let marked = text.replacen('{', "{\"unused\": [NaN, -Infinity, {\"NaN\": Infinity}],", 1);
        fs::write(&path, format!("\u{feff}{marked}")).unwrap();
        assert_eq!(loss(home, "base"), expected, "{file}");
        fs::write(&path, text).unwrap();
    }
    // A number that is needed has to be one.
    let path = home.join("base/config.json");
    let text = fs::read_to_string(&path).unwrap();
    let mut fields: Value = serde_json::from_str(&text).unwrap();
    fields["rms_norm_eps"] = json!("?");
    fs::write(&path, fields.to_string().replace("\"?\"", "NaN")).unwrap();
    let refused = idiolect(home, &["eval", "base", "--text", "turn.jsonl", "--device", "cpu"]);
    assert_eq!(refused.code, Some(1));
    assert!(refused.stderr.contains("config.json: rms_norm_eps: not a number"), "{}", refused.stderr);
}
