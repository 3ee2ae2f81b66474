//! What an adapter adapts.

use std::convert::Infallible;

use clap::Args;
use idiolect::adapter::LoraOptions;
use idiolect::format::peft::Modules;

/// The shape of an adapter. What is not given comes from an adapter that training starts from, or else is the default.
#[derive(Debug, Args)]
pub struct LoraArgs {
    /// Rank of the adapter [default: 8]
    #[arg(long)]
    rank: Option<usize>,

    /// Scale of the adapter: its term is multiplied by alpha / rank [default: 2 × rank]
    #[arg(long, allow_negative_numbers = true)]
    alpha: Option<f64>,

    /// Linear layers to adapt: names, suffixes or whole module paths, separated by commas, or all-linear
    /// [default: all-linear]
    #[arg(long, value_name = "NAMES", value_parser = modules)]
    targets: Option<Modules>,

    /// Dropout on the adapter's input while training [default: 0]
    #[arg(long, value_name = "RATE", allow_negative_numbers = true)]
    dropout: Option<f32>,

    /// Multiply by alpha / √rank instead of alpha / rank
    #[arg(long)]
    rslora: bool,
}

impl LoraArgs {
    /// The options as given.
    pub fn options(&self) -> LoraOptions {
        LoraOptions {
            rank: self.rank,
            alpha: self.alpha,
            dropout: self.dropout,
            rslora: self.rslora.then_some(true),
            target_modules: self.targets.clone(),
        }
    }
}

/// Names separated by commas, or `all-linear`.
fn modules(text: &str) -> Result<Modules, Infallible> {
    Ok(match text.trim() {
        all if all.eq_ignore_ascii_case("all-linear") => Modules::AllLinear,
        names => Modules::Names(names.split(',').map(|name| name.trim().to_owned()).collect()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_names_or_all() {
        let names = |names: &[&str]| Modules::Names(names.iter().map(|&name| name.into()).collect());
        for (text, expected) in [
            ("all-linear", Modules::AllLinear),
            ("q_proj", names(&["q_proj"])),
            ("q_proj, mlp.down_proj", names(&["q_proj", "mlp.down_proj"])),
        ] {
            assert_eq!(modules(text), Ok(expected));
        }
    }
}
