//! What an adapter adapts, before there is any parameter: plans are made from it.

use super::layout::{LoraLayout, LoraSlot};
use crate::error::Result;
use crate::format::peft::LoraConfig;
use crate::model::Model;
use crate::shape::{Family, ModuleId};

/// The settings of an adapter and where its factors lie, for one model; nothing as large as the adapter.
#[derive(Debug, Clone, PartialEq)]
pub struct AdapterShape {
    config: LoraConfig,
    family: &'static Family,
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
        let adapts = |module| targets.contains(&module);
        let layout = LoraLayout::new(shape, config.rank, config.scale(), adapts);
        Ok(Self { config, family: shape.family, layout })
    }

    /// The configuration.
    pub fn config(&self) -> &LoraConfig {
        &self.config
    }

    /// The path of an adapted module in the model: `model.layers.3.self_attn.q_proj`.
    pub fn path(&self, module: ModuleId) -> String {
        self.family.path(module)
    }

    /// The slot of the module at a path, if it is adapted.
    pub(super) fn slot_at(&self, path: &str) -> Option<LoraSlot> {
        self.layout.slot(self.family.module_at(path)?)
    }

    /// Where the factors lie in the flat parameters.
    pub fn layout(&self) -> &LoraLayout {
        &self.layout
    }

    /// The highest rank that any adapted layer's weight could have: the lesser of its widths.
    pub(super) fn full_rank(&self) -> usize {
        self.layout.slots().map(|(_, slot)| slot.inputs.min(slot.outputs)).max().unwrap_or(0)
    }
}
