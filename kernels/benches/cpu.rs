//! Times the CPU executor's operations at the shapes of SmolLM2-135M, beside what plain `matrixmultiply` reaches on
//! the same products in the same run.
//!
//! `cargo bench -p idiolect-kernels --bench cpu -- [THREADS] [FILTER]`; the best of many runs counts.

#[expect(dead_code, reason = "the tests need more of it")]
#[path = "../tests/common/mod.rs"]
mod common;

use std::time::{Duration, Instant};

use idiolect_kernels::cpu::CpuExecutor;
use idiolect_kernels::matrix::{BlockType, Encoding, FloatType};
use idiolect_kernels::ops::{
    Activation::Silu, AdamW, Attention, AttentionBackward, CrossEntropy, Glu, GluBackward, Heads, Linear,
    LinearBackward, LoraBackward, LoraDown, LoraTerm, LossGradient, Packing, RmsNorm, RmsNormBackward, TopLogits,
};
use idiolect_kernels::program::Rows::{Fixed, Selected, Tokens};
use ndarray::linalg::general_mat_mul;
use ndarray::parallel::prelude::*;
use ndarray::{Array2, Axis};

use common::case::Case;
use common::encodings::stored;
use common::random::Random;

const ENCODINGS: [(&str, Encoding); 4] = [
    ("Q4_1", Encoding::Block(BlockType::Q4_1)),
    ("Q8_0", Encoding::Block(BlockType::Q8_0)),
    ("affine 4", Encoding::Affine { bits: 4, group: 64, scales: FloatType::F16 }),
    ("F32", Encoding::Float(FloatType::F32)),
];
const HIDDEN: usize = 576;
const INNER: usize = 1536;
const VOCABULARY: usize = 49_152;
/// Widths in and out of the linear layers.
const LAYERS: [(usize, usize); 4] = [(HIDDEN, HIDDEN), (HIDDEN, 192), (HIDDEN, INNER), (INNER, HIDDEN)];
const RANK: usize = 8;
const HEADS: Heads = Heads { query: 9, key_value: 3, dim: 64, scale: 0.125, cap: None, alibi: false };
const ADAPTER: usize = 2_442_240;

struct Bench {
    threads: usize,
    filter: String,
    pool: rayon::ThreadPool,
}

/// Seconds of the fastest of many runs. Of one thread, where the system says so, its time on a core: a busy machine
/// then hardly disturbs.
fn best(threads: usize, mut run: impl FnMut()) -> f64 {
    run();
    let start = Instant::now();
    run();
    let runs = if threads == 1 { (0.02 / start.elapsed().as_secs_f64()).ceil() as usize } else { 1 };
    let (begin, mut best) = (Instant::now(), f64::INFINITY);
    for round in 0.. {
        let (start, busy) = (Instant::now(), time_on_cores());
        (0..runs).for_each(|_| run());
        let elapsed = start.elapsed().as_secs_f64();
        let busy = time_on_cores().zip(busy).map(|(after, before)| after - before).filter(|_| threads == 1);
        best = busy.unwrap_or(elapsed).min(best);
        if round >= 8 && begin.elapsed() > Duration::from_millis(400) {
            break;
        }
    }
    best / runs as f64
}

/// Seconds that all threads of this process spent on a core.
fn time_on_cores() -> Option<f64> {
    let tasks = std::fs::read_dir("/proc/self/task").ok()?;
    let nanoseconds = |task: std::fs::DirEntry| -> Option<f64> {
        std::fs::read_to_string(task.path().join("schedstat")).ok()?.split(' ').next()?.parse().ok()
    };
    Some(tasks.flatten().filter_map(nanoseconds).sum::<f64>() / 1e9)
}

