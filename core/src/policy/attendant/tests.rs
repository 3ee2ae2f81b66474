use super::*;
use crate::policy::{RuleState, TimeWindow, Verdict, explain};
use crate::random::Random;

/// The midnight that the night of the table ends with, on the user's calendar.
const MIDNIGHT: i64 = 20_000 * DAY;

const MIB: u64 = 1 << 20;

/// A phone at night, on its charger.
const CALM: Signals = Signals {
    charging: Some(true),
    battery: Some(0.8),
    idle: Some(true),
    thermal: Some(0.2),
    low_power: Some(false),
    free_memory: Some(1024 * MIB),
    foreground: None,
    local_minute: None,
    minutes_today: None,
};

/// A phone's rules, an hour a night.
fn settings() -> PolicySettings {
    PolicySettings {
        window: Some(TimeWindow { from: 22 * 60 + 30, until: 6 * 60 + 30 }),
        daily_minutes: Some(60.0),
        ..PolicySettings::default()
    }
}

/// The moment of a time of the night, `23:05` or `23:05:01`, from the noon before to the noon after.
fn at(time: &str) -> Moment {
    let mut parts = time.split(':').map(|part| part.parse::<i64>().unwrap());
    let [hour, minute, second] = [(); 3].map(|()| parts.next().unwrap_or(0));
    let second = (hour * 60 + minute) * 60 + second;
    let local = MIDNIGHT + if hour < 12 { second } else { second - DAY };
    Moment { elapsed: Duration::from_secs((local - MIDNIGHT + DAY).unsigned_abs()), local, free_memory: None }
}

impl Attendant {
    fn step(&mut self, now: Moment, happening: Happening) -> Order {
        self.hear(now, happening);
        self.order(now)
    }
}

/// A state in words.
fn told(state: &Attendance) -> String {
    let because = |reasons: &[Reason]| reasons.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    match state {
        Attendance::Off => "off".into(),
        Attendance::NothingToLearn { words } => format!("nothing to learn: {words}"),
        Attendance::Waiting { reasons } => format!("waiting: {}", because(reasons)),
        Attendance::Preparing => "preparing".into(),
        Attendance::Busy => "busy".into(),
        Attendance::Resting { words } => format!("resting: {words}"),
        Attendance::Training => "training".into(),
        Attendance::Pausing { reasons } => format!("pausing: {}", because(reasons)),
    }
}

