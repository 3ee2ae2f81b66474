//! Cases of attention and its gradient.

use idiolect_kernels::ops::{Attention, AttentionBackward, Heads, Packing, WindowReach, WindowSpans};
use idiolect_kernels::program::{Rows, Weights};

use crate::case::{Case, SIZES, TOLERANCE};

fn heads(query: usize, key_value: usize, dim: usize) -> Heads {
    Heads { query, key_value, dim, scale: 1.0 / (dim as f32).sqrt(), cap: None, alibi: false }
}

/// Queries are random up to this, keys up to one: of the scores, which have a standard deviation of 5 then, the largest
/// of a row of 37 is about 10 above the mean and the least as far below. A few keys have all of the weight.
const SPREAD: f32 = 15.0;

/// How far scores go up or down from the first key to the last where they follow the position: with every tile of keys,
/// the maximum so far rises by several units, or all that follows counts for nothing.
const SLOPE: f32 = 30.0;

/// Relative to the largest value of a tensor. The terms of a score add up to SPREAD·√d/4 in magnitude before they cancel;
/// each executor's rounding leaves up to two units in the last place of that, which is the relative error of a weight.
fn tolerance(heads: Heads) -> f32 {
    TOLERANCE + 4.0 * f32::EPSILON * SPREAD * (heads.dim as f32).sqrt() / 4.0
}

/// What the scores are like.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Scores {
    /// At random, SPREAD wide.
    Wide,
    /// Higher from key to key.
    Rising,
    /// Lower from key to key.
    Falling,
}

pub fn packed(_: &mut Weights) -> Vec<Case> {
    let by_length = SIZES.map(|len| (vec![len], heads(4, 2, 8), Scores::Wide));
    let by_heads = [(1, 1, 64), (9, 3, 64), (4, 4, 128), (3, 1, 6), (2, 1, 5), (2, 2, 256), (6, 2, 20)]
        .map(|(q, kv, dim)| (vec![37], heads(q, kv, dim), Scores::Wide));
    let by_packing =
        [vec![1, 1, 1], vec![5, 90, 3, 17], vec![64, 64], vec![130, 7]].map(|s| (s, heads(4, 2, 16), Scores::Wide));
    let by_scores = [(Scores::Rising, 16), (Scores::Falling, 16), (Scores::Rising, 5), (Scores::Falling, 5)]
        .map(|(scores, dim)| (vec![150, 40], heads(2, 1, dim), scores));
    let by_distance = [(4, 2, 16), (6, 3, 5), (12, 12, 8)]
        .map(|(q, kv, dim)| (vec![150, 40], Heads { alibi: true, ..heads(q, kv, dim) }, Scores::Wide));
    let by_cap = [16, 5].map(|dim| (vec![150, 40], Heads { cap: Some(CAP), ..heads(4, 2, dim) }, Scores::Wide));
    let whole =
        by_length.into_iter().chain(by_heads).chain(by_packing).chain(by_scores).chain(by_cap).chain(by_distance);
    let within = [1, 33, 64, 100].map(|window| ((vec![150, 40], heads(4, 2, 16), Scores::Wide), Some(window)));
    whole.map(|shape| (shape, None)).chain(within).map(packed_case).collect()
}

