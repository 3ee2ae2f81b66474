//! The attention half of a layer: `mid = x + o(attention(rope(q), rope(k), v))` of `norm(x)`; in some families queries and
//! keys are normalized too, or what is added to x is.

use idiolect_kernels::ops::{Attention, AttentionBackward, Heads, Rope, ScatterRows};
use idiolect_kernels::program::BufferId;

use super::fused::Projections;
use crate::passes::graph::{Backward, Graph};
use crate::shape::NormPlace::{self, AfterAttention};
use crate::shape::Projection::{K, O, Q, Qkv, QkvByHead, V};

/// Key and value caches of one layer, `[capacity, kv_width]` each, and the cache row of every token.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LayerCache {
    pub keys: BufferId,
    pub values: BufferId,
    pub slots: BufferId,
}

/// What it computes on the way, for its gradient.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AttentionActivations {
    pub x: BufferId,
    /// Queries and keys before their norms, where they have some.
    pub unnormed: Option<[BufferId; 2]>,
    pub q: BufferId,
    pub k: BufferId,
    pub v: BufferId,
    pub attended: BufferId,
    pub lse: BufferId,
    /// What the norm behind the half is of, where there is one.
    pub addend: Option<BufferId>,
    /// The residual stream after attention.
    pub mid: BufferId,
}

/// Values of a row of queries, of keys and of values.
const fn widths(heads: Heads) -> [usize; 3] {
    [heads.query * heads.dim, heads.key_value * heads.dim, heads.key_value * heads.dim]
}

impl Graph<'_> {
    /// Rotates every head by its token's position, in place, where the layer sees positions.
    fn rope(&mut self, layer: usize, x: BufferId, inverse: bool) {
        let attention = &self.base.config.layers[layer].attention;
        let Some(rope) = attention.rope else { return };
        let (head_dim, table) = (attention.head_dim, self.base.ropes[rope]);
        let rotated = self.base.config.ropes[rope].dim;
        self.push(Rope { x, positions: self.tokens.positions, table, head_dim, rotated, inverse });
    }

    fn queries_keys_values(&self, layer: usize) -> Projections<3> {
        self.projections(layer, [Q, K, V], &[Qkv, QkvByHead])
    }

    /// `mid = x + o(attention(norm(x)))`, over this row's own keys or a cache that they are first written to.
    pub fn attention(&mut self, layer: usize, x: BufferId, cache: Option<LayerCache>) -> AttentionActivations {
        let heads = self.base.heads(layer);
        let normed = self.norm_at(layer, NormPlace::Attention, x);
        let projections = self.queries_keys_values(layer);
        let [mut q, mut k, v] = self.project(&projections, normed, widths(heads));
        let mut unnormed = None;
        if let Some([of_queries, of_keys]) = self.base.head_norms(layer) {
            unnormed = Some([q, k]);
            (q, k) = (self.norm(of_queries, q), self.norm(of_keys, k));
        }
        self.rope(layer, q, false);
        self.rope(layer, k, false);
        let (keys, values) = match cache {
            Some(cache) => {
                self.push(ScatterRows { src: k, index: cache.slots, out: cache.keys, keep: true });
                self.push(ScatterRows { src: v, index: cache.slots, out: cache.values, keep: true });
                (cache.keys, cache.values)
            }
            None => (k, v),
        };
        let attended = self.per_token("attended", heads.query * heads.dim);
        let lse = self.per_token("lse", heads.query);
        let spans = self.spans(layer);
        self.push(Attention { q, k: keys, v: values, spans, out: attended, lse, heads });
        let (mid, addend) = self.add(self.module(layer, O), AfterAttention, attended, x);
        AttentionActivations { x, unnormed, q, k, v, attended, lse, addend, mid }
    }
}

impl Backward<'_> {
    /// Adapter gradients, and the residual stream's through the block.
    pub fn attention(&mut self, layer: usize, parts: AttentionActivations) {
        let heads = self.graph.base.heads(layer);
        let [q_width, kv_width, _] = widths(heads);
        let o = self.graph.module(layer, O);
        let dattended = self.graph.per_token("d attended", q_width);
        let dout = self.addend(layer, AfterAttention, parts.addend);
        self.linear(o, parts.attended, dout, Some((dattended, false)));
        let delta = self.graph.per_token("delta", heads.query);
        let mut dq = self.graph.per_token("d q", q_width);
        let mut dk = self.graph.per_token("d k", kv_width);
        let dv = self.graph.per_token("d v", kv_width);
        let (spans, reach) = (self.graph.spans(layer), self.reach(layer));
        self.graph.push(AttentionBackward {
            q: parts.q,
            k: parts.k,
            v: parts.v,
            out: parts.attended,
            lse: parts.lse,
            dout: dattended,
            spans,
            reach,
            delta,
            dq,
            dk,
            dv,
            heads,
        });
        self.graph.rope(layer, dq, true);
        self.graph.rope(layer, dk, true);
        if let (Some([x_q, x_k]), Some([of_queries, of_keys])) = (parts.unnormed, self.graph.base.head_norms(layer)) {
            let (dy_q, dy_k) = (dq, dk);
            dq = self.graph.per_token("d q before its norm", q_width);
            dk = self.graph.per_token("d k before its norm", kv_width);
            self.graph.norm_backward(of_queries, x_q, dy_q, dq, false);
            self.graph.norm_backward(of_keys, x_k, dy_k, dk, false);
        }
        let normed = self.graph.norm_at(layer, NormPlace::Attention, parts.x);
        // Below the lowest adapter nothing learns: its input needs no gradient.
        let mut dinput = (layer > self.lowest).then(|| self.input_gradient(layer, NormPlace::Attention));
        let projections = self.graph.queries_keys_values(layer);
        self.project(&projections, normed, [dq, dk, dv], dinput.as_mut());
        if let Some(dinput) = dinput {
            self.add_input_gradient(dinput, parts.x);
        }
    }
}
