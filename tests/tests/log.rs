//! What is logged over a whole life of a profile: every kind of record, and nothing of what the person wrote.

use std::collections::BTreeSet;
use std::fmt::{Debug, Write};
use std::fs;
use std::ops::ControlFlow;
use std::sync::Mutex;
use std::time::Duration;

use idiolect::engine::{CancelToken, Engine, EngineOptions, LearnOutcome, Prompt};
use idiolect::generate::{GenerateOptions, SuggestOptions};
use idiolect::history::{NewSample, Selection, read_jsonl};
use idiolect::personalize::{LearnEvent, LearnSettings};
use idiolect::train::TrainOptions;
use idiolect::{DeviceChoice, ErrorKind};
use idiolect_tests::golden::repository;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

/// Words that nobody else writes, one for each thing that a message has.
const MARKERS: [&str; 8] =
    ["zorblaxian", "quixemberry", "vantrusqual", "morwhippet", "jekkolund", "drizvanth", "plumquorth", "snarvelick"];

/// All records so far, with every field that they have.
static RECORDS: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// Hears everything, of the library and of what it is built on, at all levels.
struct Everything;

impl Everything {
    fn keep(metadata: &Metadata<'_>, record: impl FnOnce(&mut Fields)) {
        let mut fields = Fields(format!("{} {} {}", metadata.level(), metadata.target(), metadata.name()));
        record(&mut fields);
        RECORDS.lock().unwrap().push(fields.0);
    }
}

struct Fields(String);

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        write!(self.0, " {field}={value:?}").unwrap();
    }
}

impl Subscriber for Everything {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        Self::keep(span.metadata(), |fields| span.record(fields));
        Id::from_u64(1)
    }

    fn event(&self, event: &Event<'_>) {
        Self::keep(event.metadata(), |fields| event.record(fields));
    }

    fn record(&self, _: &Id, values: &Record<'_>) {
        let mut fields = Fields("later".into());
        values.record(&mut fields);
        RECORDS.lock().unwrap().push(fields.0);
    }

    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

/// What wgpu and tokenizers tell goes through `log`.
impl log::Log for Everything {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        RECORDS.lock().unwrap().push(format!("{} {} {}", record.level(), record.target(), record.args()));
    }

    fn flush(&self) {}
}

fn samples() -> Vec<NewSample> {
    let history = read_jsonl(&repository().join("bindings/cli/assets/history.jsonl")).unwrap().samples;
    let [text, context, source, contact, conversation, id, ..] = MARKERS;
    let marked = history.into_iter().take(80).enumerate().map(|(number, sample)| NewSample {
        text: format!("{text} {}", sample.text),
        context: Some(format!("did you see the {context}?")),
        source: Some(if number % 10 == 0 { format!("{source} app") } else { "chat".into() }),
        contact: Some(format!("{contact} {}", number % 7)),
        conversation: Some(format!("{conversation} {}", number / 5)),
        id: Some(format!("{id}-{number}")),
        timestamp: Some(1_700_000_000 + 3600 * number as i64),
        ..NewSample::default()
    });
    marked.collect()
}

fn settings(budget: Option<usize>, rate: f32) -> LearnSettings {
    let mut train = TrainOptions { steps: Some(6), batch_samples: 4, budget_bytes: budget, ..TrainOptions::default() };
    train.schedule.peak = rate;
    LearnSettings { train, checkpoint_every: Some(Duration::ZERO), ..LearnSettings::default() }
}

/// A life of a profile, from the first message to its erasure.
fn live() {
    let home = tempfile::tempdir().unwrap();
    let [profile, model] = ["profile", "model"].map(|name| home.path().join(name));
    fs::create_dir(&model).unwrap();
    for file in fs::read_dir(repository().join("bindings/cli/assets/base")).unwrap().map(Result::unwrap) {
        // Without what `import` noted, so that the weights are hashed.
        if file.file_name() != "idiolect.json" {
            fs::copy(file.path(), model.join(file.file_name())).unwrap();
        }
    }
    let options = || EngineOptions { device: DeviceChoice::Auto, ..EngineOptions::new(&profile, &model) };
    Engine::open(options()).unwrap().close();
    // As a killed process leaves it.
    fs::write(profile.join(".history.db.partial-1-2-3"), b"left").unwrap();
    let engine = Engine::open(options()).unwrap();
    let history = engine.history();
    history.add(&samples()).unwrap();
    history.add(&samples()[..3]).unwrap();

    let [text, .., prompt, typed] = MARKERS;
    engine.suggest(&format!("the {typed} {text}"), &SuggestOptions::default(), &CancelToken::new()).unwrap();
    let generate = GenerateOptions { max_tokens: 4, ..GenerateOptions::default() };
    for prompt in [Prompt::Text(format!("{prompt} was")), Prompt::Chat(format!("where is the {prompt}?"))] {
        let show = &mut |_: &str| ControlFlow::Continue(());
        engine.generate(&prompt, &generate, &CancelToken::new(), show).unwrap();
    }

    let train = |settings: &LearnSettings, pause: bool| {
        let cancel = CancelToken::new();
        engine.train(settings, &cancel, &mut |event| {
            if pause && matches!(event, LearnEvent::Step(ref report) if report.step == 2) {
                cancel.cancel();
            }
        })
    };
    assert_eq!(train(&settings(Some(1000), 2e-3), false).unwrap_err().kind(), ErrorKind::OverBudget);
    assert!(matches!(train(&settings(None, 1e-3), true), Ok(LearnOutcome::Paused(_))));
    // With other settings the checkpoint is of no use.
    assert!(matches!(train(&settings(None, 2e-3), true), Ok(LearnOutcome::Paused(_))));
    assert!(matches!(train(&settings(None, 2e-3), false), Ok(LearnOutcome::Finished(_))));

    let [.., source, contact, _, id, _, _] = MARKERS;
    for selection in [Selection::Source(format!("{source} app")), Selection::Contact(format!("{contact} 1"))] {
        assert!(engine.remove_from_history(&selection).unwrap().messages > 0);
    }
    // Refusals are told to the caller alone.
    let bad = NewSample { timestamp: Some(i64::MAX), id: Some(id.into()), ..NewSample::new(text) };
    drop(history.add(&[bad]));
    engine.erase().unwrap();
}

