//! What an adapter adapts, before there is any parameter: plans are made from it.

use super::layout::LoraLayout;
use crate::error::Result;
use crate::format::peft::LoraConfig;
use crate::model::Model;

/// The settings of an adapter and where its factors lie, for one model; nothing as large as the adapter.
#[derive(Debug, Clone, PartialEq)]
pub struct AdapterShape {
    config: LoraConfig,
    layout: LoraLayout,
}

impl AdapterShape {
    /// The shape that `config` means on `model`.
    ///
    /// # Errors
    /// When a setting is out of its range, or the configuration adapts no layer of the model.
    pub fn new(config: LoraConfig, model: &Model) -> Result<Self> {
        let shape = &model.base().config;
        let targets = config.targets(shape)?;
        let adapts = |layer, linear| targets.contains(&(layer, linear));
        let layout = LoraLayout::new(shape, config.rank, config.scale(), adapts);
        Ok(Self { config, layout })
    }

    /// The configuration.
    pub fn config(&self) -> &LoraConfig {
        &self.config
    }

    /// Where the factors lie in the flat parameters.
    pub fn layout(&self) -> &LoraLayout {
        &self.layout
    }

    /// The highest rank that any adapted layer's weight could have: the lesser of its widths.
    pub(super) fn full_rank(&self) -> usize {
        self.layout.slots().map(|(.., slot)| slot.inputs.min(slot.outputs)).max().unwrap_or(0)
    }
}
