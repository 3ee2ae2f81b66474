//! Bits do not depend on the number of threads, nor a row's bits on how many rows there are beside it.

use idiolect_kernels::matrix::{BlockType, Encoding, FloatType};
use idiolect_kernels::ops::{
    Activation::Silu, AdamW, Attention, AttentionBackward, CrossEntropy, Dropout, Embed, GatherRows, Glu, GluBackward,
    Heads, Linear, LinearBackward, LoraBackward, LoraDown, LoraInputGradient, LoraTerm, LossGradient, Packing, RmsNorm,
    RmsNormBackward, Rope, RopeTable, ScatterRows, TopLogits,
};
use idiolect_kernels::program::BufferId;
use idiolect_kernels::program::Rows::{Fixed, Selected, Tokens};

use crate::common::case::{Case, Ran};
use crate::common::encodings::Known;
use crate::common::random::Random;
use crate::common::table::Table;
use crate::{run, run_on};

const HEADS: Heads = Heads { query: 3, key_value: 1, dim: 32, scale: 0.1767767, cap: None, alibi: false };
const WIDTH: usize = 96;
const KV_WIDTH: usize = 32;
const INNER: usize = 288;
const VOCABULARY: usize = 1757;
const RANK: usize = 8;
/// Not a power of two: multiplying by it rounds.
const SCALE: f32 = 1.7;
const EPSILON: f32 = 1e-5;

const Q4_1: Encoding = Encoding::Block(BlockType::Q4_1);
const Q8_0: Encoding = Encoding::Block(BlockType::Q8_0);
const AFFINE: Encoding = Encoding::Affine { bits: 4, group: 32, scales: FloatType::F16 };
const F32: Encoding = Encoding::Float(FloatType::F32);

