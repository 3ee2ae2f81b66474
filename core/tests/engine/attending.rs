//! An engine that attends to trainings by itself, on signals that are pushed.

use std::fs;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use idiolect::ErrorKind;
use idiolect::engine::{AttendEvent, AttendListener, AttendSettings, CancelToken, Engine, LearnOutcome, PauseReason};
use idiolect::gate::GateSettings;
use idiolect::personalize::{LearnEvent, LearnReport, LearnSettings, is_paused};
use idiolect::policy::{Attendance, PolicySettings, Signals};
use idiolect::profile::{KeySource, Profile};

use super::{copy_folder, engine, finish, settings};

/// A phone that lies on its charger.
const CALM: Signals = Signals {
    charging: Some(true),
    battery: Some(0.9),
    idle: Some(true),
    thermal: Some(0.1),
    low_power: Some(false),
    free_memory: Some(8 << 30),
    foreground: None,
    local_minute: Some(12 * 60),
    minutes_today: None,
};

const PULLED: Signals = Signals { charging: Some(false), ..CALM };

/// A gate that few held-out texts are worth asking for: how many there are is drawn by the profile's key.
fn learn(steps: usize) -> LearnSettings {
    let settings = settings(steps);
    let gate = GateSettings { min_units: 2, ..settings.gate };
    LearnSettings { gate, ..settings }
}

fn attend(steps: usize) -> AttendSettings {
    AttendSettings { learn: learn(steps), ..AttendSettings::default() }
}

/// A listener and what it hears.
fn listener() -> (AttendListener, Receiver<AttendEvent>) {
    let (heard, events) = channel();
    (Box::new(move |event| drop(heard.send(event))), events)
}

/// A state by its name, and the rules of its reasons.
fn named(state: &Attendance) -> String {
    let name = match state {
        Attendance::Off => "off",
        Attendance::NothingToLearn { .. } => "nothing to learn",
        Attendance::Waiting { .. } => "waiting",
        Attendance::Preparing => "preparing",
        Attendance::Busy => "busy",
        Attendance::Resting { .. } => "resting",
        Attendance::Training => "training",
        Attendance::Pausing { .. } => "pausing",
        other => panic!("{other:?}"),
    };
    let rules: Vec<_> = state.reasons().iter().map(|reason| format!("{:?}", reason.rule)).collect();
    [name.to_owned()].into_iter().chain(rules).collect::<Vec<_>>().join(" ")
}

/// What was heard until one is as wanted, that one included.
struct Heard {
    states: Vec<String>,
    learned: Vec<LearnEvent>,
    ended: Vec<LearnOutcome>,
}

fn hear_until(events: &Receiver<AttendEvent>, wanted: impl Fn(&AttendEvent) -> bool) -> Heard {
    let mut heard = Heard { states: Vec::new(), learned: Vec::new(), ended: Vec::new() };
    let latest = Instant::now() + Duration::from_secs(300);
    loop {
        let event = match events.recv_timeout(latest.saturating_duration_since(Instant::now())) {
            Ok(event) => event,
            Err(error) => panic!("{error}: {:?}", heard.states),
        };
        let found = wanted(&event);
        match event {
            AttendEvent::State(state) => heard.states.push(named(&state)),
            AttendEvent::Learn(event) => heard.learned.push(event),
            AttendEvent::Ended(outcome) => heard.ended.push(outcome),
            other => panic!("{other:?}"),
        }
        if found {
            return heard;
        }
    }
}

fn is_state(name: &'static str) -> impl Fn(&AttendEvent) -> bool {
    move |event| matches!(event, AttendEvent::State(state) if named(state) == name)
}

fn is_step(at_least: usize) -> impl Fn(&AttendEvent) -> bool {
    move |event| matches!(event, AttendEvent::Learn(LearnEvent::Step(report)) if report.step >= at_least)
}

/// Two profiles with the same key and history.
fn twins(messages: usize) -> [tempfile::TempDir; 2] {
    let homes = [(); 2].map(|()| tempfile::tempdir().unwrap());
    engine(homes[0].path(), messages).close();
    copy_folder(&homes[0].path().join("profile"), &homes[1].path().join("profile"));
    homes
}

