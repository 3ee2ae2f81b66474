//! The privacy filter on `cases.jsonl`: short texts written for this project, in the manner of messages, notes, code and
//! command lines of many languages. Every card, account, key, password, address and number in them is invented, or is
//! the one that its issuer publishes for examples; check digits are right.
//!
//! A line has the text and its private stretches in order, each with its rule. Half of the texts have none: they hold
//! what looks alike (dates, prices, scores, versions, order numbers, codes that are no secret). In keys of an issuer's
//! shape one letter is written as an escape, so that scanners for leaked keys do not take them for real.
//!
//! Precision and recall count findings, exact to the byte and by rule. At the first look at each set, that is before
//! anything was mended that it shows, they were:
//!
//! | set | texts | precision | recall | written |
//! |---|---|---|---|---|
//! | `held_back` | 191 | 98.1 % | 98.1 % | before the first rules |
//! | `later` | 78 | 95.1 % | 78.0 % | after them, in a looser manner |
//! | `round1` | 275 | 96.6 % | 95.0 % | before the rules for secrets were made anew |
//! | `round2` | 289 | 97.0 % | 79.6 % | after them, in other words |
//! | `round3` | 260 | 95.1 % | 84.1 % | after what `round2` shows had been mended |
//! | `round4` | 209 | 98.8 % | 86.7 % | after `round3` |
//! | `round5` | 179 | 97.8 % | 88.0 % | after `round4` |
//! | `round6` | 130 | 92.1 % (100 %) | 89.7 % (93.8 %) | by somebody who had not seen the rules, after `round5` |
//! | `round7` | 130 | 91.5 % (98.8 %) | 94.9 % (97.6 %) | by another such author, after what `round6` shows had been mended |
//! | `identity` | 280 | 97.0 % | 98.5 % | before the rules for identity numbers, passports, seed phrases and places |
//! | `identity_later` | 192 | 96.3 % | 94.2 % | after these, in a looser manner |
//!
//! But for `round6` and `round7`, rules and texts have the same author, who knew those of `round1` and `identity` while
//! making the rules. The authors of `round6` and `round7` wrote a street and the postcode behind it as one stretch, which
//! here are two: the figures in parentheses are those with these seven labels parted. The first look at `round7` is the best guess for texts that nobody here has
//! seen. What the sets showed has been mended since, as far as it is of a kind; a handful of labels that were wrong in
//! themselves (an account number too long for its country) were corrected.

use std::collections::{BTreeMap, BTreeSet};

use idiolect::privacy::{Filter, PLACEHOLDER, Rule};
use serde::Deserialize;

#[derive(Deserialize)]
struct Case {
    text: String,
    private: Vec<(Rule, String)>,
    #[serde(default)]
    set: Set,
}

/// When a text was looked at.
#[derive(Deserialize, Debug, Default, Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
enum Set {
    /// Written before the rules, and looked at while they were made.
    #[default]
    Seen,
    /// Written before the rules, and looked at when they had been made.
    HeldBack,
    /// Written after the rules.
    Later,
    /// Written before the rules for secrets were made anew, and looked at while they were.
    Secrets,
    Round1,
    Round2,
    Round3,
    Round4,
    Round5,
    /// Written by somebody else, who had not seen the rules.
    Round6,
    /// By another author, who had not seen them either.
    Round7,
    /// Written before the rules for identity numbers, passports, seed phrases and places, and looked at while they were
    /// made.
    Identity,
    /// Written after them, in a looser manner.
    IdentityLater,
}

/// What a rule found of what it should, exact to the byte.
#[derive(Debug, Default, Clone, Copy)]
struct Score {
    right: usize,
    wrong: usize,
    missed: usize,
}

impl Score {
    fn precision(self) -> f64 {
        self.right as f64 / (self.right + self.wrong).max(1) as f64
    }

    fn recall(self) -> f64 {
        self.right as f64 / (self.right + self.missed).max(1) as f64
    }
}

