//! Cases of the operations on rows and values.

use idiolect_kernels::ops::{
    Activation::{GeluTanh, Silu},
    AdamW, ColumnRuns, Dropout, GatherRows, Glu, GluBackward, JoinColumns, LayerNorm, LayerNormBackward, RmsNorm,
    RmsNormBackward, Rope, RopeTable, ScatterRows, SoftCap, SplitColumns, TopLogits,
};
use idiolect_kernels::program::{Rows, Scalars, Weights};

use crate::case::{Case, SIZES, random, random_below};
use crate::random::Random;

/// Rows and widths: each size in turn, the other one small.
fn shapes() -> impl Iterator<Item = (usize, usize)> {
    SIZES.into_iter().flat_map(|n| [(n, 33), (3, n)])
}

pub fn rms_norm(weights: &mut Weights) -> Vec<Case> {
    let mut cases = Vec::new();
    let whole = shapes().map(|(rows, width)| (rows, 1, width));
    for (rows, parts, n) in whole.chain([(3, 5, 1), (5, 3, 16), (2, 4, 33)]) {
        let gain = weights.add_vector(random(n, n as u64));
        let width = parts * n;
        let mut case = Case::new(format!("{rows} × {parts} × {n}"), rows, 0);
        let x = case.values("x", Rows::Tokens, width);
        let out = case.output("out", Rows::Tokens, width);
        case.push(RmsNorm { x, gain, residual: None, out, epsilon: 1e-5 });
        let (residual, sum) = (case.values("residual", Rows::Tokens, width), case.output("sum", Rows::Tokens, width));
        case.push(RmsNorm { x, gain, residual: Some(residual), out: sum, epsilon: 1e-5 });
        let dy = case.values("dy", Rows::Tokens, width);
        let dx = case.output("dx", Rows::Tokens, width);
        case.push(RmsNormBackward { x, gain, dy, dx, epsilon: 1e-5, add: false });
        let again = case.values("dy", Rows::Tokens, width);
        case.push(RmsNormBackward { x: dy, gain, dy: again, dx, epsilon: 1e-3, add: true });
        cases.push(case);
    }
    cases
}

pub fn layer_norm(weights: &mut Weights) -> Vec<Case> {
    let mut cases = Vec::new();
    for (rows, n) in shapes() {
        let (gain, bias) = (weights.add_vector(random(n, n as u64)), weights.add_vector(random(n, 7)));
        let mut case = Case::new(format!("{rows} × {n}"), rows, 0);
        // Far from zero, as residual streams are.
        let x = case.values_of("x", Rows::Tokens, n, |_, v| v + 3.0);
        let out = case.output("out", Rows::Tokens, n);
        // A single value has no variance: with a small ε what is left of rounding would count.
        let epsilon = if n == 1 { 0.5 } else { 1e-5 };
        case.push(LayerNorm { x, gain, bias, out, epsilon });
        let dy = case.values("dy", Rows::Tokens, n);
        let dx = case.output("dx", Rows::Tokens, n);
        case.push(LayerNormBackward { x, gain, dy, dx, epsilon, add: false });
        case.push(LayerNormBackward { x, gain, dy, dx, epsilon: 0.1, add: true });
        cases.push(case);
    }
    cases
}

pub fn columns(_: &mut Weights) -> Vec<Case> {
    let mut cases = Vec::new();
    // Parts as queries, keys and values lie: one behind another, and head by head.
    for (heads, dim) in [(1, 1), (1, 33), (4, 16), (3, 5)] {
        let apart = |i: usize| ColumnRuns { first: i * heads * dim, run: heads * dim, stride: heads * dim };
        let by_head = |i: usize| ColumnRuns { first: i * dim, run: dim, stride: 3 * dim };
        for (rows, by_heads) in [1, 9, 70].into_iter().flat_map(|rows| [(rows, false), (rows, true)]) {
            let mut case = Case::new(format!("{rows} × {heads} × {dim}, by head {by_heads}"), rows, 0);
            let whole = case.values("whole", Rows::Tokens, 3 * heads * dim);
            let parts: Vec<_> = ["q", "k", "v"]
                .into_iter()
                .enumerate()
                .map(|(i, name)| {
                    let columns = if by_heads { by_head(i) } else { apart(i) };
                    (case.output(name, Rows::Tokens, heads * dim), columns)
                })
                .collect();
            case.push(SplitColumns { whole, parts: parts.clone() });
            let joined = case.output("joined", Rows::Tokens, 3 * heads * dim);
            case.push(JoinColumns { whole: joined, parts });
            cases.push(case);
        }
    }
    cases
}

