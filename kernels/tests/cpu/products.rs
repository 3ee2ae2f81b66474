//! Products with frozen matrices and with the adapter's own.

use idiolect_kernels::matrix::{Encoding, FloatType};
use idiolect_kernels::ops::{Linear, LinearBackward, LoraBackward, LoraDown, LoraInputGradient, LoraTerm};
use idiolect_kernels::program::Rows::Tokens;

use crate::common::case::Case;
use crate::common::encodings::{FLOAT_TYPES, Known, group_of, grouped};
use crate::common::random::Random;
use crate::common::table::{GROUPS, SIZES, Table};
use crate::reference::{dot, most, times, times_transposed, wide};
use crate::run;

/// Allowed error, relative to what a product may come to: its sums may cancel.
const TOLERANCE: f64 = 1e-6;

/// Ranks of adapters, as many as no other dimension of the tables has sizes.
const RANKS: [usize; 7] = [1, 8, 16, 5, 3, 17, 64];

/// Multiplications that one row of a table may take.
const AFFORDABLE: usize = 4_000_000;

struct Shape {
    encoding: Encoding,
    t: usize,
    rows: usize,
    cols: usize,
}

/// Every encoding with every affordable combination of sizes.
fn shapes() -> Vec<Shape> {
    let mut shapes = Vec::new();
    let mut add = |encoding, cols| {
        for (t, rows) in SIZES.into_iter().flat_map(|t| SIZES.map(|rows| (t, rows))) {
            // Float types differ only in decoding, quantized ones also in their groups: few rows of each will do.
            let few = !matches!(encoding, Encoding::Float(FloatType::F32));
            if t * rows * cols <= AFFORDABLE && (!few || t * rows <= 33 * 65 || rows == 1757) {
                shapes.push(Shape { encoding, t, rows, cols });
            }
        }
    };
    for float in FLOAT_TYPES {
        SIZES.into_iter().for_each(|cols| add(Encoding::Float(float), cols));
    }
    for encoding in grouped() {
        GROUPS.into_iter().for_each(|groups| add(encoding, groups * group_of(encoding)));
    }
    shapes
}

fn known(random: &mut Random, shape: &Shape) -> Known {
    let known = Known::random(random, shape.encoding, shape.rows, shape.cols);
    // Rows of an even number of heads also stand for GGUF's q and k.
    if shape.rows.is_multiple_of(8) { known.interleaved(4) } else { known }
}

#[test]
fn linear_is_a_product_with_bias_residual_and_adapter() {
    let (mut table, mut random) = (Table::default(), Random::new(31));
    let shapes = shapes();
    // A handful of rows may be taken each by itself.
    let cases = shapes.iter().flat_map(|shape| [(shape, false), (shape, true)]);
    for (i, (shape, few_rows)) in cases.filter(|(shape, few_rows)| !few_rows || shape.t <= 33).enumerate() {
        let &Shape { encoding, t, rows, cols } = shape;
        let Known { matrix, values } = known(&mut random, shape);
        let (x, bias, residual) = (random.floats(t * cols), random.floats(rows), random.floats(t * rows));
        let (rank, scale, offset) = (RANKS[i % RANKS.len()], 1.7, 3);
        let (low, params) = (random.floats(t * rank), random.floats(offset + rows * rank));
        let mut case = Case::new(t, 0);
        case.set_few_rows(few_rows);
        let (weight, bias_id) = (case.matrix(matrix), case.vector(&bias));
        let [x_id, residual_id, low_id] = [&x, &residual, &low].map(|v| case.floats(Tokens, v));
        let params_id = case.state(1, &params);
        let term = LoraTerm { low: low_id, params: params_id, offset, scale };
        let product = times_transposed(&wide(&x), &wide(&values), cols);
        let adapter = times_transposed(&wide(&low), &wide(&params[offset..]), rank);
        let allowed = TOLERANCE * (most(&x, cols, &values) + most(&low, rank, &params) + 2.0);
        let mut outs = Vec::new();
        for (bias, residual, lora) in (0..8).map(|bits| (bits & 1 != 0, bits & 2 != 0, bits & 4 != 0)) {
            let out = case.output(Tokens, rows);
            case.push(Linear {
                x: x_id,
                weight,
                bias: bias.then_some(bias_id),
                lora: lora.then_some(term),
                residual: residual.then_some(residual_id),
                out,
            });
            outs.push((out, bias, residual, lora));
        }
        let mut ran = run(case);
        for (out, with_bias, with_residual, lora) in outs {
            let expected: Vec<f64> = (0..t * rows)
                .map(|j| {
                    let bias = if with_bias { f64::from(bias[j % rows]) } else { 0.0 };
                    let residual = if with_residual { f64::from(residual[j]) } else { 0.0 };
                    product[j] + bias + residual + if lora { f64::from(scale) * adapter[j] } else { 0.0 }
                })
                .collect();
            let name = format!(
                "{encoding:?}, {t} rows (few {few_rows}), {cols} to {rows}, bias {with_bias}, residual {with_residual}, \
                 lora {lora}"
            );
            table.within(&name, &ran.read(out), &expected, allowed);
        }
    }
    table.finish();
}

