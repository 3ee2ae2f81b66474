//! A training step of a one-layer model with adapters on two of its matrices: enough operations to cut into submissions,
//! with every kind of buffer.

use idiolect_kernels::matrix::{Encoding, FloatType};
use idiolect_kernels::ops::{
    Activation::Silu, AdamW, Attention, AttentionBackward, CrossEntropy, Embed, GatherRows, Glu, GluBackward, Heads,
    Linear, LinearBackward, LoraBackward, LoraDown, LoraTerm, LossGradient, Packing, RmsNorm, RmsNormBackward, Rope,
    RopeTable, ScatterRows,
};
use idiolect_kernels::program::{MatrixId, Rows, Weights};

use crate::case::{Case, random, random_below};
use crate::matrices::matrix;

const WIDTH: usize = 64;
const HIDDEN: usize = 96;
const VOCABULARY: usize = 300;
const RANK: usize = 4;
const HEADS: Heads = Heads { query: 4, key_value: 2, dim: 16, scale: 0.25, cap: None, alibi: false };
const EPSILON: f32 = 1e-5;

/// The step over samples of the given lengths; every second token carries loss.
pub fn step(weights: &mut Weights, samples: &[usize]) -> Case {
    let tokens: usize = samples.iter().sum();
    let narrow = HEADS.key_value * HEADS.dim;
    let encoding = Encoding::Affine { bits: 4, group: 32, scales: FloatType::F16 };
    let mut seed = 40;
    let mut add = |rows, cols| -> MatrixId {
        seed += 1;
        weights.add_matrix(matrix(encoding, rows, cols, seed))
    };
    let table = add(VOCABULARY, WIDTH);
    let [wq, wk, wv, wo] = [WIDTH, narrow, narrow, WIDTH].map(|rows| add(rows, WIDTH));
    let [wg, wu] = [HIDDEN, HIDDEN].map(|rows| add(rows, WIDTH));
    let wd = add(WIDTH, HIDDEN);
    let gain = weights.add_vector(random(WIDTH, 2).iter().map(|v| 1.0 + 0.2 * v).collect());
    let rotation = weights.add_vector(RopeTable::new(&[1.0, 0.5, 0.2, 0.1, 0.05, 0.02, 0.01, 0.005], 256).values);

    let mut case = Case::new(format!("step over {samples:?}"), tokens, tokens / 2);
    // Many operations deep.
    case.tolerance = 1e-3;
    let packing = Packing::samples(samples);
    let ids = case.input("ids", Rows::Tokens, 1, random_below(tokens, VOCABULARY, 6));
    let positions = case.input("positions", Rows::Tokens, 1, packing.positions);
    let spans = case.input("spans", Rows::Tokens, 2, packing.spans);
    let reach = case.input("reach", Rows::Tokens, 1, packing.reach);
    let selected = case.input("selected", Rows::Selected, 1, (0..tokens / 2).map(|i| 2 * i as u32 + 1).collect());
    let targets = case.input("targets", Rows::Selected, 1, random_below(tokens / 2, VOCABULARY, 7));
    // A and B on q and on the down projection, side by side.
    let (qa, qb) = (0, RANK * WIDTH);
    let (da, db) = (qb + RANK * WIDTH, qb + RANK * WIDTH + RANK * HIDDEN);
    let count = db + RANK * WIDTH;
    let params = case.state("params", 1, random(count, 8).iter().map(|v| 0.1 * v).collect());
    let [grads, first_moment, second_moment] = ["grads", "m", "v"].map(|name| case.state(name, 1, vec![0.0; count]));
    let total = case.state("total", 1, vec![0.0]);

    let mut scratch = |width| case.scratch(Rows::Tokens, width);
    let [x0, n1, q, a, x1, n2] = [(); 6].map(|()| scratch(WIDTH));
    let [k, v] = [(); 2].map(|()| scratch(narrow));
    let [gate, up, hidden] = [(); 3].map(|()| scratch(HIDDEN));
    let [x2, d2, d1, da1, dn, dq, last] = [(); 7].map(|()| scratch(WIDTH));
    let [dk, dv] = [(); 2].map(|()| scratch(narrow));
    let [dhidden, dgate, dup] = [(); 3].map(|()| scratch(HIDDEN));
    let [lse, delta] = [(); 2].map(|()| scratch(HEADS.query));
    let [low_q, low_d, dlow_q, dlow_d] = [(); 4].map(|()| scratch(RANK));
    let picked = case.scratch(Rows::Selected, WIDTH);
    let dpicked = case.scratch(Rows::Selected, WIDTH);
    let logits = case.scratch(Rows::Fixed(8), VOCABULARY);
    let losses = case.output("losses", Rows::Selected, 1);
    let dx = case.output("dx", Rows::Tokens, WIDTH);
    let report = case.output("report", Rows::Fixed(1), 3);

    let term = |low, offset, scale| Some(LoraTerm { low, params, offset, scale });
    let plain = |x, weight, out| Linear { x, weight, bias: None, lora: None, residual: None, out };
    let head_dim = HEADS.dim;
    case.push(Embed { table, ids, out: x0, scale: 1.0, add: false });
    case.push(RmsNorm { x: x0, gain, residual: None, out: n1, epsilon: EPSILON });
    case.push(LoraDown { x: n1, params, a: qa, low: low_q });
    case.push(Linear { lora: term(low_q, qb, 2.0), ..plain(n1, wq, q) });
    case.push(plain(n1, wk, k));
    case.push(plain(n1, wv, v));
    case.push(Rope { x: q, positions, table: rotation, head_dim, rotated: head_dim, inverse: false });
    case.push(Rope { x: k, positions, table: rotation, head_dim, rotated: head_dim, inverse: false });
    case.push(Attention { q, k, v, spans, out: a, lse, heads: HEADS });
    case.push(Linear { residual: Some(x0), ..plain(a, wo, x1) });
    case.push(RmsNorm { x: x1, gain, residual: None, out: n2, epsilon: EPSILON });
    case.push(plain(n2, wg, gate));
    case.push(plain(n2, wu, up));
    case.push(Glu { activation: Silu, gate, up: Some(up), out: hidden });
    case.push(LoraDown { x: hidden, params, a: da, low: low_d });
    case.push(Linear { lora: term(low_d, db, 2.0), residual: Some(x1), ..plain(hidden, wd, x2) });
    case.push(GatherRows { src: x2, index: selected, out: picked });
    let gradient = Some(LossGradient { dx: dpicked, total });
    case.push(CrossEntropy { x: picked, head: table, targets, losses, logits, cap: None, gradient });
    case.push(ScatterRows { src: dpicked, index: selected, out: d2, keep: false });
    let backward = |dy, weight, dx, add| LinearBackward { dy, weight, lora: None, dx, add };
    case.push(LoraBackward { x: hidden, dy: d2, low: low_d, dlow: dlow_d, params, grads, a: da, b: db, scale: 2.0 });
    case.push(LinearBackward { lora: term(dlow_d, da, 1.0), ..backward(d2, wd, dhidden, false) });
    case.push(GluBackward { activation: Silu, gate, up: Some([up, dup]), dout: dhidden, dgate });
    case.push(backward(dgate, wg, dn, false));
    case.push(backward(dup, wu, dn, true));
    case.push(RmsNormBackward { x: x1, gain, dy: dn, dx: d1, add: false, epsilon: EPSILON });
    case.push(backward(d1, wo, da1, false));
    case.push(AttentionBackward { q, k, v, out: a, lse, dout: da1, spans, reach, delta, dq, dk, dv, heads: HEADS });
    case.push(Rope { x: dq, positions, table: rotation, head_dim, rotated: head_dim, inverse: true });
    case.push(Rope { x: dk, positions, table: rotation, head_dim, rotated: head_dim, inverse: true });
    case.push(LoraBackward { x: n1, dy: dq, low: low_q, dlow: dlow_q, params, grads, a: qa, b: qb, scale: 2.0 });
    case.push(LinearBackward { lora: term(dlow_q, qa, 1.0), ..backward(dq, wq, last, false) });
    case.push(backward(dk, wk, last, true));
    case.push(backward(dv, wv, last, true));
    case.push(RmsNormBackward { x: x0, gain, dy: last, dx, add: false, epsilon: EPSILON });
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
        // Large, so that an update is not all sign: rounding must not decide it.
        epsilon: 0.01,
        weight_decay: 0.01,
    });
    case
}
