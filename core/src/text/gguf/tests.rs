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
