use std::path::Path;

use super::read::parse_on;
use super::*;
use crate::error::{Error, ErrorKind};
use crate::random::Random;

fn chat(text: &str) -> Result<ChatExport, Error> {
    parse(text, Path::new("chat.txt"))
}

const IOS: &str = "\u{feff}[12/31/23, 9:40:00\u{202f}PM] Ben: \u{200e}Messages and calls are end-to-end encrypted. Only \
                   people in this chat can read them.\r\n\
                   [12/31/23, 9:41:05\u{202f}PM] Ben: u coming?\r\n\
                   [12/31/23, 9:41:20\u{202f}PM] Ben: bring ice\r\n\
                   [12/31/23, 9:42:00\u{202f}PM] Ana: ya\r\n\
                   [12/31/23, 9:42:10\u{202f}PM] Ana: 10 min\r\n\
                   \r\n\
                   and ice: ok\r\n\
                   \u{200e}[12/31/23, 9:43:00\u{202f}PM] Ana: \u{200e}image omitted\r\n\
                   [1/1/24, 12:05:00\u{202f}AM] Ben: happy new year\u{a0}!\r\n\
                   [1/1/24, 12:05:30\u{202f}AM] Ana: u too \u{200e}<This message was edited>\r\n";

const ANDROID: &str = "31/12/2023, 21:40 - Messages and calls are end-to-end encrypted. Tap to learn more.\n\
                       31/12/2023, 21:41 - Ben created group \"Party\"\n\
                       31/12/2023, 21:41 - Ben: who brings ice\n\
                       31/12/2023, 21:42 - Cy: not me\n\
                       31/12/2023, 21:43 - Ana: me\n\
                       31/12/2023, 21:44 - Cy: IMG-20231231-WA0001.jpg (file attached)\nthe ice\n\
                       31/12/2023, 21:45 - Ben: <Media omitted>\n\
                       31/12/2023, 21:46 - Ana: This message was deleted\n\
                       31/12/2023, 21:50 - Ana: lol\n\
                       31/12/2023, 22:10 - Ana: anyone up\n";

#[test]
fn exports_of_both_systems() {
    let ios = chat(IOS).unwrap();
    let message = |m: &Message| (m.timestamp, m.author.clone(), m.text.clone(), m.line);
    let expected = [
        (1_704_058_865, "Ben", "u coming?", 2),
        (1_704_058_880, "Ben", "bring ice", 3),
        (1_704_058_920, "Ana", "ya", 4),
        (1_704_058_930, "Ana", "10 min\n\nand ice: ok", 5),
        (1_704_067_500, "Ben", "happy new year\u{a0}!", 9),
        (1_704_067_530, "Ana", "u too", 10),
    ]
    .map(|(time, author, text, line)| (time, author.to_owned(), text.to_owned(), line));
    assert_eq!(ios.messages.iter().map(message).collect::<Vec<_>>(), expected);
    assert_eq!((ios.date_order, ios.order_is_sure), (DateOrder::MonthFirst, true));
    assert_eq!((ios.marks, ios.system_lines), (1, 1));

    let android = chat(ANDROID).unwrap();
    let texts: Vec<_> = android.messages.iter().map(|message| message.text.as_str()).collect();
    assert_eq!(texts, ["who brings ice", "not me", "me", "the ice", "lol", "anyone up"]);
    assert_eq!((android.date_order, android.order_is_sure), (DateOrder::DayFirst, true));
    assert_eq!((android.marks, android.system_lines), (2, 2));
}

