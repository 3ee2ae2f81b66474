//! `idiolect eval`.

use std::fmt::{self, Display};
use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use idiolect::eval::evaluate_with_progress;
use idiolect::samples::SampleCounts;
use idiolect::{Adapter, Model, Result};
use serde::Serialize;

use crate::args::{DataArgs, DeviceArgs};
use crate::output::{Output, SkippedRows, Table, thousands};
use crate::preparation::{Cut, worth_telling};
use crate::progress::Progress;

#[derive(Debug, Args)]
pub struct Eval {
    /// A model folder or a GGUF file
    model: PathBuf,

    /// An adapter folder
    #[arg(long, value_name = "ADAPTER")]
    adapter: Option<PathBuf>,

    #[command(flatten)]
    data: DataArgs,

    /// Longest sample of --text in tokens, as for train: longer contexts are cut at their start, longer texts become
    /// several samples [default: 2049, or all that the model holds]
    #[arg(long, value_name = "TOKENS")]
    seq_len: Option<usize>,

    #[command(flatten)]
    device: DeviceArgs,
}

#[derive(Serialize)]
struct Report {
    tokens: usize,
    nll: f64,
    perplexity: f64,
    bits_per_byte: Option<f64>,
    #[serde(flatten)]
    skipped: Option<SkippedRows>,
    #[serde(skip_serializing_if = "Option::is_none")]
    samples: Option<SampleCounts>,
}

impl Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rows = vec![
            ("tokens", thousands(self.tokens)),
            ("loss", format!("{:.4} nats a token", self.nll)),
            ("perplexity", format!("{:.3}", self.perplexity)),
        ];
        if let Some(bits) = self.bits_per_byte {
            rows.push(("bits a byte", format!("{bits:.4}")));
        }
        rows.extend(self.samples.map(|counts| ("samples", Cut(counts).to_string())));
        Table(&rows).fmt(f)?;
        self.skipped.as_ref().map_or(Ok(()), |skipped| write!(f, "\n{skipped}"))
    }
}

impl Eval {
    pub fn run(&self, output: &Output) -> Result<()> {
        let model = Model::open(&self.model)?.with_context(self.seq_len.unwrap_or_default())?;
        let model = Arc::new(model);
        let longest = model.base().context + 1;
        let (data, skipped) = self.data.read(&model, self.seq_len.unwrap_or(longest))?;
        let adapter = self.adapter.as_deref().map(|path| Adapter::open(path, &model)).transpose()?;
        let mut session = self.device.open(output, model)?;
        let mut progress = Progress::new(output, "measuring");
        let evaluation = evaluate_with_progress(&mut session, adapter.as_ref(), data.samples(), &mut |done, rows| {
            progress.reach(done, rows, "");
        })?
        .finite()?;
        drop(progress);
        output.result(&Report {
            tokens: evaluation.tokens,
            nll: evaluation.nll,
            perplexity: evaluation.perplexity(),
            bits_per_byte: evaluation.bits_per_byte(),
            skipped: SkippedRows::any(skipped),
            samples: worth_telling(data.counts()),
        })
    }
}
