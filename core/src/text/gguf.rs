//! The tokenizer that a GGUF file carries in its metadata (`tokenizer.ggml.*`), built to give the ids of
//! the Hugging Face tokenizer it was made from.

use std::path::Path;

use serde_json::json;
use tokenizers::decoders::byte_level::ByteLevel;
use tokenizers::models::bpe::Vocab;
use tokenizers::{AddedToken, PostProcessorWrapper};

use self::pre_tokenizer::PreTokenizer;
use super::Tokenizer;
use super::pipeline::{FieldNames, PipelineParts, split_merge};
use super::tokenizer::SpecialTokens;
use crate::{Error, Result};

mod pre_tokenizer;
mod sentence_piece;

const FIELDS: FieldNames =
    FieldNames { vocab: "tokenizer.ggml.tokens", merges: "tokenizer.ggml.merges", added: "tokenizer.ggml.token_type" };

/// `tokenizer.ggml.token_type` of an ordinary token.
const NORMAL: i32 = 1;
/// `tokenizer.ggml.token_type` of the token for what has none.
const UNKNOWN: i32 = 2;
/// `tokenizer.ggml.token_type` of a control token.
const CONTROL: i32 = 3;
/// `tokenizer.ggml.token_type` of a token matched whole in any text, such as `<think>`.
const USER_DEFINED: i32 = 4;
/// `tokenizer.ggml.token_type` of a row without a token, whose spelling is made up.
const UNUSED: i32 = 5;

/// A GGUF file's `tokenizer.*` metadata, and whose vocabulary it is.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct GgufVocabulary {
    /// `general.architecture`: what the vocabulary's model is.
    pub architecture: String,
    /// `tokenizer.ggml.model`: `gpt2` for byte-level vocabularies, `llama` for SentencePiece's.
    pub model: String,
    /// `tokenizer.ggml.pre`: how a byte-level vocabulary cuts text into words.
    pub pre: String,
    /// `tokenizer.ggml.tokens`, in the order of ids.
    pub tokens: Vec<String>,
    /// `tokenizer.ggml.merges`, each `left right`, in the order of rank.
    pub merges: Vec<String>,
    /// `tokenizer.ggml.scores` of SentencePiece's tokens, one each.
    pub scores: Vec<f32>,
    /// `tokenizer.ggml.token_type`, one per token, or none at all: control tokens are told by their looks then.
    pub token_types: Vec<i32>,
    /// `tokenizer.ggml.bos_token_id`.
    pub bos: Option<u32>,
    /// `tokenizer.ggml.eos_token_id`.
    pub eos: Option<u32>,
    /// `tokenizer.ggml.eot_token_id`: the end of a turn.
    pub eot: Option<u32>,
    /// `tokenizer.ggml.eom_token_id`: the end of a message after which a tool is to answer.
    pub eom: Option<u32>,
    /// `tokenizer.ggml.unknown_token_id`: what stands for text that no token spells.
    pub unknown: Option<u32>,
    /// `tokenizer.ggml.add_bos_token`.
    pub add_bos: Option<bool>,
    /// `tokenizer.ggml.add_space_prefix`: whether SentencePiece's texts get a space before them.
    pub space_prefix: Option<bool>,
    /// `tokenizer.ggml.remove_extra_whitespaces`.
    pub remove_extra_whitespaces: Option<bool>,
    /// `tokenizer.chat_template`.
    pub chat_template: Option<String>,
}

impl Tokenizer {
    /// The tokenizer of the GGUF file at `path`, whose metadata is `vocabulary`.
    ///
    /// # Errors
    /// `Unsupported` for a `tokenizer.ggml.model` other than `gpt2` and `llama` and for a `tokenizer.ggml.pre` that is
    /// not in the table of pre-tokenizers; `BadFile` for a vocabulary that contradicts itself.
    pub fn from_gguf(vocabulary: &GgufVocabulary, path: &Path) -> Result<Tokenizer> {
        let (parts, adds_bos) = match vocabulary.model.as_str() {
            "gpt2" => {
                let words = vocabulary.words(path)?;
                vocabulary.check_types(path)?;
                (vocabulary.byte_level(words, path)?, words.adds_bos)
            }
            "llama" => {
                vocabulary.check_types(path)?;
                (vocabulary.sentence_piece(path)?, true)
            }
            other => return Err(unsupported(path, "tokenizer.ggml.model", other, "gpt2, llama")),
        };
        let mut built = parts.build(path, &FIELDS)?;

        for (field, id) in [
            ("tokenizer.ggml.bos_token_id", vocabulary.bos),
            ("tokenizer.ggml.eos_token_id", vocabulary.eos),
            ("tokenizer.ggml.eot_token_id", vocabulary.eot),
            ("tokenizer.ggml.eom_token_id", vocabulary.eom),
        ] {
            if let Some(id) = id.filter(|id| *id as usize >= vocabulary.tokens.len()) {
                return Err(Error::bad_file(path, field, format_args!("{id} is not in the vocabulary")));
            }
        }
        let name = |id: Option<u32>| id.and_then(|id| vocabulary.tokens.get(id as usize)).cloned();
        let adds_bos = vocabulary.add_bos.unwrap_or(adds_bos);
        if let Some((id, bos)) = vocabulary.bos.zip(name(vocabulary.bos)).filter(|_| adds_bos) {
            let prefix = prefix_with(&bos, id).map_err(|cause| Error::bad_file(path, FIELDS.vocab, cause))?;
            built.pipeline.with_post_processor(Some(prefix));
        }
        let names = [("bos_token", name(vocabulary.bos)), ("eos_token", name(vocabulary.eos))];
        let special = SpecialTokens {
            bos: vocabulary.bos,
            adds_bos,
            eos: vocabulary.eos,
            turn_end: vocabulary.eot,
            stops: [vocabulary.eos, vocabulary.eot, vocabulary.eom].into_iter().flatten().collect(),
            names: names.into_iter().filter_map(|(role, name)| Some((role.to_owned(), name?))).collect(),
        };
        Ok(Tokenizer::assemble(built, special, vocabulary.chat_template.clone()))
    }
}