#[test]
fn a_night() {
    use Act::{Nothing, Pause, Prepare, Start};
    use Happening::{Ended, Prepared, Time, Trained};
    let by_hand = {
        let mut trained = TrainedToday::default();
        trained.add(at("21:00").local, Duration::from_secs(30 * 60));
        trained
    };
    let signals = |change: fn(&mut Signals)| {
        let mut signals = CALM;
        change(&mut signals);
        Happening::Signals(signals)
    };
    let calm = || Happening::Signals(CALM);
    let pulled = || signals(|s| s.charging = Some(false));
    let worthwhile = || Happening::Prospect(Prospect::Worthwhile);
    let unchanged = || Happening::Prospect(Prospect::NotYet("not yet: no text to learn from was added".into()));
    let failed = || Ended(End::Failed("the device was lost".into()));
    let heat = |heat: &str, most, phase| format!("heat is at {heat} % of the limit, above {most} % {phase}");
    let window = |time: &str| format!("it is {time}, outside 22:30 to 06:30");
    let unplugged = "the device is not charging";
    // When, what happens, what it does, and how it stands then. Where nothing happens, it asked to be woken right then.
    let night: Vec<(&str, Happening, Act, String)> = vec![
        ("22:00", Trained(by_hand), Nothing, "nothing to learn: not yet: nobody has looked".into()),
        ("22:00", calm(), Nothing, "nothing to learn: not yet: nobody has looked".into()),
        ("22:01", worthwhile(), Nothing, format!("waiting: {}", window("22:01"))),
        // The charger is pulled before it begins.
        ("22:10", pulled(), Nothing, format!("waiting: {unplugged}, {}", window("22:10"))),
        ("22:30", Time, Nothing, format!("waiting: {unplugged}")),
        ("22:40", signals(|s| s.free_memory = Some(400 * MIB)), Prepare, "preparing".into()),
        // Too little memory.
        (
            "22:40:05",
            Prepared(300 * MIB),
            Nothing,
            "waiting: 400 MiB of memory are free, less than the 428 MiB needed".into(),
        ),
        ("22:45", calm(), Start, "training".into()),
        // It holds what it needs: only the reserve must stay.
        ("22:46", signals(|s| s.free_memory = Some(200 * MIB)), Nothing, "training".into()),
        // Heat, first within the slack.
        ("22:50", signals(|s| s.thermal = Some(0.75)), Nothing, "training".into()),
        ("22:52", signals(|s| s.thermal = Some(0.9)), Pause, format!("pausing: {}", heat("90", 85, "to go on"))),
        ("22:52:01", Ended(End::Paused), Nothing, format!("waiting: {}", heat("90", 70, "to start"))),
        ("22:55", signals(|s| s.thermal = Some(0.75)), Nothing, format!("waiting: {}", heat("75", 70, "to start"))),
        ("23:00", calm(), Start, "training".into()),
        // A call. What it is told meanwhile makes no second pause.
        ("23:05", signals(|s| s.idle = Some(false)), Pause, "pausing: the device is in use".into()),
        ("23:05", pulled(), Nothing, "pausing: the device is in use".into()),
        ("23:05:01", Ended(End::Paused), Nothing, format!("waiting: {unplugged}")),
        ("23:06", signals(|s| s.idle = Some(false)), Nothing, "waiting: the device is in use".into()),
        ("23:20", calm(), Start, "training".into()),
        ("23:30", signals(|s| s.low_power = Some(true)), Pause, "pausing: the device saves power".into()),
        ("23:30:01", Ended(End::Paused), Nothing, "waiting: the device saves power".into()),
        ("23:40", calm(), Start, "training".into()),
        // 30 minutes by hand, 7:01, 5:01, 10:01 and now 7:57.
        ("23:47:57", Time, Pause, "pausing: 60 of 60 minutes of today are used".into()),
        ("23:47:58", Ended(End::Paused), Nothing, "waiting: 60 of 60 minutes of today are used".into()),
        ("00:00", Time, Start, "training".into()),
        // Memory is asked back: the app says when there is enough again, not anything else.
        ("00:10", Ended(End::MemoryPressure), Nothing, "resting: memory was asked back".into()),
        ("00:12", signals(|s| s.free_memory = None), Nothing, "resting: memory was asked back".into()),
        ("00:13", signals(|s| s.free_memory = Some(MIB)), Nothing, "resting: memory was asked back".into()),
        ("00:15", calm(), Prepare, "preparing".into()),
        ("00:15:03", Prepared(300 * MIB), Start, "training".into()),
        // What fails is not tried again at once, and rests longer each time.
        ("00:25", failed(), Nothing, "resting: the device was lost".into()),
        ("00:26", calm(), Nothing, "resting: the device was lost".into()),
        ("00:30", worthwhile(), Start, "training".into()),
        ("00:33", pulled(), Pause, format!("pausing: {unplugged}")),
        ("00:33:01", Ended(End::Paused), Nothing, format!("waiting: {unplugged}")),
        ("00:40", calm(), Start, "training".into()),
        ("00:41", failed(), Nothing, "resting: the device was lost".into()),
        ("00:51", Time, Start, "training".into()),
        ("00:55", Ended(End::Finished), Nothing, "nothing to learn: not yet: the last one has just ended".into()),
        ("00:55", unchanged(), Nothing, "nothing to learn: not yet: no text to learn from was added".into()),
        ("01:00", worthwhile(), Start, "training".into()),
        // Another process trains.
        ("01:00:01", Ended(End::Busy), Nothing, "busy".into()),
        ("01:01:01", Time, Start, "training".into()),
        ("01:02", Ended(End::Finished), Nothing, "nothing to learn: not yet: the last one has just ended".into()),
        ("01:02", Happening::Prospect(Prospect::UnderWay), Nothing, "busy".into()),
        ("01:02", unchanged(), Nothing, "nothing to learn: not yet: no text to learn from was added".into()),
        // Given back while nothing is under way, the model is not opened again at once.
        ("01:03", Happening::Unloaded, Nothing, "resting: memory was asked back".into()),
        ("01:04", worthwhile(), Nothing, "resting: memory was asked back".into()),
        ("01:13", Time, Prepare, "preparing".into()),
        ("01:13:02", Happening::Prospect(Prospect::UnderWay), Nothing, "preparing".into()),
        ("01:13:02", Prepared(300 * MIB), Nothing, "busy".into()),
        ("01:14", unchanged(), Nothing, "nothing to learn: not yet: no text to learn from was added".into()),
        ("06:01", worthwhile(), Start, "training".into()),
        ("06:30", Time, Pause, format!("pausing: {}", window("06:30"))),
        ("06:30:01", Ended(End::Paused), Nothing, format!("waiting: {}", window("06:30"))),
        ("07:00", pulled(), Nothing, format!("waiting: {unplugged}, {}", window("07:00"))),
    ];
    let mut attendant = Attendant::new(settings());
    let mut asked_for: Option<(Duration, Duration)> = None;
    for (time, happening, act, state) in night {
        let now = at(time);
        if happening == Happening::Time {
            let (from, wait) = asked_for.unwrap();
            assert_eq!(from + wait, now.elapsed, "{time}: it asked to be woken at another time");
        }
        let order = attendant.step(now, happening);
        assert_eq!((order.act, told(&order.state)), (act, state), "{time}");
        asked_for = order.look_again.map(|wait| (now.elapsed, wait));
    }
}

