//! Attention over packed samples and over a cache, and its gradient.

use idiolect_kernels::ops::{Attention, AttentionBackward, Heads, Packing, ScatterRows, WindowReach, WindowSpans};
use idiolect_kernels::program::Rows::{Selected, Tokens};

use crate::common::case::Case;
use crate::common::random::Random;
use crate::common::table::Table;
use crate::reference::{self, dot, wide};
use crate::run;

const TOLERANCE: f64 = 5e-6;

fn heads(query: usize, key_value: usize, dim: usize) -> Heads {
    Heads { query, key_value, dim, scale: 1.0 / (dim as f32).sqrt(), cap: None, alibi: false }
}

/// Lengths of samples packed in one row, the heads that look at them, and how many keys each query sees of them.
fn packed() -> Vec<(Vec<usize>, Heads, Option<usize>)> {
    let mut cases = Vec::new();
    let lengths: [&[usize]; 10] =
        [&[1], &[8], &[31], &[33], &[65], &[1, 1, 1], &[3, 1, 29, 32, 7], &[31, 33, 1, 65], &[16; 9], &[64, 64, 300]];
    for lengths in lengths {
        for shape in [heads(1, 1, 8), heads(4, 2, 31), heads(9, 3, 16), heads(6, 1, 33), heads(2, 2, 65)] {
            cases.push((lengths.to_vec(), shape, None));
        }
    }
    cases.push((vec![1757], heads(1, 1, 8), None));
    cases.push((vec![600, 1157], heads(2, 1, 4), None));
    for cap in [1.0, 5.0, 50.0] {
        cases.push((vec![3, 1, 29, 32, 7], Heads { cap: Some(cap), ..heads(4, 2, 31) }, None));
    }
    for (query, key_value, cap) in [(1, 1, None), (4, 2, None), (6, 6, None), (11, 1, None), (12, 4, Some(5.0))] {
        let sloping = Heads { alibi: true, cap, ..heads(query, key_value, 20) };
        cases.push((vec![3, 1, 29, 32, 7], sloping, None));
        cases.push((vec![65, 200], sloping, None));
    }
    for window in [2, 31, 32, 33, 100, 400] {
        cases.push((vec![3, 1, 29, 200, 65], heads(4, 2, 31), Some(window)));
    }
    cases
}

#[test]
fn attention_over_packed_samples_and_its_gradient() {
    let (mut table, mut random) = (Table::default(), Random::new(41));
    for (lengths, heads, window) in packed() {
        let t: usize = lengths.iter().sum();
        let (q_width, kv_width) = (heads.query * heads.dim, heads.key_value * heads.dim);
        let packing = Packing::samples(&lengths);
        let seen = packing.spans.chunks_exact(2);
        let seen: Vec<u32> = match window {
            None => packing.spans.clone(),
            Some(window) => seen.flat_map(|s| [s[0].max((s[1] + 1).saturating_sub(window as u32)), s[1]]).collect(),
        };
        // Scores of a few units, so that the softmax is neither flat nor a single one.
        let q: Vec<f32> = random.floats(t * q_width).iter().map(|v| 4.0 * v).collect();
        let (k, v, dout) = (random.floats(t * kv_width), random.floats(t * kv_width), random.floats(t * q_width));
        let mut case = Case::new(t, 0);
        let [q_id, k_id, v_id, dout_id] = [&q, &k, &v, &dout].map(|values| case.floats(Tokens, values));
        let (mut spans, mut reach) = (case.indices(Tokens, &packing.spans), case.indices(Tokens, &packing.reach));
        if let Some(window) = window {
            let (all_spans, all_reach) = (spans, reach);
            (spans, reach) = (case.scratch(Tokens, 2), case.scratch(Tokens, 1));
            case.push(WindowSpans { spans: all_spans, window, out: spans });
            case.push(WindowReach { reach: all_reach, window, out: reach });
        }
        let [out, dq] = [(); 2].map(|()| case.output(Tokens, q_width));
        let [dk, dv] = [(); 2].map(|()| case.output(Tokens, kv_width));
        let (lse, delta) = (case.output(Tokens, heads.query), case.output(Tokens, heads.query));
        case.push(Attention { q: q_id, k: k_id, v: v_id, spans, out, lse, heads });
        case.push(AttentionBackward {
            q: q_id,
            k: k_id,
            v: v_id,
            out,
            lse,
            dout: dout_id,
            spans,
            reach,
            delta,
            dq,
            dk,
            dv,
            heads,
        });
        let mut ran = run(case);

        let shape = format!(
            "{} of {} heads of {}, cap {:?}, ALiBi {}",
            heads.key_value, heads.query, heads.dim, heads.cap, heads.alibi
        );
        let name = format!("{lengths:?}, {shape}, window {window:?}");
        let (q64, k64, v64) = (wide(&q), wide(&k), wide(&v));
        let (expected, expected_lse) = reference::attention(&q64, &k64, &v64, &seen, heads);
        table.close(&format!("{name}: out"), &ran.read(out), &expected, TOLERANCE);
        table.close(&format!("{name}: lse"), &ran.read(lse), &expected_lse, TOLERANCE);
        let loss = |q: &[f64], k: &[f64], v: &[f64]| dot(&reference::attention(q, k, v, &seen, heads).0, &dout);
        let pairs: usize = seen.chunks_exact(2).map(|s| (s[1] + 1 - s[0]) as usize).sum();
        let cost = pairs * heads.query * (4 * heads.dim + 20);
        table.gradient(&format!("{name}: dq"), |q| loss(q, &k64, &v64), &q, cost, &ran.read(dq));
        table.gradient(&format!("{name}: dk"), |k| loss(&q64, k, &v64), &k, cost, &ran.read(dk));
        table.gradient(&format!("{name}: dv"), |v| loss(&q64, &k64, v), &v, cost, &ran.read(dv));
    }
    table.finish();
}

