//! A person who writes in a language without generic text: what the base writes in it takes its place.

use std::path::Path;
use std::thread;
use std::time::Duration;

use idiolect::engine::{CancelToken, Engine, LearnOutcome};
use idiolect::history::{NewSample, Selection};
use idiolect::personalize::{LearnEvent, is_paused};

use super::{copy_folder, engine, finish, settings};

const WORDS: [&str; 40] = [
    "დღეს",
    "ხვალ",
    "გუშინ",
    "დილით",
    "საღამოს",
    "ჩემი",
    "შენი",
    "მისი",
    "ჩვენი",
    "თქვენი",
    "მეგობარი",
    "დედა",
    "მამა",
    "ძმა",
    "და",
    "სახლში",
    "ქალაქში",
    "სოფელში",
    "ბაზარზე",
    "სკოლაში",
    "მივდივარ",
    "მოვალ",
    "ვნახავ",
    "დავრეკავ",
    "ვიყიდი",
    "წავიკითხე",
    "დავწერე",
    "მიყვარს",
    "მინდა",
    "ვიცი",
    "პური",
    "წყალი",
    "წიგნი",
    "ყვავილი",
    "მანქანა",
    "ძალიან",
    "ცოტა",
    "კარგად",
    "ნელა",
    "ერთად",
];

/// Messages of five words each.
fn georgian(count: u64) -> Vec<NewSample> {
    let message = |number: u64| {
        let mut state = number;
        let mut word = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            WORDS[(state >> 33) as usize % WORDS.len()]
        };
        NewSample::new([(); 5].map(|()| word()).join(" "))
    };
    (0..count).map(message).collect()
}

fn cancel_after(engine: &Engine, step: usize) {
    let cancel = CancelToken::new();
    let outcome = engine.train(&settings(5), &cancel, &mut |event| {
        if matches!(event, LearnEvent::Step(ref report) if report.step == step) {
            cancel.cancel();
        }
    });
    assert!(matches!(outcome.unwrap(), LearnOutcome::Paused(_)));
}

#[test]
fn forgetting_is_measured_on_what_the_base_writes_and_a_resumed_training_has_the_same() {
    let homes = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let [one, other] = homes.each_ref().map(|home| home.path());
    let untouched = engine(one, 0);
    untouched.history().add(&georgian(80)).unwrap();
    untouched.close();
    copy_folder(&one.join("profile"), &other.join("profile"));

    let whole = finish(&engine(one, 0), &settings(5));
    assert_eq!((&whole.own_sampled_languages[..], &whole.unmeasured_languages[..]), (&["kat".to_owned()][..], &[][..]));
    let measured: Vec<&str> = whole.verdict.forgetting_in.iter().map(|of| of.language.as_str()).collect();
    assert_eq!(measured, ["eng", "kat"]);

    let again = engine(other, 0);
    // Most likely while the base writes: nothing is kept of that.
    let cancel = CancelToken::new();
    thread::scope(|scope| {
        scope.spawn(|| {
            thread::sleep(Duration::from_millis(300));
            cancel.cancel();
        });
        assert!(matches!(again.train(&settings(5), &cancel, &mut |_| {}).unwrap(), LearnOutcome::Paused(_)));
    });
    cancel_after(&again, 3);
    again.close();
    let resumed = finish(&engine(other, 0), &settings(5));
    assert!(resumed.resumed);
    assert_eq!(resumed.candidate_sha256, whole.candidate_sha256);
    assert_eq!(resumed.verdict, whole.verdict);
    assert_eq!(resumed.own_sampled_languages, whole.own_sampled_languages);
}

#[test]
fn what_begins_with_the_persons_words_goes_with_a_removal() {
    let home = tempfile::tempdir().unwrap();
    let engine = engine(home.path(), 0);
    engine.history().add(&georgian(80)).unwrap();
    cancel_after(&engine, 2);
    let checkpoints = engine.profile().checkpoints().unwrap();
    let files =
        |folder: &Path| std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect::<Vec<_>>();
    assert!(is_paused(engine.profile()).unwrap() && checkpoints.join("selection").exists());
    for path in files(&checkpoints) {
        let bytes = std::fs::read(&path).unwrap();
        for word in WORDS.iter().filter(|word| word.chars().count() > 3) {
            assert!(!bytes.windows(word.len()).any(|window| window == word.as_bytes()), "{}", path.display());
        }
    }
    let latest = engine.history().list(None, 1).unwrap()[0].id;
    assert!(engine.remove_from_history(&Selection::Samples(vec![latest])).unwrap().checkpoint_dropped);
    // How long was trained today is nothing of the training's.
    assert_eq!(files(&checkpoints), [checkpoints.join("timesheet")]);
}