impl Bench {
    /// Times a case; `flops` and `bytes` of one run, `plain` GFLOP/s of the same product by the GEMM alone.
    fn time(&self, name: &str, flops: f64, bytes: f64, plain: Option<f64>, case: impl FnOnce() -> Case) {
        if !name.contains(&self.filter) {
            return;
        }
        let mut ran = case().load(|weights| Box::new(CpuExecutor::new(weights, self.threads).unwrap()));
        let seconds = best(self.threads, || ran.run());
        let plain = plain.map_or(String::new(), |g| format!("{:4.0} % of {g:.0}", flops / seconds / 1e7 / g));
        println!(
            "{name:44} {:9.1} µs {:7.1} GFLOP/s {:6.1} GB/s {plain}",
            seconds * 1e6,
            flops / seconds / 1e9,
            bytes / seconds / 1e9
        );
    }

    /// GFLOP/s of `x·Wᵀ` with f32 operands, columns shared out to the threads.
    fn plain(&self, t: usize, cols: usize, rows: usize) -> f64 {
        let (x, w) = (Array2::<f32>::from_elem((t, cols), 0.5), Array2::<f32>::from_elem((rows, cols), 0.25));
        let mut y = Array2::<f32>::zeros((t, rows));
        let width = rows.div_ceil(self.threads).min(384);
        let seconds = best(self.threads, || {
            self.pool.install(|| {
                let tasks = y.axis_chunks_iter_mut(Axis(1), width).into_par_iter();
                tasks
                    .zip(w.axis_chunks_iter(Axis(0), width))
                    .for_each(|(mut y, w)| general_mat_mul(1.0, &x, &w.t(), 0.0, &mut y));
            });
        });
        2.0 * (t * cols * rows) as f64 / seconds / 1e9
    }

    fn products(&self, random: &mut Random) {
        for (cols, rows) in LAYERS.into_iter().chain([(HIDDEN, VOCABULARY)]) {
            for t in [256, 64, 16, 1] {
                if t > 16 && rows == VOCABULARY {
                    continue;
                }
                let flops = 2.0 * (t * cols * rows) as f64;
                let wanted =
                    ["linear", "back"].iter().any(|n| format!("{n} {t} × {cols} → {rows}").contains(&self.filter));
                let plain = (wanted || self.filter.is_empty()).then(|| self.plain(t, cols, rows));
                for (encoding_name, encoding) in ENCODINGS {
                    let name = |what: &str| format!("{what} {t} × {cols} → {rows}, {encoding_name}");
                    let (linear, back) = (name("linear"), name("back"));
                    if !linear.contains(&self.filter) && !back.contains(&self.filter) {
                        continue;
                    }
                    let (matrix, _) = stored(random, encoding, rows, cols);
                    let bytes = matrix.bytes() as f64;
                    let (x, dy) = (random.floats(t * cols), random.floats(t * rows));
                    self.time(&linear, flops, bytes, plain, || {
                        let mut case = Case::new(t, 1);
                        let (weight, x) = (case.matrix(matrix.clone()), case.floats(Tokens, &x));
                        let out = case.output(Tokens, rows);
                        case.push(Linear { x, weight, bias: None, lora: None, residual: None, out });
                        case
                    });
                    if t > 1 {
                        self.time(&back, flops, bytes, plain, || {
                            let mut case = Case::new(t, 1);
                            let (weight, dy) = (case.matrix(matrix.clone()), case.floats(Tokens, &dy));
                            let dx = case.output(Tokens, cols);
                            case.push(LinearBackward { dy, weight, lora: None, dx, add: false });
                            case
                        });
                    }
                }
            }
        }
    }