#[test]
fn attention_over_a_cache() {
    let (mut table, mut random) = (Table::default(), Random::new(42));
    // One token alone goes its own way: chunks of keys, and groups of heads by tiles.
    let alone = [1, 8, 31, 33, 65, 127, 128, 129, 257, 1757, 1758].map(|keys| (keys - 1, 1));
    for (start, len) in [(0, 33), (31, 8), (65, 33), (300, 65)].into_iter().chain(alone) {
        let capped = Heads { cap: Some(3.0), ..heads(6, 2, 40) };
        for heads in [
            heads(1, 1, 8),
            heads(4, 2, 31),
            heads(9, 3, 64),
            heads(3, 1, 4),
            heads(7, 1, 33),
            heads(20, 2, 80),
            capped,
            Heads { alibi: true, ..heads(12, 12, 16) },
            Heads { alibi: true, ..capped },
        ] {
            let (q_width, kv_width, room) = (heads.query * heads.dim, heads.key_value * heads.dim, start + len + 5);
            let packing = Packing::continuation(start, len);
            let q: Vec<f32> = random.floats(len * q_width).iter().map(|v| 4.0 * v).collect();
            let (k, v) = (random.floats(room * kv_width), random.floats(room * kv_width));
            // What lies in the cache where the new rows go must not matter.
            let new = start * kv_width..(start + len) * kv_width;
            let stale = |values: &[f32]| {
                let mut values = values.to_vec();
                values[new.clone()].fill(f32::NAN);
                values
            };
            let mut case = Case::new(len, len);
            let (q_id, spans) = (case.floats(Tokens, &q), case.indices(Tokens, &packing.spans));
            let (k_new, v_new) = (case.floats(Selected, &k[new.clone()]), case.floats(Selected, &v[new.clone()]));
            let positions = case.indices(Selected, &packing.positions);
            let (k_cache, v_cache) = (case.state(room, &stale(&k)), case.state(room, &stale(&v)));
            let (out, lse) = (case.output(Tokens, q_width), case.output(Tokens, heads.query));
            case.push(ScatterRows { src: k_new, index: positions, out: k_cache, keep: true });
            case.push(ScatterRows { src: v_new, index: positions, out: v_cache, keep: true });
            case.push(Attention { q: q_id, k: k_cache, v: v_cache, spans, out, lse, heads });
            let mut ran = run(case);
            let name = format!("{len} after {start}, {} of {} heads of {}", heads.key_value, heads.query, heads.dim);
            let (expected, expected_lse) = reference::attention(&wide(&q), &wide(&k), &wide(&v), &packing.spans, heads);
            table.close(&format!("{name}: out"), &ran.read(out), &expected, TOLERANCE);
            table.close(&format!("{name}: lse"), &ran.read(lse), &expected_lse, TOLERANCE);
        }
    }
    table.finish();
}

