//! The tokenizer that a GGUF file carries in its metadata.

use super::GgufFile;
use crate::error::{Error, Result};
use crate::text::GgufVocabulary;

/// Reads `tokenizer.*`.
///
/// # Errors
/// When the vocabulary is missing, a value has another type, or an id does not fit 32 bits.
pub fn vocabulary(file: &GgufFile) -> Result<GgufVocabulary> {
    let bad = |key: &str, what: &str| Error::bad_file(file.path(), key, what);
    let strings = |key: &str| -> Result<Option<Vec<String>>> {
        let Some(array) = file.array(key)? else { return Ok(None) };
        let strings = array.strings().ok_or_else(|| bad(key, "not a list of text"))?;
        let text = |(at, string): (usize, Option<&str>)| {
            string.map(str::to_owned).ok_or_else(|| bad(key, &format!("number {at} is not UTF-8")))
        };
        strings.enumerate().map(text).collect::<Result<_>>().map(Some)
    };
    let id = |key: &str| -> Result<Option<u32>> {
        let value = file.usize(key)?;
        value.map(|v| u32::try_from(v).map_err(|_| bad(key, "not a token id"))).transpose()
    };
    let required = |key: &str| file.str(key)?.map(str::to_owned).ok_or_else(|| bad(key, "missing"));
    let token_types = match file.array(TOKEN_TYPE)? {
        None => Vec::new(),
        Some(array) => {
            let values = array.unsigned().ok_or_else(|| bad(TOKEN_TYPE, "not a list of whole numbers"))?;
            values
                .into_iter()
                .map(|v| i32::try_from(v).map_err(|_| bad(TOKEN_TYPE, "not a token type")))
                .collect::<Result<_>>()?
        }
    };
    let scores = match file.array(SCORES)? {
        None => Vec::new(),
        Some(array) => array.floats().ok_or_else(|| bad(SCORES, "not a list of floats"))?,
    };
    Ok(GgufVocabulary {
        architecture: file.str("general.architecture")?.unwrap_or_default().to_owned(),
        model: required("tokenizer.ggml.model")?,
        pre: file.str("tokenizer.ggml.pre")?.unwrap_or("default").to_owned(),
        tokens: strings(TOKENS)?.ok_or_else(|| bad(TOKENS, "missing"))?,
        merges: strings("tokenizer.ggml.merges")?.unwrap_or_default(),
        scores,
        token_types,
        bos: id("tokenizer.ggml.bos_token_id")?,
        eos: id("tokenizer.ggml.eos_token_id")?,
        eot: id("tokenizer.ggml.eot_token_id")?,
        eom: id("tokenizer.ggml.eom_token_id")?,
        unknown: id("tokenizer.ggml.unknown_token_id")?,
        add_bos: file.bool("tokenizer.ggml.add_bos_token")?,
        space_prefix: file.bool("tokenizer.ggml.add_space_prefix")?,
        remove_extra_whitespaces: file.bool("tokenizer.ggml.remove_extra_whitespaces")?,
        chat_template: file.str("tokenizer.chat_template")?.map(str::to_owned),
    })
}

const TOKENS: &str = "tokenizer.ggml.tokens";
const SCORES: &str = "tokenizer.ggml.scores";
const TOKEN_TYPE: &str = "tokenizer.ggml.token_type";
