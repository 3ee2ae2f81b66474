//! Operations on rows and values: norm, gated units, caps, rotation, dropout, moving rows.

use idiolect_kernels::ops::{
    Activation::{GeluTanh, Silu},
    ColumnRuns, Dropout, Embed, GatherRows, Glu, GluBackward, JoinColumns, LayerNorm, LayerNormBackward, RmsNorm,
    RmsNormBackward, Rope, RopeTable, ScatterRows, SoftCap, SplitColumns,
};
use idiolect_kernels::program::Rows::{Selected, Tokens};

use crate::common::case::Case;
use crate::common::encodings::{Known, all, group_of};
use crate::common::random::Random;
use crate::common::table::{GROUPS, SIZES, Table};
use crate::reference::{self, dot, wide};
use crate::run;

const TOLERANCE: f64 = 2e-6;

/// Rows and widths, at most one of them large.
fn shapes() -> impl Iterator<Item = (usize, usize)> {
    SIZES.into_iter().flat_map(|t| SIZES.map(|n| (t, n))).filter(|(t, n)| t * n <= 200_000)
}

#[test]
fn rms_norm_and_its_gradient() {
    let (mut table, mut random) = (Table::default(), Random::new(1));
    // Rows of one part, and of several that are normalized each by itself.
    for ((t, n), parts) in shapes().map(|shape| (shape, 1)).chain([((3, 1), 5), ((5, 16), 3), ((2, 33), 4)]) {
        // The norm of a single value is its sign but for ε, and so is its gradient.
        let epsilon = if n == 1 { 0.5 } else { 1e-5 };
        let (gain, width) = (random.floats(n), parts * n);
        let [x, dy, before] = [(); 3].map(|()| random.floats(t * width));
        let mut case = Case::new(t, 0);
        let gain_id = case.vector(&gain);
        let (x_id, dy_id) = (case.floats(Tokens, &x), case.floats(Tokens, &dy));
        let (out, dx, sum) = (case.output(Tokens, width), case.output(Tokens, width), case.updated(Tokens, &before));
        let (residual, added) = (case.floats(Tokens, &before), case.output(Tokens, width));
        for (residual, out) in [(None, out), (Some(residual), added)] {
            case.push(RmsNorm { x: x_id, gain: gain_id, residual, out, epsilon });
        }
        for (dx, add) in [(dx, false), (sum, true)] {
            case.push(RmsNormBackward { x: x_id, gain: gain_id, dy: dy_id, dx, add, epsilon });
        }
        let mut ran = run(case);
        let name = format!("{t} rows of {parts} times {n}");
        let forward = |x: &[f64]| reference::rms_norm(x, &gain, f64::from(epsilon));
        table.close(&format!("{name}, forward"), &ran.read(out), &forward(&wide(&x)), TOLERANCE);
        let dx = ran.read(dx);
        table.gradient(&format!("{name}, backward"), |x| dot(&forward(x), &dy), &x, 4 * t * width, &dx);
        let with_before = |values: &[f32]| -> Vec<f64> {
            values.iter().zip(&before).map(|(a, b)| f64::from(*a) + f64::from(*b)).collect()
        };
        table.close(&format!("{name}, forward added"), &ran.read(added), &with_before(&ran.read(out)), TOLERANCE);
        table.close(&format!("{name}, backward added"), &ran.read(sum), &with_before(&dx), TOLERANCE);
    }
    table.finish();
}