#[test]
fn messages_become_samples() {
    type Expected<'a> = (&'a str, Option<&'a str>, Option<&'a str>, &'a str);
    let cases: &[(&str, &str, &[Expected<'_>])] = &[
        (
            IOS,
            "Ana",
            &[
                ("ya", Some("u coming?\nbring ice"), Some("Ben"), "Ben/1704058865"),
                ("10 min\n\nand ice: ok", Some("u coming?\nbring ice"), Some("Ben"), "Ben/1704058865"),
                ("u too", Some("happy new year\u{a0}!"), Some("Ben"), "Ben/1704067500"),
            ],
        ),
        (
            IOS,
            "Ben",
            &[
                ("u coming?", None, Some("Ana"), "Ana/1704058865"),
                ("bring ice", None, Some("Ana"), "Ana/1704058865"),
                ("happy new year\u{a0}!", None, Some("Ana"), "Ana/1704067500"),
            ],
        ),
        (
            ANDROID,
            "Ana",
            &[
                ("me", Some("who brings ice\nnot me"), Some("Cy"), "Ben/1704058860"),
                ("lol", Some("the ice"), Some("Cy"), "Ben/1704058860"),
                // Twenty minutes later, to nobody in particular.
                ("anyone up", None, None, "Ben/1704058860"),
            ],
        ),
    ];
    for (text, name, expected) in cases {
        let samples = samples_of(&chat(text).unwrap(), name).unwrap();
        let found: Vec<Expected<'_>> = samples
            .iter()
            .map(|sample| {
                let conversation = sample.conversation.as_deref().unwrap();
                (sample.text.as_str(), sample.context.as_deref(), sample.contact.as_deref(), conversation)
            })
            .collect();
        assert_eq!(found, *expected);
        assert!(samples.iter().all(|sample| sample.timestamp.is_some_and(|time| time > 1_704_000_000)));
    }
}

#[test]
fn conversations_are_named_alike_by_later_exports_and_by_other_chats_not() {
    let conversations = |text: &str| -> Vec<String> {
        let samples = samples_of(&chat(text).unwrap(), "Ana").unwrap();
        samples.into_iter().filter_map(|sample| sample.conversation).collect()
    };
    let line = |hour: usize, author: &str| format!("31/12/2023, {hour:02}:00 - {author}: hi\n");
    let one = line(1, "Ana") + &line(2, "Ben") + &line(3, "Ana") + &line(9, "Ana") + &line(10, "Ana");
    let named = conversations(&one);
    assert_eq!(named[0], named[1], "one conversation");
    assert_eq!(named[2], named[3], "another one");
    assert_ne!(named[1], named[2]);
    let more = conversations(&(one.clone() + &line(11, "Cy") + &line(20, "Ana")));
    assert_eq!(more[..4], named);
    let from_later_on = conversations(&one[one.find('\n').unwrap() + 1..]);
    assert_eq!(from_later_on[1..], named[2..]);
    // Another chat with the same words at the same times.
    assert!(conversations(&one.replace("Ben", "Cy")).iter().all(|conversation| !named.contains(conversation)));
}

#[test]
fn the_order_of_dates_is_decided_over_the_file() {
    use DateOrder::{DayFirst, MonthFirst, YearFirst};
    for (dates, expected) in [
        (&["31/12/2023"][..], (DayFirst, true)),
        (&["12/31/2023"], (MonthFirst, true)),
        (&["01/02/2023", "13/02/2023"], (DayFirst, true)),
        (&["01/02/2023", "02/13/2023"], (MonthFirst, true)),
        // Time goes on in one order only.
        (&["01/02/2023", "02/01/2023"], (MonthFirst, true)),
        (&["02/01/2023", "01/02/2023"], (DayFirst, true)),
        (&["01/02/2023"], (DayFirst, false)),
        (&["2023-02-01"], (YearFirst, true)),
        // Korean and Basque write years of two digits first.
        (&["23. 12. 31.", "24. 1. 1."], (YearFirst, true)),
        (&["23/12/31", "24/01/01"], (YearFirst, true)),
        (&["23/11/12"], (DayFirst, false)),
        // What lies ahead is a misreading.
        (&["23/12/31"], (YearFirst, true)),
        (&["30/12/23", "31/12/23"], (DayFirst, true)),
        (&["31/12/66", "01/01/67"], (DayFirst, true)),
    ] {
        let text: String = dates.iter().map(|date| format!("{date}, 10:00 - Ana: hi\n")).collect();
        // In October 2024.
        let export = parse_on(&text, Path::new("chat.txt"), 20_000).unwrap();
        assert_eq!((export.date_order, export.order_is_sure), expected, "{dates:?}");
    }
}

#[test]
fn long_contexts_keep_their_end() {
    let line = |minute: usize, author: &str, text: &str| format!("31/12/2023, 21:{minute:02} - {author}: {text}\n");
    let long = "x".repeat(250);
    let text = line(1, "Ben", &long) + &line(2, "Ben", &long) + &line(3, "Ben", "so?") + &line(4, "Ana", "yes");
    let context = samples_of(&chat(&text).unwrap(), "Ana").unwrap()[0].context.clone().unwrap();
    assert_eq!(context, format!("{long}\n{long}\nso?"));
    let text = line(1, "Ben", &long.repeat(2)) + &line(2, "Ben", &long.repeat(3)) + &line(4, "Ana", "yes");
    assert_eq!(samples_of(&chat(&text).unwrap(), "Ana").unwrap()[0].context.clone().unwrap(), long.repeat(3));
}

#[test]
fn what_is_no_export_is_refused_without_its_text() {
    for (text, place) in [
        ("", "messages"),
        ("\n\n", "messages"),
        ("my secret\n31/12/2023, 21:41 - Ana: hi", "line 1"),
        ("\n{\"text\":\"my secret\"}", "line 2"),
        ("31/12/2023, 21:41 - Ana: hi\n12/31/2023, 21:41 - Ana: my secret", "line 2"),
        ("99/99/2023, 21:41 - Ana: my secret", "line 1"),
    ] {
        let error = chat(text).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BadFile);
        assert!(error.message().starts_with("chat.txt: ") && error.message().contains(place), "{error}");
        assert!(!error.message().contains("secret") && !error.hint().unwrap_or_default().contains("secret"), "{error}");
    }
    let missing = read(Path::new("/nowhere/chat.txt")).unwrap_err();
    assert_eq!(missing.kind(), ErrorKind::Io);
}

#[test]
fn an_unknown_name_is_refused_and_nobody_named() {
    let error = samples_of(&chat(ANDROID).unwrap(), "Dee").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::BadOption);
    assert_eq!(error.message(), "no message is by the given name; authors in the export: 3");
    let said = format!("{error:?} {error}");
    assert!(["Ana", "Ben", "Dee"].iter().all(|name| !said.contains(name)), "{said}");
}

