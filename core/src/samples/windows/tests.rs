use super::*;
use crate::text::GgufVocabulary;
use crate::text::fixtures::{CHATML, built, byte_level};

fn chat(template: &str) -> Tokenizer {
    built(&GgufVocabulary { chat_template: Some(template.into()), ..byte_level() })
}

/// Texts of several scripts, with sentences, without any, and with neither spaces nor sentences.
fn texts() -> Vec<String> {
    vec![
        "See you at nine. Bring bread! hello hello hello, and then we go.\n\nTa! Bye".repeat(3),
        "कल शाम को सब लोग घर पर आ रहे हैं। खाना भी यहीं बनेगा। ".repeat(4),
        "hello ".repeat(60),
        "今日は良い天気ですね。明日も晴れるでしょう。".repeat(4),
        "x".repeat(150),
        "👩‍👩‍👧👍".repeat(12),
        " \n  spaced  \n out \n ".repeat(9),
    ]
}

#[test]
fn every_token_of_the_persons_carries_loss_once_and_comes_behind_what_precedes_it() {
    for tokenizer in [chat(CHATML), chat("{% for m in messages %}{{ m.role }}: {{ m.content | trim }}\n{% endfor %}")] {
        for text in texts() {
            let characters: Vec<usize> = text.char_indices().map(|(at, _)| at).collect();
            let masked: Vec<Range<usize>> = characters.windows(3).step_by(7).map(|run| run[0]..run[2]).collect();
            let contexts = [None, Some("hello? ".repeat(30)), Some("ok".into())];
            let masks = [Vec::new(), masked];
            for (context, masked) in contexts.iter().flat_map(|context| masks.iter().map(move |mask| (context, mask))) {
                let row = TextRow { text: text.clone(), context: context.clone(), masked: masked.clone() };
                let whole = samples_of_text(&row, &tokenizer, usize::MAX);
                let [sample] = &whole.samples[..] else { panic!("one sample where there is room") };
                let learned = |sample: &Sample| sample.targets().map(|target| sample.ids[target]).collect::<Vec<u32>>();
                let expected = learned(sample);
                assert!(masked.is_empty() || expected.len() < sample.ids.len() - sample.supervised_from);
                assert_eq!(sample.text_bytes, text.len());
                for seq_len in [55, 64, 100, sample.ids.len() - 1, sample.ids.len()] {
                    let made = samples_of_text(&row, &tokenizer, seq_len);
                    let parts: Vec<_> = made.samples.iter().map(&learned).collect();
                    assert_eq!(parts.concat(), expected, "{seq_len}");
                    let bytes: usize = made.samples.iter().map(|sample| sample.text_bytes).sum();
                    assert!(bytes == text.len() || !masked.is_empty(), "{seq_len}: {bytes} of {}", text.len());
                    let mut before: Vec<u32> = Vec::new();
                    for (number, sample) in made.samples.iter().enumerate() {
                        assert!(sample.ids.len() <= seq_len && sample.supervised_from > 0);
                        let prompt = &sample.ids[..sample.supervised_from];
                        let seen = prompt.iter().rev().zip(before.iter().rev()).take_while(|(a, b)| a == b).count();
                        let kept = (seq_len - 45) / KEPT_BEFORE / 3;
                        assert!(number == 0 || seen >= kept.min(before.len()), "{seq_len}: {seen} before {number}");
                        before.extend(&sample.ids[sample.supervised_from..]);
                    }
                    let ends = made.samples.iter().filter(|sample| sample.ids.last() == Some(&2)).count();
                    assert_eq!(ends, 1, "only the last part ends the turn");
                }
            }
        }
    }
}

#[test]
fn a_context_is_cut_at_its_start_and_the_template_stays() {
    let tokenizer = chat(CHATML);
    let row = TextRow::new("on my way", Some(format!("{}the end of it", "come over, ".repeat(50))));
    let whole = samples_of_text(&row, &tokenizer, usize::MAX);
    let full = whole.samples[0].ids.len();
    for seq_len in [60, 71, 100, full - 1, full] {
        let made = samples_of_text(&row, &tokenizer, seq_len);
        let [sample] = &made.samples[..] else { panic!("{} samples", made.samples.len()) };
        assert_eq!(made.context_tokens_cut, full - sample.ids.len());
        // A word is at most so long.
        assert!(sample.ids.len() <= seq_len && sample.ids.len() + 6 > seq_len.min(full), "{seq_len}");
        let said: Vec<String> = sample.ids.iter().map(|id| tokenizer.token_text(*id).unwrap()).collect();
        let said = said.concat().replace('Ġ', " ").replace('Ċ', "\n");
        let (head, rest) = said.split_once("user\n").unwrap();
        assert_eq!(head, "<|im_start|>system\nBe kind<|im_end|>\n<|im_start|>");
        let context = rest.strip_suffix("<|im_end|>\n<|im_start|>assistant\non my way<|im_end|>").unwrap();
        assert!(row.context.as_ref().unwrap().ends_with(context), "{context:?}");
        assert!(["come", "over", "the", "end", "of", "it"].iter().any(|word| context.starts_with(word)), "{context:?}");
        assert_eq!(sample.supervised(), tokenizer.encode("on my way").unwrap().len() + 1);
    }
    // Where only the template and the reply fit, nothing is left of the context.
    let bare = tokenizer.encode_turn("", "on my way").unwrap().0;
    let made = samples_of_text(&row, &tokenizer, bare.len());
    assert_eq!((made.samples[0].ids.clone(), made.samples.len()), (bare, 1));
}