#[test]
fn layer_norm_and_its_gradient() {
    let (mut table, mut random) = (Table::default(), Random::new(9));
    for (t, n) in shapes() {
        // The norm of a single value is its bias.
        let epsilon = if n == 1 { 0.5 } else { 1e-5 };
        let (gain, bias) = (random.floats(n), random.floats(n));
        let [x, dy, before] = [(); 3].map(|()| random.floats(t * n));
        let mut case = Case::new(t, 0);
        let (gain_id, bias_id) = (case.vector(&gain), case.vector(&bias));
        let (x_id, dy_id) = (case.floats(Tokens, &x), case.floats(Tokens, &dy));
        let (out, dx, sum) = (case.output(Tokens, n), case.output(Tokens, n), case.updated(Tokens, &before));
        case.push(LayerNorm { x: x_id, gain: gain_id, bias: bias_id, out, epsilon });
        for (dx, add) in [(dx, false), (sum, true)] {
            case.push(LayerNormBackward { x: x_id, gain: gain_id, dy: dy_id, dx, add, epsilon });
        }
        let mut ran = run(case);
        let name = format!("{t} rows of {n}");
        let forward = |x: &[f64]| reference::layer_norm(x, &gain, &bias, f64::from(epsilon));
        table.close(&format!("{name}, forward"), &ran.read(out), &forward(&wide(&x)), TOLERANCE);
        let dx = ran.read(dx);
        if n > 1 {
            table.gradient(&format!("{name}, backward"), |x| dot(&forward(x), &dy), &x, 5 * t * n, &dx);
        } else {
            table.expect(dx.iter().all(|v| v.abs() < 1e-6), || format!("{name}, backward: {dx:?}"));
        }
        let expected: Vec<f64> = dx.iter().zip(&before).map(|(a, b)| f64::from(*a) + f64::from(*b)).collect();
        table.close(&format!("{name}, backward added"), &ran.read(sum), &expected, TOLERANCE);
    }
    table.finish();
}

/// The columns of a part, and where in a row each value of a part lies.
type Layout<'a> = (&'a dyn Fn(usize) -> ColumnRuns, &'a dyn Fn(usize, usize) -> usize);

#[test]
fn columns_are_taken_apart_and_joined() {
    let (mut table, mut random) = (Table::default(), Random::new(10));
    for (t, heads, dim) in SIZES.into_iter().flat_map(|t| [(1, 1), (1, 33), (4, 16), (3, 5)].map(|(h, d)| (t, h, d))) {
        let width = heads * dim;
        let whole = random.floats(t * 3 * width);
        // One behind another, and head by head.
        let one_by_one = |i: usize| ColumnRuns { first: i * width, run: width, stride: width };
        let by_head = |i: usize| ColumnRuns { first: i * dim, run: dim, stride: 3 * dim };
        let layouts: [Layout<'_>; 2] = [
            (&one_by_one, &|i, column| i * width + column),
            (&by_head, &|i, column| (column / dim * 3 + i) * dim + column % dim),
        ];
        for (columns, place) in layouts {
            let mut case = Case::new(t, 0);
            let whole_id = case.floats(Tokens, &whole);
            let parts = [0, 1, 2].map(|i| (case.output(Tokens, width), columns(i)));
            let joined = case.output(Tokens, 3 * width);
            case.push(SplitColumns { whole: whole_id, parts: parts.to_vec() });
            case.push(JoinColumns { whole: joined, parts: parts.to_vec() });
            let mut ran = run(case);
            let name = format!("{t} rows of {heads} times {dim}, {:?}", columns(1));
            for (i, (part, _)) in parts.into_iter().enumerate() {
                let row = |row: &[f32]| (0..width).map(|column| row[place(i, column)]).collect::<Vec<_>>();
                let expected: Vec<f32> = whole.chunks_exact(3 * width).flat_map(row).collect();
                table.same_bits(&format!("{name}: part {i}"), &ran.read(part), &expected);
            }
            table.same_bits(&format!("{name}: joined"), &ran.read(joined), &whole);
        }
    }
    table.finish();
}

