//! The screen on real writers, which must lose next to nothing, and on poisons made here, which must be found. The
//! sample history of the program is always there; other writers lie beside the repository in `../shared/data`, and
//! where they do not, their tests are ignored.

mod languages;
mod poison;

use std::collections::{BTreeMap, HashSet};
use std::path::Path;

use idiolect::gate::{Fitness, Learnability, Screen, Tally, Unfit, Written};
use idiolect::samples::read_texts;
use libtest_mimic::{Arguments, Failed, Trial};

use languages::LANGUAGES;
use poison::{POISONS, variations};

/// Characters up to which a poison may hide among real text.
const SHORT: usize = 8;

fn main() {
    let arguments = Arguments::from_args();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let users = root.join("../../shared/data/users");
    let shared = [
        "nus_sms_a",
        "nus_sms_b",
        "antirez_redis_commits",
        "yangtse_curl_commits",
        "pepys_diary",
        "shakespeare_speeches",
    ];
    let mut writers = vec![("sample", root.join("../bindings/cli/assets/history.jsonl"))];
    writers.extend(shared.map(|name| (name, users.join(name).with_extension("jsonl"))));
    let mut trials = Vec::new();
    for (name, path) in writers {
        let absent = !path.exists();
        let mut add = |what: &str, check: fn(&Path) -> Result<(), Failed>| {
            let path = path.clone();
            trials.push(Trial::test(format!("{name}::{what}"), move || check(&path)).with_ignored_flag(absent));
        };
        add("keeps_its_messages", keeps_its_messages);
        add("among_random_strings", among_random_strings);
        add("among_repeated_messages", among_repeated_messages);
    }
    let sample = root.join("../bindings/cli/assets/history.jsonl");
    trials.push(Trial::test("languages", move || languages_pass(&sample)));
    trials.push(Trial::test("random_strings_alone", random_strings_alone));
    trials.push(Trial::test("repeated_messages_alone", repeated_messages_alone));
    libtest_mimic::run(&arguments, trials).exit();
}

/// Whole histories and short ones, without any poison.
fn keeps_its_messages(path: &Path) -> Result<(), Failed> {
    let texts = texts(path)?;
    let cases = [100, 300, 1000, texts.len()].map(|count| {
        let history = History::of(texts.iter().take(count));
        let lost = history.share_random(|_| true);
        case(
            few(lost, count) && history.fitness == Fitness::Fit,
            format!("{count}: {lost:.4} lost, {:?}", history.fitness),
        )
    });
    all(cases)
}

/// Three random strings in ten messages.
fn among_random_strings(path: &Path) -> Result<(), Failed> {
    let real = texts(path)?;
    let cases = POISONS.iter().flat_map(|(name, poison)| {
        [300, 2000].map(|count| {
            let real = &real[..count.min(real.len())];
            let poisons = poison.strings(real.len() * 3 / 7, 3);
            let poisonous: HashSet<&str> = poisons.iter().map(String::as_str).collect();
            let history = History::of(real.iter().chain(&poisons));
            let lost = history.share_random(|text| !poisonous.contains(text));
            let found = history.share_random(|text| poisonous.contains(text) && is_long(text));
            // Of a hundred strings, chance may let three pass.
            let required = if count < 1000 { 0.95 } else { 0.98 };
            let partly = matches!(history.fitness, Fitness::Partly { left_out } if (0.25..0.32).contains(&left_out));
            let told = format!("{name} in {count}: {lost:.4} lost, {found:.4} found, {:?}", history.fitness);
            case(few(lost, real.len()) && found > required && partly, told)
        })
    });
    all(cases)
}

/// Three copies of one message in ten, exact and varied.
fn among_repeated_messages(path: &Path) -> Result<(), Failed> {
    let real: Vec<String> = texts(path)?.into_iter().take(700).collect();
    let cases = [false, true].map(|varied| {
        let count = real.len() * 3 / 7;
        let copies = variations(count, varied);
        let mut rows = rows(real.iter());
        let cluster = rows.len() as u64;
        rows.extend(of_one_cluster(&copies, cluster));
        let history = History::screened(rows);
        let copies = history.judged.iter().filter(|(row, _)| row.cluster == cluster);
        let left: f64 = copies.map(|(row, learnability)| learnability.weight() * row.repeats as f64).sum();
        let partly = matches!(history.fitness, Fitness::Partly { left_out } if (0.2..0.3).contains(&left_out));
        let lost = history.share_random(|_| true);
        let holds = partly && left >= 1.0 && left < 0.05 * real.len() as f64 && few(lost, real.len());
        case(holds, format!("varied {varied}: {left} of {count} left, {lost:.4} lost, {:?}", history.fitness))
    });
    all(cases)
}