impl std::ops::AddAssign for Score {
    fn add_assign(&mut self, other: Self) {
        self.right += other.right;
        self.wrong += other.wrong;
        self.missed += other.missed;
    }
}

fn cases() -> Vec<Case> {
    include_str!("cases.jsonl").lines().map(|line| serde_json::from_str(line).expect("a case")).collect()
}

impl Case {
    /// The private stretches in bytes.
    fn expected(&self) -> BTreeSet<(usize, usize, Rule)> {
        let mut from = 0;
        let stretches = self.private.iter().map(|(rule, stretch)| {
            let start = from + self.text[from..].find(stretch).expect("a stretch of the text");
            from = start + stretch.len();
            (start, from, *rule)
        });
        stretches.collect()
    }
}

fn measure(cases: &[Case], set: Set) -> BTreeMap<Rule, Score> {
    let filter = Filter::default();
    let mut scores: BTreeMap<Rule, Score> = BTreeMap::new();
    for case in cases.iter().filter(|case| case.set == set) {
        let expected = case.expected();
        let found: BTreeSet<_> =
            filter.find(&case.text).iter().map(|found| (found.range.start, found.range.end, found.rule)).collect();
        for (start, end, rule) in &found {
            let score = scores.entry(*rule).or_default();
            if expected.contains(&(*start, *end, *rule)) {
                score.right += 1;
            } else {
                score.wrong += 1;
                println!("wrong  {rule:15} {:?} in {:?}", &case.text[*start..*end], case.text);
            }
        }
        for (start, end, rule) in expected.difference(&found) {
            scores.entry(*rule).or_default().missed += 1;
            println!("missed {rule:15} {:?} in {:?}", &case.text[*start..*end], case.text);
        }
    }
    scores
}

/// Prints precision and recall by rule, and checks them against `floors`, the last of which is for all rules together.
fn hold(title: &str, scores: &BTreeMap<Rule, Score>, floor: (f64, f64), total_floor: (f64, f64)) {
    let mut total = Score::default();
    println!("{title}: rule, precision, recall, stretches");
    let print = |name: &str, score: Score| {
        let stretches = score.right + score.missed;
        println!("  {name:15} {:5.1} % {:5.1} % {stretches:4}", 100.0 * score.precision(), 100.0 * score.recall());
    };
    for (rule, score) in scores {
        print(rule.name(), *score);
        total += *score;
    }
    print("all", total);
    for (rule, score) in scores {
        assert!(score.precision() >= floor.0 && score.recall() >= floor.1, "{title}: {rule}: {score:?}");
    }
    assert!(total.precision() >= total_floor.0 && total.recall() >= total_floor.1, "{title}: {total:?}");
}

#[test]
fn precision_and_recall() {
    let cases = cases();
    hold("seen while the rules were made", &measure(&cases, Set::Seen), (0.95, 0.95), (0.98, 0.98));
    hold("held back", &measure(&cases, Set::HeldBack), (0.9, 0.9), (0.97, 0.97));
    let sets = [
        Set::Later,
        Set::Secrets,
        Set::Round1,
        Set::Round2,
        Set::Round3,
        Set::Round4,
        Set::Round5,
        Set::Round6,
        Set::Identity,
        Set::IdentityLater,
    ];
    for set in sets {
        hold(&format!("{set:?}"), &measure(&cases, set), (0.85, 0.85), (0.95, 0.95));
    }
}

/// The text that training sees differs from the person's in the placeholders alone.
fn check_mask(filter: &Filter, text: &str) {
    let (found, masked) = (filter.find(text), filter.mask(text));
    assert_eq!(found.len(), masked.placeholders.len());
    let (mut from, mut masked_from) = (0, 0);
    for (finding, placeholder) in found.iter().zip(&masked.placeholders) {
        assert!(from <= finding.range.start && finding.range.start < finding.range.end, "{found:?}");
        assert_eq!(text[from..finding.range.start], masked.text[masked_from..placeholder.start]);
        assert_eq!(&masked.text[placeholder.clone()], PLACEHOLDER);
        (from, masked_from) = (finding.range.end, placeholder.end);
    }
    assert_eq!(text[from..], masked.text[masked_from..]);
}

