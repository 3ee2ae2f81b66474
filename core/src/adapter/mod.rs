//! LoRA adapters: what they adapt, their parameters, their files.

mod blend;
mod layout;
mod options;
mod shape;
mod stored;

pub use layout::{LoraLayout, LoraSlot};
pub use options::LoraOptions;
pub use shape::AdapterShape;

use std::path::Path;

use serde_json::{Map, Value};

use crate::error::{Error, ErrorKind, Result};
use crate::format::destination::check_file;
use crate::format::peft::{AdapterFiles, AdapterRecord, Factors, LoraConfig, Scaling, write_factors};
use crate::model::Model;
use crate::random::Random;

/// A LoRA adapter of one base model.
#[derive(Debug, Clone)]
pub struct Adapter {
    shape: AdapterShape,
    params: Vec<f32>,
    document_start: bool,
    strength: f32,
}

impl Adapter {
    /// A fresh adapter: A uniform within ±1/√inputs (as PEFT draws it, from our own seeded generator), B zero.
    ///
    /// # Errors
    /// [`ErrorKind::OverBudget`] when memory cannot hold it.
    pub fn new(shape: AdapterShape, seed: u64) -> Result<Self> {
        let mut fresh = Self::zero(shape)?;
        let mut random = Random::new(seed ^ 0x4c6f_5241); // apart from the order of samples
        for (_, slot) in fresh.shape.layout().slots() {
            let bound = 1.0 / (slot.inputs as f32).sqrt();
            fresh.params[slot.a..slot.b].iter_mut().for_each(|a| *a = (2.0 * random.uniform() - 1.0) * bound);
        }
        Ok(fresh)
    }

    /// One whose parameters are all zero.
    fn zero(shape: AdapterShape) -> Result<Self> {
        let len = shape.layout().len();
        let mut params = Vec::new();
        params.try_reserve_exact(len).map_err(|_| {
            let message = format!("an adapter of {len} parameters does not fit into memory");
            Error::new(ErrorKind::OverBudget, message).with_hint("give a lower rank or fewer targets")
        })?;
        params.resize(len, 0.0);
        Ok(Self { shape, params, document_start: false, strength: 1.0 })
    }

    /// Reads a folder in PEFT's or MLX's layout. One without our own record is accepted by its shapes; one with it has
    /// the strength that it was saved at.
    ///
    /// # Errors
    /// When a file is damaged or asks for something unknown, the adapter does not fit the model or was made for another
    /// one, or none of its tensors applies.
    pub fn open(path: &Path, model: &Model) -> Result<Self> {
        Self::of_files(&AdapterFiles::open(path)?, path, model)
    }

    /// The adapter in `files`, which were found at `path`.
    pub(crate) fn of_files(files: &AdapterFiles, path: &Path, model: &Model) -> Result<Self> {
        let base = files.record().and_then(|record| record.base_fingerprint.as_deref());
        if base.is_some_and(|base| base != model.fingerprint()) {
            let message =
                format!("{}: base_fingerprint: the adapter was trained on another base model", path.display());
            return Err(
                Error::new(ErrorKind::AdapterMismatch, message).with_hint("open the model that it was trained on")
            );
        }
        // Every tensor's shape is checked in here, before any memory is taken by what the settings say.
        let all = files.factors(&model.base().config)?;
        let (config, strength) = files.unscaled();
        let shape = AdapterShape::new(config, model)?;
        let mut params = vec![0.0; shape.layout().len()];
        for factors in all {
            let slot = shape.slot_at(&factors.path);
            let slot = slot.ok_or_else(|| Error::new(ErrorKind::AdapterMismatch, "a tensor that nothing adapts"))?;
            params[slot.a..slot.b].copy_from_slice(&factors.a);
            params[slot.b..slot.b + factors.b.len()].copy_from_slice(&factors.b);
        }
        let document_start = files.record().is_some_and(|record| record.document_start);
        Ok(Self { shape, params, document_start, strength })
    }

    /// Writes a folder that PEFT loads, with our own record beside: the base's fingerprint, how samples began, and
    /// `report`. It appears whole or not at all, in place of an adapter that lies there.
    ///
    /// The strength goes into the alpha, so that the adapter does elsewhere what it does here
    /// ([`LoraConfig::carrying`]); the record has both apart.
    ///
    /// # Errors
    /// When the disk refuses, or something other than an adapter lies at `path`.
    pub fn save(&self, path: &Path, model: &Model, report: Map<String, Value>) -> Result<()> {
        let config = self.config();
        let carrying = config.carrying(self.strength);
        let record = AdapterRecord {
            base_fingerprint: Some(model.fingerprint().to_owned()),
            document_start: self.document_start,
            scaling: (carrying != *config).then_some(Scaling {
                alpha: config.alpha,
                rslora: config.rslora,
                strength: self.strength,
            }),
            report,
        };
        AdapterFiles::write(path, &carrying, &self.factors_of(&self.params), &record)
    }