#[test]
fn each_of_a_few_rows_has_the_bits_it_has_beside_others() {
    let mut random = Random::new(37);
    for encoding in grouped() {
        let (rows, cols) = (65, 5 * group_of(encoding));
        let shape = Shape { encoding, t: 7, rows, cols };
        let x = random.floats(7 * cols);
        let outs = [2, 3, 4, 7].map(|t| {
            let Known { matrix, .. } = known(&mut Random::new(38), &shape);
            let mut case = Case::new(t, 0);
            case.set_few_rows(true);
            let (weight, x) = (case.matrix(matrix), case.floats(Tokens, &x[..t * cols]));
            let out = case.output(Tokens, rows);
            case.push(Linear { x, weight, bias: None, lora: None, residual: None, out });
            run(case).read(out)
        });
        for pair in outs.windows(2) {
            assert_eq!(pair[0], pair[1][..pair[0].len()], "{encoding:?}");
        }
    }
}

#[test]
fn linear_backward_is_the_product_with_the_same_matrix() {
    let (mut table, mut random) = (Table::default(), Random::new(32));
    for (i, shape) in shapes().iter().enumerate() {
        let &Shape { encoding, t, rows, cols } = shape;
        let Known { matrix, values } = known(&mut random, shape);
        let (dy, before) = (random.floats(t * rows), random.floats(t * cols));
        let (rank, offset) = (RANKS[i % RANKS.len()], 3);
        let (low, params) = (random.floats(t * rank), random.floats(offset + rank * cols));
        let mut case = Case::new(t, 0);
        let weight = case.matrix(matrix);
        let [dy_id, low_id] = [&dy, &low].map(|v| case.floats(Tokens, v));
        let params_id = case.state(1, &params);
        let term = LoraTerm { low: low_id, params: params_id, offset, scale: 1.0 };
        let mut outs = Vec::new();
        for (add, lora) in [(false, false), (false, true), (true, false), (true, true)] {
            let dx = if add { case.updated(Tokens, &before) } else { case.output(Tokens, cols) };
            case.push(LinearBackward { dy: dy_id, weight, lora: lora.then_some(term), dx, add });
            outs.push((dx, add, lora));
        }
        let product = times(&wide(&dy), &wide(&values), rows);
        let adapter = times(&wide(&low), &wide(&params[offset..]), rank);
        let allowed = TOLERANCE * (most(&dy, rows, &values) + most(&low, rank, &params) + 1.0);
        let mut ran = run(case);
        for (dx, add, lora) in outs {
            let expected: Vec<f64> = (0..t * cols)
                .map(|j| {
                    let before = if add { f64::from(before[j]) } else { 0.0 };
                    product[j] + before + if lora { adapter[j] } else { 0.0 }
                })
                .collect();
            let name = format!("{encoding:?}, {t} rows, {rows} to {cols}, add {add}, lora {lora}");
            table.within(&name, &ran.read(dx), &expected, allowed);
        }
    }
    table.finish();
}

#[test]
fn lora_products_and_gradients() {
    let (mut table, mut random) = (Table::default(), Random::new(33));
    let sizes = || SIZES.into_iter().flat_map(|t| SIZES.map(|n| (t, n)));
    let shapes = sizes().flat_map(|(t, rows)| SIZES.map(|cols| (t, rows, cols)));
    for (i, (t, rows, cols)) in shapes.filter(|(t, rows, cols)| t * (rows + cols) <= 300_000).enumerate() {
        let (rank, scale) = (RANKS[i % RANKS.len()], 1.7f32);
        let (a, b) = (2, 2 + rank * cols + 1);
        let (x, dy) = (random.floats(t * cols), random.floats(t * rows));
        let (params, before) = (random.floats(b + rows * rank), random.floats(b + rows * rank));
        let mut case = Case::new(t, 0);
        let (x_id, dy_id) = (case.floats(Tokens, &x), case.floats(Tokens, &dy));
        let (params_id, grads) = (case.state(1, &params), case.state(1, &before));
        let (low, dlow) = (case.output(Tokens, rank), case.output(Tokens, rank));
        let dx = case.output(Tokens, cols);
        case.push(LoraDown { x: x_id, params: params_id, a, low });
        case.push(LoraBackward { x: x_id, dy: dy_id, low, dlow, params: params_id, grads, a, b, scale });
        case.push(LoraInputGradient { dlow, params: params_id, a, out: dx });
        let mut ran = run(case);

        let name = format!("{t} rows, {cols} to {rank} to {rows}");
        let (x64, a64, b64) = (wide(&x), wide(&params[a..a + rank * cols]), wide(&params[b..]));
        let allowed = TOLERANCE * most(&x, cols, &params);
        table.within(&format!("{name}: low"), &ran.read(low), &times_transposed(&x64, &a64, cols), allowed);
        let loss = |x: &[f64], a: &[f64], b: &[f64]| {
            f64::from(scale) * dot(&times_transposed(&times_transposed(x, a, cols), b, rank), &dy)
        };
        let cost = 2 * t * rank * (rows + cols);
        let grads = ran.read(grads);
        // Gradients are added to what was there; elsewhere nothing changes.
        let added: Vec<f32> = grads.iter().zip(&before).map(|(g, b)| g - b).collect();
        let (da, db) = (&added[a..a + rank * cols], &added[b..]);
        table.gradient(&format!("{name}: dx"), |x| loss(x, &a64, &b64), &x, cost, &ran.read(dx));
        table.gradient(&format!("{name}: dA"), |a| loss(&x64, a, &b64), &params[a..a + rank * cols], cost, da);
        table.gradient(&format!("{name}: dB"), |b| loss(&x64, &a64, b), &params[b..], cost, db);
        table.expect((0..a).chain([b - 1]).all(|i| added[i] == 0.0), || format!("{name}: gradients beside A and B"));
    }
    table.finish();
}
