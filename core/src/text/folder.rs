//! The tokenizer of a Hugging Face model folder: `tokenizer.json`, and what the files beside it say of
//! special tokens and the chat template.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufWriter, ErrorKind as IoErrorKind, Write};
use std::path::Path;

use serde::de::{self, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value, json};
use tokenizers::models::bpe::Vocab;
use tokenizers::{AddedToken, DecoderWrapper, NormalizerWrapper, PostProcessorWrapper, PreTokenizerWrapper};

use super::Tokenizer;
use super::pipeline::{Built, FieldNames, PipelineParts, split_merge};
use super::tokenizer::SpecialTokens;
use crate::disk::json::strict;
use crate::{Error, ErrorKind, Result};

const FIELDS: FieldNames = FieldNames { vocab: "model.vocab", merges: "model.merges", added: "added_tokens" };

/// The names under which a chat template may use a special token.
const NAMED_TOKENS: [&str; 7] =
    ["bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"];

impl Tokenizer {
    /// The tokenizer of the model folder `dir`: `tokenizer.json`, with `tokenizer_config.json`,
    /// `special_tokens_map.json`, `generation_config.json`, `config.json` and `chat_template.jinja` where they
    /// are.
    ///
    /// # Errors
    /// `Io` where `tokenizer.json` is missing, `BadFile` naming file and field where one of the files breaks
    /// its format, `Unsupported` for a model other than byte-pair encoding.
    pub fn from_folder(dir: &Path) -> Result<Tokenizer> {
        let path = dir.join("tokenizer.json");
        let bytes = fs::read(&path).map_err(|cause| {
            Error::io(&path, &cause).with_hint("a model folder needs its tokenizer.json beside the weights")
        })?;
        let mut file = parse(&path, &strict(&bytes))?;
        drop(bytes);

        let config = JsonFile::read(dir, "tokenizer_config.json")?;
        let special_map = JsonFile::read(dir, "special_tokens_map.json")?;
        let mut names = BTreeMap::new();
        for name in NAMED_TOKENS {
            if let Some(token) = config.token(name)?.or(special_map.token(name)?) {
                names.insert(name.to_owned(), token);
            }
        }
        let mut control: Vec<String> = names.values().cloned().collect();
        for list in ["additional_special_tokens", "extra_special_tokens"] {
            control.extend(config.tokens(list)?);
        }
        file.mark_special(control);
        let post_processor = file.post_processor.clone();
        let built = file.build(&path)?;

        let model = JsonFile::read(dir, "config.json")?;
        let generation = JsonFile::read(dir, "generation_config.json")?;
        let id_of = |name: &str| names.get(name).and_then(|token| built.pipeline.token_to_id(token));
        let mut stops = generation.ids("eos_token_id")?;
        if stops.is_empty() {
            stops = model.ids("eos_token_id")?;
        }
        let eos = id_of("eos_token").or(stops.first().copied());
        stops.extend(eos);

        let prefix = post_processor.as_ref().and_then(first_special);
        let prefix = prefix.and_then(|token| built.pipeline.token_to_id(token));
        let stated = model.ids("bos_token_id")?.first().copied();
        let bos = id_of("bos_token").or(prefix).or(stated);
        // Where tokenizer.json says what to put around a text, it alone counts, as in transformers 5.
        let adds_bos = match post_processor {
            Some(_) => prefix.is_some() && prefix == bos,
            None => config.flag("add_bos_token")?.unwrap_or(false),
        };

        let special = SpecialTokens { bos, adds_bos, eos, turn_end: None, stops, names };
        Ok(Tokenizer::assemble(built, special, chat_template(dir, &config)?))
    }

    /// Writes `tokenizer.json` and `tokenizer_config.json` (special tokens, chat template) into `dir`, so that
    /// other libraries read the tokenizer of a GGUF file.
    ///
    /// # Errors
    /// `Io` where a file cannot be written.
    pub fn write_folder(&self, dir: &Path) -> Result<()> {
        write_json(&dir.join("tokenizer.json"), &self.pipeline)?;
        let mut config = Map::new();
        config.insert("tokenizer_class".into(), json!("PreTrainedTokenizerFast"));
        config.insert("add_bos_token".into(), json!(self.adds_bos()));
        config.insert("clean_up_tokenization_spaces".into(), json!(false));
        config.extend(self.special.names.iter().map(|(name, token)| (name.clone(), json!(token))));
        if let Some(template) = self.chat_template() {
            config.insert("chat_template".into(), json!(template));
        }
        write_json(&dir.join("tokenizer_config.json"), &config)
    }
}

/// `tokenizer.json`, as far as it decides ids and text.
#[derive(Deserialize)]
struct TokenizerFile {
    #[serde(default)]
    added_tokens: Vec<AddedEntry>,
    normalizer: Option<NormalizerWrapper>,
    pre_tokenizer: Option<PreTokenizerWrapper>,
    post_processor: Option<Value>,
    decoder: Option<Value>,
    model: ModelFile,
}

#[derive(Deserialize)]
struct AddedEntry {
    id: u32,
    #[serde(flatten)]
    token: AddedToken,
}

