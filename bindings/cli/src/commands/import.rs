//! `idiolect import`.

use std::fmt::{self, Display};
use std::path::PathBuf;
use std::time::Instant;

use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use idiolect::Result;
use idiolect::format::{ImportOptions, import};
use serde::Serialize;

use crate::output::{Output, Table, megabytes, thousands};
use crate::progress::Progress;

const BITS: [&str; 8] = ["2", "3", "4", "5", "6", "8", "16", "32"];

#[derive(Debug, Args)]
pub struct Import {
    /// A model folder or a GGUF file; weights that somebody else may write are copied before they are read
    source: PathBuf,

    /// The folder to write
    destination: PathBuf,

    /// Bits a weight; 16 and 32 do not quantize [default: a quantized model keeps its own, another one gets 4]
    #[arg(long, value_parser = PossibleValuesParser::new(BITS).try_map(|bits| bits.parse::<u8>()))]
    bits: Option<u8>,

    /// Weights that share a scale [default: 64]
    #[arg(long, value_parser = PossibleValuesParser::new(["32", "64", "128"]).try_map(|size| size.parse::<usize>()))]
    group_size: Option<usize>,
}

/// What was written.
#[derive(Serialize)]
struct Report {
    path: PathBuf,
    parameters: u64,
    bytes: u64,
    quantized: usize,
    unquantized: Vec<String>,
    fingerprint: String,
    seconds: f64,
}

impl Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rows = vec![
            ("model", self.path.display().to_string()),
            ("parameters", thousands(self.parameters as usize)),
            ("size", megabytes(self.bytes as usize)),
            ("quantized", format!("{} matrices", self.quantized)),
        ];
        if !self.unquantized.is_empty() {
            let what = format!("{} matrices, whose width the group does not divide", self.unquantized.len());
            rows.push(("not quantized", what));
        }
        rows.push(("fingerprint", self.fingerprint.clone()));
        rows.push(("time", format!("{:.1} s", self.seconds)));
        Table(&rows).fmt(f)
    }
}

impl Import {
    pub fn run(&self, output: &Output) -> Result<()> {
        let started = Instant::now();
        let options = ImportOptions { bits: self.bits, group_size: self.group_size };
        let mut progress = Progress::new(output, "importing");
        let imported = import(&self.source, &self.destination, options, |done, all| {
            progress.reach((done * 100 / all.max(1)) as usize, 100, "percent of the weights");
        })?;
        drop(progress);
        output.result(&Report {
            path: self.destination.clone(),
            parameters: imported.parameters,
            bytes: imported.bytes,
            quantized: imported.quantized,
            unquantized: imported.unquantized,
            fingerprint: imported.fingerprint,
            seconds: started.elapsed().as_secs_f64(),
        })
    }
}