#[test]
fn gated_units_and_their_gradients() {
    let (mut table, mut random) = (Table::default(), Random::new(2));
    for (activation, (t, n)) in [Silu, GeluTanh].into_iter().flat_map(|a| shapes().map(move |shape| (a, shape))) {
        // Gates from −90 to 90, where the exponential saturates, among ordinary ones.
        let gate: Vec<f32> =
            random.floats(t * n).iter().map(|g| g * if random.below(8) == 0 { 90.0 } else { 4.0 }).collect();
        let (up, dout) = (random.floats(t * n), random.floats(t * n));
        let mut case = Case::new(t, 0);
        let [gate_id, up_id, dout_id] = [&gate, &up, &dout].map(|values| case.floats(Tokens, values));
        let [out, dgate, dup] = [(); 3].map(|()| case.output(Tokens, n));
        case.push(Glu { activation, gate: gate_id, up: Some(up_id), out });
        case.push(GluBackward { activation, gate: gate_id, up: Some([up_id, dup]), dout: dout_id, dgate });
        let [alone, dalone] = [(); 2].map(|()| case.output(Tokens, n));
        case.push(Glu { activation, gate: gate_id, up: None, out: alone });
        case.push(GluBackward { activation, gate: gate_id, up: None, dout: dout_id, dgate: dalone });
        let mut ran = run(case);
        let name = format!("{activation:?}, {t} rows of {n}");
        let (wide_gate, wide_up) = (wide(&gate), wide(&up));
        table.close(
            &format!("{name}, forward"),
            &ran.read(out),
            &reference::glu(activation, &wide_gate, &wide_up),
            TOLERANCE,
        );
        let cost = 20 * t * n;
        let loss = |gate: &[f64], up: &[f64]| dot(&reference::glu(activation, gate, up), &dout);
        table.gradient(&format!("{name}, dgate"), |gate| loss(gate, &wide_up), &gate, cost, &ran.read(dgate));
        let ungated = |gate: &[f64]| reference::glu(activation, gate, &vec![1.0; gate.len()]);
        table.close(&format!("{name}, alone"), &ran.read(alone), &ungated(&wide_gate), TOLERANCE);
        let dalone = ran.read(dalone);
        table.gradient(&format!("{name}, dgate alone"), |gate| dot(&ungated(gate), &dout), &gate, cost, &dalone);
        table.gradient(&format!("{name}, dup"), |up| loss(&wide_gate, up), &up, cost, &ran.read(dup));
    }
    table.finish();
}

#[test]
fn soft_caps() {
    let (mut table, mut random) = (Table::default(), Random::new(8));
    for (t, n) in shapes() {
        for cap in [0.5, 30.0] {
            // From values that a cap hardly changes to those that it is reached by.
            let x: Vec<f32> =
                random.floats(t * n).iter().map(|x| x * if random.below(4) == 0 { 400.0 } else { 2.0 }).collect();
            let mut case = Case::new(t, 0);
            let capped = case.updated(Tokens, &x);
            case.push(SoftCap { x: capped, cap });
            let expected: Vec<f64> = wide(&x).into_iter().map(|x| reference::soft_cap(x, Some(cap))).collect();
            table.close(&format!("{t} rows of {n} within {cap}"), &run(case).read(capped), &expected, TOLERANCE);
        }
    }
    table.finish();
}

