//! The tokenizer that a GGUF file carries in its metadata (`tokenizer.ggml.*`), built to give the ids of
//! the Hugging Face tokenizer it was made from.

use std::path::Path;

use serde_json::json;
use tokenizers::decoders::byte_level::ByteLevel;
use tokenizers::models::bpe::Vocab;
use tokenizers::normalizers::unicode::NFC;
use tokenizers::pre_tokenizers::digits::Digits;
use tokenizers::pre_tokenizers::sequence::Sequence;
use tokenizers::pre_tokenizers::split::{Split, SplitPattern};
use tokenizers::{AddedToken, NormalizerWrapper, PostProcessorWrapper, PreTokenizerWrapper, SplitDelimiterBehavior};

use super::Tokenizer;
use super::pipeline::{FieldNames, PipelineParts, split_merge};
use super::tokenizer::SpecialTokens;
use crate::{Error, ErrorKind, Result};

const FIELDS: FieldNames =
    FieldNames { vocab: "tokenizer.ggml.tokens", merges: "tokenizer.ggml.merges", added: "tokenizer.ggml.token_type" };

/// `tokenizer.ggml.token_type` of a control token.
const CONTROL: i32 = 3;
/// `tokenizer.ggml.token_type` of a token matched whole in any text, such as `<think>`.
const USER_DEFINED: i32 = 4;

/// How Qwen2 cuts text into words before merging.
const QWEN2_WORDS: &str = concat!(
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*",
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
);

/// A GGUF file's `tokenizer.*` metadata.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GgufVocabulary {
    /// `tokenizer.ggml.model`.
    pub model: String,
    /// `tokenizer.ggml.pre`.
    pub pre: String,
    /// `tokenizer.ggml.tokens`, in the order of ids.
    pub tokens: Vec<String>,
    /// `tokenizer.ggml.merges`, each `left right`, in the order of rank.
    pub merges: Vec<String>,
    /// `tokenizer.ggml.token_type`, one per token, or none at all.
    pub token_types: Vec<i32>,
    /// `tokenizer.ggml.bos_token_id`.
    pub bos: Option<u32>,
    /// `tokenizer.ggml.eos_token_id`.
    pub eos: Option<u32>,
    /// `tokenizer.ggml.add_bos_token`.
    pub add_bos: Option<bool>,
    /// `tokenizer.chat_template`.
    pub chat_template: Option<String>,
}