    /// What a matrix's rows are read for: as floats, and multiplied with a vector.
    fn stored_rows(&self, random: &mut Random) {
        const ROWS: usize = 1024;
        for (encoding_name, encoding) in ENCODINGS {
            let (matrix, _) = stored(random, encoding, ROWS, HIDDEN);
            let (x, mut out) = (random.floats(HIDDEN), vec![0.0; ROWS.max(8 * HIDDEN)]);
            let mut time = |what: &str, run: &mut dyn FnMut(&mut [f32])| {
                let name = format!("{what} {ROWS} × {HIDDEN}, {encoding_name}");
                if name.contains(&self.filter) {
                    let seconds = best(1, || run(&mut out));
                    let rate = (ROWS * HIDDEN) as f64 / seconds / 1e9;
                    println!("{name:44} {:9.1} µs {rate:7.1} billion values/s", seconds * 1e6);
                }
            };
            time("decode", &mut |out| {
                let out = &mut out[..8 * HIDDEN];
                (0..ROWS).step_by(8).for_each(|row| matrix.dequantize(row..row + 8, 0..HIDDEN, out));
            });
            let sums = matrix.column_sums(&x);
            time("dot", &mut |out| matrix.dot_rows(0..ROWS, &x, &sums, &mut out[..ROWS]));
        }
    }

    /// A linear layer with its adapter there and back, and the adapter's own operations.
    fn lora(&self, random: &mut Random) {
        for ((cols, rows), t) in LAYERS.into_iter().flat_map(|layer| [256, 1].map(|t| (layer, t))) {
            let (matrix, _) = stored(random, ENCODINGS[0].1, rows, cols);
            let (x, dy, params) =
                (random.floats(t * cols), random.floats(t * rows), random.floats(RANK * (cols + rows)));
            let (a, b) = (0, RANK * cols);
            let build = |push: &dyn Fn(&mut Case, [idiolect_kernels::program::BufferId; 7])| {
                let mut case = Case::new(t, 1);
                let weight = case.matrix(matrix.clone());
                assert_eq!(weight.0, 0);
                let (x, dy) = (case.floats(Tokens, &x), case.floats(Tokens, &dy));
                let (params, grads) = (case.state(1, &params), case.state(1, &vec![0.0; RANK * (cols + rows)]));
                let low = case.updated(Tokens, &vec![0.5; t * RANK]);
                let (out, dx) = (case.output(Tokens, rows), case.output(Tokens, cols));
                push(&mut case, [x, dy, params, grads, low, out, dx]);
                case
            };
            let weight = idiolect_kernels::program::MatrixId(0);
            let name = |what: &str| format!("{what} {t} × {cols} → {rows}");
            let narrow = 2.0 * (t * RANK) as f64;
            let bytes = 4.0 * t as f64;
            self.time(&name("lora_down"), narrow * cols as f64, bytes * cols as f64, None, || {
                build(&|case, [x, _, params, _, low, ..]| case.push(LoraDown { x, params, a, low }))
            });
            let wide = (cols + 2 * rows) as f64;
            self.time(&name("lora_backward"), narrow * wide, bytes * (cols + rows) as f64, None, || {
                build(&|case, [x, dy, params, grads, low, ..]| {
                    let dlow = case.output(Tokens, RANK);
                    case.push(LoraBackward { x, dy, low, dlow, params, grads, a, b, scale: 2.0 });
                })
            });
            let flops = 2.0 * (t * cols * rows) as f64;
            self.time(&name("linear with lora"), flops + narrow * rows as f64, 0.0, None, || {
                build(&|case, [x, _, params, _, low, out, _]| {
                    let lora = Some(LoraTerm { low, params, offset: b, scale: 2.0 });
                    case.push(Linear { x, weight, bias: None, lora, residual: None, out });
                })
            });
            self.time(&name("linear without lora"), flops, 0.0, None, || {
                build(&|case, [x, _, _, _, _, out, _]| {
                    case.push(Linear { x, weight, bias: None, lora: None, residual: None, out })
                })
            });
            self.time(&name("back with lora"), flops + narrow * cols as f64, 0.0, None, || {
                build(&|case, [_, dy, params, _, low, _, dx]| {
                    let lora = Some(LoraTerm { low, params, offset: a, scale: 1.0 });
                    case.push(LinearBackward { dy, weight, lora, dx, add: false });
                })
            });
        }
    }

