//! LoRA adapters: what they adapt, their parameters, their files.

mod layout;

pub use layout::{LoraLayout, LoraSlot};

use crate::error::{Error, ErrorKind, Result};
use crate::format::peft::LoraConfig;
use crate::model::{Model, ModelConfig};
use crate::random::Random;

/// A LoRA adapter of one base model.
#[derive(Debug, Clone)]
pub struct Adapter {
    config: LoraConfig,
    layout: LoraLayout,
    params: Vec<f32>,
    document_start: bool,
}

impl Adapter {
    /// A fresh adapter: A uniform within ±1/√inputs (as PEFT draws it, from our own seeded generator), B zero.
    ///
    /// # Errors
    /// When the configuration adapts no layer of the model.
    pub fn new(config: LoraConfig, model: &Model, seed: u64) -> Result<Self> {
        let layout = layout_of(&config, &model.base().config)?;
        let mut params = vec![0.0; layout.len()];
        let mut random = Random::new(seed ^ 0x4c6f_5241); // apart from the order of samples
        for (.., slot) in layout.slots() {
            let bound = 1.0 / (slot.inputs as f32).sqrt();
            params[slot.a..slot.b].iter_mut().for_each(|a| *a = (2.0 * random.uniform() - 1.0) * bound);
        }
        Ok(Self { config, layout, params, document_start: false })
    }

    /// The configuration.
    pub fn config(&self) -> &LoraConfig {
        &self.config
    }

    /// Where the factors lie in [`Adapter::params`].
    pub fn layout(&self) -> &LoraLayout {
        &self.layout
    }

    /// All parameters, flat.
    pub fn params(&self) -> &[f32] {
        &self.params
    }

    /// Whether its samples began with the document-start token, so that generation has to as well.
    pub fn document_start(&self) -> bool {
        self.document_start
    }

    pub(crate) fn set_params(&mut self, params: Vec<f32>) -> Result<()> {
        if params.len() != self.layout.len() {
            let message = format!("{} parameters for an adapter of {}", params.len(), self.layout.len());
            return Err(Error::new(ErrorKind::AdapterMismatch, message));
        }
        self.params = params;
        Ok(())
    }

    /// Checks that the adapter was made for the shape of `model`.
    pub(crate) fn check_fits(&self, model: &Model) -> Result<()> {
        match layout_of(&self.config, &model.base().config)? == self.layout {
            true => Ok(()),
            false => Err(Error::new(ErrorKind::AdapterMismatch, "the adapter was made for a model of another shape")),
        }
    }
}

fn layout_of(config: &LoraConfig, model: &ModelConfig) -> Result<LoraLayout> {
    let layout = LoraLayout::new(model, config.rank, config.scale(), |layer, linear| config.adapts(layer, linear));
    if layout.is_empty() {
        return Err(Error::new(ErrorKind::AdapterMismatch, "the adapter's target modules name no layer of the model"));
    }
    Ok(layout)
}