#[test]
fn nothing_that_was_written_is_shown_by_debug() {
    let export = chat("31/12/2023, 21:41 - Ana: secret\n").unwrap();
    let shown = format!("{export:?} {:?}", samples_of(&export, "Ana").unwrap());
    assert!(!shown.contains("secret") && !shown.contains("Ana"), "{shown}");
}

#[test]
fn any_text_is_taken() {
    let pieces = [
        "[",
        "]",
        "12/31/23",
        "31/12/2023",
        "99",
        ", ",
        "9:41",
        "25:61",
        " PM",
        "\u{202f}",
        "\u{200e}",
        " - ",
        "Ana",
        ": ",
        ":",
        "hi",
        "\n",
        "\r\n",
        "<Media omitted>",
        "🎉",
        "下午",
        "2023-01-01",
        "T",
        "\u{feff}",
        "4294967296",
        "31. 12. 2023. ",
        "R5/12/31",
        "٣١/١٢/٢٠٢٣، ",
        "年",
        "晚上",
        " klo ",
        " g. ",
        "(",
        ")",
        "POLL:",
        "OPTION: a (1 vote)",
        "<attached: a.jpg>",
        "a.pdf • ",
        " document omitted",
        "\u{200f}",
        "<",
        ">",
        "\"",
        "e\u{301}",
        " (file attached)",
        "https://maps.google.com/?q=1,2",
    ];
    let mut random = Random::new(1);
    for _ in 0..20_000 {
        let mut next = |bound: usize| random.next_u64() as usize % bound;
        let text: String = (0..next(30)).map(|_| pieces[next(pieces.len())]).collect();
        if let Ok(export) = chat(&text) {
            let authors: Vec<String> = export.authors().into_keys().map(str::to_owned).collect();
            for author in authors {
                let samples = samples_of(&export, &author).unwrap();
                assert!(samples.iter().all(|sample| !sample.text.trim().is_empty()));
            }
        }
    }
}

#[test]
fn a_line_that_only_looks_like_a_head_stays_in_its_message() {
    let text = "31/12/2023, 21:41 - Ana: they wrote\n12/31/23 at 9:41 PM - Ben: see you\nand so on\n\
                31/12/2023, 21:42 - Ben: ok\n31/12/2023, 21:43 - Ana: bye\n";
    let export = chat(text).unwrap();
    let texts: Vec<_> = export.messages.iter().map(|message| message.text.as_str()).collect();
    assert_eq!(texts, ["they wrote\n12/31/23 at 9:41 PM - Ben: see you\nand so on", "ok", "bye"]);

    // Two chats that were joined are both read.
    let joined = text.replace("12/31/23 at 9:41 PM - Ben: see you\nand so on\n", "")
        + "[31.12.23, 21:41:05] Ben: a\n[31.12.23, 21:41:06] Ana: b\n[31.12.23, 21:41:07] Ben: c\n";
    assert_eq!(chat(&joined).unwrap().messages.len(), 6);
}

#[test]
fn names_are_found_however_their_letters_are_encoded() {
    for (written, given) in [
        ("Ange\u{301}lique", "Angélique"),
        ("Angélique", "Ange\u{301}lique"),
        ("~\u{202f}Ana K.", "Ana K."),
        ("\u{202a}+44\u{a0}7700\u{a0}900123\u{202c}", "+44 7700 900123"),
        ("각하", "각하"),
    ] {
        let export = chat(&format!("31/12/2023, 21:41 - {written}: hi\n31/12/2023, 21:42 - Ben: ho\n")).unwrap();
        let samples = samples_of(&export, given).unwrap();
        assert_eq!((samples.len(), samples[0].contact.as_deref()), (1, Some("Ben")), "{written:?} {given:?}");
    }
}