    fn attention(&self, random: &mut Random) {
        let t = 256;
        let (q_width, kv_width) = (HEADS.query * HEADS.dim, HEADS.key_value * HEADS.dim);
        let (q, k, v) = (random.floats(t * q_width), random.floats(t * kv_width), random.floats(t * kv_width));
        for lengths in [vec![256], vec![16; 16]] {
            let packing = Packing::samples(&lengths);
            let pairs: usize = packing.spans.chunks_exact(2).map(|s| (s[1] + 1 - s[0]) as usize).sum();
            let product = 2.0 * (pairs * q_width) as f64;
            let build = |backward: bool| {
                let mut case = Case::new(t, 1);
                let (q, dout) = (case.floats(Tokens, &q), case.floats(Tokens, &q));
                let (k, v) = (case.floats(Tokens, &k), case.floats(Tokens, &v));
                let (spans, reach) = (case.indices(Tokens, &packing.spans), case.indices(Tokens, &packing.reach));
                // What one way writes, the other reads.
                let mut made = |width: usize, value: f32| match backward {
                    true => case.floats(Tokens, &vec![value; t * width]),
                    false => case.output(Tokens, width),
                };
                let (out, lse) = (made(q_width, 0.1), made(HEADS.query, 6.0));
                let (dq, delta) = (case.output(Tokens, q_width), case.output(Tokens, HEADS.query));
                let (dk, dv) = (case.output(Tokens, kv_width), case.output(Tokens, kv_width));
                if backward {
                    let heads = HEADS;
                    case.push(AttentionBackward { q, k, v, out, lse, dout, spans, reach, delta, dq, dk, dv, heads });
                } else {
                    case.push(Attention { q, k, v, spans, out, lse, heads: HEADS });
                }
                case
            };
            let name = |what: &str| format!("{what} {} × {}", lengths.len(), lengths[0]);
            self.time(&name("attention"), 2.0 * product, 0.0, None, || build(false));
            self.time(&name("attention_backward"), 5.0 * product, 0.0, None, || build(true));
        }
    }

    /// Attention of one token, in as many caches as a model has layers: no core's cache holds them all.
    fn attention_of_one(&self, random: &mut Random) {
        const CACHES: usize = 30;
        let (q_width, kv_width) = (HEADS.query * HEADS.dim, HEADS.key_value * HEADS.dim);
        for keys in [8, 128, 1800] {
            let flops = 4.0 * (CACHES * keys * q_width) as f64;
            let bytes = 8.0 * (CACHES * keys * kv_width) as f64;
            self.time(&format!("attention of one token, {keys} keys, {CACHES} layers"), flops, bytes, None, || {
                let mut case = Case::new(1, 1);
                let q = case.floats(Tokens, &random.floats(q_width));
                let spans = case.indices(Tokens, &Packing::continuation(keys - 1, 1).spans);
                let (out, lse) = (case.output(Tokens, q_width), case.output(Tokens, HEADS.query));
                for _ in 0..CACHES {
                    let [k, v] = [(); 2].map(|()| case.state(keys, &random.floats(keys * kv_width)));
                    case.push(Attention { q, k, v, spans, out, lse, heads: HEADS });
                }
                case
            });
        }
    }

    fn top_logits(&self, random: &mut Random) {
        let work = 20.0 * VOCABULARY as f64;
        self.time("top_logits", work, 4.0 * VOCABULARY as f64, None, || {
            let mut case = Case::new(1, 1);
            let (logits, out) = (case.floats(Tokens, &random.floats(VOCABULARY)), case.output(Tokens, 129));
            case.push(TopLogits { logits, out });
            case
        });
    }

