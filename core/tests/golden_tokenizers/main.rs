//! Tokenizers against the ids that Hugging Face `tokenizers` gives: published ones, whose files lie beside the repository
//! in `../shared/data` (where they do not, their tests are ignored), and small ones made for what GGUF files name.

mod made;
mod published;

use std::fs;
use std::path::Path;

use idiolect::generate::TextStream;
use idiolect::text::Tokenizer;
use libtest_mimic::{Arguments, Failed, Trial};
use serde_json::Value;

fn main() {
    let arguments = Arguments::from_args();
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut trials: Vec<Trial> = made::trials(&repository.join("tests/goldens/gguf_tokenizers"));
    trials.extend(published::trials(&repository));
    libtest_mimic::run(&arguments, trials).exit();
}

/// The text of `ids`, as it is streamed.
fn stream(tokenizer: &Tokenizer, ids: &[u32]) -> idiolect::Result<String> {
    let mut stream = TextStream::new(tokenizer, &[])?;
    let mut text = String::new();
    for id in ids {
        text.push_str(&stream.push(*id)?.text);
    }
    text.push_str(&stream.finish()?.text);
    Ok(text)
}

fn read(path: &Path) -> Result<Value, Failed> {
    let bytes = fs::read(path).map_err(|cause| format!("{}: {cause}", path.display()))?;
    Ok(serde_json::from_slice(&bytes)?)
}

fn ids(value: &Value) -> Result<Vec<u32>, Failed> {
    let ids = value.as_array().and_then(|ids| ids.iter().map(|id| id.as_u64().map(|id| id as u32)).collect());
    ids.ok_or_else(|| "not ids".into())
}

fn texts(value: &Value) -> Result<Vec<String>, Failed> {
    let texts = value.as_array().and_then(|texts| texts.iter().map(|text| text.as_str().map(str::to_owned)).collect());
    texts.ok_or_else(|| "not texts".into())
}

fn same<T: PartialEq + std::fmt::Debug>(what: &str, text: &str, found: &T, expected: &T) -> Result<(), Failed> {
    if found == expected { Ok(()) } else { Err(format!("{what} of {text:?}: {found:?}, not {expected:?}").into()) }
}
