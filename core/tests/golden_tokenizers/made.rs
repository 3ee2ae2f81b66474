//! Small vocabularies of every kind that GGUF files name, with the ids of the goldens that
//! `tests/goldens/gguf_tokenizers.py` makes.

use std::path::Path;

use idiolect::text::{GgufVocabulary, Tokenizer};
use libtest_mimic::{Failed, Trial};
use serde_json::Value;

use crate::{ids, read, same, stream, texts};

/// What `tokenizer.ggml.pre` may say, and the rule of the goldens that it stands for.
const PRE_TOKENIZERS: [(&str, &str); 20] = [
    ("gpt-2", "gpt-2"),
    ("phi-2", "gpt-2"),
    ("olmo", "olmo"),
    ("mpt", "olmo"),
    ("smollm", "smollm"),
    ("starcoder", "smollm"),
    ("refact", "smollm"),
    ("command-r", "command-r"),
    ("llama-bpe", "llama-bpe"),
    ("llama3", "llama-bpe"),
    ("llama-v3", "llama-bpe"),
    ("smaug-bpe", "smaug-bpe"),
    ("dbrx", "dbrx"),
    ("qwen2", "qwen2"),
    ("qwen35", "qwen35"),
    ("tekken", "tekken"),
    ("gpt-4o", "gpt-4o"),
    ("bloom", "bloom"),
    ("deepseek-v3", "deepseek-v3"),
    ("deepseek-coder", "deepseek-coder"),
];

/// Lines there must be at least.
const LINES: usize = 200;

pub fn trials(goldens: &Path) -> Vec<Trial> {
    let mut trials = Vec::new();
    for (pre, rule) in PRE_TOKENIZERS {
        let at = goldens.to_owned();
        trials.push(Trial::test(format!("{pre}::words"), move || byte_level(&at, pre, rule)));
    }
    for family in ["llama", "gemma"] {
        let at = goldens.to_owned();
        trials.push(Trial::test(format!("{family}::pieces"), move || sentence_piece(&at, family)));
    }
    trials
}

/// The lines of the goldens.
pub fn lines(goldens: &Path) -> Result<Vec<String>, Failed> {
    let lines = texts(&read(&goldens.join("lines.json"))?)?;
    if lines.len() < LINES { Err(format!("{} lines", lines.len()).into()) } else { Ok(lines) }
}

fn byte_level(goldens: &Path, pre: &str, rule: &str) -> Result<(), Failed> {
    let golden = read(&goldens.join("byte_level.json"))?;
    let vocabulary = GgufVocabulary {
        model: "gpt2".into(),
        pre: pre.into(),
        tokens: texts(&golden["tokens"])?,
        merges: texts(&golden["merges"])?,
        ..GgufVocabulary::default()
    };
    let tokenizer = open(&vocabulary)?;
    let chosen = ids(&golden["rules"][rule])?;
    for ((line, variants), choice) in lines(goldens)?.iter().zip(array(&golden["ids"])?).zip(chosen) {
        let expected = ids(&variants[choice as usize])?;
        same("ids", line, &encode(&tokenizer, line)?, &expected)?;
    }
    Ok(())
}

fn sentence_piece(goldens: &Path, family: &str) -> Result<(), Failed> {
    let golden = read(&goldens.join(format!("{family}.json")))?;
    let scores = array(&golden["scores"])?.iter().map(|score| score.as_f64().map(|score| score as f32));
    let types = array(&golden["types"])?.iter().map(|kind| kind.as_i64().map(|kind| kind as i32));
    let vocabulary = GgufVocabulary {
        model: "llama".into(),
        pre: "default".into(),
        tokens: texts(&golden["tokens"])?,
        scores: scores.collect::<Option<_>>().ok_or("scores")?,
        token_types: types.collect::<Option<_>>().ok_or("types")?,
        unknown: golden["unknown"].as_u64().map(|id| id as u32),
        space_prefix: golden["space_prefix"].as_bool(),
        ..GgufVocabulary::default()
    };
    let tokenizer = open(&vocabulary)?;
    let decoded = texts(&golden["decoded"])?;
    for ((line, expected), decoded) in lines(goldens)?.iter().zip(array(&golden["ids"])?).zip(decoded) {
        let found = encode(&tokenizer, line)?;
        same("ids", line, &found, &ids(expected)?)?;
        same("text", line, &tokenizer.decode(&found).map_err(|error| error.to_string())?, &decoded)?;
        same("streamed", line, &stream(&tokenizer, &found).map_err(|error| error.to_string())?, &decoded)?;
    }
    Ok(())
}

fn open(vocabulary: &GgufVocabulary) -> Result<Tokenizer, Failed> {
    Ok(Tokenizer::from_gguf(vocabulary, Path::new("model.gguf")).map_err(|error| error.to_string())?)
}

fn encode(tokenizer: &Tokenizer, line: &str) -> Result<Vec<u32>, Failed> {
    Ok(tokenizer.encode(line).map_err(|error| error.to_string())?)
}

fn array(value: &Value) -> Result<&Vec<Value>, Failed> {
    value.as_array().ok_or_else(|| "not a list".into())
}