#[test]
fn what_is_left_open_is_filled_in() {
    let open = PolicySettings::default();
    let named = PolicySettings { memory_needed: Some(100 * MIB), ..open };
    let off = PolicySettings { memory_reserve: None, ..open };
    let quiet = Signals { free_memory: None, ..CALM };
    let told = |minutes| Signals { minutes_today: Some(minutes), ..CALM };
    // Settings, signals, the machine's own free memory, and what it does; the model says 300 MiB.
    for (settings, signals, free, act) in [
        (open, quiet, Some(427), Act::Nothing),
        (open, quiet, Some(428), Act::Start),
        (open, CALM, Some(1), Act::Start),
        (open, quiet, None, Act::Start),
        (named, quiet, Some(227), Act::Nothing),
        (named, quiet, Some(228), Act::Start),
        (off, quiet, Some(1), Act::Start),
        (PolicySettings { memory_needed: Some(2 * MIB), ..off }, quiet, Some(1), Act::Nothing),
        (open, told(30.0), None, Act::Nothing),
        (open, told(29.0), None, Act::Start),
    ] {
        let now = Moment { free_memory: free.map(|free| free * MIB), ..at("23:00") };
        let mut attendant = Attendant::new(settings);
        attendant.step(now, Happening::Signals(signals));
        let mut order = attendant.step(now, Happening::Prospect(Prospect::Worthwhile));
        let asks = settings.memory_reserve.is_some() && settings.memory_needed.is_none();
        if order.act == Act::Prepare {
            assert!(asks, "{settings:?}");
            order = attendant.step(now, Happening::Prepared(300 * MIB));
        }
        assert_eq!(order.act, act, "{settings:?} {signals:?} {free:?}");
    }
    // The app's minutes are of the day on which it told them, and what is trained from then on comes to them.
    let mut attendant = Attendant::new(named);
    attendant.step(at("23:00"), Happening::Signals(told(30.0)));
    assert_eq!(attendant.step(at("23:00"), Happening::Prospect(Prospect::Worthwhile)).act, Act::Nothing);
    assert_eq!(attendant.step(at("00:00"), Happening::Time).act, Act::Start);
    let order = attendant.step(at("00:10"), Happening::Signals(told(12.0)));
    assert_eq!((order.act, order.look_again), (Act::Nothing, Some(Duration::from_secs(18 * 60))));
    assert_eq!(attendant.step(at("00:28"), Happening::Time).act, Act::Pause);
}

#[test]
fn the_model_is_asked_where_it_alone_can_tell() {
    let unsure = || Happening::Prospect(Prospect::Unsure("not yet".into()));
    let mut attendant = Attendant::new(PolicySettings::always());
    assert_eq!(attendant.step(at("23:00"), unsure()).act, Act::Prepare);
    let order = attendant.step(at("23:01"), Happening::Time);
    assert_eq!((order.act, order.state), (Act::Nothing, Attendance::Preparing), "once");
    attendant.step(at("23:02"), Happening::Prospect(Prospect::NotYet("not yet".into())));
    let order = attendant.step(at("23:02"), Happening::Prepared(1));
    assert_eq!((order.act, told(&order.state)), (Act::Nothing, "nothing to learn: not yet".into()));
    // Not where a rule forbids it.
    let mut attendant = Attendant::new(PolicySettings::default());
    attendant.step(at("23:00"), Happening::Signals(Signals { charging: Some(false), ..CALM }));
    let order = attendant.step(at("23:00"), unsure());
    assert_eq!((order.act, told(&order.state)), (Act::Nothing, "nothing to learn: not yet".into()));
}

#[test]
fn failures_rest_ever_longer_until_one_ends_well() {
    let mut attendant = Attendant::new(PolicySettings::always());
    let mut now = at("12:00");
    let mut rests = Vec::new();
    for number in 0..10 {
        assert_eq!(attendant.step(now, Happening::Prospect(Prospect::Worthwhile)).act, Act::Start);
        if number == 8 {
            attendant.step(now, Happening::Ended(End::Finished));
            continue;
        }
        let order = attendant.step(now, Happening::Ended(End::Failed("no".into())));
        let rest = order.look_again.unwrap();
        rests.push(rest.as_secs() / 60);
        now.elapsed += rest;
    }
    assert_eq!(rests, [5, 10, 20, 40, 80, 160, 320, 360, 5]);
}

