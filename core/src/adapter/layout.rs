//! Where an adapter's factors lie in one flat array of parameters: gradients and moments are laid out alike, so that
//! norm, clipping and the optimizer are one pass.

use crate::shape::{LinearSpec, ModelConfig, ModuleId};

/// The two factors of one adapted linear layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LoraSlot {
    /// Where A `[rank, inputs]` starts.
    pub a: usize,
    /// Where B `[outputs, rank]` starts.
    pub b: usize,
    /// Width of the layer's input.
    pub inputs: usize,
    /// Width of the layer's output.
    pub outputs: usize,
}

/// The flat layout of an adapter.
#[derive(Debug, Clone, PartialEq)]
pub struct LoraLayout {
    /// The rank.
    pub rank: usize,
    /// Factor on the adapter's term: alpha / rank, or alpha / √rank.
    pub scale: f32,
    /// By layer, and within by the family's modules.
    slots: Vec<Vec<Option<LoraSlot>>>,
    len: usize,
}

impl LoraLayout {
    /// The layout for the linear layers that `adapts` picks.
    pub fn new(config: &ModelConfig, rank: usize, scale: f32, adapts: impl Fn(ModuleId) -> bool) -> Self {
        let mut len = 0;
        let mut place = |module: ModuleId| {
            adapts(module).then(|| {
                let LinearSpec { inputs, outputs, .. } = config.linear(module);
                let slot = LoraSlot { a: len, b: len + rank * inputs, inputs, outputs };
                len += rank * (inputs + outputs);
                slot
            })
        };
        let of_layer = |layer| config.family.modules_of(layer).map(&mut place).collect();
        let slots = (0..config.layers.len()).map(of_layer).collect();
        Self { rank, scale, slots, len }
    }

    /// The slot of a linear layer, if it is adapted.
    pub fn slot(&self, module: ModuleId) -> Option<LoraSlot> {
        self.slots[module.layer][module.index]
    }

    /// Every adapted linear layer, in order.
    pub fn slots(&self) -> impl Iterator<Item = (ModuleId, LoraSlot)> {
        self.slots.iter().enumerate().flat_map(|(layer, slots)| {
            let placed = move |(index, slot): (usize, &Option<LoraSlot>)| Some((ModuleId { layer, index }, (*slot)?));
            slots.iter().enumerate().filter_map(placed)
        })
    }

    /// Trainable parameters.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether nothing is adapted.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The lowest layer that the backward pass has to reach.
    pub fn lowest_layer(&self) -> Option<usize> {
        self.slots().map(|(module, _)| module.layer).next()
    }
}
