//! Published tokenizers against golden ids made with Hugging Face `tokenizers` for 17 edge-case strings, which lie
//! beside the repository in `../shared/data`; where they do not, the tests are ignored.

use std::fs;
use std::path::{Path, PathBuf};

use idiolect::ErrorKind;
use idiolect::generate::TextStream;
use idiolect::text::{GgufVocabulary, Tokenizer};
use libtest_mimic::{Arguments, Failed, Trial};
use serde_json::Value;

/// The name of the golden cases, the folder of the tokenizer, and what a GGUF file would call its pre-tokenizer.
const TOKENIZERS: [(&str, &str, Option<&str>); 5] = [
    ("smollm2", "tokenizers/smollm2", Some("smollm")),
    ("gpt2", "tokenizers/gpt2", Some("gpt-2")),
    ("qwen2.5", "tokenizers/qwen2.5", Some("qwen2")),
    ("llama2", "tokenizers/llama2", None),
    ("stories260K-hf", "models/stories260K", None),
];

fn main() {
    let arguments = Arguments::from_args();
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data");
    let absent = !data.join("tokenizers/golden_ids.json").exists();
    let mut trials = Vec::new();
    for (name, folder, pre) in TOKENIZERS {
        let at = data.clone();
        trials.push(Trial::test(format!("{name}::folder"), move || {
            check(&at, name, &Tokenizer::from_folder(&at.join(folder)).map_err(|error| error.to_string())?)
        }));
        if let Some(pre) = pre {
            let at = data.clone();
            trials.push(Trial::test(format!("{name}::gguf"), move || {
                let vocabulary = as_gguf(&read(&at.join(folder).join("tokenizer.json"))?, pre)?;
                let tokenizer = Tokenizer::from_gguf(&vocabulary, Path::new("model.gguf"));
                check(&at, name, &tokenizer.map_err(|error| error.to_string())?)
            }));
        }
    }
    let at = data.clone();
    trials.push(Trial::test("idiolect-base-7m::folder", move || embedded_model(&at)));
    trials.push(Trial::test("damaged::folder", move || damaged(&data)));
    let trials = trials.into_iter().map(|trial| trial.with_ignored_flag(absent)).collect();
    libtest_mimic::run(&arguments, trials).exit();
}

/// Every golden string of `name`: ids, text, and text streamed.
fn check(data: &Path, name: &str, tokenizer: &Tokenizer) -> Result<(), Failed> {
    let golden = read(&data.join("tokenizers/golden_ids.json"))?;
    let cases = golden["cases"][name].as_array().ok_or("no such cases")?;
    for case in cases {
        let text = case["text"].as_str().ok_or("text")?;
        let expected = ids(&case["ids_no_special"])?;
        let decoded = case["decoded"].as_str().ok_or("decoded")?;
        let found = tokenizer.encode_with_controls(text).map_err(|error| error.to_string())?;
        same("ids", text, &found, &expected)?;

        let plain = tokenizer.encode(text).map_err(|error| error.to_string())?;
        if !expected.iter().any(|id| tokenizer.is_control(*id)) {
            same("plain ids", text, &plain, &expected)?;
            same("text", text, &tokenizer.decode(&plain).map_err(|error| error.to_string())?.as_str(), &decoded)?;
        } else if plain.iter().any(|id| tokenizer.is_control(*id)) {
            return Err(format!("{text:?}: a control token from text").into());
        }
        let streamed = stream(tokenizer, &plain).map_err(|error| error.to_string())?;
        same("streamed", text, &Ok(streamed), &tokenizer.decode(&plain))?;
    }
    if cases.len() == 17 { Ok(()) } else { Err(format!("{} cases", cases.len()).into()) }
}