#[test]
fn one_token_sees_the_keys_that_its_span_names() {
    let (mut table, mut random) = (Table::default(), Random::new(43));
    let (heads, keys) = (heads(6, 2, 40), 400);
    let [q, k, v] = [(1, heads.query), (keys, heads.key_value), (keys, heads.key_value)]
        .map(|(rows, count)| random.floats(rows * count * heads.dim));
    for span in [[0, 0], [0, 399], [5, 5], [5, 132], [5, 133], [127, 300], [399, 399]] {
        let mut case = Case::new(1, 0);
        let (q_id, spans) = (case.floats(Tokens, &q), case.indices(Tokens, &span));
        let (k_id, v_id) = (case.state(keys, &k), case.state(keys, &v));
        let (out, lse) = (case.output(Tokens, q.len()), case.output(Tokens, heads.query));
        case.push(Attention { q: q_id, k: k_id, v: v_id, spans, out, lse, heads });
        let mut ran = run(case);
        let (expected, expected_lse) = reference::attention(&wide(&q), &wide(&k), &wide(&v), &span, heads);
        table.close(&format!("{span:?}: out"), &ran.read(out), &expected, TOLERANCE);
        table.close(&format!("{span:?}: lse"), &ran.read(lse), &expected_lse, TOLERANCE);
    }
    table.finish();
}

#[test]
fn branches_see_what_they_share_and_themselves() {
    let (mut table, mut random) = (Table::default(), Random::new(43));
    for (shared, lengths, window) in [
        (1, vec![1, 1], None),
        (7, vec![3, 1, 4], None),
        (33, vec![1, 1, 1, 1, 1], None),
        (300, vec![2, 33, 5], None),
        (300, vec![2, 33, 5], Some(1)),
        (300, vec![2, 33, 5], Some(20)),
        (300, vec![2, 33, 5], Some(330)),
        (7, vec![3, 1, 4], Some(4)),
    ] {
        let sloping = Heads { alibi: window.is_none(), ..heads(3, 1, 20) };
        for heads in [heads(1, 1, 8), heads(4, 2, 31), heads(9, 3, 64), sloping] {
            let (q_width, kv_width) = (heads.query * heads.dim, heads.key_value * heads.dim);
            let len: usize = lengths.iter().sum();
            let room = shared + len + 5;
            let q: Vec<f32> = random.floats(len * q_width).iter().map(|v| 4.0 * v).collect();
            let (k, v) = (random.floats(room * kv_width), random.floats(room * kv_width));
            let mut spans = Vec::new();
            let (mut expected, mut expected_lse) = (Vec::new(), Vec::new());
            let mut first = shared;
            for &length in &lengths {
                for own in 1..=length {
                    spans.extend([first, first + own - 1, shared, 0].map(|row| row as u32));
                    // The same keys, side by side.
                    let seen = |values: &[f32]| {
                        let own = &values[first * kv_width..(first + own) * kv_width];
                        wide(&[&values[..shared * kv_width], own].concat())
                    };
                    let query = wide(&q[expected.len()..expected.len() + q_width]);
                    let keys = shared + own;
                    let span = [keys.saturating_sub(window.unwrap_or(keys)) as u32, (keys - 1) as u32];
                    let (out, lse) = reference::attention(&query, &seen(&k), &seen(&v), &span, heads);
                    expected.extend(out);
                    expected_lse.extend(lse);
                }
                first += length;
            }
            let mut case = Case::new(len, 0);
            let (q_id, spans) = (case.floats(Tokens, &q), case.indices(Tokens, &spans));
            let spans = window.map_or(spans, |window| {
                let out = case.scratch(Tokens, 4);
                case.push(WindowSpans { spans, window, out });
                out
            });
            let (k_cache, v_cache) = (case.state(room, &k), case.state(room, &v));
            let (out, lse) = (case.output(Tokens, q_width), case.output(Tokens, heads.query));
            case.push(Attention { q: q_id, k: k_cache, v: v_cache, spans, out, lse, heads });
            let mut ran = run(case);
            let shape = format!("{} of {} heads", heads.key_value, heads.query);
            let name = format!("{lengths:?} after {shared}, {shape}, window {window:?}");
            table.close(&format!("{name}: out"), &ran.read(out), &expected, TOLERANCE);
            table.close(&format!("{name}: lse"), &ran.read(lse), &expected_lse, TOLERANCE);
        }
    }
    table.finish();
}