fn packed_case(((samples, heads, scores), window): ((Vec<usize>, Heads, Scores), Option<usize>)) -> Case {
    let tokens: usize = samples.iter().sum();
    let packing = Packing::samples(&samples);
    let shape = format!(
        "{}/{} heads of {}, cap {:?}, ALiBi {}, {scores:?}",
        heads.query, heads.key_value, heads.dim, heads.cap, heads.alibi
    );
    let name = if samples.len() == 1 { format!("{tokens} tokens") } else { format!("samples {samples:?}") };
    let mut case = Case::new(format!("{name}, {shape}, window {window:?}"), tokens, 0);
    (case.tolerance, case.terms) = (tolerance(heads), SPREAD);
    let (wide, narrow) = (heads.query * heads.dim, heads.key_value * heads.dim);
    // Queries of about one and keys of about slope·position/√d: scores of about slope·position.
    let position = |row: usize| row as f32 / tokens as f32 - 0.5;
    let ramp = |slope: f32| move |row: usize, v: f32| slope * position(row) / (heads.dim as f32).sqrt() + 0.1 * v;
    let [q, k] = match scores {
        Scores::Wide => {
            [case.values_of("q", Rows::Tokens, wide, |_, v| SPREAD * v), case.values("k", Rows::Tokens, narrow)]
        }
        Scores::Rising | Scores::Falling => {
            let slope = if scores == Scores::Rising { SLOPE } else { -SLOPE };
            let q = case.values_of("q", Rows::Tokens, wide, |_, v| 1.0 + 0.1 * v);
            [q, case.values_of("k", Rows::Tokens, narrow, ramp(slope))]
        }
    };
    let (v, dout) = (case.values("v", Rows::Tokens, narrow), case.values("dout", Rows::Tokens, wide));
    let mut spans = case.input("spans", Rows::Tokens, 2, packing.spans);
    let mut reach = case.input("reach", Rows::Tokens, 1, packing.reach);
    if let Some(window) = window {
        let (all_spans, all_reach) = (spans, reach);
        spans = case.scratch(Rows::Tokens, 2);
        reach = case.scratch(Rows::Tokens, 1);
        case.push(WindowSpans { spans: all_spans, window, out: spans });
        case.push(WindowReach { reach: all_reach, window, out: reach });
    }
    let (out, dq) = (case.output("out", Rows::Tokens, wide), case.output("dq", Rows::Tokens, wide));
    let (dk, dv) = (case.output("dk", Rows::Tokens, narrow), case.output("dv", Rows::Tokens, narrow));
    let [lse, delta] = ["lse", "delta"].map(|name| case.output(name, Rows::Tokens, heads.query));
    case.push(Attention { q, k, v, spans, out, lse, heads });
    case.push(AttentionBackward { q, k, v, out, lse, dout, spans, reach, delta, dq, dk, dv, heads });
    case
}

/// Caps about as large as the scores.
const CAP: f32 = 8.0;

/// Scores that fall with the distance.
const SLOPING: Heads = Heads { query: 12, key_value: 4, dim: 16, scale: 0.25, cap: None, alibi: true };

/// Queries that continue a sequence whose keys are in a cache.
pub fn cached(_: &mut Weights) -> Vec<Case> {
    let mut cases = Vec::new();
    for (start, len) in [(0, 1), (0, 9), (1, 1), (63, 1), (64, 1), (65, 8), (200, 1), (190, 33), (1756, 1)] {
        for heads in [heads(9, 3, 64), heads(2, 1, 6), Heads { cap: Some(CAP), ..heads(4, 2, 16) }, SLOPING] {
            let packing = Packing::continuation(start, len);
            let mut case = Case::new(
                format!("{len} after {start}, heads of {}, cap {:?}, ALiBi {}", heads.dim, heads.cap, heads.alibi),
                len,
                0,
            );
            let (wide, narrow) = (heads.query * heads.dim, heads.key_value * heads.dim);
            (case.tolerance, case.terms) = (tolerance(heads), SPREAD);
            let q = case.values_of("q", Rows::Tokens, wide, |_, v| SPREAD * v);
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
    for (shared, lengths, window) in [
        (1, vec![1, 1], None),
        (7, vec![3, 1, 4], None),
        (64, vec![1, 5, 2], None),
        (190, vec![33, 1, 40], None),
        (190, vec![33, 1, 40], Some(1)),
        (190, vec![33, 1, 40], Some(35)),
        (190, vec![33, 1, 40], Some(215)),
    ] {
        for heads in [heads(9, 3, 64), heads(2, 1, 6), Heads { alibi: window.is_none(), ..SLOPING }] {
            let tokens: usize = lengths.iter().sum();
            let shape = format!("heads of {}, window {window:?}", heads.dim);
            let mut case = Case::new(format!("{lengths:?} after {shared}, {shape}"), tokens, 0);
            let (wide, narrow) = (heads.query * heads.dim, heads.key_value * heads.dim);
            let q = case.values("q", Rows::Tokens, wide);
            let [k, v] = ["k", "v"].map(|name| case.random_state(name, shared + tokens + 11, narrow));
            let mut spans = Vec::new();
            let mut first = shared as u32;
            for &length in &lengths {
                spans.extend((0..length as u32).flat_map(|i| [first, first + i, shared as u32, 0]));
                first += length as u32;
            }
            let mut spans = case.input("spans", Rows::Tokens, 4, spans);
            if let Some(window) = window {
                let all = spans;
                spans = case.scratch(Rows::Tokens, 4);
                case.push(WindowSpans { spans: all, window, out: spans });
            }
            let out = case.output("out", Rows::Tokens, wide);
            let lse = case.output("lse", Rows::Tokens, heads.query);
            case.push(Attention { q, k, v, spans, out, lse, heads });
            cases.push(case);
        }
    }
    cases
}