/// One layer's training step over two samples, every operation in it, and all that it computes.
fn training_step(samples: &[usize], selected: usize) -> (Case, Vec<BufferId>) {
    let mut random = Random::new(71);
    let t: usize = samples.iter().sum();
    let mut case = Case::new(t, selected);
    case.scalars.learning_rate = 1e-3;
    case.scalars.loss_weight = 1.0 / selected as f32;
    case.scalars.dropout_seed = 5;
    let mut matrix =
        |case: &mut Case, encoding, rows, cols| case.matrix(Known::random(&mut random, encoding, rows, cols).matrix);
    let table = matrix(&mut case, Q8_0, VOCABULARY, WIDTH);
    let [w_q, w_k, w_v] =
        [(AFFINE, WIDTH), (Q4_1, KV_WIDTH), (F32, KV_WIDTH)].map(|(e, rows)| matrix(&mut case, e, rows, WIDTH));
    let (w_out, w_down) = (matrix(&mut case, Q4_1, WIDTH, WIDTH), matrix(&mut case, Q8_0, WIDTH, INNER));
    let [w_gate, w_up] = [(); 2].map(|()| matrix(&mut case, Q4_1, INNER, WIDTH));
    // Gains that keep the softmaxes from becoming a choice of one.
    let gains: Vec<f32> = random.floats(WIDTH).iter().map(|g| 0.05 * g).collect();
    let (gain, bias) = (case.vector(&gains), case.vector(&random.floats(WIDTH)));
    let frequencies: Vec<f32> = (0..HEADS.dim / 2).map(|j| 0.5f32.powi(j as i32)).collect();
    let angles = case.vector(&RopeTable::new(&frequencies, t).values);

    let packing = Packing::samples(samples);
    let ids: Vec<u32> = (0..t).map(|_| random.below(VOCABULARY) as u32).collect();
    let targets: Vec<u32> = (0..selected).map(|_| random.below(VOCABULARY) as u32).collect();
    let index = &random.permutation(t)[..selected];
    let (ids, positions) = (case.indices(Tokens, &ids), case.indices(Tokens, &packing.positions));
    let (spans, reach) = (case.indices(Tokens, &packing.spans), case.indices(Tokens, &packing.reach));
    let (index, targets) = (case.indices(Selected, index), case.indices(Selected, &targets));
    let (a, b, len) = (0, RANK * WIDTH, 2 * RANK * WIDTH);
    let params = case.state(1, &random.floats(len));
    let [grads, first_moment, second_moment] = [(); 3].map(|()| case.state(1, &vec![0.0; len]));
    let total = case.state(1, &[0.0]);

    let mut results = vec![params, first_moment, second_moment];
    let mut tokens = |case: &mut Case, width| {
        let buffer = case.output(Tokens, width);
        results.push(buffer);
        buffer
    };
    let [x, normed, dropped, q, attended, x1, normed1, x2, normed2, dx, dnormed, dq, dropped_dx] =
        [(); 13].map(|()| tokens(&mut case, WIDTH));
    let [k, v, dk, dv] = [(); 4].map(|()| tokens(&mut case, KV_WIDTH));
    let [gate, up, inner, dgate, dup, dinner] = [(); 6].map(|()| tokens(&mut case, INNER));
    let [low, dlow] = [(); 2].map(|()| tokens(&mut case, RANK));
    let [lse, delta] = [(); 2].map(|()| tokens(&mut case, HEADS.query));
    let dattended = tokens(&mut case, WIDTH);
    let (chosen, dchosen, losses) =
        (case.output(Selected, WIDTH), case.output(Selected, WIDTH), case.output(Selected, 1));
    let (logits, report) = (case.scratch(Fixed(16), VOCABULARY), case.output(Fixed(1), 3));
    results.extend([chosen, dchosen, losses, report]);

    let plain = |x, weight, out| Linear { x, weight, bias: None, lora: None, residual: None, out };
    let back = |dy, weight, dx, add| LinearBackward { dy, weight, lora: None, dx, add };
    let lora = LoraTerm { low, params, offset: b, scale: SCALE };
    case.push(Embed { table, ids, out: x, scale: 1.0, add: false });
    case.push(RmsNorm { x, gain, residual: None, out: normed, epsilon: EPSILON });
    case.push(Dropout { x: normed, out: dropped, rate: 0.1, module: 1, add: false });
    case.push(LoraDown { x: dropped, params, a, low });
    case.push(Linear { bias: Some(bias), lora: Some(lora), ..plain(normed, w_q, q) });
    case.push(plain(normed, w_k, k));
    case.push(plain(normed, w_v, v));
    for x in [q, k] {
        case.push(Rope { x, positions, table: angles, head_dim: HEADS.dim, rotated: HEADS.dim, inverse: false });
    }
    case.push(Attention { q, k, v, spans, out: attended, lse, heads: HEADS });
    case.push(Linear { residual: Some(x), ..plain(attended, w_out, x1) });
    case.push(RmsNorm { x: x1, gain, residual: None, out: normed1, epsilon: EPSILON });
    case.push(plain(normed1, w_gate, gate));
    case.push(plain(normed1, w_up, up));
    case.push(Glu { activation: Silu, gate, up: Some(up), out: inner });
    case.push(Linear { residual: Some(x1), ..plain(inner, w_down, x2) });
    case.push(RmsNorm { x: x2, gain, residual: None, out: normed2, epsilon: EPSILON });
    case.push(GatherRows { src: normed2, index, out: chosen });
    let gradient = Some(LossGradient { dx: dchosen, total });
    case.push(CrossEntropy { x: chosen, head: table, targets, losses, logits, cap: None, gradient });
    case.push(ScatterRows { src: dchosen, index, out: dnormed, keep: false });
    case.push(RmsNormBackward { x: x2, gain, dy: dnormed, dx, add: false, epsilon: EPSILON });

    case.push(back(dx, w_down, dinner, false));
    case.push(GluBackward { activation: Silu, gate, up: Some([up, dup]), dout: dinner, dgate });
    case.push(back(dgate, w_gate, dnormed, false));
    case.push(back(dup, w_up, dnormed, true));
    case.push(RmsNormBackward { x: x1, gain, dy: dnormed, dx, add: true, epsilon: EPSILON });
    case.push(back(dx, w_out, dattended, false));
    case.push(AttentionBackward {
        q,
        k,
        v,
        out: attended,
        lse,
        dout: dattended,
        spans,
        reach,
        delta,
        dq,
        dk,
        dv,
        heads: HEADS,
    });
    for x in [dq, dk] {
        case.push(Rope { x, positions, table: angles, head_dim: HEADS.dim, rotated: HEADS.dim, inverse: true });
    }
    case.push(LoraBackward { x: dropped, dy: dq, low, dlow, params, grads, a, b, scale: SCALE });
    case.push(LoraInputGradient { dlow, params, a, out: dropped_dx });
    case.push(back(dq, w_q, dnormed, false));
    case.push(back(dk, w_k, dnormed, true));
    case.push(back(dv, w_v, dnormed, true));
    case.push(Dropout { x: dropped_dx, out: dnormed, rate: 0.1, module: 1, add: true });
    case.push(RmsNormBackward { x, gain, dy: dnormed, dx, add: true, epsilon: EPSILON });
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
        weight_decay: 0.01,
    });
    (case, results)
}

