//! A history of 100,000 messages: adding, figures, what training reads, removing, and the memory that it takes.
//!
//! `cargo bench -p idiolect --bench history [-- MESSAGES]`; the last line is one JSON object.

use std::time::{Duration, Instant};

use idiolect::history::{History, NewSample, Selection, Split};
use idiolect::seal::Key;
use serde_json::json;

const BATCH: u64 = 500;

fn main() {
    let messages = std::env::args().skip(1).find_map(|argument| argument.parse().ok()).unwrap_or(100_000);
    match run(messages) {
        Ok(figures) => println!("{figures}"),
        Err(error) => {
            eprintln!("{error}");
            std::process::exit(1);
        }
    }
}

fn run(messages: u64) -> Result<serde_json::Value, Box<dyn std::error::Error>> {
    let home = tempfile::tempdir()?;
    let file = home.path().join("history.db");
    let history = History::open(&file, &Key::random()?)?;
    let mut writer = Writer { state: 7 };

    let mut rates = Vec::new();
    let begun = Instant::now();
    let mut part = Instant::now();
    for first in (0..messages).step_by(BATCH as usize) {
        let batch: Vec<_> = (first..messages.min(first + BATCH)).map(|number| writer.message(number)).collect();
        history.add(&batch)?;
        if (first + BATCH) % (messages / 10).max(1) < BATCH {
            rates.push((messages as f64 / 10.0 / part.elapsed().as_secs_f64()).round());
            eprintln!("{} messages, {} a second lately", first + BATCH, rates[rates.len() - 1]);
            part = Instant::now();
        }
    }
    let adding = begun.elapsed();
    let peak_after_adding = peak_memory();

    let mut single: Vec<Duration> = Vec::new();
    for number in 0..200 {
        let message = [writer.message(messages + number)];
        let begun = Instant::now();
        history.add(&message)?;
        single.push(begun.elapsed());
    }
    single.sort();

    let (stats, stats_took) = timed(|| history.stats())?;
    let (_, list_took) = timed(|| history.list(None, 100))?;
    let ((read, bytes), read_took) = timed(|| {
        let (mut read, mut bytes) = (0_u64, 0);
        for sample in history.learnable(Split::Training)? {
            read += 1;
            bytes += sample?.text.len();
        }
        Ok((read, bytes))
    })?;
    let peak_after_reading = peak_memory();
    let file_bytes = std::fs::metadata(&file)?.len();
    let (removed, remove_took) = timed(|| history.remove(&Selection::Source("notes".into())))?;
    let peak_after_removing = peak_memory();
    let (_, clear_took) = timed(|| history.clear())?;

    let tally = |split: Split| stats.splits.iter().find(|(of, _)| *of == split).map(|(_, tally)| tally.samples);
    Ok(json!({
        "messages": stats.total.messages,
        "samples": stats.total.samples,
        "training_validation_held_out": Split::ALL.map(tally),
        "clusters": stats.clusters,
        "largest_cluster": stats.largest_cluster,
        "batch": BATCH,
        "add_seconds": seconds(adding),
        "add_per_second_by_tenth": rates,
        "add_one_ms_median": single[single.len() / 2].as_secs_f64() * 1e3,
        "add_one_ms_95": single[single.len() * 95 / 100].as_secs_f64() * 1e3,
        "stats_ms": stats_took.as_secs_f64() * 1e3,
        "list_100_ms": list_took.as_secs_f64() * 1e3,
        "training_read_samples": read,
        "training_read_bytes": bytes,
        "training_read_seconds": seconds(read_took),
        "remove_source_messages": removed.messages,
        "remove_source_seconds": seconds(remove_took),
        "clear_seconds": seconds(clear_took),
        "file_bytes": file_bytes,
        "peak_bytes_after_adding": peak_after_adding,
        "peak_bytes_after_reading": peak_after_reading,
        "peak_bytes_after_removing": peak_after_removing,
        "peak_bytes_after_clearing": peak_memory(),
    }))
}

fn timed<T>(work: impl FnOnce() -> idiolect::Result<T>) -> idiolect::Result<(T, Duration)> {
    let begun = Instant::now();
    work().map(|result| (result, begun.elapsed()))
}

fn seconds(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e3).round() / 1e3
}

/// The most memory that the process has held, where the system tells (Linux).
fn peak_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kib| kib * 1024)
}

/// Writes messages of common and rare words; one in eight is a repeat or a variation of a stock phrase.
struct Writer {
    state: u64,
}

impl Writer {
    fn next(&mut self, below: u64) -> u64 {
        self.state = self.state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.state >> 33) % below
    }

    fn word(&mut self) -> String {
        // A small number twice as often as one twice its size: few common words and a long tail.
        let most = 1 << self.next(15);
        let mut number = self.next(most) + most;
        let mut word = String::new();
        while number > 0 {
            word.push_str(["ka", "te", "mi", "so", "ru", "na", "lo", "vi"][(number % 8) as usize]);
            number /= 8;
        }
        word
    }

    fn message(&mut self, number: u64) -> NewSample {
        let text = if self.next(8) == 0 {
            let stock =
                ["on my way", "see you at 5pm", "thanks a lot", "call you later", "ok", "what about 7 tomorrow?"];
            let phrase = stock[self.next(stock.len() as u64) as usize];
            if self.next(3) == 0 { format!("{phrase} {}", self.word()) } else { phrase.to_owned() }
        } else {
            (0..3 + self.next(14)).map(|_| self.word()).collect::<Vec<_>>().join(" ")
        };
        let context = (self.next(2) == 0).then(|| format!("{} {}?", self.word(), self.word()));
        NewSample {
            id: Some(format!("m{number}")),
            text,
            context,
            source: Some(["chat", "mail", "notes"][self.next(3) as usize].into()),
            contact: Some(format!("contact {}", self.next(60))),
            conversation: Some(format!("talk {}", self.next(80))),
            timestamp: Some(1_600_000_000 + number as i64 * 600),
            ..NewSample::default()
        }
    }
}
