//! The formulas, written out in f64 with plain loops.

use idiolect_kernels::ops::{Activation, Heads};

pub fn wide(values: &[f32]) -> Vec<f64> {
    values.iter().map(|&v| f64::from(v)).collect()
}

/// `x·wᵀ`; x `[t, depth]`, w `[n, depth]`.
pub fn times_transposed(x: &[f64], w: &[f64], depth: usize) -> Vec<f64> {
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum();
    x.chunks_exact(depth).flat_map(|x| w.chunks_exact(depth).map(move |w| dot(x, w))).collect()
}

/// `y·w`; y `[t, depth]`, w `[depth, n]`.
pub fn times(y: &[f64], w: &[f64], depth: usize) -> Vec<f64> {
    let n = w.len() / depth;
    let mut out = vec![0.0; y.len() / depth * n];
    for (y, out) in y.chunks_exact(depth).zip(out.chunks_exact_mut(n)) {
        for (y, w) in y.iter().zip(w.chunks_exact(n)) {
            out.iter_mut().zip(w).for_each(|(o, w)| *o += y * w);
        }
    }
    out
}

/// What a row of `x` `[t, depth]` and `depth` values of `w` may come to when multiplied and summed (Cauchy, Schwarz).
pub fn most(x: &[f32], depth: usize, w: &[f32]) -> f64 {
    let norm = |row: &[f32]| row.iter().map(|&v| f64::from(v).powi(2)).sum::<f64>().sqrt();
    let largest = w.iter().fold(0.0f32, |a, &b| a.max(b.abs()));
    x.chunks_exact(depth).map(norm).fold(0.0, f64::max) * f64::from(largest) * (depth as f64).sqrt()
}

pub fn dot(a: &[f64], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(a, &b)| a * f64::from(b)).sum()
}

pub fn rms_norm(x: &[f64], gain: &[f32], epsilon: f64) -> Vec<f64> {
    let normalize = |x: &[f64]| {
        let r = 1.0 / (x.iter().map(|v| v * v).sum::<f64>() / x.len() as f64 + epsilon).sqrt();
        x.iter().zip(gain).map(|(v, &g)| v * r * f64::from(g)).collect::<Vec<_>>()
    };
    x.chunks_exact(gain.len()).flat_map(normalize).collect()
}

pub fn layer_norm(x: &[f64], gain: &[f32], bias: &[f32], epsilon: f64) -> Vec<f64> {
    let n = gain.len() as f64;
    let normalize = |x: &[f64]| {
        let mean = x.iter().sum::<f64>() / n;
        let r = 1.0 / (x.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / n + epsilon).sqrt();
        let scaled = x.iter().zip(gain).map(|(v, &g)| (v - mean) * r * f64::from(g));
        scaled.zip(bias).map(|(v, &b)| v + f64::from(b)).collect::<Vec<_>>()
    };
    x.chunks_exact(gain.len()).flat_map(normalize).collect()
}

pub fn glu(activation: Activation, gate: &[f64], up: &[f64]) -> Vec<f64> {
    let activate = |z: f64| match activation {
        Activation::Silu => z / (1.0 + (-z).exp()),
        Activation::GeluTanh => {
            0.5 * z * (1.0 + ((2.0 / std::f64::consts::PI).sqrt() * (z + 0.044715 * z.powi(3))).tanh())
        }
    };
    gate.iter().zip(up).map(|(&z, u)| activate(z) * u).collect()
}

/// `c·tanh(x/c)`.
pub fn soft_cap(x: f64, cap: Option<f32>) -> f64 {
    cap.map_or(x, |cap| f64::from(cap) * (x / f64::from(cap)).tanh())
}

/// Slopes by head, as their authors give them.
fn slope(head: usize, heads: Heads) -> f64 {
    if !heads.alibi {
        return 0.0;
    }
    let lower = (1..=heads.query).filter(|n| n.is_power_of_two()).max().unwrap() as f64;
    let of = |n: f64, i: f64| 2f64.powf(-8.0 * (i + 1.0) / n);
    let head = head as f64;
    if head < lower { of(lower, head) } else { of(2.0 * lower, 2.0 * (head - lower)) }
}

/// Output `[t, query·dim]` and log-sum-exp `[t, query]`.
pub fn attention(q: &[f64], k: &[f64], v: &[f64], spans: &[u32], heads: Heads) -> (Vec<f64>, Vec<f64>) {
    let (q_width, kv_width) = (heads.query * heads.dim, heads.key_value * heads.dim);
    let mut out = vec![0.0; q.len()];
    let mut lse = Vec::new();
    for (i, span) in spans.chunks_exact(2).enumerate() {
        for head in 0..heads.query {
            let shared = head * heads.key_value / heads.query * heads.dim;
            let q = &q[i * q_width + head * heads.dim..][..heads.dim];
            let row = |j: usize| j * kv_width + shared..j * kv_width + shared + heads.dim;
            let scores: Vec<f64> = (span[0] as usize..=span[1] as usize)
                .map(|j| f64::from(heads.scale) * q.iter().zip(&k[row(j)]).map(|(a, b)| a * b).sum::<f64>())
                .zip(span[0]..)
                .map(|(score, j)| soft_cap(score, heads.cap) - slope(head, heads) * f64::from(span[1] - j))
                .collect();
            let most = scores.iter().fold(f64::NEG_INFINITY, |a, &b| a.max(b));
            let log = scores.iter().map(|s| (s - most).exp()).sum::<f64>().ln() + most;
            lse.push(log);
            let out = &mut out[i * q_width + head * heads.dim..][..heads.dim];
            for (j, score) in (span[0] as usize..).zip(&scores) {
                out.iter_mut().zip(&v[row(j)]).for_each(|(o, v)| *o += (score - log).exp() * v);
            }
        }
    }
    (out, lse)
}

/// The loss of each row of logits, nats.
pub fn cross_entropy(logits: &[f64], targets: &[u32]) -> Vec<f64> {
    let rows = logits.chunks_exact(logits.len() / targets.len());
    rows.zip(targets)
        .map(|(z, &target)| {
            let most = z.iter().fold(f64::NEG_INFINITY, |a, &b| a.max(b));
            z.iter().map(|z| (z - most).exp()).sum::<f64>().ln() + most - z[target as usize]
        })
        .collect()
}