#[test]
fn bits_do_not_depend_on_threads() {
    let mut table = Table::default();
    for (samples, selected) in [(&[2][..], 1), (&[3, 40, 27], 33), (&[257], 130), (&[100, 9, 300], 65)] {
        let results = |threads| -> Vec<Vec<f32>> {
            let (case, buffers) = training_step(samples, selected);
            let mut ran = run_on(case, threads);
            buffers.into_iter().map(|buffer| ran.read(buffer)).collect()
        };
        let alone = results(1);
        let report = &alone[alone.len() - 1];
        table.expect(report[2] == 1.0 && report[1] > 0.0, || {
            format!("{samples:?}: the step was not applied: {report:?}")
        });
        for threads in [2, 3, 5] {
            for (i, (got, expected)) in results(threads).iter().zip(&alone).enumerate() {
                table.same_bits(&format!("samples {samples:?}, {threads} threads, buffer {i}"), got, expected);
            }
        }
    }
    table.finish();
}

/// What decoding one token computes over `keys` cached ones, and its ways of one row through the products.
fn decoding_step(keys: usize, rank: usize) -> (Case, Vec<BufferId>) {
    const HEADS: Heads = Heads { query: 14, key_value: 2, dim: 48, scale: 0.144, cap: None, alibi: false };
    const WIDTH: usize = HEADS.query * HEADS.dim;
    const KV_WIDTH: usize = HEADS.key_value * HEADS.dim;
    let mut random = Random::new(74);
    let mut case = Case::new(1, 1);
    let [w, head] = [(Q4_1, WIDTH), (Q8_0, 12_345)]
        .map(|(encoding, rows)| case.matrix(Known::random(&mut random, encoding, rows, WIDTH).matrix));
    let q: Vec<f32> = random.floats(WIDTH).iter().map(|v| 4.0 * v).collect();
    let (q, spans) = (case.floats(Tokens, &q), case.indices(Tokens, &Packing::continuation(keys - 1, 1).spans));
    let [k, v] = [(); 2].map(|()| case.state(keys, &random.floats(keys * KV_WIDTH)));
    let params = case.state(1, &random.floats(2 * rank * WIDTH));
    let [attended, low, y, bare] = [WIDTH, rank, WIDTH, WIDTH].map(|width| case.output(Tokens, width));
    let (lse, logits, top) = (case.output(Tokens, HEADS.query), case.output(Tokens, 12_345), case.output(Tokens, 129));
    let lora = Some(LoraTerm { low, params, offset: rank * WIDTH, scale: SCALE });
    let plain = Linear { x: attended, weight: w, bias: None, lora: None, residual: None, out: bare };
    case.push(Attention { q, k, v, spans, out: attended, lse, heads: HEADS });
    case.push(LoraDown { x: attended, params, a: 0, low });
    case.push(Linear { lora, residual: Some(q), out: y, ..plain });
    case.push(plain);
    case.push(Linear { x: y, weight: head, bias: None, lora: None, residual: None, out: logits });
    case.push(TopLogits { logits, out: top });
    (case, vec![attended, lse, low, y, bare, logits, top])
}

#[test]
fn bits_of_a_decoded_token_do_not_depend_on_threads() {
    let mut table = Table::default();
    for (keys, rank) in [(1, 1), (65, 3), (128, 17), (129, 64), (257, 1), (1757, 8)] {
        let results = |threads| -> Vec<Vec<f32>> {
            let (case, buffers) = decoding_step(keys, rank);
            let mut ran = run_on(case, threads);
            buffers.into_iter().map(|buffer| ran.read(buffer)).collect()
        };
        let alone = results(1);
        table.expect(alone.iter().all(|values| values.iter().any(|v| *v != 0.0)), || format!("{keys} keys: zeros"));
        for threads in [2, 3, 5] {
            for (i, (got, expected)) in results(threads).iter().zip(&alone).enumerate() {
                table.same_bits(&format!("{keys} keys, rank {rank}, {threads} threads, buffer {i}"), got, expected);
            }
        }
    }
    table.finish();
}