pub fn glu(_: &mut Weights) -> Vec<Case> {
    let mut cases = Vec::new();
    for (activation, (rows, width)) in [Silu, GeluTanh].into_iter().flat_map(|a| shapes().map(move |shape| (a, shape)))
    {
        let mut case = Case::new(format!("{activation:?}, {rows} × {width}"), rows, 0);
        // Values up to ±120: both ends of the exponential.
        let gate = random(rows * width, 5).iter().map(|v| (v * v * v * 120.0).to_bits()).collect();
        let gate = case.input("gate", Rows::Tokens, width, gate);
        let (up, dout) = (case.values("up", Rows::Tokens, width), case.values("dout", Rows::Tokens, width));
        let out = case.output("out", Rows::Tokens, width);
        case.push(Glu { activation, gate, up: Some(up), out });
        let (dgate, dup) = (case.output("dgate", Rows::Tokens, width), case.output("dup", Rows::Tokens, width));
        case.push(GluBackward { activation, gate, up: Some([up, dup]), dout, dgate });
        let (alone, dalone) = (case.output("alone", Rows::Tokens, width), case.output("dalone", Rows::Tokens, width));
        case.push(Glu { activation, gate, up: None, out: alone });
        case.push(GluBackward { activation, gate, up: None, dout, dgate: dalone });
        cases.push(case);
    }
    cases
}

pub fn soft_cap(_: &mut Weights) -> Vec<Case> {
    let mut cases = Vec::new();
    for (rows, width) in shapes() {
        let mut case = Case::new(format!("{rows} × {width}"), rows, 0);
        // From a thousandth of the cap to some forty times.
        let x = random(rows * width, 6).iter().map(|v| v * v * v * 1200.0).collect();
        let x = case.state("x", rows * width, x);
        case.push(SoftCap { x, cap: 30.0 });
        cases.push(case);
    }
    cases
}

pub fn rope(weights: &mut Weights) -> Vec<Case> {
    let mut cases = Vec::new();
    for (rows, heads, head_dim, rotated) in SIZES.map(|rows| (rows, 3, 8, 8)).into_iter().chain([
        (9, 1, 2, 2),
        (9, 4, 64, 64),
        (5, 2, 128, 128),
        (9, 3, 20, 12),
        (33, 2, 128, 2),
    ]) {
        let frequencies: Vec<f32> = (0..rotated / 2).map(|i| 0.1 / (i + 1) as f32).collect();
        let table = weights.add_vector(RopeTable::new(&frequencies, 2048).values);
        for inverse in [false, true] {
            let mut case = Case::new(format!("{rows} × {heads} × {rotated} of {head_dim}, inverse {inverse}"), rows, 0);
            let positions = random_below(rows + 5, 2048, 3);
            let positions = case.input("positions", Rows::Fixed(rows + 5), 1, positions);
            let x = case.random_state("x", rows + 5, heads * head_dim);
            case.push(Rope { x, positions, table, head_dim, rotated, inverse });
            cases.push(case);
        }
    }
    cases
}

pub fn rows(_: &mut Weights) -> Vec<Case> {
    let mut cases = Vec::new();
    for (selected, width) in shapes() {
        let tokens = selected + selected / 2 + 1;
        let mut case = Case::new(format!("{selected} of {tokens}, width {width}"), tokens, selected);
        let src = case.values("src", Rows::Tokens, width);
        // Distinct indices, out of order.
        let mut distinct = Random::new(3).permutation(tokens);
        distinct.truncate(selected);
        let index = case.input("index", Rows::Selected, 1, distinct);
        let gathered = case.output("gathered", Rows::Selected, width);
        case.push(GatherRows { src, index, out: gathered });
        let scattered = case.output("scattered", Rows::Tokens, width);
        case.push(ScatterRows { src: gathered, index, out: scattered, keep: false });
        let cache = case.random_state("cache", tokens, width);
        case.push(ScatterRows { src: gathered, index, out: cache, keep: true });
        cases.push(case);
    }
    cases
}

