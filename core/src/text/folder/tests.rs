use super::*;
use crate::text::fixtures::{byte_fallback, folder};

fn open(change: impl FnOnce(&mut Value), files: &[(&str, &str)]) -> Result<Tokenizer> {
    let mut file = byte_fallback();
    change(&mut file);
    let text = file.to_string();
    let (_guard, dir) = folder(&[&[("tokenizer.json", text.as_str())], files].concat());
    Tokenizer::from_folder(&dir)
}

#[test]
fn special_ids_come_from_the_files_beside() {
    type Expected<'a> = (Option<u32>, bool, Option<u32>, &'a [u32]);
    let cases: &[(&[(&str, &str)], Expected)] = &[
        (&[], (Some(1), true, None, &[])),
        (&[("config.json", r#"{"bos_token_id": 5, "eos_token_id": 2}"#)], (Some(1), true, Some(2), &[2])),
        (
            &[
                ("config.json", r#"{"eos_token_id": 7}"#),
                ("generation_config.json", r#"{"eos_token_id": [9, 2, 9]}"#),
                ("tokenizer_config.json", r#"{"eos_token": {"content": "</s>"}, "add_bos_token": false}"#),
            ],
            (Some(1), true, Some(2), &[2, 9]),
        ),
        (&[("tokenizer_config.json", r#"{"bos_token": "</s>", "eos_token": "nowhere"}"#)], (Some(2), false, None, &[])),
        (&[("special_tokens_map.json", r#"{"eos_token": "</s>"}"#)], (Some(1), true, Some(2), &[2])),
    ];
    for (files, expected) in cases {
        let tokenizer = open(|_| {}, files).expect("a tokenizer");
        let found = (tokenizer.bos(), tokenizer.adds_bos(), tokenizer.end_of_turn(), tokenizer.eos_ids());
        assert_eq!(found, *expected, "{files:?}");
    }
    // Turns end as the template ends them, with one more token that generation stops at.
    let ended = r#"{"eos_token": "</s>", "chat_template": "{% for m in messages %}{{ m.role }}: {{ m.content }}<unk>{% endfor %}"}"#;
    let tokenizer = open(|_| {}, &[("tokenizer_config.json", ended)]).expect("a tokenizer");
    assert_eq!((tokenizer.end_of_turn(), tokenizer.eos_ids()), (Some(0), &[0, 2][..]));
    let settings = [("tokenizer_config.json", r#"{"bos_token": "<s>", "add_bos_token": true}"#)];
    let tokenizer = open(|file| file["post_processor"] = Value::Null, &settings).expect("a tokenizer");
    assert!(tokenizer.adds_bos(), "without a post-processor the setting counts");
}

#[test]
fn tokens_that_the_settings_call_special_are_control_tokens() {
    let settings = r#"{"eos_token": "ll", "additional_special_tokens": ["▁hi", {"content": "not there"}]}"#;
    let tokenizer = open(|_| {}, &[("tokenizer_config.json", settings)]).expect("a tokenizer");
    for token in ["ll", "▁hi"] {
        let id = tokenizer.token_id(token).expect("an id");
        assert!(tokenizer.is_control(id));
        assert!(!tokenizer.encode(" hi ll").expect("ids").contains(&id));
    }
}

#[test]
fn the_chat_template_is_found_wherever_it_is() {
    let listed = r#"{"chat_template": [{"name": "tools", "template": "T"}, {"name": "default", "template": "D"}]}"#;
    for (files, expected) in [
        (vec![], None),
        (vec![("tokenizer_config.json", r#"{"chat_template": "C"}"#)], Some("C")),
        (vec![("tokenizer_config.json", listed)], Some("D")),
        (vec![("tokenizer_config.json", listed), ("chat_template.jinja", "J")], Some("J")),
    ] {
        assert_eq!(open(|_| {}, &files).expect("a tokenizer").chat_template(), expected, "{files:?}");
    }
}

#[test]
fn files_of_python_and_of_editors_are_read() {
    let files = [
        ("tokenizer_config.json", "\u{feff}{\"eos_token\": \"</s>\", \"model_max_length\": Infinity}"),
        ("generation_config.json", r#"{"eos_token_id": [2, 9], "temperature": NaN}"#),
        ("chat_template.jinja", "\u{feff}{{ messages[0].content }}"),
    ];
    let tokenizer = open(|_| {}, &files).expect("a tokenizer");
    assert_eq!((tokenizer.end_of_turn(), tokenizer.eos_ids()), (Some(2), &[2, 9][..]));
    assert!(tokenizer.chat_template().is_some_and(|template| template.starts_with('\u{feff}')));

    let marked = format!("\u{feff}{}", byte_fallback());
    let (_guard, dir) = folder(&[("tokenizer.json", &marked)]);
    assert!(Tokenizer::from_folder(&dir).is_ok());
}

#[test]
fn what_cannot_be_used_is_refused_by_name() {
    let (_guard, empty) = folder(&[]);
    let error = Tokenizer::from_folder(&empty).expect_err("no file");
    assert_eq!(error.kind(), ErrorKind::Io);
    assert!(error.message().contains("tokenizer.json"), "{error}");

    type Change = fn(&mut Value);
    let cases: &[(Change, ErrorKind, &str)] = &[
        (|f| *f = json!([]), ErrorKind::BadFile, "tokenizer.json"),
        (|f| f["model"] = json!({"type": "Unigram", "vocab": [["a", -1.0]]}), ErrorKind::Unsupported, "Unigram"),
        (|f| f["model"]["type"] = json!("WordLevel"), ErrorKind::Unsupported, "WordLevel"),
        (|f| f["model"]["vocab"] = json!({}), ErrorKind::BadFile, "model.unk_token"),
        (|f| f["model"]["vocab"]["h"] = json!(3), ErrorKind::BadFile, "the id 3 has two tokens"),
        (|f| f["model"]["vocab"]["h"] = json!(-1), ErrorKind::BadFile, "tokenizer.json"),
        (|f| f["model"]["merges"][0] = json!("   "), ErrorKind::BadFile, "a merge of two tokens"),
        (|f| f["model"]["merges"][0] = json!(["a"]), ErrorKind::BadFile, "a merge of two tokens"),
        (|f| f["model"]["merges"][0] = json!("x y"), ErrorKind::BadFile, "model.merges"),
        (|f| f["model"]["continuing_subword_prefix"] = json!("##"), ErrorKind::Unsupported, "subword_prefix"),
        (|f| f["model"]["unk_token"] = json!("?"), ErrorKind::BadFile, "model.unk_token"),
        (|f| f["added_tokens"][1]["id"] = json!(77), ErrorKind::BadFile, "the id 77 has two tokens"),
        (|f| f["added_tokens"][1]["id"] = json!(777), ErrorKind::BadFile, "added_tokens: \"<s>\""),
        (|f| f["decoder"] = json!({"type": "CTC"}), ErrorKind::Unsupported, "CTC"),
        (|f| f["decoder"]["decoders"][3]["stop"] = json!(1), ErrorKind::Unsupported, "Strip at the end"),
        (|f| f["pre_tokenizer"] = json!({"type": "Unknown"}), ErrorKind::BadFile, "tokenizer.json"),
    ];
    for (change, kind, part) in cases {
        let error = open(change, &[]).expect_err(part);
        assert_eq!(error.kind(), *kind, "{part}: {error}");
        assert!(error.message().contains("tokenizer.json") && error.message().contains(part), "{part}: {error}");
    }
    for (name, text, part) in [
        ("tokenizer_config.json", "{", "tokenizer_config.json"),
        ("tokenizer_config.json", r#"{"bos_token": 1}"#, "bos_token"),
        ("tokenizer_config.json", r#"{"chat_template": 1}"#, "chat_template"),
        ("tokenizer_config.json", r#"{"additional_special_tokens": [1]}"#, "additional_special_tokens"),
        ("generation_config.json", r#"{"eos_token_id": "x"}"#, "generation_config.json: eos_token_id"),
        ("config.json", r#"{"eos_token_id": [1, -2]}"#, "config.json: eos_token_id"),
        ("generation_config.json", r#"{"eos_token_id": NaN}"#, "generation_config.json: eos_token_id"),
    ] {
        let error = open(|_| {}, &[(name, text)]).expect_err(part);
        assert_eq!(error.kind(), ErrorKind::BadFile, "{error}");
        assert!(error.message().contains(part), "{error}");
    }
}
