//! Cases of attention and its gradient.

use idiolect_kernels::ops::{Attention, AttentionBackward, Heads, Packing};
use idiolect_kernels::program::{Rows, Weights};

use crate::case::{Case, SIZES};

fn heads(query: usize, key_value: usize, dim: usize) -> Heads {
    Heads { query, key_value, dim, scale: 1.0 / (dim as f32).sqrt() }
}

pub fn packed(_: &mut Weights) -> Vec<Case> {
    let mut cases = Vec::new();
    let by_length = SIZES.map(|len| (vec![len], heads(4, 2, 8)));
    let by_heads = [(1, 1, 64), (9, 3, 64), (4, 4, 128), (3, 1, 6), (2, 1, 5), (2, 2, 256), (6, 2, 20)]
        .map(|(q, kv, dim)| (vec![37], heads(q, kv, dim)));
    let by_packing = [vec![1, 1, 1], vec![5, 90, 3, 17], vec![64, 64], vec![130, 7]].map(|s| (s, heads(4, 2, 16)));
    for (samples, heads) in by_length.into_iter().chain(by_heads).chain(by_packing) {
        let tokens: usize = samples.iter().sum();
        let packing = Packing::samples(&samples);
        let shape = format!("{}/{} heads of {}", heads.query, heads.key_value, heads.dim);
        let name = if samples.len() == 1 { format!("{tokens} tokens") } else { format!("samples {samples:?}") };
        let mut case = Case::new(format!("{name}, {shape}"), tokens, 0);
        let (wide, narrow) = (heads.query * heads.dim, heads.key_value * heads.dim);
        let [q, dout] = ["q", "dout"].map(|name| case.values(name, Rows::Tokens, wide));
        let [k, v] = ["k", "v"].map(|name| case.values(name, Rows::Tokens, narrow));
        let spans = case.input("spans", Rows::Tokens, 2, packing.spans);
        let reach = case.input("reach", Rows::Tokens, 1, packing.reach);
        let (out, dq) = (case.output("out", Rows::Tokens, wide), case.output("dq", Rows::Tokens, wide));
        let (dk, dv) = (case.output("dk", Rows::Tokens, narrow), case.output("dv", Rows::Tokens, narrow));
        let [lse, delta] = ["lse", "delta"].map(|name| case.output(name, Rows::Tokens, heads.query));
        case.push(Attention { q, k, v, spans, out, lse, heads });
        case.push(AttentionBackward { q, k, v, out, lse, dout, spans, reach, delta, dq, dk, dv, heads });
        cases.push(case);
    }
    cases
}

/// Queries that continue a sequence whose keys are in a cache.
pub fn cached(_: &mut Weights) -> Vec<Case> {
    let mut cases = Vec::new();
    for (start, len) in [(0, 1), (0, 9), (1, 1), (63, 1), (64, 1), (65, 8), (200, 1), (190, 33), (1756, 1)] {
        for heads in [heads(9, 3, 64), heads(2, 1, 6)] {
            let packing = Packing::continuation(start, len);
            let mut case = Case::new(format!("{len} after {start}, heads of {}", heads.dim), len, 0);
            let (wide, narrow) = (heads.query * heads.dim, heads.key_value * heads.dim);
            let q = case.values("q", Rows::Tokens, wide);
            let [k, v] = ["k", "v"].map(|name| case.random_state(name, start + len + 11, narrow));
            let spans = case.input("spans", Rows::Tokens, 2, packing.spans);
            let out = case.output("out", Rows::Tokens, wide);
            let lse = case.output("lse", Rows::Tokens, heads.query);
            case.push(Attention { q, k, v, spans, out, lse, heads });
            cases.push(case);
        }
    }
    cases
}

/// Branches that go on from one sequence, each in rows of its own.
pub fn branches(_: &mut Weights) -> Vec<Case> {
    let mut cases = Vec::new();
    for (shared, lengths) in [(1, vec![1, 1]), (7, vec![3, 1, 4]), (64, vec![1, 5, 2]), (190, vec![33, 1, 40])] {
        for heads in [heads(9, 3, 64), heads(2, 1, 6)] {
            let tokens: usize = lengths.iter().sum();
            let mut case = Case::new(format!("{lengths:?} after {shared}, heads of {}", heads.dim), tokens, 0);
            let (wide, narrow) = (heads.query * heads.dim, heads.key_value * heads.dim);
            let q = case.values("q", Rows::Tokens, wide);
            let [k, v] = ["k", "v"].map(|name| case.random_state(name, shared + tokens + 11, narrow));
            let mut spans = Vec::new();
            let mut first = shared as u32;
            for &length in &lengths {
                spans.extend((0..length as u32).flat_map(|i| [first, first + i, shared as u32]));
                first += length as u32;
            }
            let spans = case.input("spans", Rows::Tokens, 3, spans);
            let out = case.output("out", Rows::Tokens, wide);
            let lse = case.output("lse", Rows::Tokens, heads.query);
            case.push(Attention { q, k, v, spans, out, lse, heads });
            cases.push(case);
        }
    }
    cases
}