#[test]
fn the_charger_starts_pauses_and_resumes_it_to_the_same_bits() {
    let homes = twins(200);
    let whole: LearnReport = finish(&engine(homes[0].path(), 0), &learn(20));
    let engine = engine(homes[1].path(), 0);
    assert_eq!(engine.attendance(), Attendance::Off);
    let (listener, events) = listener();
    engine.push_signals(PULLED);
    engine.attend(attend(20), listener).unwrap();
    assert_eq!(hear_until(&events, is_state("waiting Charging")).states, ["waiting Charging"]);

    engine.push_signals(CALM);
    let heard = hear_until(&events, is_step(3));
    assert_eq!(heard.states, ["preparing", "training"]);
    assert_eq!(engine.attendance(), Attendance::Training);

    engine.push_signals(PULLED);
    let heard = hear_until(&events, is_state("waiting Charging"));
    assert_eq!(heard.states, ["pausing Charging", "waiting Charging"]);
    assert_eq!(heard.ended, [LearnOutcome::Paused(PauseReason::Cancelled)]);
    assert!(is_paused(engine.profile()).unwrap(), "no checkpoint");
    let reasons = engine.attendance().reasons().iter().map(|reason| reason.words.clone()).collect::<Vec<_>>();
    assert_eq!(reasons, ["the device is not charging"]);

    engine.push_signals(CALM);
    let heard = hear_until(&events, is_state("nothing to learn"));
    assert_eq!(heard.states, ["training", "nothing to learn"]);
    let resumed = heard.learned.iter().find_map(|event| match event {
        LearnEvent::Started { resumed_at, .. } => Some(*resumed_at),
        _ => None,
    });
    assert!(resumed >= Some(3), "{resumed:?}");
    let [LearnOutcome::Finished(report)] = &heard.ended[..] else { panic!("{:?}", heard.ended) };
    assert!(report.resumed);
    assert_eq!((&report.candidate_sha256, &report.verdict), (&whole.candidate_sha256, &whole.verdict));

    // Nothing begins again, until nobody attends any more.
    engine.push_signals(CALM);
    assert_eq!(events.recv_timeout(Duration::from_millis(500)), Err(RecvTimeoutError::Timeout));
    engine.stop_attending();
    assert_eq!(engine.attendance(), Attendance::Off);
    assert_eq!(events.recv_timeout(Duration::from_millis(500)), Err(RecvTimeoutError::Disconnected));
    // By hand it trains as before.
    assert!(finish(&engine, &learn(20)).unchanged);
}

#[test]
fn the_minutes_of_the_day_are_the_profiles() {
    let home = tempfile::tempdir().unwrap();
    let by_hand = engine(home.path(), 120);
    let cancel = CancelToken::new();
    let outcome = by_hand.train(&learn(10_000), &cancel, &mut |event| {
        if matches!(event, LearnEvent::Step(_)) {
            cancel.cancel();
        }
    });
    assert_eq!(outcome.unwrap(), LearnOutcome::Paused(PauseReason::Cancelled));
    by_hand.close();
    let engine = engine(home.path(), 0);
    // The training by hand has used up what this policy gives to a day.
    let least = PolicySettings { daily_minutes: Some(0.000_01), ..PolicySettings::default() };
    for (settings, signals, expected) in [
        (AttendSettings { policy: least, ..attend(10_000) }, CALM, "waiting DailyMinutes"),
        (attend(10_000), Signals { minutes_today: Some(30.0), ..CALM }, "waiting DailyMinutes"),
        (attend(10_000), CALM, "preparing"),
    ] {
        let (listener, events) = listener();
        engine.push_signals(signals);
        engine.attend(settings, listener).unwrap();
        assert_eq!(hear_until(&events, is_state(expected)).states, [expected]);
    }
    engine.stop_attending();
    // A day's minutes that are used up while it trains pause it.
    let minutes = PolicySettings { daily_minutes: Some(600.0 + 1.5 / 60.0), ..PolicySettings::default() };
    let (listener, events) = listener();
    engine.push_signals(Signals { minutes_today: Some(600.0), ..CALM });
    engine.attend(AttendSettings { policy: minutes, ..attend(10_000) }, listener).unwrap();
    let heard = hear_until(&events, is_state("waiting DailyMinutes"));
    assert_eq!(heard.states, ["preparing", "training", "pausing DailyMinutes", "waiting DailyMinutes"]);
}

#[test]
fn memory_is_filled_in() {
    let home = tempfile::tempdir().unwrap();
    let engine = engine(home.path(), 120);
    let reserve = 128 << 20;
    let (listener, events) = listener();
    // Enough for the reserve, and not for what a training takes beside.
    engine.push_signals(Signals { free_memory: Some(reserve), ..CALM });
    engine.attend(attend(10_000), listener).unwrap();
    let heard = hear_until(&events, is_state("waiting Memory"));
    assert_eq!(heard.states, ["preparing", "waiting Memory"]);
    let state = engine.attendance();
    let words = &state.reasons()[0].words;
    assert!(words.starts_with("128 MiB of memory are free, less than the "), "{words}");

    engine.push_signals(CALM);
    hear_until(&events, is_step(1));
    // Asked back, it comes again when the app says that there is memory.
    engine.unload().unwrap();
    let heard = hear_until(&events, is_state("resting"));
    assert_eq!(heard.ended, [LearnOutcome::Paused(PauseReason::MemoryPressure)]);
    engine.push_signals(Signals { free_memory: None, ..CALM });
    assert_eq!(events.recv_timeout(Duration::from_millis(300)), Err(RecvTimeoutError::Timeout));
    engine.push_signals(CALM);
    let heard = hear_until(&events, is_step(1));
    assert_eq!(heard.states, ["preparing", "training"]);
    // Closing pauses it.
    engine.close();
    assert_eq!(engine.attendance(), Attendance::Off);
    let (listener, _) = self::listener();
    assert_eq!(engine.attend(attend(1), listener).unwrap_err().kind(), ErrorKind::Closed);
    assert!(is_paused(engine.profile()).unwrap());
}