#[test]
fn rope_rotates_and_rotates_back() {
    let (mut table, mut random) = (Table::default(), Random::new(3));
    // Heads, values of a head, and how many of them turn.
    let shapes = [(1, 8, 8), (3, 64, 64), (9, 2, 2), (2, 66, 66), (3, 20, 12), (2, 96, 2)];
    for (t, (heads, dim, turning)) in SIZES.into_iter().flat_map(|t| shapes.map(|shape| (t, shape))) {
        let half = turning / 2;
        let frequencies: Vec<f32> = (0..half).map(|j| 10_000f32.powf(-2.0 * j as f32 / turning as f32)).collect();
        let positions: Vec<u32> = (0..t).map(|_| random.below(2000) as u32).collect();
        let x = random.floats(t * heads * dim);
        let mut case = Case::new(t, 0);
        let values = case.vector(&RopeTable::new(&frequencies, 2000).values);
        let positions_id = case.indices(Tokens, &positions);
        let (there, back) = (case.updated(Tokens, &x), case.updated(Tokens, &x));
        for (x, inverse) in [(there, false), (back, true)] {
            case.push(Rope { x, positions: positions_id, table: values, head_dim: dim, rotated: turning, inverse });
        }
        let mut ran = run(case);
        let rotated = |sign: f64| {
            let mut out = Vec::new();
            for (row, &position) in x.chunks_exact(heads * dim).zip(&positions) {
                for head in row.chunks_exact(dim) {
                    // j pairs with j + d/2; the angle is a product in f32.
                    out.extend((0..turning).map(|j| {
                        let angle = f64::from(position as f32 * frequencies[j % half]);
                        let own = f64::from(head[j]) * angle.cos();
                        let other = f64::from(head[(j + half) % turning]) * sign * angle.sin();
                        if j < half { own - other } else { own + other }
                    }));
                    out.extend(wide(&head[turning..]));
                }
            }
            out
        };
        let name = format!("{t} rows of {heads} × {turning} of {dim}");
        table.close(&format!("{name}, forward"), &ran.read(there), &rotated(1.0), TOLERANCE);
        table.close(&format!("{name}, inverse"), &ran.read(back), &rotated(-1.0), TOLERANCE);
    }
    table.finish();
}

#[test]
fn dropout_drops_its_share_and_the_gradient_sees_the_same_mask() {
    let (mut table, mut random) = (Table::default(), Random::new(4));
    for rate in [0.0f32, 0.05, 0.5, 0.9] {
        for (t, n) in shapes() {
            // No value is zero, so that a zero means dropped.
            let x: Vec<f32> = random.floats(t * n).iter().map(|v| v + 2.0).collect();
            let before = random.floats(t * n);
            let mut case = Case::new(t, 0);
            case.scalars.dropout_seed = 7 + t as u32;
            let x_id = case.floats(Tokens, &x);
            let (out, other, sum) = (case.output(Tokens, n), case.output(Tokens, n), case.updated(Tokens, &before));
            case.push(Dropout { x: x_id, out, rate, module: 3, add: false });
            case.push(Dropout { x: x_id, out: other, rate, module: 4, add: false });
            case.push(Dropout { x: x_id, out: sum, rate, module: 3, add: true });
            let mut ran = run(case);
            let name = format!("rate {rate}, {t} rows of {n}");
            let out = ran.read(out);
            let kept = f64::from(1.0 / (1.0 - rate));
            let expected = |out: &[f32]| -> Vec<f64> {
                let value = |(o, x): (&f32, &f32)| if *o == 0.0 { 0.0 } else { kept * f64::from(*x) };
                out.iter().zip(&x).map(value).collect()
            };
            table.close(&name, &out, &expected(&out), TOLERANCE);
            let added: Vec<f64> = expected(&out).iter().zip(&before).map(|(o, b)| o + f64::from(*b)).collect();
            table.close(&format!("{name}, the same mask added"), &ran.read(sum), &added, TOLERANCE);
            let dropped = out.iter().filter(|v| **v == 0.0).count() as f64;
            let (mean, variance) = ((t * n) as f64 * f64::from(rate), (t * n) as f64 * f64::from(rate * (1.0 - rate)));
            table.expect((dropped - mean).abs() <= 4.5 * variance.sqrt() + 0.5, || {
                format!("{name}: {dropped} dropped, {mean} expected")
            });
            let other = ran.read(other);
            let both = out.iter().zip(&other).filter(|(a, b)| **a == 0.0 && **b == 0.0).count() as f64;
            let share = f64::from(rate * rate);
            let deviation = ((t * n) as f64 * share * (1.0 - share)).sqrt();
            table.expect((both - (t * n) as f64 * share).abs() <= 4.5 * deviation + 0.5, || {
                format!("{name}: {both} dropped by both of two modules")
            });
        }
    }
    table.finish();
}

