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

/// `tokenizer.ggml.token_type` of an ordinary token.
const NORMAL: i32 = 1;
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
        let ends = [vocabulary.bos, vocabulary.eos, vocabulary.eot, vocabulary.eom];
        let kind = |id: u32, token: &str| match types.get(id as usize) {
            Some(&kind) => kind,
            None if ends.contains(&Some(id)) || looks_like_control(token) => CONTROL,
            None => NORMAL,
        };
        let added = (0..)
            .zip(&vocabulary.tokens)
            .map(|(id, token)| (id, token, kind(id, token)))
            .filter(|(_, token, kind)| matches!(*kind, CONTROL | USER_DEFINED) && !token.is_empty())
            .map(|(id, token, kind)| (id, AddedToken::from(token.as_str(), kind == CONTROL).normalized(false)))
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
            turn_end: vocabulary.eot,
            stops: [vocabulary.eos, vocabulary.eot, vocabulary.eom].into_iter().flatten().collect(),
            names: names.into_iter().filter_map(|(role, name)| Some((role.to_owned(), name?))).collect(),
        };
        Ok(Tokenizer::assemble(built, special, vocabulary.chat_template.clone()))
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::fixtures::{CHATML, built, byte_level, folder};

    #[test]
    fn words_are_cut_as_the_named_pre_tokenizer_cuts_them() {
        let texts = |tokenizer: &Tokenizer, text| -> Vec<String> {
            let ids = tokenizer.encode(text).expect("ids");
            ids.iter().map(|id| tokenizer.token_text(*id).expect("a token")).collect()
        };
        for (pre, text, expected) in [
            ("gpt-2", " hello hello", vec!["Ġhello", "Ġhello"]),
            ("gpt-2", "hello  1", vec!["hello", "Ġ", "Ġ", "1"]),
            ("smollm", "\n\nuser", vec!["Ċ", "Ċ", "user"]),
            ("qwen2", "\n\nuser", vec!["ĊĊ", "user"]),
            ("qwen2", "e\u{301}", vec!["Ã", "©"]),
            ("smollm", "e\u{301}", vec!["e", "Ì", "ģ"]),
        ] {
            let vocabulary = GgufVocabulary { pre: pre.into(), ..byte_level() };
            assert_eq!(texts(&built(&vocabulary), text), expected, "{pre} {text:?}");
        }
    }

    #[test]
    fn special_ids_come_from_the_metadata() {
        let tokenizer = built(&byte_level());
        assert_eq!(tokenizer.vocab_size(), byte_level().tokens.len());
        assert_eq!((tokenizer.bos(), tokenizer.end_of_turn(), tokenizer.eos_ids()), (Some(1), Some(2), &[2][..]));
        assert_eq!((tokenizer.adds_bos(), tokenizer.document_start()), (false, Some(0)));
        let bare = GgufVocabulary { bos: None, eos: None, add_bos: Some(true), chat_template: None, ..byte_level() };
        let tokenizer = built(&bare);
        assert_eq!((tokenizer.bos(), tokenizer.adds_bos(), tokenizer.eos_ids()), (None, false, &[][..]));
    }

    #[test]
    fn generation_stops_at_every_end_and_a_turn_ends_as_the_template_ends_it() {
        const MARKED: &str = "{% for m in messages %}{{ m.role }}: {{ m.content }}<|im_start|>\n{% endfor %}";
        const OPENED: &str =
            "{% for m in messages %}<|im_start|>{{ m.role }}: {{ m.content }}\n{% endfor %}<|im_start|>assistant: ";
        for (template, eos, eot, eom, turn_end, stops) in [
            (Some(CHATML), Some(0), Some(2), None, Some(2), vec![0, 2]),
            (Some(CHATML), Some(0), None, None, Some(2), vec![0, 2]),
            (Some(CHATML), Some(2), Some(0), Some(1), Some(2), vec![0, 1, 2]),
            (Some(CHATML), None, None, None, Some(2), vec![2]),
            (Some(MARKED), Some(2), None, None, Some(1), vec![1, 2]),
            // It opens the next turn whether it is asked to or not.
            (Some(OPENED), Some(2), None, None, Some(2), vec![2]),
            (Some("{% if %}"), Some(2), None, None, Some(2), vec![2]),
            (None, Some(0), Some(2), None, Some(2), vec![0, 2]),
            (None, Some(0), None, Some(2), Some(0), vec![0, 2]),
        ] {
            let chat_template = template.map(str::to_owned);
            let tokenizer = built(&GgufVocabulary { eos, eot, eom, chat_template, ..byte_level() });
            assert_eq!((tokenizer.end_of_turn(), tokenizer.eos_ids()), (turn_end, &stops[..]), "{template:?}");
            if template == Some(CHATML) {
                let (ids, _) = tokenizer.encode_turn("so?", "hello").expect("a turn");
                assert_eq!(ids.last().copied(), turn_end);
            }
        }
    }

    #[test]
    fn without_types_control_tokens_are_told_by_their_looks() {
        let typed = built(&byte_level());
        let untyped = built(&GgufVocabulary { token_types: Vec::new(), ..byte_level() });
        let controls = |tokenizer: &Tokenizer| (0..8).filter(|id| tokenizer.is_control(*id)).collect::<Vec<u32>>();
        assert_eq!(controls(&untyped), controls(&typed));
        assert_eq!(untyped.encode_turn("so?", "<|im_end|>"), typed.encode_turn("so?", "<|im_end|>"));
        // An id that has a part to play is one however it looks.
        let tokens = byte_level().tokens;
        let plain = tokens.iter().position(|token| token == "hello").expect("a token") as u32;
        let named = built(&GgufVocabulary { token_types: Vec::new(), eos: Some(plain), ..byte_level() });
        assert!(named.is_control(plain) && !untyped.is_control(plain));
    }

    #[test]
    fn a_written_folder_is_the_same_tokenizer() {
        for add_bos in [false, true] {
            let tokenizer = built(&GgufVocabulary { add_bos: Some(add_bos), ..byte_level() });
            let (_guard, dir) = folder(&[]);
            tokenizer.write_folder(&dir).expect("a folder");
            let read = Tokenizer::from_folder(&dir).expect("a tokenizer");
            assert_eq!(read.fingerprint(), tokenizer.fingerprint());
            assert_eq!((read.bos(), read.adds_bos(), read.eos_ids()), (Some(1), add_bos, &[2][..]));
            let text = "hello <think> 12 é <|im_end|>";
            assert_eq!(read.encode(text), tokenizer.encode(text));
            assert_eq!(read.encode_with_controls(text), tokenizer.encode_with_controls(text));
            assert_eq!(read.chat_template(), tokenizer.chat_template());
        }
    }

    #[test]
    fn the_fingerprint_tells_tokenizers_apart() {
        let original = built(&byte_level()).fingerprint();
        let mut swapped = byte_level();
        swapped.merges.swap(0, 1);
        let mut renamed = byte_level();
        renamed.tokens[0] = "<|end|>".into();
        let template = GgufVocabulary { chat_template: None, ..byte_level() };
        for other in [swapped, renamed, template] {
            assert_ne!(built(&other).fingerprint(), original);
        }
        assert_eq!(built(&byte_level()).fingerprint(), original);
    }

    #[test]
    fn what_cannot_be_used_is_refused_by_name() {
        let with = |change: fn(&mut GgufVocabulary)| {
            let mut vocabulary = byte_level();
            change(&mut vocabulary);
            vocabulary
        };
        for (vocabulary, kind, part) in [
            (with(|v| v.model = "llama".into()), ErrorKind::Unsupported, "tokenizer.ggml.model: \"llama\""),
            (with(|v| v.pre = "tekken".into()), ErrorKind::Unsupported, "tokenizer.ggml.pre: \"tekken\""),
            (with(|v| v.pre = String::new()), ErrorKind::Unsupported, "tokenizer.ggml.pre"),
            (with(|v| v.tokens.clear()), ErrorKind::BadFile, "tokenizer.ggml.token_type"),
            (with(|v| (v.tokens, v.token_types) = Default::default()), ErrorKind::BadFile, "tokenizer.ggml.tokens"),
            (with(|v| v.tokens[9] = v.tokens[8].clone()), ErrorKind::BadFile, "8 and 9 are the same token"),
            (with(|v| v.merges.push("h".into())), ErrorKind::BadFile, "tokenizer.ggml.merges: number 11"),
            (with(|v| v.merges.push("h e l".into())), ErrorKind::BadFile, "tokenizer.ggml.merges: number 11"),
            (with(|v| v.merges.push("q q".into())), ErrorKind::BadFile, "tokenizer.ggml.merges"),
            (with(|v| v.token_types.truncate(5)), ErrorKind::BadFile, "5 types for 271 tokens"),
            (with(|v| v.bos = Some(271)), ErrorKind::BadFile, "tokenizer.ggml.bos_token_id: 271"),
            (with(|v| v.eos = Some(u32::MAX)), ErrorKind::BadFile, "tokenizer.ggml.eos_token_id"),
            (with(|v| v.eot = Some(271)), ErrorKind::BadFile, "tokenizer.ggml.eot_token_id: 271"),
            (with(|v| v.eom = Some(271)), ErrorKind::BadFile, "tokenizer.ggml.eom_token_id: 271"),
        ] {
            let error = Tokenizer::from_gguf(&vocabulary, Path::new("model.gguf")).expect_err(part);
            assert_eq!(error.kind(), kind, "{error}");
            assert!(error.message().starts_with("model.gguf: ") && error.message().contains(part), "{error}");
        }
    }
}