#[test]
fn who_trains_elsewhere_is_waited_for() {
    let home = tempfile::tempdir().unwrap();
    let engine = engine(home.path(), 120);
    let elsewhere = Profile::open(&home.path().join("profile"), &KeySource::Beside).unwrap();
    let lock = elsewhere.lock_training().unwrap();
    let (listener, events) = listener();
    engine.push_signals(CALM);
    engine.attend(attend(2), listener).unwrap();
    assert_eq!(hear_until(&events, is_state("busy")).states, ["busy"]);
    drop(lock);
    // Whatever it is told has it look.
    engine.push_signals(CALM);
    let heard = hear_until(&events, is_state("nothing to learn"));
    assert_eq!(heard.states, ["preparing", "training", "nothing to learn"]);
}

#[test]
fn what_fails_is_not_tried_again_at_once() {
    let home = tempfile::tempdir().unwrap();
    let engine = engine(home.path(), 120);
    let refused = |settings: AttendSettings| {
        let (listener, _) = listener();
        engine.attend(settings, listener).unwrap_err()
    };
    let policy = PolicySettings { battery_to_start: Some(30.0), ..PolicySettings::default() };
    assert!(refused(AttendSettings { policy, ..attend(1) }).message().starts_with("battery_to_start"));
    assert_eq!(refused(attend(0)).kind(), ErrorKind::BadOption);
    assert_eq!(engine.attendance(), Attendance::Off);

    // A folder lies where the checkpoints would.
    for name in ["training-a", "training-b"] {
        fs::create_dir_all(engine.profile().checkpoints().unwrap().join(name).join("x")).unwrap();
    }
    let (listener, events) = listener();
    engine.push_signals(CALM);
    engine.attend(attend(20), listener).unwrap();
    let heard = hear_until(&events, is_state("resting"));
    assert_eq!(heard.states, ["preparing", "training", "resting"]);
    engine.push_signals(CALM);
    assert_eq!(events.recv_timeout(Duration::from_millis(500)), Err(RecvTimeoutError::Timeout));
    assert!(matches!(engine.attendance(), Attendance::Resting { words } if words.contains("training-")));
}

/// What a listener does on the attending thread, at the first step of a training.
type Deed = fn(&Arc<OnceLock<Engine>>);

#[test]
fn a_listener_may_do_anything() {
    let deeds: [(&str, Deed, &str); 6] = [
        ("panics", |_| panic!("a defect of the app's"), "training"),
        ("is slow", |_| thread::sleep(Duration::from_secs(1)), "training"),
        ("stops it", |engine| engine.get().unwrap().stop_attending(), "off"),
        ("pulls the charger", |engine| engine.get().unwrap().push_signals(PULLED), "waiting Charging"),
        ("closes the engine", |engine| engine.get().unwrap().close(), "off"),
        ("erases the profile", |engine| drop(engine.get().unwrap().erase().unwrap()), "off"),
    ];
    for (what, deed, expected) in deeds {
        let home = tempfile::tempdir().unwrap();
        let shared = Arc::new(OnceLock::new());
        let (did, done): (Sender<()>, _) = channel();
        let theirs = Arc::clone(&shared);
        let listener: AttendListener = Box::new(move |event| {
            if is_step(1)(&event) && matches!(&event, AttendEvent::Learn(LearnEvent::Step(report)) if report.step == 1)
            {
                let _ = did.send(());
                deed(&theirs);
            }
        });
        let engine = shared.get_or_init(|| engine(home.path(), 120));
        engine.push_signals(CALM);
        engine.attend(attend(10_000), listener).unwrap();
        done.recv_timeout(Duration::from_secs(300)).unwrap();
        let until = Instant::now() + Duration::from_secs(300);
        while named(&engine.attendance()) != expected {
            assert!(Instant::now() < until, "{what}: {:?}", engine.attendance());
            thread::sleep(Duration::from_millis(10));
        }
        engine.close();
        assert_eq!(engine.attendance(), Attendance::Off, "{what}");
        drop(shared);
    }
}

#[test]
fn dropping_the_engine_ends_it() {
    let home = tempfile::tempdir().unwrap();
    let engine = engine(home.path(), 120);
    let (listener, events) = listener();
    engine.push_signals(CALM);
    engine.attend(attend(10_000), listener).unwrap();
    hear_until(&events, is_step(2));
    drop(engine);
    while events.try_recv().is_ok() {}
    assert!(events.recv().is_err(), "the thread is there still");
    let profile = Profile::open(&home.path().join("profile"), &KeySource::Beside).unwrap();
    assert!(is_paused(&profile).unwrap());
    assert!(!profile.is_training().unwrap());
}
