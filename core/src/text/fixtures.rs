//! Small vocabularies for tests.

use std::path::{Path, PathBuf};

use serde_json::json;
use tempfile::TempDir;
use tokenizers::decoders::byte_level::ByteLevel;

use super::{GgufVocabulary, Tokenizer};

/// A chat template as published models have it, with a default system turn.
pub(crate) const CHATML: &str = "\
{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}{{ '<|im_start|>system\nBe kind\
<|im_end|>\n' }}{% endif %}{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}\
{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}";

/// A byte-level vocabulary of three control tokens, `<think>`, every byte and a few merges.
pub(crate) fn byte_level() -> GgufVocabulary {
    let mut tokens: Vec<String> = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<think>"].map(Into::into).into();
    let mut bytes: Vec<char> = ByteLevel::alphabet().into_iter().collect();
    bytes.sort_unstable();
    tokens.extend(bytes.into_iter().map(String::from));
    let merges = ["h e", "l l", "he ll", "hell o", "Ġ hello", "e r", "u s", "us er", "Ċ Ċ", "< |", "i m"];
    tokens.extend(merges.iter().map(|merge| merge.replace(' ', "")));
    let mut token_types = vec![1; tokens.len()];
    token_types[..4].copy_from_slice(&[3, 3, 3, 4]);
    GgufVocabulary {
        model: "gpt2".into(),
        pre: "smollm".into(),
        tokens,
        merges: merges.map(Into::into).into(),
        token_types,
        bos: Some(1),
        eos: Some(2),
        add_bos: Some(false),
        chat_template: Some(CHATML.into()),
        ..GgufVocabulary::default()
    }
}

/// A vocabulary of scored pieces as llama.cpp's converter writes it: control tokens, `<think>`, every byte from id 4 on,
/// the user's runs of white space, pieces, the best first, and a filler.
pub(crate) fn scored() -> GgufVocabulary {
    let control = ["<unk>", "<s>", "<|im_end|>"].map(|token| (token.to_owned(), 0.0, 3));
    let bytes = (0..256).map(|byte| (format!("<0x{byte:02X}>"), 0.0, 6));
    let users = ["  ", "\n\n"].map(|run| (run.to_owned(), -1000.0, 4));
    let pieces = ["he", "▁he", "ll", "lo", "▁", "h", "e", "l", "o", "12"].map(String::from);
    let pieces = pieces.into_iter().zip(1_u16..).map(|(piece, rank)| (piece, -f32::from(rank), 1));
    let mut rows: Vec<(String, f32, i32)> = control.into();
    rows.push(("<think>".to_owned(), -1000.0, 4));
    rows.extend(bytes.chain(users).chain(pieces));
    rows.extend([("[PAD0]", 5), ("[PAD1]", 5), ("[PAD", 1), ("0]", 5)].map(|(token, kind)| (token.into(), -1e4, kind)));
    GgufVocabulary {
        model: "llama".into(),
        pre: "default".into(),
        tokens: rows.iter().map(|(token, _, _)| token.clone()).collect(),
        scores: rows.iter().map(|(_, score, _)| *score).collect(),
        token_types: rows.iter().map(|(_, _, kind)| *kind).collect(),
        bos: Some(1),
        eos: Some(2),
        unknown: Some(0),
        ..GgufVocabulary::default()
    }
}

/// The tokenizer of a vocabulary that must be right.
pub(crate) fn built(vocabulary: &GgufVocabulary) -> Tokenizer {
    Tokenizer::from_gguf(vocabulary, Path::new("model.gguf")).expect("a vocabulary")
}

/// `tokenizer.json` of a vocabulary with byte fallback, as SentencePiece models are converted: control tokens
/// `<unk>`, `<s>`, `</s>`, the bytes from id 3 on, then pieces.
pub(crate) fn byte_fallback() -> serde_json::Value {
    let mut vocab = serde_json::Map::new();
    let bytes = (0..256).map(|byte| format!("<0x{byte:02X}>"));
    let pieces = ["▁", "h", "i", "e", "l", "o", "▁h", "▁hi", "ll"].map(String::from);
    let control = ["<unk>", "<s>", "</s>"];
    for (id, token) in control.map(String::from).into_iter().chain(bytes).chain(pieces).enumerate() {
        vocab.insert(token, json!(id));
    }
    let added = control.iter().enumerate().map(|(id, content)| {
        json!({"id": id, "content": content, "single_word": false, "lstrip": false, "rstrip": false,
               "normalized": false, "special": true})
    });
    json!({
        "version": "1.0",
        "added_tokens": added.collect::<Vec<_>>(),
        "normalizer": {"type": "Sequence", "normalizers": [
            {"type": "Prepend", "prepend": "▁"}, {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}]},
        "pre_tokenizer": null,
        "post_processor": {"type": "TemplateProcessing",
            "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
            "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
            "special_tokens": {"<s>": {"id": "<s>", "ids": [1], "tokens": ["<s>"]}}},
        "decoder": {"type": "Sequence", "decoders": [
            {"type": "Replace", "pattern": {"String": "▁"}, "content": " "}, {"type": "ByteFallback"}, {"type": "Fuse"},
            {"type": "Strip", "content": " ", "start": 1, "stop": 0}]},
        "model": {"type": "BPE", "unk_token": "<unk>", "fuse_unk": true, "byte_fallback": true,
            "vocab": vocab, "merges": ["▁ h", "▁h i", ["l", "l"]]},
    })
}

/// A folder of the given files.
pub(crate) fn folder(files: &[(&str, &str)]) -> (TempDir, PathBuf) {
    let dir = tempfile::tempdir().expect("a folder");
    for (name, text) in files {
        std::fs::write(dir.path().join(name), text).expect("a file");
    }
    let path = dir.path().to_owned();
    (dir, path)
}
