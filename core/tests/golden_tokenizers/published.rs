//! Published tokenizers against golden ids made with Hugging Face `tokenizers` for 17 edge-case strings, and in the form of
//! a GGUF file against their own folders on the goldens' lines.

use std::fs;
use std::path::Path;

use idiolect::ErrorKind;
use idiolect::text::{GgufVocabulary, Tokenizer};
use libtest_mimic::{Failed, Trial};
use serde_json::Value;

use crate::{ids, made, read, same, stream};

/// What a GGUF file is made of for a tokenizer.
#[derive(Clone, Copy)]
enum Gguf {
    /// Of `tokenizer.json`, under this name of a pre-tokenizer.
    Words(&'static str),
    /// Of SentencePiece's `tokenizer.model`.
    Pieces,
}

/// The name of the golden cases, the folder of the tokenizer, and what a GGUF file would be made of.
const TOKENIZERS: [(&str, &str, Option<Gguf>); 5] = [
    ("smollm2", "tokenizers/smollm2", Some(Gguf::Words("smollm"))),
    ("gpt2", "tokenizers/gpt2", Some(Gguf::Words("gpt-2"))),
    ("qwen2.5", "tokenizers/qwen2.5", Some(Gguf::Words("qwen2"))),
    ("llama2", "tokenizers/llama2", Some(Gguf::Pieces)),
    ("stories260K-hf", "models/stories260K", None),
];

pub fn trials(repository: &Path) -> Vec<Trial> {
    let (data, goldens) = (repository.join("../shared/data"), repository.join("tests/goldens/gguf_tokenizers"));
    let absent = !data.join("tokenizers/golden_ids.json").exists();
    let mut trials = Vec::new();
    for (name, folder, gguf) in TOKENIZERS {
        let at = data.clone();
        trials.push(Trial::test(format!("{name}::folder"), move || {
            check(&at, name, &Tokenizer::from_folder(&at.join(folder)).map_err(|error| error.to_string())?, true)
        }));
        if let Some(gguf) = gguf {
            let (at, goldens) = (data.clone(), goldens.clone());
            trials.push(Trial::test(format!("{name}::gguf"), move || {
                let folder = at.join(folder);
                let vocabulary = match gguf {
                    Gguf::Words(pre) => of_words(&read(&folder.join("tokenizer.json"))?, pre)?,
                    Gguf::Pieces => of_pieces(&fs::read(folder.join("tokenizer.model"))?).ok_or("tokenizer.model")?,
                };
                let tokenizer = Tokenizer::from_gguf(&vocabulary, Path::new("model.gguf"));
                let tokenizer = tokenizer.map_err(|error| error.to_string())?;
                check(&at, name, &tokenizer, matches!(gguf, Gguf::Words(_)))?;
                let original = Tokenizer::from_folder(&folder).map_err(|error| error.to_string())?;
                for line in made::lines(&goldens)? {
                    same("ids", &line, &tokenizer.encode(&line), &original.encode(&line))?;
                }
                Ok(())
            }));
        }
    }
    let at = data.clone();
    trials.push(Trial::test("idiolect-base-7m::folder", move || embedded_model(&at)));
    trials.push(Trial::test("damaged::folder", move || damaged(&data)));
    trials.into_iter().map(|trial| trial.with_ignored_flag(absent)).collect()
}

/// Every golden string of `name`: ids, text, and text streamed; the ids of control tokens where `controls`. Llama 2's are
/// looked for after its spaces are spelled, which its `tokenizer.json` says and no GGUF file.
fn check(data: &Path, name: &str, tokenizer: &Tokenizer, controls: bool) -> Result<(), Failed> {
    let golden = read(&data.join("tokenizers/golden_ids.json"))?;
    let cases = golden["cases"][name].as_array().ok_or("no such cases")?;
    for case in cases {
        let text = case["text"].as_str().ok_or("text")?;
        let expected = ids(&case["ids_no_special"])?;
        let decoded = case["decoded"].as_str().ok_or("decoded")?;
        let found = tokenizer.encode_with_controls(text).map_err(|error| error.to_string())?;
        let spells_control = [&found, &expected].iter().any(|ids| ids.iter().any(|id| tokenizer.is_control(*id)));
        if controls || !spells_control {
            same("ids", text, &found, &expected)?;
        }

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
fn of_words(file: &Value, pre: &str) -> Result<GgufVocabulary, Failed> {
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

/// What the metadata of a GGUF file made from SentencePiece's `tokenizer.model` would be. It is a protocol buffer: field 1
/// of the model is a piece, whose fields are its text (1), its score (2) and its type (3, 1 where it is left out).
fn of_pieces(model: &[u8]) -> Option<GgufVocabulary> {
    let mut vocabulary =
        GgufVocabulary { model: "llama".into(), unknown: Some(0), bos: Some(1), eos: Some(2), ..Default::default() };
    for piece in fields(model)?.into_iter().filter(|(number, _)| *number == 1) {
        let (mut text, mut score, mut kind) = (String::new(), 0.0, 1);
        for (number, value) in fields(piece.1)? {
            match number {
                1 => text = String::from_utf8(value.to_vec()).ok()?,
                2 => score = f32::from_le_bytes(value.try_into().ok()?),
                3 => kind = i32::from(*value.first()?),
                _ => {}
            }
        }
        vocabulary.tokens.push(text);
        vocabulary.scores.push(score);
        vocabulary.token_types.push(kind);
    }
    Some(vocabulary)
}

/// The fields of a protocol buffer: their numbers and their bytes.
fn fields(mut message: &[u8]) -> Option<Vec<(u64, &[u8])>> {
    let mut fields = Vec::new();
    while !message.is_empty() {
        let tag = varint(&mut message)?;
        let length = match tag & 7 {
            0 => message.iter().position(|byte| byte & 0x80 == 0)? + 1,
            1 => 8,
            2 => varint(&mut message)? as usize,
            5 => 4,
            _ => return None,
        };
        let (value, rest) = message.split_at_checked(length)?;
        fields.push((tag >> 3, value));
        message = rest;
    }
    Some(fields)
}

fn varint(message: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = message.split_first()?;
        *message = rest;
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}