impl GgufVocabulary {
    /// The pre-tokenizer that the file names.
    fn words(&self, path: &Path) -> Result<&'static PreTokenizer> {
        PreTokenizer::named(&self.pre)
            .ok_or_else(|| unsupported(path, "tokenizer.ggml.pre", &self.pre, &PreTokenizer::known()))
    }

    /// The pipeline of a vocabulary of bytes and merges, for words that are cut as `words` says.
    fn byte_level(&self, words: &PreTokenizer, path: &Path) -> Result<PipelineParts> {
        let mut merges = Vec::with_capacity(self.merges.len());
        for (rank, merge) in self.merges.iter().enumerate() {
            let pair = split_merge(merge)
                .ok_or_else(|| Error::bad_file(path, FIELDS.merges, format_args!("number {rank} is not a pair")))?;
            merges.push(pair);
        }
        Ok(PipelineParts {
            vocab: self.vocab(path, |_, token| token.to_owned())?,
            merges,
            unk_token: None,
            fuse_unk: false,
            byte_fallback: false,
            ignore_merges: words.ignore_merges,
            added: self.added(|_, token| token.to_owned()),
            normalizer: words.normalizer(),
            pre_tokenizer: Some(words.steps()?),
            decoder: Some(ByteLevel::new(true, true, true).into()),
        })
    }

    /// Refuses a list of types that does not fit the tokens.
    fn check_types(&self, path: &Path) -> Result<()> {
        let (types, tokens) = (self.token_types.len(), self.tokens.len());
        if types == 0 || types == tokens {
            return Ok(());
        }
        Err(Error::bad_file(path, FIELDS.added, format_args!("{types} types for {tokens} tokens")))
    }

    /// Every token with its id, spelled by `spelled`.
    fn vocab(&self, path: &Path, spelled: impl Fn(u32, &str) -> String) -> Result<Vocab> {
        let mut vocab = Vocab::with_capacity(self.tokens.len());
        for (id, token) in (0..).zip(&self.tokens) {
            if let Some(first) = vocab.insert(spelled(id, token), id) {
                let what = format_args!("{first} and {id} are the same token");
                return Err(Error::bad_file(path, FIELDS.vocab, what));
            }
        }
        Ok(vocab)
    }

    /// The tokens that are found in a text before it is cut, spelled by `spelled`.
    fn added(&self, spelled: impl Fn(u32, &str) -> String) -> Vec<(u32, AddedToken)> {
        let tokens = (0..).zip(&self.tokens).filter(|(_, token)| !token.is_empty());
        let found = tokens.filter_map(|(id, token)| {
            let special = match self.kind(id, token) {
                CONTROL | UNKNOWN => true,
                USER_DEFINED => false,
                _ => return None,
            };
            Some((id, AddedToken::from(spelled(id, token), special).normalized(false)))
        });
        found.collect()
    }

    /// The type of a token, by its part and its looks where the file does not say.
    fn kind(&self, id: u32, token: &str) -> i32 {
        let ends = [self.bos, self.eos, self.eot, self.eom];
        match self.token_types.get(id as usize) {
            Some(&kind) => kind,
            None if ends.contains(&Some(id)) || looks_like_control(token) => CONTROL,
            None => NORMAL,
        }
    }
}

fn unsupported(path: &Path, field: &str, value: &str, known: &str) -> Error {
    Error::unsupported(path, field, format_args!("{value:?} is not supported")).with_hint(format!("supported: {known}"))
}

/// Whether llama.cpp's converter takes a token of this spelling for a control token, whatever the model says of it.
fn looks_like_control(token: &str) -> bool {
    let within = |opening, closing| token.starts_with(opening) && token.ends_with(closing);
    matches!(token, "<pad>" | "<mask>" | "<2mass>" | "[@BOS@]")
        || within("<|", "|>")
        || within("<｜", "｜>")
        || within("<unused", ">")
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

#[cfg(test)]
mod tests;