#[derive(Deserialize)]
struct ModelFile {
    #[serde(rename = "type")]
    kind: Option<String>,
    unk_token: Option<String>,
    continuing_subword_prefix: Option<String>,
    end_of_word_suffix: Option<String>,
    fuse_unk: Option<bool>,
    byte_fallback: Option<bool>,
    ignore_merges: Option<bool>,
    vocab: Vocab,
    merges: Vec<Merge>,
}

/// A merge, written `"left right"` or `["left", "right"]`.
struct Merge(String, String);

impl<'de> Deserialize<'de> for Merge {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        struct PairVisitor;

        impl<'de> Visitor<'de> for PairVisitor {
            type Value = Merge;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a merge of two tokens")
            }

            fn visit_str<E: de::Error>(self, line: &str) -> std::result::Result<Merge, E> {
                let (left, right) =
                    split_merge(line).ok_or_else(|| E::invalid_value(de::Unexpected::Str(line), &self))?;
                Ok(Merge(left, right))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut pair: A) -> std::result::Result<Merge, A::Error> {
                let left = pair.next_element()?.ok_or_else(|| de::Error::invalid_length(0, &self))?;
                let right = pair.next_element()?.ok_or_else(|| de::Error::invalid_length(1, &self))?;
                Ok(Merge(left, right))
            }
        }

        deserializer.deserialize_any(PairVisitor)
    }
}

/// Reads `tokenizer.json`; a model of another kind than BPE is refused by its name.
fn parse(path: &Path, bytes: &[u8]) -> Result<TokenizerFile> {
    #[derive(Deserialize)]
    struct Kind {
        model: KindOfModel,
    }
    #[derive(Deserialize)]
    struct KindOfModel {
        #[serde(rename = "type")]
        kind: String,
    }

    let unsupported = |kind: &str| {
        let message = format!("{}: model.type: {kind:?} is not supported", path.display());
        Error::new(ErrorKind::Unsupported, message).with_hint("supported: BPE")
    };
    match serde_json::from_slice::<TokenizerFile>(bytes) {
        Ok(file) => match file.model.kind.as_deref() {
            None | Some("BPE") => Ok(file),
            Some(kind) => Err(unsupported(kind)),
        },
        Err(cause) => Err(match serde_json::from_slice::<Kind>(bytes) {
            Ok(Kind { model: KindOfModel { kind } }) if kind != "BPE" => unsupported(&kind),
            _ => Error::bad_file(path, "tokenizer", cause),
        }),
    }
}

impl TokenizerFile {
    /// Makes control tokens of those in the vocabulary that the settings call special.
    fn mark_special(&mut self, names: Vec<String>) {
        for name in names.into_iter().filter(|name| !name.is_empty()) {
            if let Some(entry) = self.added_tokens.iter_mut().find(|entry| entry.token.content == name) {
                entry.token.special = true;
            } else if let Some(&id) = self.model.vocab.get(&name) {
                self.added_tokens.push(AddedEntry { id, token: AddedToken::from(name, true) });
            }
        }
    }

    fn build(self, path: &Path) -> Result<Built> {
        let ModelFile { unk_token, fuse_unk, byte_fallback, ignore_merges, vocab, merges, .. } = self.model;
        for (field, affix) in [
            ("model.continuing_subword_prefix", self.model.continuing_subword_prefix),
            ("model.end_of_word_suffix", self.model.end_of_word_suffix),
        ] {
            if let Some(affix) = affix.filter(|affix| !affix.is_empty()) {
                let message = format!("{}: {field}: {affix:?} is not supported", path.display());
                return Err(Error::new(ErrorKind::Unsupported, message));
            }
        }
        let decoder = self.decoder.map(|decoder| read_decoder(path, decoder)).transpose()?;
        let post_processor: Option<PostProcessorWrapper> = self
            .post_processor
            .map(serde_json::from_value)
            .transpose()
            .map_err(|cause| Error::bad_file(path, "post_processor", cause))?;
        let parts = PipelineParts {
            vocab,
            merges: merges.into_iter().map(|Merge(left, right)| (left, right)).collect(),
            unk_token,
            fuse_unk: fuse_unk.unwrap_or(false),
            byte_fallback: byte_fallback.unwrap_or(false),
            ignore_merges: ignore_merges.unwrap_or(false),
            added: self.added_tokens.into_iter().map(|entry| (entry.id, entry.token)).collect(),
            normalizer: self.normalizer,
            pre_tokenizer: self.pre_tokenizer,
            decoder,
        };
        let mut built = parts.build(path, &FIELDS)?;
        built.pipeline.with_post_processor(post_processor);
        Ok(built)
    }
}

