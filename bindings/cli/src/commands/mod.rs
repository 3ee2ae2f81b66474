//! The commands, one a file.

mod bench;
mod demo;
mod eval;
mod generate;
mod import;
mod info;
mod plan;
mod train;

use clap::Subcommand;
use idiolect::Result;

use crate::output::Output;

/// What the program can do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Learn a sample history with an embedded model and show what changed
    Demo(demo::Demo),
    /// Convert a model to an MLX-compatible folder, quantized or not
    Import(import::Import),
    /// Say what a model is
    Info(info::Info),
    /// State the memory of a training before it runs
    Plan(plan::Plan),
    /// Learn a LoRA adapter from what someone wrote
    Train(train::Train),
    /// Measure the loss of a text under a model, with or without an adapter
    Eval(eval::Eval),
    /// Continue a prompt, with or without an adapter
    Generate(generate::Generate),
    /// Measure speed and memory on this machine
    Bench(bench::Bench),
}

impl Command {
    /// Runs the command.
    pub fn run(&self, output: &Output) -> Result<()> {
        match self {
            Self::Demo(demo) => demo.run(output),
            Self::Import(import) => import.run(output),
            Self::Info(info) => info.run(output),
            Self::Plan(plan) => plan.run(output),
            Self::Train(train) => train.run(output),
            Self::Eval(eval) => eval.run(output),
            Self::Generate(generate) => generate.run(output),
            Self::Bench(bench) => bench.run(output),
        }
    }
}
