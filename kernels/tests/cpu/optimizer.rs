//! AdamW against its formula, with clipping and with steps that must not be applied.

use idiolect_kernels::ops::AdamW;
use idiolect_kernels::program::Rows::Fixed;

use crate::common::case::Case;
use crate::common::random::Random;
use crate::common::table::{SIZES, Table};
use crate::run;

struct Before {
    params: Vec<f32>,
    grads: Vec<f32>,
    first: Vec<f32>,
    second: Vec<f32>,
    total: f32,
}

struct Settings {
    clip: f32,
    weight_decay: f32,
    learning_rate: f32,
    step: u32,
}

const BETA1: f32 = 0.9;
const BETA2: f32 = 0.999;
const EPSILON: f32 = 1e-8;

/// Parameters, m, v, gradients, total and report after one step.
fn step(before: &Before, settings: &Settings) -> [Vec<f32>; 6] {
    let mut case = Case::new(1, 1);
    case.scalars.learning_rate = settings.learning_rate;
    case.scalars.step = settings.step;
    let [params, grads, first_moment, second_moment] =
        [&before.params, &before.grads, &before.first, &before.second].map(|v| case.state(1, v));
    let (total, report) = (case.state(1, &[before.total]), case.output(Fixed(1), 3));
    case.push(AdamW {
        params,
        grads,
        first_moment,
        second_moment,
        total,
        report,
        clip: settings.clip,
        beta1: BETA1,
        beta2: BETA2,
        epsilon: EPSILON,
        weight_decay: settings.weight_decay,
    });
    let mut ran = run(case);
    [params, first_moment, second_moment, grads, total, report].map(|buffer| ran.read(buffer))
}

/// `torch.optim.AdamW` after `clip_grad_norm_`, as their documentation writes them: parameters, m, v, norm.
fn formula(before: &Before, settings: &Settings) -> ([Vec<f64>; 3], f64) {
    let (beta1, beta2, lr) = (f64::from(BETA1), f64::from(BETA2), f64::from(settings.learning_rate));
    let norm = before.grads.iter().map(|&g| f64::from(g).powi(2)).sum::<f64>().sqrt();
    let clip = f64::from(settings.clip);
    let factor = if clip > 0.0 { (clip / (norm + 1e-6)).min(1.0) } else { 1.0 };
    let mut after = [const { Vec::new() }; 3];
    for i in 0..before.params.len() {
        let g = f64::from(before.grads[i]) * factor;
        let p = f64::from(before.params[i]) * (1.0 - lr * f64::from(settings.weight_decay));
        let m = beta1 * f64::from(before.first[i]) + (1.0 - beta1) * g;
        let v = beta2 * f64::from(before.second[i]) + (1.0 - beta2) * g * g;
        let m_hat = m / (1.0 - beta1.powi(settings.step as i32));
        let v_hat = v / (1.0 - beta2.powi(settings.step as i32));
        after[0].push(p - lr * m_hat / (v_hat.sqrt() + f64::from(EPSILON)));
        after[1].push(m);
        after[2].push(v);
    }
    (after, norm)
}

fn before(random: &mut Random, n: usize) -> Before {
    Before {
        params: random.floats(n),
        grads: random.floats(n),
        first: random.floats(n),
        second: random.floats(n).iter().map(|v| v.abs()).collect(),
        total: 1.25,
    }
}

#[test]
fn adamw_follows_its_formula() {
    let (mut table, mut random) = (Table::default(), Random::new(61));
    for n in SIZES.into_iter().chain([4096, 4097, 20_000]) {
        for (clip, weight_decay, step_number) in
            [(0.0, 0.0, 1), (0.1, 0.0, 1), (1e6, 0.01, 2), (0.1, 0.1, 10), (1.0, 0.0, 100_000)]
        {
            let settings = Settings { clip, weight_decay, learning_rate: 2e-2, step: step_number };
            let before = before(&mut random, n);
            let [params, first, second, grads, total, report] = step(&before, &settings);
            let (expected, norm) = formula(&before, &settings);
            let name = format!("{n} parameters, clip {clip}, decay {weight_decay}, step {step_number}");
            for (what, got, expected) in
                [("p", params, &expected[0]), ("m", first, &expected[1]), ("v", second, &expected[2])]
            {
                table.close(&format!("{name}: {what}"), &got, expected, 1e-6);
            }
            table.close(&format!("{name}: report"), &report, &[1.25, norm, 1.0], 1e-6);
            table.expect(grads.iter().chain(&total).all(|&v| v == 0.0), || format!("{name}: gradients stay"));
        }
    }
    table.finish();
}

#[test]
fn a_step_that_is_not_finite_changes_nothing() {
    let (mut table, mut random) = (Table::default(), Random::new(62));
    let settings = Settings { clip: 1.0, weight_decay: 0.1, learning_rate: 2e-2, step: 3 };
    for n in [1, 33, 5000] {
        let bad = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY];
        for (in_loss, value) in [false, true].into_iter().flat_map(|l| bad.map(|v| (l, v))) {
            let mut before = before(&mut random, n);
            if in_loss {
                before.total = value
            } else {
                before.grads[n / 2] = value
            }
            let [params, first, second, grads, total, report] = step(&before, &settings);
            let name = format!("{n} parameters, {value} in {}", if in_loss { "the loss" } else { "a gradient" });
            for (what, got, expected) in
                [("p", params, &before.params), ("m", first, &before.first), ("v", second, &before.second)]
            {
                table.same_bits(&format!("{name}: {what}"), &got, expected);
            }
            table.expect(report[2] == 0.0, || format!("{name}: report {report:?}"));
            table.expect(grads.iter().chain(&total).all(|&v| v == 0.0), || format!("{name}: gradients stay"));
        }
    }
    table.finish();
}
