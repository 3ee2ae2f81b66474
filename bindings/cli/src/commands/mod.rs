//! The commands, one a file.

mod adapters;
mod bench;
mod chat;
mod demo;
mod erase;
mod eval;
mod generate;
mod history;
mod import;
mod info;
mod learn;
mod merge;
mod plan;
mod policy;
mod profile;
mod status;
mod suggest;
mod train;
mod typing;

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
    /// Learn a LoRA adapter from a file of what someone wrote, or from a profile's history through the gate
    Train(Box<train::Train>),
    /// Measure the loss of a text under a model, with or without an adapter
    Eval(eval::Eval),
    /// Continue a prompt, with or without an adapter
    Generate(generate::Generate),
    /// Add to, look at or remove from what a profile learns from
    History(history::History),
    /// Say how a profile stands
    Status(status::Status),
    /// List, switch, move, merge or delete a profile's adapters
    Adapters(adapters::Adapters),
    /// Suggest the next words in the person's voice
    Suggest(suggest::Suggest),
    /// Answer messages in the person's voice
    Chat(chat::Chat),
    /// Explain when a device may train
    Policy(policy::Policy),
    /// Move a profile to another device: one file under a passphrase
    Profile(profile::Profile),
    /// Erase a profile: history, adapters, checkpoints, keys
    Erase(erase::Erase),
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
            Self::History(history) => history.run(output),
            Self::Status(status) => status.run(output),
            Self::Adapters(adapters) => adapters.run(output),
            Self::Suggest(suggest) => suggest.run(output),
            Self::Chat(chat) => chat.run(output),
            Self::Policy(policy) => policy.run(output),
            Self::Profile(profile) => profile.run(output),
            Self::Erase(erase) => erase.run(output),
            Self::Bench(bench) => bench.run(output),
        }
    }
}
