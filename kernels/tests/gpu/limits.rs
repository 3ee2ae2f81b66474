//! Small bindings and buffers: matrices in shards, the arena in segments, the optimizer's tensors in parts; and what no
//! part of either holds.

use std::sync::Arc;

use idiolect_kernels::gpu::{GpuExecutor, Options};
use idiolect_kernels::ops::{
    Activation::Silu, AdamW, AttentionBackward, CrossEntropy, Embed, Glu, Heads, Linear, LinearBackward, LoraTerm,
    LossGradient, ScatterRows,
};
use idiolect_kernels::program::{Kind, Placement, Plan, Program, RowCounts, Rows, StateId, Weights};
use idiolect_kernels::{Error, Executor, Job};
use libtest_mimic::Failed;

use crate::case::{Case, random_below};
use crate::encodings;
use crate::matrices::{label, matrix};
use crate::step::step;

/// So small that every matrix here but one takes several.
const BINDING: u64 = 40 << 10;

pub fn options(options: Options) -> Options {
    Options { binding_limit: BINDING, ..options }
}

/// A buffer holds no more than a binding.
pub fn equal(options: Options) -> Options {
    Options { binding_limit: 96 << 10, buffer_limit: 96 << 10, ..options }
}

/// Matrices whose codes fill more than one such buffer; the scales beside them take up to half as much again.
pub fn large_matrices(weights: &mut Weights) -> Vec<Case> {
    let case_of = |encoding| {
        let (rows, cols, tokens) = (1601, 128.max(encodings::group_of(encoding)), 3);
        let weight = weights.add_matrix(matrix(encoding, rows, cols, 6));
        let mut case = Case::new(label(encoding), tokens, 0);
        let x = case.values("x", Rows::Tokens, cols);
        let y = case.output("y", Rows::Tokens, rows);
        case.push(Linear { x, weight, bias: None, lora: None, residual: None, out: y });
        let dy = case.values("dy", Rows::Tokens, rows);
        let dx = case.output("dx", Rows::Tokens, cols);
        case.push(LinearBackward { dy, weight, lora: None, dx, add: false });
        case
    };
    encodings::all().into_iter().map(case_of).collect()
}

type Build = fn(&mut Program);

/// What no binding holds is refused when it is planned and when it is loaded, by name.
pub fn too_wide(options: &Options) -> Result<(), Failed> {
    const LIMIT: u64 = 64 << 10;
    let mut gpu = GpuExecutor::new(&Weights::default(), &Options { binding_limit: LIMIT, ..options.clone() })?;
    gpu.add_state("cache", 40_000)?;
    let activations = |p: &mut Program| {
        let [gate, up] = ["gate", "up"].map(|name| p.input(name, Rows::Tokens, 5));
        let out = p.scratch("hidden", Rows::Tokens, 5);
        p.push(Glu { activation: Silu, gate, up: Some(up), out });
    };
    let cache = |p: &mut Program| {
        let (src, index) = (p.input("keys", Rows::Tokens, 4), p.input("slots", Rows::Tokens, 1));
        let out = p.state("cache", StateId(0), 10_000, 4);
        p.push(ScatterRows { src, index, out, keep: true });
    };
    // Five numbers for every query of one value.
    let scratch = |p: &mut Program| {
        let [q, out, dout, dq, k, v] = [(); 6].map(|()| p.input("values", Rows::Tokens, 1));
        let [dk, dv, lse, delta, reach] = [(); 5].map(|()| p.input("values", Rows::Tokens, 1));
        let (spans, heads) = (
            p.input("spans", Rows::Tokens, 2),
            Heads { query: 1, key_value: 1, dim: 1, scale: 1.0, cap: None, alibi: false },
        );
        p.push(AttentionBackward { q, k, v, out, lse, dout, spans, reach, delta, dq, dk, dv, heads });
    };
    let cases: [(&str, Build); 3] = [("gate", activations), ("cache", cache), ("scratch", scratch)];
    for (name, build) in cases {
        let mut program = Program::new("too wide", RowCounts { tokens: 4000, selected: 0 });
        build(&mut program);
        let refused = |error: Option<Error>| matches!(&error, Some(Error::OutOfMemory(text)) if text.starts_with(name));
        let planned = gpu.job_bytes(&Job { states: &[], programs: &[&program] }).err();
        let loaded = gpu.load(Arc::new(program)).err();
        if !refused(planned.clone()) || !refused(loaded.clone()) {
            return Err(format!("{name}: planned {planned:?}, loaded {loaded:?}").into());
        }
    }
    Ok(())
}

