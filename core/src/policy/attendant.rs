//! Who attends to trainings: starts, pauses and resumes them as the rules have it, and says why one waits.
//!
//! A pure machine. What happens goes in with the moment at which it does; out come what to do, how it stands, and when to
//! look again though nothing happens. It has no clock, no thread and no device.

use std::time::Duration;

use serde::Serialize;

use super::{Phase, PolicySettings, Reason, RuleName, Signals, TrainedToday, decide};
use crate::time::DAY;

/// How long a training that was ended for want of memory rests, unless the app says before that there is enough.
const MEMORY_REST: Duration = Duration::from_secs(10 * 60);

/// How long the first failure rests; each further one in a row twice as long.
const FIRST_REST: Duration = Duration::from_secs(5 * 60);

/// The longest rest after failures.
const LONGEST_REST: Duration = Duration::from_secs(6 * 3600);

/// How long it is left alone where somebody else trains.
const BUSY_REST: Duration = Duration::from_secs(60);

/// A moment, and what the machine says of itself at it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// Time since any fixed moment, by a clock that never goes back.
    pub elapsed: Duration,
    /// The user's local time: seconds since 1970 as the user's calendar has them.
    pub local: i64,
    /// Memory that can be taken, in bytes, for as long as the app does not tell it.
    pub free_memory: Option<u64>,
}

/// Something that happened.
#[derive(Debug, Clone, PartialEq)]
pub enum Happening {
    /// Nothing but that time went by.
    Time,
    /// The app told what the device says of itself. Its local minute is the moment's business.
    Signals(Signals),
    /// Whether a training would come to anything.
    Prospect(Prospect),
    /// How long was trained today, by whoever trained.
    Trained(TrainedToday),
    /// The model was asked: the memory that a training takes beside what the process holds already, in bytes.
    Prepared(u64),
    /// Memory was asked back, and the model dropped. What was begun tells of its end by itself.
    Unloaded,
    /// What was begun, a training or the asking, has ended.
    Ended(End),
}

/// Whether a training would come to anything, in words where it would not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Prospect {
    /// It may.
    Worthwhile,
    /// It would not.
    NotYet(String),
    /// It would not, by what can be said before the model is asked.
    Unsure(String),
    /// Somebody trains already.
    UnderWay,
}

/// How what was begun has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// It came to its end.
    Finished,
    /// It paused, as it was told to.
    Paused,
    /// Memory was asked back.
    MemoryPressure,
    /// Somebody else trains on the profile.
    Busy,
    /// It failed, and why.
    Failed(String),
}

/// What to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    /// Nothing.
    Nothing,
    /// Ask the model what a training takes.
    Prepare,
    /// Begin a training, or go on with the one that was paused.
    Start,
    /// Pause the training.
    Pause,
}

/// How the attendance stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Attendance {
    /// Nobody attends.
    Off,
    /// A training would come to nothing yet.
    NothingToLearn {
        /// Why.
        words: String,
    },
    /// A training may not start, or go on, until the reasons are gone.
    Waiting {
        /// Every rule that fails.
        reasons: Vec<Reason>,
    },
    /// Every rule passes; the model is asked what a training takes.
    Preparing,
    /// Somebody else trains on the profile: the app by hand, or another process.
    Busy,
    /// It rests after something went wrong, and then tries again.
    Resting {
        /// What went wrong.
        words: String,
    },
    /// A training is under way.
    Training,
    /// The training is being paused.
    Pausing {
        /// Every rule that failed.
        reasons: Vec<Reason>,
    },
}

impl Attendance {
    /// The rules that stand against a training.
    pub fn reasons(&self) -> &[Reason] {
        match self {
            Self::Waiting { reasons } | Self::Pausing { reasons } => reasons,
            _ => &[],
        }
    }

    /// Whether it is the same to one who is told of changes: of reasons the rules count, not the figures in their words.
    pub fn is_same(&self, other: &Self) -> bool {
        let rules = |state: &Self| state.reasons().iter().map(|reason| reason.rule).collect::<Vec<RuleName>>();
        match (self, other) {
            (Self::Waiting { .. }, Self::Waiting { .. }) | (Self::Pausing { .. }, Self::Pausing { .. }) => {
                rules(self) == rules(other)
            }
            _ => self == other,
        }
    }
}

/// What follows from a happening.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// What to do.
    pub act: Act,
    /// How it stands then.
    pub state: Attendance,
    /// After what time a rule may turn by itself; none where it takes a happening.
    pub look_again: Option<Duration>,
}