/// The forms in which a word could be written down: as it is, as numbers, in hexadecimal, in base64 at any offset.
fn forms(word: &str) -> Vec<String> {
    let numbers: Vec<String> = word.bytes().map(|byte| byte.to_string()).collect();
    let hex = |upper: bool| -> String {
        word.bytes().map(|byte| if upper { format!("{byte:02X}") } else { format!("{byte:02x}") }).collect()
    };
    let mut forms = vec![word.to_owned(), numbers.join(", "), hex(false), hex(true)];
    for skip in 0..3 {
        // Whole groups of three bytes from `skip` on are the same whatever stands around them.
        let groups = word.as_bytes()[skip..].chunks_exact(3);
        forms.push(groups.flat_map(base64).collect());
    }
    forms
}

/// Four letters for three bytes (RFC 4648).
fn base64(group: &[u8]) -> [char; 4] {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let bits = group.iter().fold(0, |bits, byte| bits << 8 | usize::from(*byte));
    [18, 12, 6, 0].map(|shift| char::from(LETTERS[bits >> shift & 63]))
}

#[test]
fn every_kind_of_record_comes_and_none_has_a_word_of_the_persons() {
    tracing::subscriber::set_global_default(Everything).unwrap();
    log::set_logger(&Everything).unwrap();
    log::set_max_level(log::LevelFilter::Trace);
    live();

    let records = RECORDS.lock().unwrap();
    let heard = |what: &str| records.iter().filter(|record| record.contains(what)).count();
    // (what a record says, how often it does at least)
    for (what, least) in [
        ("message=model opened file=\"model\"", 1),
        ("message=weights hashed bytes=", 1),
        ("message=device opened kind=\"", 1),
        ("message=cache grown tokens=", 1),
        ("message=leftovers cleared files=1", 1),
        ("message=messages added new=80", 1),
        ("message=messages added new=0 repeated=0 known=3", 1),
        ("message=budget refused needed=", 1),
        ("message=training started steps=6", 2),
        ("message=training paused", 2),
        ("message=checkpoint written bytes=", 2),
        ("message=checkpoint dropped reason=\"settings", 1),
        ("message=training resumed step=", 1),
        ("message=training ended verdict=\"", 1),
        ("message=messages removed messages=", 2),
        ("message=profile erased files=", 1),
        ("idiolect::training training", 3),
        ("idiolect::answers generation", 2),
        ("idiolect::answers suggestion", 1),
    ] {
        let count = heard(what);
        assert!(count >= least, "{what}: {count} times, in {:#?}", records.iter().collect::<BTreeSet<_>>());
    }
    // A word may come a letter a record, too.
    let letters: String = records.iter().filter_map(|record| quoted_letter(record)).collect();
    for marker in MARKERS {
        for form in forms(marker) {
            for record in records.iter().chain([&letters]) {
                // Case is no disguise, but in base64.
                assert!(!record.to_lowercase().contains(&form.to_lowercase()), "{marker} as {form}: {record}");
            }
        }
    }
}

/// The letter that a record quotes.
fn quoted_letter(record: &str) -> Option<char> {
    let (_, quoted) = record.split_once('\'')?;
    let mut letters = quoted.chars();
    letters.next().filter(|_| letters.next() == Some('\''))
}

#[test]
fn every_form_of_a_word_is_known() {
    let forms = forms("zorblaxian");
    for (said, found) in [
        ("said Zorblaxian twice", true),
        ("7a6f72626c617869616e", true),
        ("[122, 111, 114, 98, 108, 97, 120, 105, 97, 110]", true),
        // base64 of "zorblaxian", "a zorblaxian" and "my zorblaxian"
        ("em9yYmxheGlhbg==", true),
        ("YSB6b3JibGF4aWFu", true),
        ("bXkgem9yYmxheGlhbg==", true),
        ("zorbla", false),
    ] {
        let said = said.to_lowercase();
        assert_eq!(forms.iter().any(|form| said.contains(&form.to_lowercase())), found, "{said}");
    }
    // As the tokenizers crate tells them.
    let told = ["TRACE Replacing char 'z' - with", "TRACE New offset: 1", "TRACE Replacing char 'o' - with"];
    assert_eq!(told.iter().filter_map(|record| quoted_letter(record)).collect::<String>(), "zo");
}
