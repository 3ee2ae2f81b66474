//! `idiolect adapters merge`.

use std::collections::BTreeMap;
use std::fmt::{self, Display};
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use clap::Args;
use idiolect::Result;
use idiolect::merge::{Divergence, MergeOptions, MergeReport, MergeStage, merge};
use serde::Serialize;

use super::adapters::version;
use crate::args::{DeviceArgs, ProfileArgs};
use crate::output::{Output, Table, megabytes};
use crate::progress::Progress;

#[derive(Debug, Args)]
pub struct Merge {
    #[command(flatten)]
    profile: ProfileArgs,

    /// The model folder to write
    destination: PathBuf,

    /// The base model that the version was trained on
    #[arg(long)]
    model: PathBuf,

    /// The version's number; it is merged at its strength [default: of the one in use]
    #[arg(id = "number", long = "number", value_name = "VERSION")]
    version: Option<u32>,

    /// The largest divergence from base and adapter, as a share of what the adapter does; matrices get more bits until the
    /// merged model is within it
    #[arg(long, value_name = "SHARE", default_value_t = MergeOptions::default().max_divergence, allow_negative_numbers = true)]
    max_divergence: f64,

    /// The most bits a weight that a matrix is raised to, 4, 8, 16 or 32; what would need more is refused
    #[arg(long, value_name = "BITS", default_value_t = MergeOptions::default().max_bits)]
    max_bits: u8,

    #[command(flatten)]
    device: DeviceArgs,
}

/// What was written.
#[derive(Serialize)]
struct Report {
    path: PathBuf,
    version: u32,
    fingerprint: String,
    bytes_before: u64,
    bytes: u64,
    /// Adapted matrices by their bits in the merged model.
    bits: BTreeMap<u8, Bits>,
    copied: usize,
    worst: Option<Worst>,
    divergence: Figures,
    seconds: f64,
}

/// The adapted matrices that got these bits.
#[derive(Serialize)]
struct Bits {
    matrices: usize,
    /// Those that had fewer.
    raised: usize,
    bytes_before: u64,
    bytes: u64,
    /// The least share of what is added that one of them keeps.
    kept: f64,
    /// The most noise in one of them, beside what is added.
    noise: f64,
}

/// The matrix whose rounding does most.
#[derive(Serialize)]
struct Worst {
    module: String,
    kept: f64,
    noise: f64,
    change: f64,
}

#[derive(Serialize)]
struct Figures {
    tokens: usize,
    kl: f64,
    kl_of_base: f64,
    share: f64,
    largest_logit_difference: f64,
    loss_before: f64,
    loss: f64,
}

impl Bits {
    const NONE: Self = Self { matrices: 0, raised: 0, bytes_before: 0, bytes: 0, kept: f64::INFINITY, noise: 0.0 };
}

impl Report {
    fn new(merge: &Merge, version: u32, report: MergeReport, started: Instant) -> Self {
        let worst = report.worst().map(|matrix| Worst {
            module: matrix.module.clone(),
            kept: matrix.fidelity.kept,
            noise: matrix.fidelity.noise,
            change: matrix.fidelity.change,
        });
        let mut bits: BTreeMap<u8, Bits> = BTreeMap::new();
        for matrix in &report.matrices {
            let entry = bits.entry(matrix.bits).or_insert(Bits::NONE);
            entry.matrices += 1;
            entry.raised += usize::from(matrix.bits > matrix.bits_before);
            entry.bytes_before += matrix.bytes_before;
            entry.bytes += matrix.bytes;
            entry.kept = entry.kept.min(matrix.fidelity.kept);
            entry.noise = entry.noise.max(matrix.fidelity.noise);
        }
        let share = report.divergence.share();
        let Divergence { tokens, kl, kl_of_base, largest_logit_difference, loss_before, loss } = report.divergence;
        Self {
            path: merge.destination.clone(),
            version,
            fingerprint: report.fingerprint,
            bytes_before: report.bytes_before,
            bytes: report.bytes,
            bits,
            copied: report.copied,
            worst,
            divergence: Figures { tokens, kl, kl_of_base, share, largest_logit_difference, loss_before, loss },
            seconds: started.elapsed().as_secs_f64(),
        }
    }
}

impl Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let grown =
            |before: u64, after: u64| format!("{}, was {}", megabytes(after as usize), megabytes(before as usize));
        let mut rows = vec![
            ("merged".to_owned(), format!("version {} into {}", self.version, self.path.display())),
            ("size".to_owned(), grown(self.bytes_before, self.bytes)),
        ];
        for (bits, of) in &self.bits {
            let raised = if of.raised > 0 { format!(" ({} raised)", of.raised) } else { String::new() };
            let kept = format!("at least {:.1} % kept, noise at most {:.2} times that", 100.0 * of.kept, of.noise);
            let what = format!("{} matrices{raised}, {}; {kept}", of.matrices, grown(of.bytes_before, of.bytes));
            rows.push((format!("{bits} bits"), what));
        }
        rows.push(("as they were".into(), format!("{} matrices", self.copied)));
        let Figures { tokens, kl, kl_of_base, share, largest_logit_difference, loss_before, loss } = self.divergence;
        let share = 100.0 * share;
        let far = format!("{kl:.6} nats a token, {share:.2} % of the base's own {kl_of_base:.6} ({tokens} tokens)");
        rows.extend([
            ("divergence".to_owned(), far),
            ("logits".to_owned(), format!("within {:.3} % of the largest", 100.0 * largest_logit_difference)),
            ("loss".to_owned(), format!("{loss:.4}, with base and adapter {loss_before:.4}")),
            ("fingerprint".to_owned(), self.fingerprint.clone()),
            ("time".to_owned(), format!("{:.1} s", self.seconds)),
        ]);
        let rows: Vec<(&str, String)> = rows.iter().map(|(label, value)| (label.as_str(), value.clone())).collect();
        Table(&rows).fmt(f)
    }
}

impl Merge {
    pub fn run(&self, output: &Output) -> Result<()> {
        let started = Instant::now();
        let version = version(&self.profile, self.version)?;
        let model = Arc::new(self.profile.open()?.open_model(&self.model)?);
        let adapter = self.profile.adapters()?.load(version, &model)?;
        let mut session = self.device.open(output, model)?;
        let options = MergeOptions { max_divergence: self.max_divergence, max_bits: self.max_bits };
        let mut progress = Progress::new(output, "merging");
        let (mut round, mut last) = (1, MergeStage::Choosing);
        let report = merge(&mut session, &adapter, &self.destination, options, |stage, done, all| {
            round += usize::from((last, stage) == (MergeStage::Comparing, MergeStage::Writing));
            last = stage;
            let (before, what) = match stage {
                MergeStage::Choosing => (0, "choosing bits"),
                MergeStage::Writing => (100, "writing"),
                MergeStage::Comparing => (200, "comparing"),
            };
            let again = if round > 1 { format!(", round {round}") } else { String::new() };
            progress.reach((before + done * 100 / all.max(1)) as usize / 3, 100, format!("percent: {what}{again}"));
            ControlFlow::Continue(())
        })?;
        drop(progress);
        output.result(&Report::new(self, version, report, started))?;
        output.note("the folder holds what the adapter learned, unsealed");
        Ok(())
    }
}
