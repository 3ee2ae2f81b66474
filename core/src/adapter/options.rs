//! What a caller asks of an adapter, before there is one.

use serde::Serialize;

use super::{Adapter, AdapterShape};
use crate::error::{Error, ErrorKind, Result};
use crate::format::peft::{LoraConfig, Modules};
use crate::model::Model;

/// The shape of an adapter to train. What is left open takes the default, or is what the adapter that training starts
/// from already has.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct LoraOptions {
    /// The rank; 8 by default.
    pub rank: Option<usize>,
    /// What the adapter's term is scaled by, times the rank; twice the rank by default.
    pub alpha: Option<f64>,
    /// Dropout on the adapter's input while training; none by default.
    pub dropout: Option<f32>,
    /// Whether the scale is alpha / √rank instead of alpha / rank; it is not by default.
    pub rslora: Option<bool>,
    /// The linear layers to adapt; all by default.
    pub target_modules: Option<Modules>,
}

impl LoraOptions {
    /// The shape of a fresh adapter.
    ///
    /// # Errors
    /// When an option is out of range, or no layer of the model is meant. A rank beyond what any adapted weight itself
    /// could have is out of range: it costs memory and can express no more.
    pub fn shape(&self, model: &Model) -> Result<AdapterShape> {
        let (defaults, family) = (LoraConfig::default(), model.base().config.family);
        let rank = self.rank.unwrap_or(defaults.rank);
        let config = LoraConfig {
            rank,
            alpha: self.alpha.unwrap_or(2.0 * rank as f64),
            dropout: self.dropout.unwrap_or(defaults.dropout),
            rslora: self.rslora.unwrap_or(defaults.rslora),
            target_modules: self.target_modules.clone().unwrap_or_else(|| Modules::of_family(family)),
            ..LoraConfig::default()
        };
        config.validate()?;
        // Targets that the model lacks are the caller's option here, not an adapter of another model.
        let shape = AdapterShape::new(config, model).map_err(|error| error.into_kind(ErrorKind::BadOption))?;
        // The default is no mistake, however narrow the model.
        let most = shape.full_rank().max(defaults.rank);
        if rank > most {
            let message = format!("rank {rank}, where the weights to adapt have rank {most} at most");
            return Err(Error::new(ErrorKind::BadOption, message).with_hint("give a lower rank: 4 to 64 is usual"));
        }
        Ok(shape)
    }

    /// A fresh adapter.
    ///
    /// # Errors
    /// As [`LoraOptions::shape`], or when memory cannot hold it.
    pub fn fresh(&self, model: &Model, seed: u64) -> Result<Adapter> {
        Adapter::new(self.shape(model)?, seed)
    }

    /// Checks that nothing asked for contradicts an adapter to go on from.
    ///
    /// # Errors
    /// [`ErrorKind::BadOption`], naming the option that does.
    pub fn check_agree(&self, adapter: &Adapter, model: &Model) -> Result<()> {
        let config = adapter.config();
        let contradicts = |option: &str, own: String| {
            let message = format!("{option} contradicts the adapter to go on from, whose {option} is {own}");
            Err(Error::new(ErrorKind::BadOption, message).with_hint(format!("leave {option} out")))
        };
        if self.rank.is_some_and(|rank| rank != config.rank) {
            return contradicts("rank", config.rank.to_string());
        }
        if self.alpha.is_some_and(|alpha| alpha != config.alpha) {
            return contradicts("alpha", config.alpha.to_string());
        }
        if self.dropout.is_some_and(|dropout| dropout != config.dropout) {
            return contradicts("dropout", config.dropout.to_string());
        }
        if self.rslora.is_some_and(|rslora| rslora != config.rslora) {
            return contradicts("rslora", config.rslora.to_string());
        }
        if let Some(target_modules) = &self.target_modules {
            let asked = LoraConfig { target_modules: target_modules.clone(), ..LoraConfig::default() };
            if asked.targets(&model.base().config)? != config.targets(&model.base().config)? {
                let message = "targets contradicts the adapter to go on from, which adapts other layers";
                return Err(Error::new(ErrorKind::BadOption, message).with_hint("leave targets out"));
            }
        }
        Ok(())
    }
}
