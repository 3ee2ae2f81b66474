use super::*;
use crate::ErrorKind;
use crate::text::fixtures::{CHATML, built, byte_level, folder, scored};

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
    for vocabulary in [byte_level(), scored(), GgufVocabulary { space_prefix: Some(false), ..scored() }] {
        for add_bos in [false, true] {
            let tokenizer = built(&GgufVocabulary { add_bos: Some(add_bos), ..vocabulary.clone() });
            let (_guard, dir) = folder(&[]);
            tokenizer.write_folder(&dir).expect("a folder");
            let read = Tokenizer::from_folder(&dir).expect("a tokenizer");
            assert_eq!(read.fingerprint(), tokenizer.fingerprint());
            assert_eq!((read.bos(), read.adds_bos(), read.eos_ids()), (Some(1), add_bos, &[2][..]));
            let text = "hello <think> 12  é\t\n\n <|im_end|>";
            let ids = tokenizer.encode(text).expect("ids");
            assert_eq!(read.encode(text).as_ref(), Ok(&ids));
            assert_eq!(read.decode(&ids), tokenizer.decode(&ids));
            assert_eq!(read.encode_with_controls(text), tokenizer.encode_with_controls(text));
            assert_eq!(read.token_bytes(), tokenizer.token_bytes());
            assert_eq!(read.chat_template(), tokenizer.chat_template());
        }
    }
}

#[test]
fn pieces_are_merged_by_their_scores() {
    let texts = |vocabulary: &GgufVocabulary, text| -> Vec<String> {
        let tokenizer = built(vocabulary);
        let ids = tokenizer.encode(text).expect("ids");
        ids.iter().map(|id| tokenizer.token_text(*id).expect("a token")).collect()
    };
    let bare = GgufVocabulary { space_prefix: Some(false), ..scored() };
    let mut worse = bare.clone();
    let ll = worse.tokens.iter().position(|token| token == "ll").expect("a piece");
    worse.scores[ll] = -100.0;
    for (vocabulary, text, expected) in [
        (scored(), "hello", vec!["▁he", "ll", "o"]),
        (bare.clone(), "hello", vec!["he", "ll", "o"]),
        (worse, "hello", vec!["he", "l", "lo"]),
        (bare.clone(), "oéo", vec!["o", "<0xC3>", "<0xA9>", "o"]),
        // Runs of spaces are the user's pieces, above all others, and begin no word.
        (bare.clone(), "o  he", vec!["o", "▁▁", "he"]),
        (bare.clone(), "o he", vec!["o", "▁he"]),
        (scored(), " he", vec!["▁▁", "he"]),
        (bare, "o\n\no", vec!["o", "\n\n", "o"]),
        // A filler is no piece.
        (scored(), "[PAD0]", vec!["▁", "<0x5B>", "<0x50>", "<0x41>", "<0x44>", "<0x30>", "<0x5D>"]),
    ] {
        assert_eq!(texts(&vocabulary, text), expected, "{text:?}");
    }
}

#[test]
fn where_the_file_does_not_say_llama_cpp_says_whether_a_bos_is_added() {
    let silent = |vocabulary| GgufVocabulary { add_bos: None, ..vocabulary };
    let named = |pre: &str| silent(GgufVocabulary { pre: pre.into(), ..byte_level() });
    for (vocabulary, adds_bos) in [
        (silent(scored()), true),
        (named("llama-bpe"), true),
        (named("tekken"), true),
        (named("smaug-bpe"), false),
        (named("qwen2"), false),
    ] {
        assert_eq!(built(&vocabulary).adds_bos(), adds_bos, "{}", vocabulary.pre);
    }
}

#[test]
fn phi_3_swallows_white_space_behind_its_control_tokens() {
    for (architecture, text) in [("phi3", "<|im_end|>hello"), ("llama", "<|im_end|>\n hello")] {
        let tokenizer = built(&GgufVocabulary { architecture: architecture.into(), ..scored() });
        let ids = tokenizer.encode_with_controls("<|im_end|>\n hello").expect("ids");
        assert_eq!(ids, tokenizer.encode_with_controls(text).expect("ids"), "{architecture}");
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
        (with(|v| v.model = "t5".into()), ErrorKind::Unsupported, "tokenizer.ggml.model: \"t5\""),
        (with(|v| v.pre = "default".into()), ErrorKind::Unsupported, "tokenizer.ggml.pre: \"default\""),
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

#[test]
fn scored_pieces_that_lie_are_refused_by_name() {
    let with = |change: fn(&mut GgufVocabulary)| {
        let mut vocabulary = scored();
        change(&mut vocabulary);
        vocabulary
    };
    for (vocabulary, kind, part) in [
        (with(|v| v.scores.clear()), ErrorKind::BadFile, "tokenizer.ggml.scores: 0 scores for 276 tokens"),
        (with(|v| v.scores.push(0.0)), ErrorKind::BadFile, "tokenizer.ggml.scores: 277 scores for 276 tokens"),
        (with(|v| v.scores[7] = f32::NAN), ErrorKind::BadFile, "tokenizer.ggml.scores: number 7"),
        (with(|v| v.scores[8] = f32::INFINITY), ErrorKind::BadFile, "tokenizer.ggml.scores: number 8"),
        (with(|v| v.scores.fill(-1000.0)), ErrorKind::BadFile, "tokenizer.ggml.scores: all pieces have the same"),
        (with(|v| v.token_types.clear()), ErrorKind::BadFile, "tokenizer.ggml.token_type: missing"),
        (with(|v| v.token_types.truncate(5)), ErrorKind::BadFile, "5 types for 276 tokens"),
        (with(|v| v.tokens[270] = v.tokens[269].clone()), ErrorKind::BadFile, "269 and 270 are the same token"),
        (with(|v| v.tokens[269] = "▁▁".into()), ErrorKind::BadFile, "are the same token"),
        (
            with(|v| v.tokens[13] = "<0x>".into()),
            ErrorKind::BadFile,
            "tokenizer.ggml.tokens: none is for the byte 0x09",
        ),
        (with(|v| v.tokens[269] = "a".repeat(1025)), ErrorKind::BadFile, "tokenizer.ggml.tokens: number 269"),
        (with(|v| v.unknown = Some(276)), ErrorKind::BadFile, "tokenizer.ggml.unknown_token_id: 276"),
        (with(|v| v.bos = Some(276)), ErrorKind::BadFile, "tokenizer.ggml.bos_token_id: 276"),
        (
            with(|v| v.remove_extra_whitespaces = Some(true)),
            ErrorKind::Unsupported,
            "tokenizer.ggml.remove_extra_whitespaces",
        ),
        (
            with(|v| (v.tokens, v.scores, v.token_types) = Default::default()),
            ErrorKind::BadFile,
            "tokenizer.ggml.token_type",
        ),
    ] {
        let error = Tokenizer::from_gguf(&vocabulary, Path::new("model.gguf")).expect_err(part);
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.message().starts_with("model.gguf: ") && error.message().contains(part), "{error}");
    }
    // Bytes spell everything, so an unknown token is none that is missed.
    assert!(built(&with(|v| v.unknown = None)).encode("\u{2603}").is_ok());
}