#[test]
fn changes_are_told_by_rules_and_not_by_figures() {
    let waiting = |rules: &[(RuleName, &str)]| Attendance::Waiting {
        reasons: rules.iter().map(|(rule, words)| Reason { rule: *rule, words: (*words).into() }).collect(),
    };
    let resting = |words: &str| Attendance::Resting { words: words.into() };
    let battery = waiting(&[(RuleName::Battery, "at 10 %")]);
    let Attendance::Waiting { reasons } = battery.clone() else { unreachable!() };
    for (one, other, same) in [
        (battery.clone(), waiting(&[(RuleName::Battery, "at 11 %")]), true),
        (battery.clone(), waiting(&[(RuleName::Battery, "at 10 %"), (RuleName::Idle, "in use")]), false),
        (battery.clone(), Attendance::Pausing { reasons }, false),
        (resting("the device was lost"), resting("the disk is full"), false),
        (Attendance::Training, Attendance::Training, true),
    ] {
        assert_eq!((one.is_same(&other), other.is_same(&one)), (same, same), "{one:?} {other:?}");
    }
}

#[test]
fn nothing_starts_while_a_rule_fails_and_every_pause_has_a_reason() {
    let mut random = Random::new(7);
    for round in 0..200 {
        let settings = if round % 2 == 0 { settings() } else { PolicySettings::default() };
        let mut attendant = Attendant::new(settings);
        let (mut now, mut trains, mut told, mut needed) = (at("20:00"), false, Signals::default(), None);
        let mut counted = TrainedToday::default();
        for _ in 0..200 {
            let pass = (random.uniform() * 1200.0) as u64;
            now.elapsed += Duration::from_secs(pass);
            now.local += pass.cast_signed();
            if trains {
                counted.add(now.local, Duration::from_secs(pass));
            }
            let mut flip = |in_ten: u8| random.uniform() * 10.0 < f32::from(in_ten);
            let happening = match (flip(4), trains) {
                (true, _) => {
                    told = Signals {
                        charging: Some(flip(8)),
                        battery: Some(if flip(8) { 0.9 } else { 0.25 }),
                        idle: Some(flip(8)),
                        thermal: Some(if flip(8) { 0.1 } else { 0.8 }),
                        low_power: Some(flip(1)),
                        free_memory: flip(8).then_some(if flip(8) { 1024 * MIB } else { 200 * MIB }),
                        ..Signals::default()
                    };
                    Happening::Signals(told)
                }
                (_, true) if flip(3) => {
                    Happening::Ended([End::Finished, End::MemoryPressure, End::Busy][round % 3].clone())
                }
                (_, true) => Happening::Time,
                (_, false) => Happening::Prospect(Prospect::Worthwhile),
            };
            let ended = matches!(happening, Happening::Ended(_));
            trains &= !ended;
            let mut order = attendant.step(now, happening.clone());
            if order.act == Act::Prepare {
                needed = Some(300 * MIB);
                order = attendant.step(now, Happening::Prepared(300 * MIB));
            }
            let failing = |phase| {
                let signals = Signals {
                    local_minute: Some((now.local.rem_euclid(DAY) / 60) as u16),
                    minutes_today: Some(counted.on(now.local).as_secs_f32() / 60.0),
                    ..told
                };
                let settings = PolicySettings { memory_needed: needed, ..settings };
                (decide(&signals, &settings, phase), explain(&signals, &settings, phase))
            };
            let (decision, states): (_, Vec<RuleState>) =
                failing(if trains { Phase::Running } else { Phase::Starting });
            match order.act {
                Act::Start => {
                    assert!(!trains && decision.verdict == Verdict::Run, "{happening:?}: {states:?}");
                    assert_eq!(order.state, Attendance::Training);
                    trains = true;
                }
                Act::Pause => {
                    assert!(trains && !order.state.reasons().is_empty(), "{happening:?}: {states:?}");
                    assert_eq!(order.state.reasons(), decision.reasons, "{happening:?}");
                    order = attendant.step(now, Happening::Ended(End::Paused));
                    assert_eq!(order.act, Act::Nothing, "{:?}", order.state);
                    trains = false;
                }
                Act::Nothing if trains => assert_eq!(decision.verdict, Verdict::Run, "{happening:?}: {states:?}"),
                Act::Nothing | Act::Prepare => {}
            }
            let waits = matches!(order.state, Attendance::Waiting { .. } | Attendance::Pausing { .. });
            assert_eq!(waits, !order.state.reasons().is_empty(), "{:?}", order.state);
        }
    }
}
