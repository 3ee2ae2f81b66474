//! `idiolect`: personalization from a terminal. A thin layer over the library: it reads options, shows progress and
//! prints results.

mod args;
mod commands;
mod embedded;
mod log;
mod memory;
mod output;
mod preparation;
mod progress;

use std::process::ExitCode;

use clap::Parser;
use idiolect::{Error, ErrorKind};

use commands::Command;
use output::Output;

const EXIT_CODES: &str = "Exit codes: 0 done; 1 failed, or refused for what it would do; 2 options that make no sense";

/// Learns how one person writes, on their own device: a LoRA adapter on a frozen, quantized language model.
#[derive(Debug, Parser)]
#[command(version, propagate_version = true, max_term_width = 100, after_help = EXIT_CODES)]
struct Cli {
    /// Print results as compact JSON objects, one a line; text and progress go to standard error
    #[arg(long, global = true)]
    json: bool,

    /// Tell on standard error how the work goes on, in counts, sizes and times: never what the person wrote
    #[arg(long, global = true, env = "IDIOLECT_LOG", value_name = "error|warn|info|debug|trace")]
    log: Option<log::Level>,

    #[command(subcommand)]
    command: Command,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let output = Output::new(cli.json);
    if let Some(level) = cli.log {
        log::to_standard_error(level);
    }
    match cli.command.run(&output) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            report(&output, &error);
            // 2 is clap's own code for options that make no sense.
            ExitCode::from(if error.kind() == ErrorKind::BadOption { 2 } else { 1 })
        }
    }
}

fn report(output: &Output, error: &Error) {
    output.note(&format!("error: {error}"));
    if let Some(hint) = error.hint() {
        output.note(&format!("hint: {hint}"));
    }
}