#[test]
fn masked_texts_keep_the_rest() {
    let filter = Filter::default();
    for (text, expected) in [
        ("", ""),
        ("nothing here", "nothing here"),
        ("write to a.b@example.com, or call +44 7700 900123!", "write to ***, or call ***!"),
        ("ÅÄÖ 🎉 4111 1111 1111 1111 🎉", "ÅÄÖ 🎉 *** 🎉"),
        ("a stray *** stays", "a stray *** stays"),
        ("https://me:pa55@mail.example.com/x", "https://me:***@mail.example.com/x"),
    ] {
        assert_eq!(filter.mask(text).text, expected);
        check_mask(&filter, text);
    }
    cases().iter().for_each(|case| check_mask(&filter, &case.text));
}

#[test]
fn every_rule_has_a_switch_and_a_lasting_name() {
    let text = "card 4111 1111 1111 1111, otp 448812, password: hunter2, key AKIAIOSFODNN7EXAMPLE, \
                iban GB29 NWBK 6016 1331 9268 19, mail a@example.com, tel 07700 900123, home 12 Baker Street, \
                cpf 111.222.333-96, passport C01X00T47, at 52.520008, 13.404954, \
                legal winner thank year wave sausage worth useful legal winner thank yellow";
    for rule in Rule::ALL {
        let mut filter = Filter::without([rule]);
        assert!(!filter.find(text).iter().any(|found| found.rule == rule), "{rule}");
        assert_eq!(serde_json::to_value(&filter).unwrap(), serde_json::json!({ "off": [rule.name()] }));
        assert_eq!(rule.name().parse::<Rule>(), Ok(rule));
        filter.switch(rule, true);
        assert_eq!(filter, Filter::default());
        assert!(filter.find(text).iter().any(|found| found.rule == rule), "{rule}");
        let only = Filter::without(Rule::ALL.into_iter().filter(|other| *other != rule));
        let found = only.find(text);
        assert!(found.len() == 1 && found[0].rule == rule, "{rule}: {found:?}");
    }
    assert_eq!(serde_json::from_str::<Filter>("{}").unwrap(), Filter::default());
    assert!(serde_json::from_str::<Filter>(r#"{"off":["everything"]}"#).is_err());
    let error = "nothing".parse::<Rule>().unwrap_err();
    assert!(error.hint().is_some_and(|hint| hint.contains("payment_card")), "{error}");
}

/// Pieces of what the rules look for, in random order: nothing panics, and masks stay true.
#[test]
fn any_text_is_taken() {
    let pieces = [
        "4111",
        " ",
        "-",
        "1111",
        "0",
        "7700",
        "+",
        "(",
        ")",
        "@",
        ".",
        "example.com",
        "password",
        ":",
        "=",
        " is ",
        "code ",
        "GB29",
        "NWBK",
        "eyJ",
        "sk-",
        "-----BEGIN ",
        "PRIVATE KEY-----",
        "-----END ",
        "Street",
        "rue",
        "Via ",
        "12",
        "é",
        "🎉",
        "密码",
        "是",
        "٣",
        "１",
        "\u{200e}",
        "\u{202f}",
        "\n",
        "\"",
        "'",
        "https://",
        "/",
        "a:b@",
        "curl -u ",
        "mysql -p",
        "echo x1y | sudo -S",
        "AKIAIOSFODNN7EXAMPLE",
        "DE ",
        "wifi ",
        " as the password",
        "Kitten77 ",
        "passwrod ",
        "gate ",
        "login ",
        " [at] ",
        "?",
        "例子",
        "111.222.333-96",
        "bsn ",
        "passport ",
        "C01X00T47",
        "P<UTOERIKSSON<<ANNA<MARIA<<<<<<<<<<<<<<<<<<<",
        "L898902C36UTO7408122F1204159ZE184226B<<<<<10",
        "abandon ",
        "abandon about ",
        "52.520008",
        "13.404954",
        "°",
        "′",
        "N",
        "GC22+22",
        "///a.b.c",
        "maps.app.goo.gl/",
        "No.",
        "#",
        "ß",
        "İ",
    ];
    let filter = Filter::default();
    // Knuth's linear congruential generator (MMIX).
    let mut state = 1_u64;
    let mut next = |bound: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % bound
    };
    for _ in 0..3000 {
        let text: String = (0..next(24)).map(|_| pieces[next(pieces.len())]).collect();
        check_mask(&filter, &text);
    }
}

/// A fifth of a megabyte of anything is soon done; were the work quadratic, it would not be.
#[test]
fn work_is_linear_in_the_length() {
    let filter = Filter::default();
    for piece in [
        "7",
        "4111 ",
        "1 ",
        "0612 ",
        "07700 900123 ",
        "12-",
        "+1",
        "(",
        "a@",
        "@",
        "a.",
        "password ",
        "password:",
        "pin is for ",
        "pass for a b c ",
        "code ",
        "otp ",
        "otp 123456 ",
        "eyJ",
        "eyJ.",
        "eyJaa_AKIA",
        "sk-",
        "-----BEGIN ",
        "-----BEGIN PRIVATE KEY-----",
        "GB29",
        "GB29 ",
        "://",
        "://a:b@",
        "12 Baker ",
        "12 Street ",
        "Via A 1 ",
        "rue ",
        "Am ",
        "aB1",
        "token ",
        "é",
        "密码",
        "123456789:",
        "MAA.",
        "http",
        "call 1234 5678 ",
        "DE 1",
        "DE 89 3704-",
        "AKIA0000000000000000 ",
        "AKIA0000000000000000 aB1/aB1/aB1/aB1/aB1/",
        "aB1/",
        "-----BEGIN PRIVATE KEY----- aaaaaaaaaaaaaaaa ",
        "curl -u ",
        "curl -u a:\"",
        "mysql -p",
        "echo a | ",
        "ssh a:b@",
        "://a:",
        "://a:b/@",
        "a@b.example / ",
        "wifi key ",
        "user a / b1 ",
        "user/password: ",
        "password? ",
        "password (",
        "x1 is the password ",
        "Kitten77 is the passwrod ",
        "login ",
        "login ab/Kitten77 ",
        "login ab and Kitten77 ",
        "password “a ",
        "“a b password ",
        "clave ",
        "clave login ",
        "gate 4471 ",
        "gate ",
        "type 4471 ",
        "number 98203 41765 ",
        "ab [at] ",
        "a@b.example and Kitten77 ",
        "secret_key_",
        "card 411 ",
        "密码是",
        "111.222.333-96 ",
        "bsn ",
        "bsn 123456782 ",
        "id number 1 ",
        "pan abcde1234f ",
        "1.1.1.1.1.1.1.1 ",
        "passport ",
        "passport 1 ",
        "passport C01X00T47 ",
        "P<",
        "<",
        "A1",
        "abandon ",
        "abandon abandon about ",
        "的 ",
        "52.520008, 13.404954 ",
        "52.520008,",
        "52°31'12\"N ",
        "52° ",
        "lat 52.52 ",
        "lat 52.52 lon 13.40 ",
        "https://maps.google.com/?q=52.52,13.40",
        "maps.app.goo.gl/",
        "GC22+22",
        "///abc.",
        "王@",
    ] {
        let text = piece.repeat(200_000 / piece.len());
        let start = std::time::Instant::now();
        filter.find(&text);
        assert!(start.elapsed().as_secs() < 20, "{piece:?}: {:?}", start.elapsed());
    }
}