impl Tokenizer {
    /// The tokenizer of the GGUF file at `path`, whose metadata is `vocabulary`.
    ///
    /// # Errors
    /// `Unsupported` for a `tokenizer.ggml.model` other than `gpt2` and a `tokenizer.ggml.pre` other than
    /// `gpt-2`, `smollm` and `qwen2`; `BadFile` for a vocabulary that contradicts itself.
    pub fn from_gguf(vocabulary: &GgufVocabulary, path: &Path) -> Result<Tokenizer> {
        let (normalizer, pre_tokenizer) = words(vocabulary, path)?;
        let types = &vocabulary.token_types;
        if !types.is_empty() && types.len() != vocabulary.tokens.len() {
            let what = format_args!("{} types for {} tokens", types.len(), vocabulary.tokens.len());
            return Err(Error::bad_file(path, FIELDS.added, what));
        }

        let mut vocab = Vocab::with_capacity(vocabulary.tokens.len());
        for (id, token) in (0..).zip(&vocabulary.tokens) {
            if let Some(first) = vocab.insert(token.clone(), id) {
                let what = format_args!("{first} and {id} are the same token");
                return Err(Error::bad_file(path, FIELDS.vocab, what));
            }
        }
        let mut merges = Vec::with_capacity(vocabulary.merges.len());
        for (rank, merge) in vocabulary.merges.iter().enumerate() {
            let pair = split_merge(merge)
                .ok_or_else(|| Error::bad_file(path, FIELDS.merges, format_args!("number {rank} is not a pair")))?;
            merges.push(pair);
        }
        let added = (0..)
            .zip(vocabulary.tokens.iter().zip(types))
            .filter(|(_, (token, kind))| matches!(**kind, CONTROL | USER_DEFINED) && !token.is_empty())
            .map(|(id, (token, kind))| (id, AddedToken::from(token.as_str(), *kind == CONTROL).normalized(false)))
            .collect();

        let parts = PipelineParts {
            vocab,
            merges,
            unk_token: None,
            fuse_unk: false,
            byte_fallback: false,
            ignore_merges: false,
            added,
            normalizer,
            pre_tokenizer: Some(pre_tokenizer),
            decoder: Some(ByteLevel::new(true, true, true).into()),
        };
        let mut built = parts.build(path, &FIELDS)?;

        for (field, id) in
            [("tokenizer.ggml.bos_token_id", vocabulary.bos), ("tokenizer.ggml.eos_token_id", vocabulary.eos)]
        {
            if let Some(id) = id.filter(|id| *id as usize >= vocabulary.tokens.len()) {
                return Err(Error::bad_file(path, field, format_args!("{id} is not in the vocabulary")));
            }
        }
        let name = |id: Option<u32>| id.and_then(|id| vocabulary.tokens.get(id as usize)).cloned();
        let adds_bos = vocabulary.add_bos.unwrap_or(false);
        if let Some((id, bos)) = vocabulary.bos.zip(name(vocabulary.bos)).filter(|_| adds_bos) {
            let prefix = prefix_with(&bos, id).map_err(|cause| Error::bad_file(path, FIELDS.vocab, cause))?;
            built.pipeline.with_post_processor(Some(prefix));
        }
        let names = [("bos_token", name(vocabulary.bos)), ("eos_token", name(vocabulary.eos))];
        let special = SpecialTokens {
            bos: vocabulary.bos,
            adds_bos,
            eos: vocabulary.eos,
            stops: vocabulary.eos.into_iter().collect(),
            names: names.into_iter().filter_map(|(role, name)| Some((role.to_owned(), name?))).collect(),
        };
        Ok(Tokenizer::assemble(built, special, vocabulary.chat_template.clone()))
    }
}

/// What tells other readers of the tokenizer to put `bos` before a text.
fn prefix_with(bos: &str, id: u32) -> serde_json::Result<PostProcessorWrapper> {
    let token = |type_id: u32| json!({"SpecialToken": {"id": bos, "type_id": type_id}});
    let text = |name: &str, type_id: u32| json!({"Sequence": {"id": name, "type_id": type_id}});
    serde_json::from_value(json!({
        "type": "TemplateProcessing",
        "single": [token(0), text("A", 0)],
        "pair": [token(0), text("A", 0), token(1), text("B", 1)],
        "special_tokens": {bos: {"id": bos, "ids": [id], "tokens": [bos]}},
    }))
}

/// The normalizer and the pre-tokenizer of a named kind of byte-level vocabulary.
fn words(vocabulary: &GgufVocabulary, path: &Path) -> Result<(Option<NormalizerWrapper>, PreTokenizerWrapper)> {
    let unsupported = |field: &str, value: &str, known: &str| {
        let message = format!("{}: {field}: {value:?} is not supported", path.display());
        Error::new(ErrorKind::Unsupported, message).with_hint(format!("supported: {known}"))
    };
    if vocabulary.model != "gpt2" {
        return Err(unsupported("tokenizer.ggml.model", &vocabulary.model, "gpt2"));
    }
    let bytes = |use_regex| PreTokenizerWrapper::from(ByteLevel::new(false, true, use_regex));
    let sequence = |first, second| PreTokenizerWrapper::from(Sequence::new(vec![first, second]));
    Ok(match vocabulary.pre.as_str() {
        "gpt-2" => (None, bytes(true)),
        "smollm" => (None, sequence(Digits::new(true).into(), bytes(true))),
        "qwen2" => {
            let words = SplitPattern::Regex(QWEN2_WORDS.to_owned());
            let split = Split::new(words, SplitDelimiterBehavior::Isolated, false)
                .map_err(|cause| Error::new(ErrorKind::Unsupported, format!("the word pattern of qwen2: {cause}")))?;
            (Some(NFC.into()), sequence(split.into(), bytes(false)))
        }
        other => return Err(unsupported("tokenizer.ggml.pre", other, "gpt-2, smollm, qwen2")),
    })
}
