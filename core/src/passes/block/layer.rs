//! A decoder layer: its two halves, one after the other.

use idiolect_kernels::program::BufferId;

use super::attention::{AttentionActivations, LayerCache};
use super::mlp::MlpActivations;
use crate::passes::graph::{Backward, Graph};

/// What a layer keeps from its forward pass; the rest is computed again on the way back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keep {
    /// q, k, v, attention's output, both residual streams, gate and up, what norms behind the halves are of; other norms and
    /// the activation are made again.
    All,
    /// All but what the feed-forward half computes.
    Attention,
    /// The layer's input alone.
    Input,
}

/// What a layer computes on the way, for its gradient.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LayerActivations {
    attention: AttentionActivations,
    mlp: MlpActivations,
}

impl Graph<'_> {
    /// Layer `layer`: its output, and what its gradient needs.
    pub fn layer(&mut self, layer: usize, x: BufferId, cache: Option<LayerCache>) -> (BufferId, LayerActivations) {
        let attention = self.attention(layer, x, cache);
        let (out, mlp) = self.mlp(layer, attention.mid);
        (out, LayerActivations { attention, mlp })
    }
}

impl Backward<'_> {
    /// Adapter gradients of the layer, and the residual stream's through it; what was not kept is computed again.
    pub fn layer(&mut self, layer: usize, made: LayerActivations, keep: Keep) {
        let attention = match keep {
            Keep::All | Keep::Attention => made.attention,
            Keep::Input => self.graph.attention(layer, made.attention.x, None),
        };
        let mlp = match keep {
            Keep::All => made.mlp,
            Keep::Attention | Keep::Input => self.graph.mlp_activations(layer, attention.mid),
        };
        self.mlp(layer, attention.mid, mlp);
        self.attention(layer, attention);
    }
}
