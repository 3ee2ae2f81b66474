//! Where an adapter's factors lie in one flat array of parameters: gradients and moments are laid out alike, so that
//! norm, clipping and the optimizer are one pass.

use crate::model::{Linear, ModelConfig};

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
    slots: Vec<[Option<LoraSlot>; Linear::ALL.len()]>,
    len: usize,
}

impl LoraLayout {
    /// The layout for the linear layers that `adapts` picks.
    pub fn new(config: &ModelConfig, rank: usize, scale: f32, adapts: impl Fn(usize, Linear) -> bool) -> Self {
        let mut len = 0;
        let mut place = |layer: usize, linear: Linear| {
            adapts(layer, linear).then(|| {
                let (inputs, outputs) = config.widths(linear);
                let slot = LoraSlot { a: len, b: len + rank * inputs, inputs, outputs };
                len += rank * (inputs + outputs);
                slot
            })
        };
        let slots = (0..config.layers).map(|layer| Linear::ALL.map(|linear| place(layer, linear))).collect();
        Self { rank, scale, slots, len }
    }

    /// The slot of a linear layer, if it is adapted.
    pub fn slot(&self, layer: usize, linear: Linear) -> Option<LoraSlot> {
        self.slots[layer][linear as usize]
    }

    /// Every adapted linear layer, in order.
    pub fn slots(&self) -> impl Iterator<Item = (usize, Linear, LoraSlot)> {
        self.slots.iter().enumerate().flat_map(|(layer, slots)| {
            Linear::ALL.into_iter().zip(slots).filter_map(move |(linear, slot)| slot.map(|slot| (layer, linear, slot)))
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
        self.slots().map(|(layer, ..)| layer).next()
    }
}