    /// Checks that an adapter may be saved at `path`, before a long training: that nothing but an adapter lies there, and
    /// that the disk lets something be made there.
    ///
    /// # Errors
    /// When it may not.
    pub fn check_destination(path: &Path) -> Result<()> {
        AdapterFiles::check_destination(path)
    }

    /// Checks that [`Adapter::write_values`] may write at `path`, before a long computation.
    ///
    /// # Errors
    /// When it may not.
    pub fn check_values_destination(path: &Path) -> Result<()> {
        check_file(path)
    }

    /// Writes values laid out as the parameters (their gradients, say) as a safetensors file under PEFT's names. It
    /// appears whole or not at all, in place of a file that lies there.
    ///
    /// # Errors
    /// When there are not as many values as parameters, or the disk refuses.
    pub fn write_values(&self, path: &Path, values: &[f32]) -> Result<()> {
        self.check_len(values)?;
        write_factors(path, self.config().rank, &self.factors_of(values))
    }

    /// Both factors of every adapted layer out of a flat array.
    fn factors_of(&self, values: &[f32]) -> Vec<Factors> {
        let rank = self.layout().rank;
        let slots = self.layout().slots();
        let factors = slots.map(|(module, slot)| Factors {
            path: self.shape.path(module),
            a: values[slot.a..slot.b].to_vec(),
            b: values[slot.b..slot.b + slot.outputs * rank].to_vec(),
        });
        factors.collect()
    }

    fn check_len(&self, values: &[f32]) -> Result<()> {
        if values.len() != self.layout().len() {
            let message = format!("{} values for an adapter of {} parameters", values.len(), self.layout().len());
            return Err(Error::new(ErrorKind::AdapterMismatch, message));
        }
        Ok(())
    }

    /// What it adapts.
    pub fn shape(&self) -> &AdapterShape {
        &self.shape
    }

    /// The configuration.
    pub fn config(&self) -> &LoraConfig {
        self.shape.config()
    }

    /// Where the factors lie in [`Adapter::params`].
    pub fn layout(&self) -> &LoraLayout {
        self.shape.layout()
    }

    /// All parameters, flat.
    pub fn params(&self) -> &[f32] {
        &self.params
    }

    /// The share of its effect that it has where it is used, from 0 (the base's own bits) to 1.
    pub fn strength(&self) -> f32 {
        self.strength
    }

    /// The same adapter with another share of its effect. It is a slider: the parameters stay as they are.
    ///
    /// # Errors
    /// When `strength` is outside 0 to 1.
    pub fn with_strength(self, strength: f32) -> Result<Self> {
        match (0.0..=1.0).contains(&strength) {
            true => Ok(Self { strength, ..self }),
            false => Err(Error::new(ErrorKind::BadOption, format!("strength {strength} is outside 0 to 1"))),
        }
    }

    /// Whether its samples began with the document-start token, so that generation has to as well.
    pub fn document_start(&self) -> bool {
        self.document_start
    }

    /// Records how its samples began.
    pub(crate) fn set_document_start(&mut self, document_start: bool) {
        self.document_start = document_start;
    }

    /// The same adapter with other parameters.
    pub(crate) fn with_params(self, params: Vec<f32>) -> Result<Self> {
        self.check_len(&params)?;
        Ok(Self { params, ..self })
    }

    /// Everything but the parameters.
    pub(crate) fn without_params(self) -> Unfilled {
        Unfilled(Self { params: Vec::new(), ..self })
    }

    /// Checks that the adapter was made for the shape of `model`.
    pub(crate) fn check_fits(&self, model: &Model) -> Result<()> {
        match AdapterShape::new(self.config().clone(), model)? == self.shape {
            true => Ok(()),
            false => Err(Error::new(ErrorKind::AdapterMismatch, "the adapter was made for a model of another shape")),
        }
    }
}

/// An adapter whose parameters are elsewhere: on the device that trains it.
#[derive(Debug)]
pub(crate) struct Unfilled(Adapter);

impl Unfilled {
    /// The adapter with `params`.
    pub fn with_params(&self, params: Vec<f32>) -> Result<Adapter> {
        self.0.check_len(&params)?;
        Ok(Adapter { params, ..self.0.clone() })
    }
}