/// The embedded model's tokenizer has no golden ids; its model card says what its special ids are.
fn embedded_model(data: &Path) -> Result<(), Failed> {
    let tokenizer = Tokenizer::from_folder(&data.join("models/idiolect-base-7m")).map_err(|error| error.to_string())?;
    same("document start", "", &tokenizer.document_start(), &Some(0))?;
    same("end of turn", "", &tokenizer.end_of_turn(), &Some(2))?;
    same("vocabulary", "", &tokenizer.vocab_size(), &8192)?;
    let (ids, first) = tokenizer.encode_turn("hi", "ok 12").map_err(|error| error.to_string())?;
    same("prompt", "", &tokenizer.decode(&ids[..first]), &Ok("user\nhi\nassistant\n".to_owned()))?;
    same("reply", "", &tokenizer.decode(&ids[first..]), &Ok("ok 12".to_owned()))
}

/// A file with its spaces lost is refused with its name and the place.
fn damaged(data: &Path) -> Result<(), Failed> {
    let dir = tempfile::tempdir()?;
    fs::copy(data.join("tokenizers/llama2/tokenizer.corrupt-as-committed.json"), dir.path().join("tokenizer.json"))?;
    let error = Tokenizer::from_folder(dir.path()).err().ok_or("it was accepted")?;
    same("kind", "", &error.kind(), &ErrorKind::BadFile)?;
    let clear = error.message().contains("tokenizer.json") && error.message().contains("merge");
    if clear { Ok(()) } else { Err(error.to_string().into()) }
}

/// What the metadata of a GGUF file made from `tokenizer.json` would be.
fn as_gguf(file: &Value, pre: &str) -> Result<GgufVocabulary, Failed> {
    let vocab = file["model"]["vocab"].as_object().ok_or("vocab")?;
    let added = file["added_tokens"].as_array().ok_or("added_tokens")?;
    let mut tokens: Vec<(u64, &str, i32)> =
        vocab.iter().filter_map(|(token, id)| Some((id.as_u64()?, token.as_str(), 1))).collect();
    for token in added {
        let id = token["id"].as_u64().ok_or("id")?;
        tokens.retain(|(other, _, _)| *other != id);
        let kind = if token["special"] == true { 3 } else { 4 };
        tokens.push((id, token["content"].as_str().ok_or("content")?, kind));
    }
    tokens.sort_unstable();
    let merge = |merge: &Value| match merge {
        Value::Array(pair) => Some(format!("{} {}", pair.first()?.as_str()?, pair.get(1)?.as_str()?)),
        line => line.as_str().map(str::to_owned),
    };
    let merges = file["model"]["merges"].as_array().ok_or("merges")?;
    Ok(GgufVocabulary {
        model: "gpt2".into(),
        pre: pre.into(),
        merges: merges.iter().map(merge).collect::<Option<_>>().ok_or("a merge")?,
        token_types: tokens.iter().map(|(_, _, kind)| *kind).collect(),
        tokens: tokens.into_iter().map(|(_, token, _)| token.to_owned()).collect(),
        ..GgufVocabulary::default()
    })
}

fn stream(tokenizer: &Tokenizer, ids: &[u32]) -> idiolect::Result<String> {
    let mut stream = TextStream::new(tokenizer, &[])?;
    let mut text = String::new();
    for id in ids {
        text.push_str(&stream.push(*id)?.text);
    }
    text.push_str(&stream.finish()?.text);
    Ok(text)
}

fn read(path: &PathBuf) -> Result<Value, Failed> {
    let bytes = fs::read(path).map_err(|cause| format!("{}: {cause}", path.display()))?;
    Ok(serde_json::from_slice(&bytes)?)
}

fn ids(value: &Value) -> Result<Vec<u32>, Failed> {
    let ids = value.as_array().and_then(|ids| ids.iter().map(|id| id.as_u64().map(|id| id as u32)).collect());
    ids.ok_or_else(|| "not ids".into())
}

fn same<T: PartialEq + std::fmt::Debug>(what: &str, text: &str, found: &T, expected: &T) -> Result<(), Failed> {
    if found == expected { Ok(()) } else { Err(format!("{what} of {text:?}: {found:?}, not {expected:?}").into()) }
}