    fn rows(&self, random: &mut Random) {
        let t = 256;
        let (x, wide) = (random.floats(t * HIDDEN), random.floats(t * INNER));
        let values = |n: usize| (t * n) as f64;
        self.time("rms_norm 256 × 576", 4.0 * values(HIDDEN), 8.0 * values(HIDDEN), None, || {
            let mut case = Case::new(t, 1);
            let (x, gain) = (case.floats(Tokens, &x), case.vector(&x[..HIDDEN]));
            let out = case.output(Tokens, HIDDEN);
            case.push(RmsNorm { x, gain, residual: None, out, epsilon: 1e-5 });
            case
        });
        self.time("rms_norm_backward 256 × 576", 10.0 * values(HIDDEN), 12.0 * values(HIDDEN), None, || {
            let mut case = Case::new(t, 1);
            let (dy, gain) = (case.floats(Tokens, &x), case.vector(&x[..HIDDEN]));
            let (x, dx) = (case.floats(Tokens, &x), case.output(Tokens, HIDDEN));
            case.push(RmsNormBackward { x, gain, dy, dx, add: false, epsilon: 1e-5 });
            case
        });
        self.time("swiglu 256 × 1536", 20.0 * values(INNER), 12.0 * values(INNER), None, || {
            let mut case = Case::new(t, 1);
            let (gate, up) = (case.floats(Tokens, &wide), case.floats(Tokens, &wide));
            let out = case.output(Tokens, INNER);
            case.push(Glu { activation: Silu, gate, up: Some(up), out });
            case
        });
        self.time("swiglu_backward 256 × 1536", 25.0 * values(INNER), 20.0 * values(INNER), None, || {
            let mut case = Case::new(t, 1);
            let [gate, up, dout] = [(); 3].map(|()| case.floats(Tokens, &wide));
            let [dgate, dup] = [(); 2].map(|()| case.output(Tokens, INNER));
            case.push(GluBackward { activation: Silu, gate, up: Some([up, dup]), dout, dgate });
            case
        });
    }

    fn step(&self, random: &mut Random) {
        let s = 256;
        let products = 4.0 * (s * HIDDEN * VOCABULARY) as f64;
        for (encoding_name, encoding) in &ENCODINGS[..2] {
            for chunk in [16, 32, 64] {
                self.time(&format!("cross_entropy 256, chunk {chunk}, {encoding_name}"), products, 0.0, None, || {
                    let (matrix, _) = stored(random, *encoding, VOCABULARY, HIDDEN);
                    let mut case = Case::new(1, s);
                    let head = case.matrix(matrix);
                    let x = case.floats(Selected, &random.floats(s * HIDDEN));
                    let targets = case.indices(Selected, &vec![7; s]);
                    let (losses, dx) = (case.output(Selected, 1), case.output(Selected, HIDDEN));
                    let (logits, total) = (case.scratch(Fixed(chunk), VOCABULARY), case.state(1, &[0.0]));
                    let gradient = Some(LossGradient { dx, total });
                    case.push(CrossEntropy { x, head, targets, losses, logits, cap: None, gradient });
                    case
                });
            }
        }
        self.time("adamw 2.4 M", 15.0 * ADAPTER as f64, 28.0 * ADAPTER as f64, None, || {
            let mut case = Case::new(1, 1);
            let [params, grads, first_moment] = [(); 3].map(|()| case.state(1, &random.floats(ADAPTER)));
            let (second_moment, total) = (case.state(1, &vec![1.0; ADAPTER]), case.state(1, &[0.0]));
            let report = case.output(Fixed(1), 3);
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
                weight_decay: 0.0,
            });
            case
        });
    }
}

fn main() {
    let mut arguments = std::env::args().skip(1).filter(|a| a != "--bench");
    let threads = arguments.next().and_then(|n| n.parse().ok()).unwrap_or(2);
    let filter = arguments.next().unwrap_or_default();
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
    let bench = Bench { threads, filter, pool };
    let mut random = Random::new(1);
    println!("{threads} threads");
    bench.stored_rows(&mut random);
    bench.products(&mut random);
    bench.lora(&mut random);
    bench.attention(&mut random);
    bench.attention_of_one(&mut random);
    bench.top_logits(&mut random);
    bench.rows(&mut random);
    bench.step(&mut random);
}