/// What is under way.
#[derive(Debug, Clone)]
enum Work {
    Nothing,
    Preparing,
    Training {
        since: Duration,
        /// Why it was told to pause, once it was.
        pausing: Option<Vec<Reason>>,
    },
}

/// What keeps it from trying again at once.
#[derive(Debug, Clone)]
struct Rest {
    until: Duration,
    state: Attendance,
    /// Whether it is over once the app says that there is memory.
    for_memory: bool,
}

/// The machine.
#[derive(Debug, Clone)]
pub struct Attendant {
    settings: PolicySettings,
    signals: Signals,
    /// What the app told of a day's training beyond what was counted by then.
    beside: TrainedToday,
    trained: TrainedToday,
    prospect: Prospect,
    /// What a training takes, once the model was asked.
    memory: Option<u64>,
    work: Work,
    rest: Option<Rest>,
    failures: u32,
}

impl Attendant {
    /// One that knows of no signal yet, nor of anything to learn.
    pub fn new(settings: PolicySettings) -> Self {
        Self {
            settings,
            signals: Signals::default(),
            beside: TrainedToday::default(),
            trained: TrainedToday::default(),
            prospect: Prospect::NotYet("not yet: nobody has looked".into()),
            memory: None,
            work: Work::Nothing,
            rest: None,
            failures: 0,
        }
    }

    /// Whether nothing is under way that it gave the order for, and nothing keeps it from giving one: the time to look at
    /// what there is to learn, and how long was trained.
    pub fn is_free(&self, now: Moment) -> bool {
        matches!(self.work, Work::Nothing) && self.rest.as_ref().is_none_or(|rest| rest.until <= now.elapsed)
    }

    /// Takes in what happened at a moment.
    pub fn hear(&mut self, now: Moment, happening: Happening) {
        match happening {
            Happening::Time => {}
            Happening::Signals(signals) => {
                let told = signals.minutes_today.map_or(Duration::ZERO, minutes);
                (self.signals, self.beside) = (signals, TrainedToday::default());
                self.beside.add(now.local, told.saturating_sub(self.trained_at(now)));
                // What the machine finds free by itself may be what was just given back: only the app knows.
                if signals.free_memory.is_some() && !self.fails(now, RuleName::Memory) {
                    self.rest.take_if(|rest| rest.for_memory);
                }
            }
            Happening::Prospect(prospect) => self.prospect = prospect,
            Happening::Trained(trained) => self.trained = trained,
            Happening::Prepared(bytes) => {
                self.memory = Some(bytes);
                self.work = Work::Nothing;
            }
            // Asked anew, what a training takes would have the model opened at once.
            Happening::Unloaded if matches!(self.work, Work::Nothing) => self.end(now, End::MemoryPressure),
            Happening::Unloaded => self.memory = None,
            Happening::Ended(end) => self.end(now, end),
        }
    }

    /// Says what to do. It is taken as done: who cannot do it tells by [`Happening::Ended`].
    pub fn order(&mut self, now: Moment) -> Order {
        let (act, state) = self.judge(now);
        match act {
            Act::Prepare => self.work = Work::Preparing,
            Act::Start => self.work = Work::Training { since: now.elapsed, pausing: None },
            Act::Nothing | Act::Pause => {}
        }
        Order { act, look_again: self.look_again(now), state }
    }

    fn end(&mut self, now: Moment, end: End) {
        self.trained.add(now.local, self.trains_for(now));
        self.work = Work::Nothing;
        let mut rest = |length: Duration, state, for_memory| {
            self.rest = Some(Rest { until: now.elapsed + length, state, for_memory });
        };
        match end {
            End::Finished => {
                self.failures = 0;
                self.prospect = Prospect::NotYet("not yet: the last one has just ended".into());
            }
            End::Paused => {}
            End::MemoryPressure => {
                self.memory = None;
                rest(MEMORY_REST, Attendance::Resting { words: "memory was asked back".into() }, true);
            }
            End::Busy => rest(BUSY_REST, Attendance::Busy, false),
            End::Failed(words) => {
                let length = FIRST_REST.saturating_mul(1 << self.failures.min(31)).min(LONGEST_REST);
                self.failures = self.failures.saturating_add(1);
                rest(length, Attendance::Resting { words }, false);
            }
        }
    }

