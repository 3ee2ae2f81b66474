//! Passes without gradients: a continuation over the key/value cache, the losses of packed samples, their logits.

use idiolect_kernels::ops::TopLogits;
use idiolect_kernels::program::{BufferId, Program, RowCounts, Rows, StateId};

use super::block::{LayerCache, Loss};
use super::graph::{Graph, LoraBinding, TokenInputs};
use crate::model::BaseModel;

/// The largest logits that a continuation gives beside all of them: enough for most ways of sampling.
pub(crate) const CANDIDATES: usize = 64;

/// Rows of logits that an evaluation holds at a time.
const EVALUATION_LOGIT_ROWS: usize = 32;

/// The caches of all layers: keys and values, `[capacity, kv_width]` each.
#[derive(Debug, Clone)]
pub(crate) struct CacheState {
    pub capacity: usize,
    pub layers: Vec<(StateId, StateId)>,
}

/// A program that continues a cached sequence by up to `tokens` tokens and gives the logits of selected ones.
pub(crate) struct Continuation {
    pub program: Program,
    pub tokens: TokenInputs,
    /// u32 `[t, 1]`: the cache row of every token.
    pub slots: BufferId,
    /// u32 `[s, 1]`.
    pub selected: BufferId,
    /// `[s, vocabulary]`.
    pub logits: BufferId,
    /// `[s, 2·CANDIDATES + 1]`, see [`TopLogits`].
    pub candidates: BufferId,
}

/// See [`Continuation`].
pub(crate) fn continuation(
    base: &BaseModel,
    lora: Option<&LoraBinding>,
    cache: &CacheState,
    tokens: usize,
) -> Continuation {
    let mut graph = Graph::new("continuation", base, lora, RowCounts { tokens, selected: 1 });
    let slots = graph.program.input("slots", Rows::Tokens, 1);
    let x = cached_layers(&mut graph, cache, slots);
    let (selected, logits) = selected_logits(&mut graph, x);
    let candidates = graph.program.output("candidates", Rows::Selected, 2 * CANDIDATES + 1);
    graph.push(TopLogits { logits, out: candidates });
    Continuation { tokens: graph.tokens, program: graph.program, slots, selected, logits, candidates }
}

/// A program that runs a handful of tokens, which may go on from the cached sequence in several ways at once.
pub(crate) struct Branches {
    pub program: Program,
    pub tokens: TokenInputs,
    /// u32 `[t, 1]`: the cache row of every token.
    pub slots: BufferId,
    /// u32 `[s, 1]`.
    pub selected: BufferId,
    /// `[s, vocabulary]`.
    pub logits: BufferId,
}

/// See [`Branches`].
pub(crate) fn branches(
    base: &BaseModel,
    lora: Option<&LoraBinding>,
    cache: &CacheState,
    capacity: RowCounts,
) -> Branches {
    let mut graph = Graph::few("branches", base, lora, capacity);
    let slots = graph.program.input("slots", Rows::Tokens, 1);
    let x = cached_layers(&mut graph, cache, slots);
    let (selected, logits) = selected_logits(&mut graph, x);
    Branches { tokens: graph.tokens, program: graph.program, slots, selected, logits }
}

/// All layers over a cache, which each token's keys and values are first written to.
fn cached_layers(graph: &mut Graph, cache: &CacheState, slots: BufferId) -> BufferId {
    let mut x = graph.embed();
    for ((layer, &(keys, values)), width) in cache.layers.iter().enumerate().zip(graph.base.kv_widths()) {
        let keys = graph.program.state("key cache", keys, cache.capacity, width);
        let values = graph.program.state("value cache", values, cache.capacity, width);
        x = graph.layer(layer, x, Some(LayerCache { keys, values, slots })).0;
    }
    x
}

/// What goes into a scoring program and comes out of it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ScoringBuffers {
    pub tokens: TokenInputs,
    /// u32 `[s, 1]`.
    pub selected: BufferId,
    /// u32 `[s, 1]`: the tokens whose losses are wanted.
    pub targets: BufferId,
    /// `[s, 1]`, nats.
    pub losses: BufferId,
}

/// A program over packed samples that gives the loss of every selected token.
pub(crate) fn scoring(base: &BaseModel, lora: Option<&LoraBinding>, capacity: RowCounts) -> (Program, ScoringBuffers) {
    let mut graph = Graph::new("scoring", base, lora, capacity);
    let targets = graph.program.input("targets", Rows::Selected, 1);
    let x = all_layers(&mut graph);
    let selected = graph.program.input("selected", Rows::Selected, 1);
    let rows = graph.final_rows(x, selected);
    let losses = graph.program.output("losses", Rows::Selected, 1);
    graph.losses(rows, Loss { targets, losses, logit_rows: EVALUATION_LOGIT_ROWS });
    (graph.program, ScoringBuffers { tokens: graph.tokens, selected, targets, losses })
}

/// A program over packed samples that gives logits.
pub(crate) struct Logits {
    pub program: Program,
    pub tokens: TokenInputs,
    /// u32 `[s, 1]`.
    pub selected: BufferId,
    /// `[s, vocabulary]`.
    pub logits: BufferId,
}

/// The logits of every selected token.
pub(crate) fn logits(base: &BaseModel, lora: Option<&LoraBinding>, capacity: RowCounts) -> Logits {
    let mut graph = Graph::new("logits", base, lora, capacity);
    let x = all_layers(&mut graph);
    let (selected, logits) = selected_logits(&mut graph, x);
    Logits { tokens: graph.tokens, program: graph.program, selected, logits }
}

fn all_layers(graph: &mut Graph) -> BufferId {
    let mut x = graph.embed();
    for layer in 0..graph.base.layers.len() {
        x = graph.layer(layer, x, None).0;
    }
    x
}

/// The logits of the rows that an input selects, and that input.
fn selected_logits(graph: &mut Graph, x: BufferId) -> (BufferId, BufferId) {
    let selected = graph.program.input("selected", Rows::Selected, 1);
    let rows = graph.final_rows(x, selected);
    (selected, graph.logits(rows))
}