/// Rows of buffers that a case computes row by row.
type Outputs = Vec<(&'static str, Vec<f32>, usize)>;

fn read(mut ran: Ran, buffers: Vec<(&'static str, BufferId, usize)>) -> Outputs {
    buffers.into_iter().map(|(name, buffer, width)| (name, ran.read(buffer), width)).collect()
}

/// Linear layers there and back, with everything they can carry, over the first `t` rows of fixed data.
fn products(encoding: Encoding, t: usize) -> Outputs {
    // Sums over more than one of the GEMM's blocks, and output columns past its tiles.
    const COLS: usize = 544;
    const ROWS: usize = 330;
    let mut random = Random::new(72);
    let known = Known::random(&mut random, encoding, ROWS, COLS);
    let mut case = Case::new(t, 0);
    let (weight, bias) = (case.matrix(known.matrix), case.vector(&random.floats(ROWS)));
    let params = case.state(1, &random.floats(RANK * (ROWS + COLS)));
    let mut rows = |width: usize, case: &mut Case| case.floats(Tokens, &random.floats(129 * width)[..t * width]);
    let (x, dy) = (rows(COLS, &mut case), rows(ROWS, &mut case));
    let [low, dlow] = [(); 2].map(|()| case.output(Tokens, RANK));
    let (y, bare, dx, dbare) =
        (case.output(Tokens, ROWS), case.output(Tokens, ROWS), case.output(Tokens, COLS), case.output(Tokens, COLS));
    let grads = case.state(1, &vec![0.0; RANK * (ROWS + COLS)]);
    let (a, b) = (0, RANK * COLS);
    let lora = Some(LoraTerm { low, params, offset: b, scale: SCALE });
    case.push(LoraDown { x, params, a, low });
    case.push(Linear { x, weight, bias: Some(bias), lora, residual: Some(dy), out: y });
    case.push(Linear { x, weight, bias: None, lora: None, residual: None, out: bare });
    case.push(LoraBackward { x, dy, low, dlow, params, grads, a, b, scale: SCALE });
    let lora = Some(LoraTerm { low: dlow, params, offset: a, scale: 1.0 });
    case.push(LinearBackward { dy, weight, lora, dx, add: false });
    case.push(LinearBackward { dy, weight, lora: None, dx: dbare, add: false });
    read(
        run(case),
        vec![
            ("low", low, RANK),
            ("dlow", dlow, RANK),
            ("linear with all its terms", y, ROWS),
            ("linear", bare, ROWS),
            ("backward with its term", dx, COLS),
            ("backward", dbare, COLS),
        ],
    )
}

/// Attention and cross-entropy over the first `t` rows of fixed data.
fn sequences(_: Encoding, t: usize) -> Outputs {
    let mut random = Random::new(73);
    let mut case = Case::new(t, t);
    let head = case.matrix(Known::random(&mut random, Q8_0, VOCABULARY, WIDTH).matrix);
    let mut rows = |width: usize, case: &mut Case| case.floats(Tokens, &random.floats(129 * width)[..t * width]);
    let [q, k, v] = [WIDTH, KV_WIDTH, KV_WIDTH].map(|width| rows(width, &mut case));
    let spans = case.indices(Tokens, &Packing::samples(&[t]).spans);
    let index = case.indices(Selected, &(0..t as u32).collect::<Vec<_>>());
    let targets = case.indices(Selected, &(0..t as u32).map(|i| i * 13).collect::<Vec<_>>());
    let (out, lse) = (case.output(Tokens, WIDTH), case.output(Tokens, HEADS.query));
    let (x, dx, losses) = (case.output(Selected, WIDTH), case.output(Selected, WIDTH), case.output(Selected, 1));
    let (logits, total) = (case.scratch(Fixed(16), VOCABULARY), case.state(1, &[0.0]));
    case.push(Attention { q, k, v, spans, out, lse, heads: HEADS });
    case.push(GatherRows { src: out, index, out: x });
    case.push(CrossEntropy { x, head, targets, losses, logits, cap: None, gradient: Some(LossGradient { dx, total }) });
    read(run(case), vec![("attention", out, WIDTH), ("lse", lse, 3), ("losses", losses, 1), ("dx", dx, WIDTH)])
}

#[test]
fn bits_of_a_row_do_not_depend_on_other_rows() {
    let mut table = Table::default();
    type OfRows = fn(Encoding, usize) -> Outputs;
    let kinds: [(OfRows, Encoding); 4] = [(products, F32), (products, Q4_1), (products, AFFINE), (sequences, Q8_0)];
    for (outputs, encoding) in kinds {
        let many = outputs(encoding, 129);
        for t in [2, 3, 7, 8, 15, 16, 17, 31, 32, 33, 63, 64, 65, 96, 128] {
            for ((name, few, width), (_, many, _)) in outputs(encoding, t).iter().zip(&many) {
                table.same_bits(&format!("{encoding:?}, {t} rows of 129: {name}"), few, &many[..t * width]);
            }
        }
    }
    table.finish();
}