    fn judge(&mut self, now: Moment) -> (Act, Attendance) {
        match &self.work {
            Work::Preparing => return (Act::Nothing, Attendance::Preparing),
            Work::Training { pausing: Some(reasons), .. } => {
                return (Act::Nothing, Attendance::Pausing { reasons: reasons.clone() });
            }
            Work::Training { since, pausing: None } => {
                let reasons = self.reasons(now, Phase::Running);
                if reasons.is_empty() {
                    return (Act::Nothing, Attendance::Training);
                }
                self.work = Work::Training { since: *since, pausing: Some(reasons.clone()) };
                return (Act::Pause, Attendance::Pausing { reasons });
            }
            Work::Nothing => {}
        }
        self.rest.take_if(|rest| rest.until <= now.elapsed);
        if let Some(rest) = &self.rest {
            return (Act::Nothing, rest.state.clone());
        }
        let reasons = self.reasons(now, Phase::Starting);
        match &self.prospect {
            Prospect::UnderWay => (Act::Nothing, Attendance::Busy),
            Prospect::NotYet(words) => (Act::Nothing, Attendance::NothingToLearn { words: words.clone() }),
            Prospect::Unsure(words) if !reasons.is_empty() => {
                (Act::Nothing, Attendance::NothingToLearn { words: words.clone() })
            }
            _ if !reasons.is_empty() => (Act::Nothing, Attendance::Waiting { reasons }),
            Prospect::Unsure(_) => (Act::Prepare, Attendance::Preparing),
            Prospect::Worthwhile if self.asks_for_memory() => (Act::Prepare, Attendance::Preparing),
            Prospect::Worthwhile => (Act::Start, Attendance::Training),
        }
    }

    /// Whether the rule on memory is on, and nobody has said what a training takes.
    fn asks_for_memory(&self) -> bool {
        self.settings.memory_reserve.is_some() && self.settings.memory_needed.is_none() && self.memory.is_none()
    }

    fn reasons(&self, now: Moment, phase: Phase) -> Vec<Reason> {
        let on = self.settings.memory_reserve.is_some();
        let memory_needed = self.settings.memory_needed.or(self.memory.filter(|_| on));
        decide(&self.signals_at(now), &PolicySettings { memory_needed, ..self.settings }, phase).reasons
    }

    fn fails(&self, now: Moment, rule: RuleName) -> bool {
        self.reasons(now, Phase::Starting).iter().any(|reason| reason.rule == rule)
    }

    /// What the app told last, with what goes on by itself.
    fn signals_at(&self, now: Moment) -> Signals {
        Signals {
            free_memory: self.signals.free_memory.or(now.free_memory),
            local_minute: Some((now.local.rem_euclid(DAY) / 60) as u16),
            minutes_today: Some(self.trained_at(now).as_secs_f32() / 60.0),
            ..self.signals
        }
    }

    /// How long the training under way has run.
    fn trains_for(&self, now: Moment) -> Duration {
        match self.work {
            Work::Training { since, .. } => now.elapsed.saturating_sub(since),
            _ => Duration::ZERO,
        }
    }

    /// How long was trained today, the training under way and what the app knows beside included.
    fn trained_at(&self, now: Moment) -> Duration {
        let mut trained = self.trained;
        trained.add(now.local, self.trains_for(now));
        trained.on(now.local).saturating_add(self.beside.on(now.local))
    }

    /// The time to the next moment at which something turns by itself: a rest ends, the window opens or closes, a day
    /// begins, the day's minutes are used up.
    fn look_again(&self, now: Moment) -> Option<Duration> {
        let until = |second: i64| {
            let left = (second - now.local).rem_euclid(DAY);
            Duration::from_secs(if left == 0 { DAY } else { left }.unsigned_abs())
        };
        let rest = self.rest.as_ref().map(|rest| rest.until.saturating_sub(now.elapsed));
        let edges =
            self.settings.window.map(|window| [window.from, window.until].map(|edge| until(i64::from(edge) * 60)));
        let day = self.settings.daily_minutes.map(|most| {
            let left = minutes(most).saturating_sub(self.trained_at(now));
            if matches!(self.work, Work::Training { .. }) { left.min(until(0)) } else { until(0) }
        });
        let next = rest.into_iter().chain(edges.into_iter().flatten()).chain(day).min();
        // A second at least: what is rounded is not looked at over and over.
        next.map(|next| next.max(Duration::from_secs(1)))
    }
}

/// Any number of minutes as a time; none for what is no number.
fn minutes(minutes: f32) -> Duration {
    Duration::try_from_secs_f32(minutes * 60.0).unwrap_or(if minutes > 0.0 { Duration::MAX } else { Duration::ZERO })
}

#[cfg(test)]
mod tests;