#[test]
fn parts_end_with_sentences_else_with_words_else_with_characters() {
    let tokenizer = built(&byte_level());
    let ends = |text: &str, seq_len: usize| -> Vec<String> {
        let made = samples_of_text(&TextRow::new(text, None), &tokenizer, seq_len);
        let learned = made.samples.iter().map(|sample| tokenizer.decode(&sample.ids[sample.supervised_from..]));
        learned.map(Result::unwrap).collect()
    };
    for (text, seq_len, expected) in [
        ("One two. Three four. Five", 16, vec!["One two. ", "Three four. ", "Five"]),
        ("One two. Three four. Five", 22, vec!["One two. Three four. ", "Five"]),
        ("one two three four five six", 12, vec!["one two ", "three ", "four ", "five six"]),
        ("abcdefghijklmnop", 9, vec!["abcdefgh", "ijklmn", "op"]),
        ("é日本é日本", 9, vec!["é日本", "é日", "本"]),
        ("abc", 2, vec!["a", "b", "c", ""]),
    ] {
        assert_eq!(ends(text, seq_len), expected, "{text:?} in {seq_len}");
    }
}

#[test]
fn what_is_left_out_is_told() {
    let tokenizer = chat(CHATML);
    let mut counts = SampleCounts::default();
    for (row, seq_len, left_out) in [
        (TextRow::new(" \n", None), 64, Some(LeftOut::Blank)),
        (TextRow::new("hello", Some("so?".into())), 20, Some(LeftOut::NoRoom)),
        (TextRow::new("hello", Some("so?".repeat(40))), 64, None),
        (TextRow::new("hello", None), 64, None),
        (TextRow::new("hello ".repeat(70), None), 64, None),
    ] {
        let made = samples_of_text(&row, &tokenizer, seq_len);
        counts.add(&made);
        assert_eq!((made.samples.is_empty(), made.left_out), (left_out.is_some(), left_out));
    }
    assert_eq!((counts.texts, counts.blank, counts.no_room, counts.contexts_cut), (5, 1, 1, 1));
    assert_eq!((counts.texts_parted, counts.samples), (1, 2 + counts.parts));
    assert!(counts.parts == 2 && counts.context_tokens_cut > 0 && !counts.all_whole());
}

#[test]
fn the_parts_of_a_text_count_together() {
    let sample = |id| Sample { ids: vec![0, id], supervised_from: 1, masked: Vec::new(), text_bytes: 1 };
    let mut set = SampleSet::default();
    assert!(set.add(vec![sample(1), sample(2)]));
    assert!(!set.add(Vec::new()));
    assert!(set.add(vec![sample(3)]));
    assert_eq!(set.by_text(&[(1.0, 2), (0.5, 3), (4.0, 1)]), [(1.5, 5), (4.0, 1)]);
}

#[test]
fn what_the_model_refuses_is_left_out_and_says_why() {
    let refusing = CHATML.replacen(
        "{% for",
        "{% if 'bad' in messages[0].content %}{{ raise_exception('no such words') }}{% endif %}{% for",
        1,
    );
    // Some templates rewrite what some messages say: what to learn cannot be told from the rest then.
    let rewriting = "{% for m in messages %}{{ m.role }}: {{ m.content | replace('bad', 'good') }}\n{% endfor %}";
    let with = |start: Option<&str>| {
        let vocabulary = byte_level();
        let tokens = vocabulary.tokens.into_iter().map(|token| match start {
            None if token == "<|endoftext|>" => "<|unused|>".into(),
            _ => token,
        });
        built(&GgufVocabulary { tokens: tokens.collect(), bos: None, ..vocabulary })
    };
    let row = |context: Option<&str>| TextRow::new("hello", context.map(Into::into));
    for (what, tokenizer, row, refused) in [
        ("another text", chat(&refusing), row(Some("so?")), None),
        ("a refused text", chat(&refusing), row(Some("a bad one")), Some("does not suit")),
        ("no context", chat(&refusing), row(None), None),
        ("another text, not rewritten", chat(rewriting), row(Some("so?")), None),
        ("a rewritten text", chat(rewriting), row(Some("a bad one")), Some("rewrites")),
        ("a template that cannot be used", chat("{% if %}"), row(Some("so?")), Some("cannot be used")),
        ("no document start", with(None), row(None), Some("document-start")),
        ("no document start, with a context", with(None), row(Some("so?")), None),
    ] {
        let made = samples_of_text(&row, &tokenizer, 64);
        let said = made.refusal().map(|refusal| refusal.message().to_owned());
        assert_eq!(said.is_some(), refused.is_some(), "{what}: {said:?}");
        assert_eq!(made.samples.is_empty(), refused.is_some(), "{what}");
        assert!(said.unwrap_or_default().contains(refused.unwrap_or_default()), "{what}");
        let mut counts = SampleCounts::default();
        counts.add(&made);
        assert_eq!((counts.texts, counts.refused, counts.all_whole()), (1, refused.iter().count(), refused.is_none()));
    }
}