#[test]
fn embed_reads_rows_of_every_encoding() {
    let (mut table, mut random) = (Table::default(), Random::new(5));
    for encoding in all() {
        for (t, vocabulary) in [(1, 1), (8, 33), (31, 65), (65, 8), (33, 1757)] {
            for groups in GROUPS {
                let cols = groups * group_of(encoding);
                let known = Known::random(&mut random, encoding, vocabulary, cols);
                let ids: Vec<u32> = (0..t).map(|_| random.below(vocabulary) as u32).collect();
                let expected: Vec<f32> =
                    ids.iter().flat_map(|&id| known.values[id as usize * cols..][..cols].to_vec()).collect();
                let mut case = Case::new(t, 0);
                let (matrix, ids) = (case.matrix(known.matrix), case.indices(Tokens, &ids));
                let (out, scaled) = (case.output(Tokens, cols), case.output(Tokens, cols));
                case.push(Embed { table: matrix, ids, out, scale: 1.0, add: false });
                case.push(Embed { table: matrix, ids, out: scaled, scale: 23.5, add: false });
                case.push(Embed { table: matrix, ids, out: scaled, scale: 2.0, add: true });
                let name = format!("{encoding:?}, {t} of {vocabulary} rows of {cols}");
                let mut ran = run(case);
                table.same_bits(&name, &ran.read(out), &expected);
                let expected: Vec<f32> = expected.iter().map(|value| 23.5 * value + 2.0 * value).collect();
                table.same_bits(&format!("{name}, scaled and added"), &ran.read(scaled), &expected);
            }
        }
    }
    table.finish();
}

#[test]
fn rows_are_gathered_and_scattered() {
    let (mut table, mut random) = (Table::default(), Random::new(6));
    for (t, n) in shapes() {
        for selected in [1, t.div_ceil(2), t] {
            let (src, cache) = (random.floats(t * n), random.floats(t * n));
            let index = &random.permutation(t)[..selected];
            let mut case = Case::new(t, selected);
            let (src_id, index_id) = (case.floats(Tokens, &src), case.indices(Selected, index));
            let (picked, spread, kept) = (case.output(Selected, n), case.output(Tokens, n), case.state(t, &cache));
            case.push(GatherRows { src: src_id, index: index_id, out: picked });
            case.push(ScatterRows { src: picked, index: index_id, out: spread, keep: false });
            case.push(ScatterRows { src: picked, index: index_id, out: kept, keep: true });
            let mut ran = run(case);
            let rows = |otherwise: &[f32]| -> Vec<f32> {
                let row =
                    |i: usize| if index.contains(&(i as u32)) { &src[i * n..][..n] } else { &otherwise[i * n..][..n] };
                (0..t).flat_map(|i| row(i).to_vec()).collect()
            };
            let expected: Vec<f32> = index.iter().flat_map(|&i| src[i as usize * n..][..n].to_vec()).collect();
            let name = format!("{selected} of {t} rows of {n}");
            table.same_bits(&format!("{name}, gathered"), &ran.read(picked), &expected);
            table.same_bits(&format!("{name}, scattered"), &ran.read(spread), &rows(&vec![0.0; t * n]));
            table.same_bits(&format!("{name}, scattered into a cache"), &ran.read(kept), &rows(&cache));
        }
    }
    table.finish();
}

#[test]
fn embed_reads_interleaved_rows() {
    let (mut table, mut random) = (Table::default(), Random::new(7));
    for encoding in all() {
        let cols = 2 * group_of(encoding);
        let known = Known::random(&mut random, encoding, 48, cols).interleaved(16);
        let mut case = Case::new(48, 0);
        let (matrix, ids) = (case.matrix(known.matrix), case.indices(Tokens, &(0..48).collect::<Vec<_>>()));
        let out = case.output(Tokens, cols);
        case.push(Embed { table: matrix, ids, out, scale: 1.0, add: false });
        table.same_bits(&format!("{encoding:?}"), &run(case).read(out), &known.values);
    }
    table.finish();
}