#[test]
fn a_quoted_colon_makes_no_author() {
    let text = "31/12/2023, 21:40 - Ben changed the subject from \"Ski: 2023\" to \"Ski: 2024\"\n\
                31/12/2023, 21:41 - Ben changed the group name from “Ski: 2023” to “Ski: 2024”\n\
                31/12/2023, 21:42 - Ben hat den Betreff zu „Ski: 2024“ geändert\n\
                31/12/2023, 21:43 - Ben a changé le sujet en « Ski : 2024 »\n\
                31/12/2023, 21:44 - Ana: said \"no: never\"\n";
    let export = chat(text).unwrap();
    assert_eq!(export.authors().into_keys().collect::<Vec<_>>(), ["Ana"]);
    assert_eq!(export.system_lines, 4);
}

#[test]
fn chats_of_further_locales() {
    let head = |written: &str| format!("{written}Ana: hi\n");
    let said = |text: &str| format!("31/12/2023, 21:41 - Ana: {text}\n31/12/2023, 21:42 - Ben: ok\n");
    let phone = |text: &str| format!("[31.12.2023, 21:41:05] Ana: {text}\r\n[31.12.2023, 21:42:05] Ben: ok\r\n");
    const NIGHT: i64 = 1_704_058_860;
    for (name, text, time, expected) in [
        ("gl", head("31/12/2023 ás 21:41 - "), Some(NIGHT), &["hi"][..]),
        ("lv", head("31.12.23. plkst. 21.41 - "), Some(NIGHT), &["hi"]),
        ("et", head("31.12.23 kell 21.41 - "), Some(NIGHT), &["hi"]),
        ("sl", head("31. 12. 23 ob 21.41 - "), Some(NIGHT), &["hi"]),
        ("gu", head("૩૧/૧૨/૨૩, ૯:૪૧ PM - "), Some(NIGHT), &["hi"]),
        ("ta", head("31/12/23, பிற்பகல் 9:41 - "), Some(NIGHT), &["hi"]),
        ("my", head("၃၁/၁၂/၂၃ ၂၁:၄၁ - "), Some(NIGHT), &["hi"]),
        ("ms", head("31/12/2023 9:41 PTG - "), Some(NIGHT), &["hi"]),
        ("th, น.", head("31/12/2566 21:41 น. - "), Some(NIGHT), &["hi"]),
        ("mk", head("31.12.2023 г., во 21:41 - "), Some(NIGHT), &["hi"]),
        ("ar, midnight", head("\u{200f}١\u{200f}/١\u{200f}/٢٠٢٤، ١٢:٠٥ ص - "), Some(1_704_067_500), &["hi"]),
        ("full width", head("２０２３/１２/３１ ２１:４１ - "), Some(NIGHT), &["hi"]),
        ("en-AU iOS", head("[31/12/2023, 9:41:00\u{202f}pm] "), Some(NIGHT), &["hi"]),
        ("uz", head("31/12/23, 21:41 da - "), Some(NIGHT), &["hi"]),
        ("sv edited", phone("hej \u{200e}<Det här meddelandet redigerades>"), None, &["hej", "ok"]),
        ("ja document", phone("Some file.txt ドキュメントは含まれていません"), None, &["ok"]),
        ("el file", said("IMG-20231231-WA0001.jpg (συνημμένο αρχείο)\nκοίτα"), None, &["κοίτα", "ok"]),
        (
            "it poll",
            phone("\u{200e}SONDAGGIO:\nQuando?\n\u{200e}OPZIONE: Venerdì (1 voto)\n\u{200e}OPZIONE: Mai (0 voti)"),
            None,
            &["ok"],
        ),
        ("uk deleted", said("Ви видалили це повідомлення."), None, &["ok"]),
        ("de call", phone("\u{200e}Verpasster Sprachanruf, \u{200e}Zum Zurückrufen tippen"), None, &["ok"]),
        (
            "ja subject",
            said("hi") + "31/12/2023, 21:43 - Benが件名を「スキー: 2023」から「スキー: 2024」に変更しました\n",
            None,
            &["hi", "ok"],
        ),
        ("pl omitted", phone("obraz pominięty\nfajne"), None, &["fajne", "ok"]),
        ("a time in a message", said("2023-12-31: 21:41 - plan: x"), None, &["2023-12-31: 21:41 - plan: x", "ok"]),
        (
            "a line with a date",
            said("so:\n31.12.2023 um 21:41 - alle: da"),
            None,
            &["so:\n31.12.2023 um 21:41 - alle: da", "ok"],
        ),
        ("two files", said("a.pdf (archivo adjunto)\nb.pdf (archivo adjunto)"), None, &["ok"]),
        ("a bracket", said("see (file attached)"), None, &["see (file attached)", "ok"]),
        ("vi iOS", head("[21:41:00, 31/12/2023] "), Some(NIGHT), &["hi"]),
    ] {
        let export = chat(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
        let texts: Vec<&str> = export.messages.iter().map(|message| message.text.as_str()).collect();
        assert_eq!(texts, expected, "{name}");
        assert!(time.is_none_or(|time| export.messages[0].timestamp == time), "{name}");
    }
}
