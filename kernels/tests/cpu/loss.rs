//! Cross-entropy over selected tokens, in chunks of rows.

use idiolect_kernels::matrix::{BlockType, Encoding, FloatType};
use idiolect_kernels::ops::{CrossEntropy, LossGradient};
use idiolect_kernels::program::Rows::{Fixed, Selected};

use crate::common::case::Case;
use crate::common::encodings::Known;
use crate::common::random::Random;
use crate::common::table::{SIZES, Table};
use crate::reference::{self, times_transposed, wide};
use crate::run;

const TOLERANCE: f64 = 5e-6;
const WEIGHT: f32 = 0.37;
const TOTAL: f32 = 2.5;

/// Losses, gradient and total of one run; without `train` the losses alone.
fn cross_entropy(
    known: &Known,
    x: &[f32],
    targets: &[u32],
    cap: Option<f32>,
    chunk: usize,
    train: bool,
) -> [Vec<f32>; 3] {
    let (s, width, vocabulary) = (targets.len(), known.matrix.cols(), known.matrix.rows());
    let mut case = Case::new(1, s);
    case.scalars.loss_weight = WEIGHT;
    let head = case.matrix(known.matrix.clone());
    let (x, targets) = (case.floats(Selected, x), case.indices(Selected, targets));
    let (losses, dx) = (case.output(Selected, 1), case.output(Selected, width));
    let (logits, total) = (case.scratch(Fixed(chunk), vocabulary), case.state(1, &[TOTAL]));
    let gradient = train.then_some(LossGradient { dx, total });
    case.push(CrossEntropy { x, head, targets, losses, logits, cap, gradient });
    let mut ran = run(case);
    [ran.read(losses), if train { ran.read(dx) } else { Vec::new() }, ran.read(total)]
}

#[test]
fn cross_entropy_and_its_gradient_whatever_the_chunk() {
    let (mut table, mut random) = (Table::default(), Random::new(51));
    let encodings = [
        Encoding::Float(FloatType::F32),
        Encoding::Block(BlockType::Q8_0),
        Encoding::Affine { bits: 4, group: 32, scales: FloatType::BF16 },
    ];
    for (encoding, cap) in encodings.into_iter().flat_map(|encoding| [(encoding, None), (encoding, Some(1.5))]) {
        for (s, vocabulary) in SIZES.into_iter().flat_map(|s| SIZES.map(|v| (s, v))).filter(|(s, v)| s * v <= 130_000) {
            let width = if matches!(encoding, Encoding::Float(_)) { 33 } else { 32 };
            let known = Known::random(&mut random, encoding, vocabulary, width);
            let x = random.floats(s * width);
            let targets: Vec<u32> = (0..s).map(|_| random.below(vocabulary) as u32).collect();
            let name = format!("{encoding:?}, {s} rows, vocabulary {vocabulary}, cap {cap:?}");
            let [losses, dx, total] = cross_entropy(&known, &x, &targets, cap, s, true);

            let w = wide(&known.values);
            let capped = |z: f64| reference::soft_cap(z, cap);
            let logits = |x: &[f64]| times_transposed(x, &w, width).into_iter().map(capped).collect::<Vec<_>>();
            let forward = |x: &[f64]| reference::cross_entropy(&logits(x), &targets);
            let expected = forward(&wide(&x));
            let sum = f64::from(WEIGHT) * expected.iter().sum::<f64>();
            // A vocabulary of one word has no loss: compare with the size of the logits it comes from.
            if vocabulary > 1 {
                table.close(&format!("{name}: losses"), &losses, &expected, TOLERANCE);
                let loss = |x: &[f64]| f64::from(WEIGHT) * forward(x).iter().sum::<f64>();
                table.gradient(&format!("{name}: dx"), loss, &x, s * vocabulary * (2 * width + 20), &dx);
            } else {
                table.expect(losses.iter().chain(&dx).all(|v| v.abs() < 1e-5), || format!("{name}: {losses:?}"));
            }
            table.close(&format!("{name}: total"), &total, &[f64::from(TOTAL) + sum], TOLERANCE);

            for chunk in [1, 2, 7, 16, 32, 33, s + 1] {
                let [other, other_dx, other_total] = cross_entropy(&known, &x, &targets, cap, chunk, true);
                table.same_bits(&format!("{name}: losses in chunks of {chunk}"), &other, &losses);
                table.same_bits(&format!("{name}: dx in chunks of {chunk}"), &other_dx, &dx);
                table.same_bits(&format!("{name}: total in chunks of {chunk}"), &other_total, &total);
            }
            let [alone, _, untouched] = cross_entropy(&known, &x, &targets, cap, 16, false);
            table.same_bits(&format!("{name}: losses without a gradient"), &alone, &losses);
            table.same_bits(&format!("{name}: total without a gradient"), &untouched, &[TOTAL]);
        }
    }
    table.finish();
}