/// Small histories in many scripts, none of which the screen was made for, alone and within a longer one.
fn languages_pass(path: &Path) -> Result<(), Failed> {
    let others = texts(path)?;
    all(LANGUAGES.iter().flat_map(|(name, text)| {
        let lines: Vec<String> = text.lines().map(str::to_owned).collect();
        [0, others.len()].map(|among| {
            let history = History::of(lines.iter().chain(&others[..among]));
            let lost = history.share_random(|text| lines.iter().any(|line| line == text));
            case(
                lost <= [0.0, 0.2][usize::from(among > 0)],
                format!("{name} among {among}: {lost:.4} lost of {}", lines.len()),
            )
        })
    }))
}

/// Nothing but random strings.
fn random_strings_alone() -> Result<(), Failed> {
    all(POISONS.iter().flat_map(|(name, poison)| {
        [100, 600, 3000].map(|count| {
            let strings = poison.strings(count, 5);
            let history = History::of(strings.iter());
            let found = history.share_random(|_| true);
            let unfit = matches!(history.fitness, Fitness::Unfit { why: Unfit::NotLanguage, .. });
            case(found > 0.98 && unfit, format!("{count} of {name}: {found} found, {:?}", history.fitness))
        })
    }))
}

/// Nothing but one message a thousand times, exact and varied.
fn repeated_messages_alone() -> Result<(), Failed> {
    all([false, true].map(|varied| {
        let copies = variations(1000, varied);
        let history = History::screened(of_one_cluster(&copies, 7).collect());
        let unfit = matches!(history.fitness, Fitness::Unfit { why: Unfit::Repetitive, .. });
        case(unfit, format!("varied {varied}: {:?}", history.fitness))
    }))
}

/// Texts with how often each occurs, as near-duplicates of one another.
fn of_one_cluster(texts: &[(String, u64)], cluster: u64) -> impl Iterator<Item = Written<'_>> {
    let cluster_size = texts.iter().map(|(_, repeats)| repeats).sum();
    texts.iter().map(move |(text, repeats)| Written { text, repeats: *repeats, cluster, cluster_size })
}

/// A history and what the screen said of it.
struct History<'a> {
    judged: Vec<(Written<'a>, Learnability)>,
    fitness: Fitness,
}

impl<'a> History<'a> {
    fn of(texts: impl Iterator<Item = &'a String>) -> Self {
        Self::screened(rows(texts))
    }

    fn screened(rows: Vec<Written<'a>>) -> Self {
        let mut screen = Screen::new();
        rows.iter().for_each(|row| screen.see(row));
        let sieve = screen.finish();
        let judged: Vec<_> = rows.into_iter().map(|row| (row, sieve.judge(&row))).collect();
        let mut tally = Tally::default();
        judged.iter().for_each(|(row, learnability)| tally.add(row, *learnability));
        Self { judged, fitness: tally.fitness() }
    }

    /// The share of messages called random among those that `which` picks.
    fn share_random(&self, which: impl Fn(&str) -> bool) -> f64 {
        let picked = || self.judged.iter().filter(|(row, _)| which(row.text));
        let messages: u64 = picked().map(|(row, _)| row.repeats).sum();
        let random = picked().filter(|(_, learnability)| *learnability == Learnability::NotLanguage);
        random.map(|(row, _)| row.repeats).sum::<u64>() as f64 / messages as f64
    }
}

/// Messages as a history gives them, exact repeats together, each its own cluster.
fn rows<'a>(texts: impl Iterator<Item = &'a String>) -> Vec<Written<'a>> {
    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
    texts.for_each(|text| *counts.entry(text).or_default() += 1);
    let row = |(cluster, (text, repeats))| Written { text, repeats, cluster: cluster as u64, cluster_size: repeats };
    counts.into_iter().enumerate().map(row).collect()
}

fn texts(path: &Path) -> Result<Vec<String>, Failed> {
    let rows = read_texts(path).map_err(|error| error.to_string())?.rows;
    Ok(rows.into_iter().map(|row| row.text).collect())
}

/// Less than one message in a hundred, or two of a few hundred.
fn few(lost: f64, count: usize) -> bool {
    lost < 0.01 || lost * count as f64 <= 2.5
}

/// Whether a random string is long enough that it has to be found.
fn is_long(text: &str) -> bool {
    text.chars().filter(|c| !c.is_whitespace()).count() > SHORT
}

fn case(holds: bool, otherwise: String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(otherwise) }
}

/// All that went wrong.
fn all(cases: impl IntoIterator<Item = Result<(), String>>) -> Result<(), Failed> {
    let wrong: Vec<String> = cases.into_iter().filter_map(Result::err).collect();
    if wrong.is_empty() { Ok(()) } else { Err(wrong.join("\n").into()) }
}