/// The decoder, if it is one whose text can be streamed: each token's text depends on its neighbours alone.
fn read_decoder(path: &Path, decoder: Value) -> Result<DecoderWrapper> {
    fn unknown(decoder: &Value) -> Option<&str> {
        match decoder["type"].as_str() {
            Some("Sequence") => decoder["decoders"].as_array()?.iter().find_map(unknown),
            Some("Strip") if decoder["stop"] != json!(0) => Some("Strip at the end"),
            Some("ByteLevel" | "Metaspace" | "Replace" | "ByteFallback" | "Fuse" | "Strip") => None,
            kind => Some(kind.unwrap_or("without a type")),
        }
    }
    if let Some(kind) = unknown(&decoder) {
        let message = format!("{}: decoder: {kind:?} is not supported", path.display());
        return Err(Error::new(ErrorKind::Unsupported, message));
    }
    serde_json::from_value(decoder).map_err(|cause| Error::bad_file(path, "decoder", cause))
}

/// The special token that a post-processor puts before a text.
fn first_special(post_processor: &Value) -> Option<&str> {
    match post_processor["type"].as_str()? {
        "Sequence" => post_processor["processors"].as_array()?.iter().find_map(first_special),
        "TemplateProcessing" => post_processor["single"][0]["SpecialToken"]["id"].as_str(),
        _ => None,
    }
}

/// `chat_template.jinja`, as it is, a byte order mark too: transformers writes it into the prompt. Or the template in `tokenizer_config.json` (of several, the one named `default`).
fn chat_template(dir: &Path, config: &JsonFile) -> Result<Option<String>> {
    let path = dir.join("chat_template.jinja");
    match fs::read_to_string(&path) {
        Ok(template) => return Ok(Some(template)),
        Err(cause) if cause.kind() == IoErrorKind::NotFound => {}
        Err(cause) => return Err(Error::io(&path, &cause)),
    }
    match config.get("chat_template") {
        Value::Null => Ok(None),
        Value::String(template) => Ok(Some(template.clone())),
        Value::Array(named) => {
            let default = named.iter().find(|entry| entry["name"] == "default");
            Ok(default.and_then(|entry| entry["template"].as_str()).map(str::to_owned))
        }
        _ => Err(config.bad("chat_template", "neither a template nor a list of them")),
    }
}

/// An optional JSON object beside `tokenizer.json`; one that is missing is empty.
struct JsonFile {
    path: std::path::PathBuf,
    fields: Map<String, Value>,
}

impl JsonFile {
    fn read(dir: &Path, name: &str) -> Result<Self> {
        let path = dir.join(name);
        let fields = match fs::read(&path) {
            Ok(bytes) => {
                serde_json::from_slice(&strict(&bytes)).map_err(|cause| Error::bad_file(&path, "JSON object", cause))?
            }
            Err(cause) if cause.kind() == IoErrorKind::NotFound => Map::new(),
            Err(cause) => return Err(Error::io(&path, &cause)),
        };
        Ok(Self { path, fields })
    }

    fn bad(&self, field: &str, what: &str) -> Error {
        Error::bad_file(&self.path, field, what)
    }

    fn get(&self, field: &str) -> &Value {
        self.fields.get(field).unwrap_or(&Value::Null)
    }

    fn flag(&self, field: &str) -> Result<Option<bool>> {
        match self.get(field) {
            Value::Null => Ok(None),
            Value::Bool(flag) => Ok(Some(*flag)),
            _ => Err(self.bad(field, "neither true nor false")),
        }
    }

    /// A token's text, written as a string or as an object with `content`.
    fn token(&self, field: &str) -> Result<Option<String>> {
        match self.get(field) {
            Value::Null => Ok(None),
            token => token_text(token).map(Some).ok_or_else(|| self.bad(field, "not a token")),
        }
    }

    /// A list of tokens, or an object of named ones.
    fn tokens(&self, field: &str) -> Result<Vec<String>> {
        let tokens: Option<Vec<String>> = match self.get(field) {
            Value::Null => Some(Vec::new()),
            Value::Array(tokens) => tokens.iter().map(token_text).collect(),
            Value::Object(tokens) => tokens.values().map(token_text).collect(),
            _ => None,
        };
        tokens.ok_or_else(|| self.bad(field, "not a list of tokens"))
    }

    /// One token id or a list of them.
    fn ids(&self, field: &str) -> Result<Vec<u32>> {
        let id = |value: &Value| value.as_u64().and_then(|id| u32::try_from(id).ok());
        let ids: Option<Vec<u32>> = match self.get(field) {
            Value::Null => Some(Vec::new()),
            Value::Array(ids) => ids.iter().map(id).collect(),
            one => id(one).map(|id| vec![id]),
        };
        ids.ok_or_else(|| self.bad(field, "not a token id"))
    }
}

fn token_text(token: &Value) -> Option<String> {
    token.as_str().or_else(|| token["content"].as_str()).map(str::to_owned)
}

fn write_json(path: &Path, value: &impl Serialize) -> Result<()> {
    let file = fs::File::create(path).map_err(|cause| Error::io(path, &cause))?;
    let mut writer = BufWriter::new(file);
    serde_json::to_writer_pretty(&mut writer, value).map_err(|cause| Error::io(path, &cause.into()))?;
    writer.flush().map_err(|cause| Error::io(path, &cause))
}

#[cfg(test)]
mod tests;