/// Whatever the size of a segment, no buffer lies in two, and none in another one that is alive at the same time.
pub fn segments() -> Result<(), Failed> {
    let case = step(&mut Weights::default(), &[9, 20]);
    let largest = case.program.buffers().filter(|(_, b)| !matches!(b.kind, Kind::State(_)));
    let largest = largest.map(|(_, b)| case.program.capacity.of(b.rows) * b.width).max().unwrap_or(0);
    for segment in [largest.next_multiple_of(64), 2 * largest.next_multiple_of(64), 1 << 30] {
        let plan = Plan::in_segments(&case.program, segment);
        let places: Vec<_> = case.program.buffers().filter_map(|(id, _)| plan.place(id)).collect();
        for (i, a) in places.iter().enumerate() {
            if a.offset / segment != (a.offset + a.len - 1) / segment || a.offset + a.len > plan.len() {
                return Err(format!("{a:?} lies in two segments of {segment}, or outside").into());
            }
            let clashes = |b: &&Placement| {
                let alive = a.live.0 <= b.live.1 && b.live.0 <= a.live.1;
                alive && a.offset < b.offset + b.len && b.offset < a.offset + a.len
            };
            if let Some(b) = places[..i].iter().find(clashes) {
                return Err(format!("{a:?} and {b:?} overlap in segments of {segment}").into());
            }
        }
    }
    Ok(())
}

pub fn cases(weights: &mut Weights) -> Vec<Case> {
    let mut cases = vec![step(weights, &[9, 20])];
    for encoding in encodings::all() {
        let (rows, cols, tokens) = (701, 2 * encodings::group_of(encoding).max(64), 9);
        let weight = weights.add_matrix(matrix(encoding, rows, cols, 3));
        let mut case = Case::new(label(encoding), tokens, tokens);
        // Four operations deep.
        case.tolerance = 1e-4;
        let ids = case.input("ids", Rows::Tokens, 1, random_below(tokens, rows, 3));
        let x = case.output("x", Rows::Tokens, cols);
        case.push(Embed { table: weight, ids, out: x, scale: 1.0, add: false });
        let rank = 3;
        let params = case.random_state("params", 1, rank * (rows + cols));
        let low = case.values("low", Rows::Tokens, rank);
        let lora = |offset| Some(LoraTerm { low, params, offset, scale: 0.7 });
        let y = case.output("y", Rows::Tokens, rows);
        case.push(Linear { x, weight, bias: None, lora: lora(rank * cols), residual: None, out: y });
        let dx = case.output("dx", Rows::Tokens, cols);
        case.push(LinearBackward { dy: y, weight, lora: lora(0), dx, add: false });
        case.push(LinearBackward { dy: y, weight, lora: lora(0), dx, add: true });
        let losses = case.output("losses", Rows::Tokens, 1);
        let logits = case.scratch(Rows::Fixed(4), rows);
        let total = case.state("total", 1, vec![0.0]);
        let dx = case.output("loss dx", Rows::Tokens, cols);
        let gradient = Some(LossGradient { dx, total });
        case.push(CrossEntropy { x, head: weight, targets: ids, losses, logits, cap: None, gradient });
        cases.push(case);
    }
    let len = 40_001;
    let mut case = Case::new(format!("{len} parameters"), 1, 0);
    let [params, grads, first_moment] = ["params", "grads", "m"].map(|name| case.random_state(name, 1, len));
    let second_moment = case.state("v", 1, vec![0.5; len]);
    let total = case.state("total", 1, vec![2.0]);
    let report = case.output("report", Rows::Fixed(1), 3);
    case.push(AdamW {
        params,
        grads,
        first_moment,
        second_moment,
        total,
        report,
        clip: 1.0,
        beta1: 0.9,
        beta2: 0.999,
        epsilon: 1e-8,
        weight_decay: 0.1,
    });
    cases.push(case);
    cases
}