pub fn dropout(_: &mut Weights) -> Vec<Case> {
    let mut cases = Vec::new();
    for (rows, width) in shapes() {
        for (module, rate) in [(0, 0.0), (7, 0.1), (u32::MAX, 0.9)] {
            let mut case = Case::new(format!("{rows} × {width}, rate {rate}"), rows, 0);
            // One mask bit that differs moves a value by its whole size.
            case.tolerance = 1e-6;
            let x = case.values("x", Rows::Tokens, width);
            let out = case.output("out", Rows::Tokens, width);
            case.push(Dropout { x, out, rate, module, add: false });
            case.push(Dropout { x, out, rate, module: module ^ 1, add: true });
            cases.push(case);
        }
    }
    cases
}

pub fn adamw(_: &mut Weights) -> Vec<Case> {
    let mut cases = Vec::new();
    let poisons = [("", 0.5, None), ("NaN loss", f32::NAN, None), ("infinite loss", f32::INFINITY, None)];
    let gradients = [("NaN gradient", 0.5, Some(f32::NAN)), ("infinite gradient", 0.5, Some(f32::NEG_INFINITY))];
    for len in SIZES.into_iter().chain([4096, 70_001]) {
        for clip in [0.0, 0.25, 1e6] {
            for (poison, loss, gradient) in poisons.into_iter().chain(gradients) {
                let mut case = Case::new(format!("{len} parameters, clip {clip} {poison}"), 1, 0);
                let mut grads = random(len, 11);
                if let Some(value) = gradient {
                    grads[len / 2] = value;
                }
                let params = case.random_state("params", 1, len);
                let grads = case.state("grads", 1, grads);
                let first_moment = case.random_state("m", 1, len);
                let second = random(len, 17).iter().map(|v| v.abs()).collect();
                let second_moment = case.state("v", 1, second);
                let total = case.state("total", 1, vec![loss]);
                let report = case.output("report", Rows::Fixed(1), 3);
                case.push(AdamW {
                    params,
                    grads,
                    first_moment,
                    second_moment,
                    total,
                    report,
                    clip,
                    beta1: 0.9,
                    beta2: 0.999,
                    epsilon: 1e-8,
                    weight_decay: 0.1,
                });
                cases.push(case);
            }
        }
    }
    let mut first = Case::new("first step, no decay".to_owned(), 1, 0);
    first.scalars = Scalars { step: 1, learning_rate: 2e-3, ..first.scalars };
    let [params, grads] = ["params", "grads"].map(|name| first.random_state(name, 1, 65));
    let [first_moment, second_moment] = ["m", "v"].map(|name| first.state(name, 1, vec![0.0; 65]));
    let total = first.state("total", 1, vec![3.0]);
    let report = first.output("report", Rows::Fixed(1), 3);
    first.push(AdamW {
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
        weight_decay: 0.0,
    });
    cases.push(first);
    cases
}

pub fn top_logits(_: &mut Weights) -> Vec<Case> {
    let mut cases = Vec::new();
    for (rows, vocabulary) in SIZES.map(|n| (3, n)).into_iter().chain([(1, 256), (1, 257), (33, 300), (2, 20_001)]) {
        for k in [1, 8, 40, 64] {
            let mut case = Case::new(format!("{k} of {vocabulary}, {rows} rows"), rows, rows);
            // Coarse values: many ties, −0 and +0 among them.
            let mut z: Vec<f32> = random(rows * vocabulary, 23).iter().map(|v| (v * 50.0).trunc() / 2.0).collect();
            z[0] = f32::NEG_INFINITY;
            let z = case.input("z", Rows::Selected, vocabulary, z.iter().map(|v| v.to_bits()).collect());
            let out = case.output("out", Rows::Selected, 2 * k + 1);
            case.push(TopLogits { logits: z, out });
            cases.push(case);
        }
    }
    cases
}
