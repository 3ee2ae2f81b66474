//! Speed of the GPU's kernels on the shapes of SmolLM2-135M (width 576, hidden 1536, 9/3 heads of 64, 49,152 words), 4 bits
//! in groups of 64.
//!
//! `cargo bench -p idiolect-kernels --bench gpu -- [vulkan|gl|metal] [FILTER]`

use std::sync::Arc;
use std::time::Instant;

use idiolect_kernels::gpu::{Backend, GpuExecutor, Options};
use idiolect_kernels::matrix::FloatType;
use idiolect_kernels::ops::{
    Activation::Silu, Attention, AttentionBackward, CrossEntropy, Embed, Glu, Heads, Linear, LinearBackward,
    LoraBackward, LoraDown, LoraTerm, LossGradient, Packing, RmsNorm, TopLogits,
};
use idiolect_kernels::program::{MatrixId, Program, RowCounts, Rows, Run, Scalars, StateId, Weights};
use idiolect_kernels::{Executor, Matrix, Result};

const WIDTH: usize = 576;
const HIDDEN: usize = 1536;
const VOCABULARY: usize = 49_152;
const RANK: usize = 8;
const HEADS: Heads = Heads { query: 9, key_value: 3, dim: 64, scale: 0.125, cap: None, alibi: false };

/// A kernel's program, its inputs, and its floating-point operations a run.
struct Subject {
    name: String,
    program: Program,
    inputs: Vec<Vec<u32>>,
    flops: f64,
}

fn random_matrix(rows: usize, cols: usize) -> Matrix {
    let codes: Vec<u8> = (0..rows * cols / 2).map(|i| ((i * 7919) >> 3) as u8).collect();
    let floats = |value: f32| half::f16::from_f32(value).to_le_bytes().repeat(rows * cols / 64);
    Matrix::affine((rows, cols), 4, 64, FloatType::F16, codes.into(), floats(0.01).into(), floats(-0.08).into())
        .expect("a valid shape")
}

fn zeros(len: usize) -> Vec<u32> {
    vec![0x3c23_d70a; len] // 0.01
}

fn subject(name: &str, tokens: usize, flops: f64, build: impl FnOnce(&mut Program) -> Vec<Vec<u32>>) -> Subject {
    let mut program = Program::new("bench", RowCounts { tokens, selected: tokens });
    let inputs = build(&mut program);
    Subject { name: format!("{name}, {tokens} tokens"), program, inputs, flops }
}

fn linear(name: &str, weight: MatrixId, (rows, cols): (usize, usize), tokens: usize) -> Subject {
    subject(name, tokens, 2.0 * (tokens * rows * (cols + RANK)) as f64, |p| {
        let x = p.input("x", Rows::Tokens, cols);
        let low = p.input("low", Rows::Tokens, RANK);
        let params = p.state("params", StateId(0), 1, RANK * (rows + cols));
        let out = p.output("out", Rows::Tokens, rows);
        let lora = Some(LoraTerm { low, params, offset: RANK * cols, scale: 2.0 });
        p.push(Linear { x, weight, bias: None, lora, residual: None, out });
        vec![zeros(tokens * cols), zeros(tokens * RANK)]
    })
}

fn linear_backward(name: &str, weight: MatrixId, (rows, cols): (usize, usize), tokens: usize) -> Subject {
    subject(name, tokens, 2.0 * (tokens * rows * cols) as f64, |p| {
        let dy = p.input("dy", Rows::Tokens, rows);
        let dx = p.output("dx", Rows::Tokens, cols);
        p.push(LinearBackward { dy, weight, lora: None, dx, add: false });
        vec![zeros(tokens * rows)]
    })
}

fn lora(tokens: usize) -> Subject {
    let flops = (8 * tokens * RANK * HIDDEN) as f64;
    subject("LoRA down and gradients, [576, 1536]", tokens, flops, |p| {
        let x = p.input("x", Rows::Tokens, HIDDEN);
        let dy = p.input("dy", Rows::Tokens, WIDTH);
        let [params, grads] = [0, 1].map(|i| p.state("params", StateId(i), 1, RANK * (HIDDEN + WIDTH)));
        let low = p.output("low", Rows::Tokens, RANK);
        let dlow = p.output("dlow", Rows::Tokens, RANK);
        p.push(LoraDown { x, params, a: 0, low });
        p.push(LoraBackward { x, dy, low, dlow, params, grads, a: 0, b: RANK * HIDDEN, scale: 2.0 });
        vec![zeros(tokens * HIDDEN), zeros(tokens * WIDTH)]
    })
}

fn attention(tokens: usize, backward: bool) -> Subject {
    let name = if backward { "attention and its gradient" } else { "attention" };
    let flops = (tokens * tokens * HEADS.query * HEADS.dim * if backward { 7 } else { 2 }) as f64;
    subject(name, tokens, flops, |p| {
        let (wide, narrow) = (HEADS.query * HEADS.dim, HEADS.key_value * HEADS.dim);
        let [q, dout] = ["q", "dout"].map(|name| p.input(name, Rows::Tokens, wide));
        let [k, v] = ["k", "v"].map(|name| p.input(name, Rows::Tokens, narrow));
        let (spans, reach) = (p.input("spans", Rows::Tokens, 2), p.input("reach", Rows::Tokens, 1));
        let [out, dq] = ["out", "dq"].map(|name| p.output(name, Rows::Tokens, wide));
        let [dk, dv] = ["dk", "dv"].map(|name| p.output(name, Rows::Tokens, narrow));
        let [lse, delta] = ["lse", "delta"].map(|name| p.output(name, Rows::Tokens, HEADS.query));
        p.push(Attention { q, k, v, spans, out, lse, heads: HEADS });
        if backward {
            p.push(AttentionBackward { q, k, v, out, lse, dout, spans, reach, delta, dq, dk, dv, heads: HEADS });
        }
        let packing = Packing::samples(&[tokens]);
        let [wide, narrow] = [wide, narrow].map(|width| zeros(tokens * width));
        vec![wide.clone(), wide, narrow.clone(), narrow, packing.spans, packing.reach]
    })
}

fn attention_decode(past: usize) -> Subject {
    subject(&format!("attention over {past} cached"), 1, (4 * past * HEADS.query * HEADS.dim) as f64, |p| {
        let (wide, narrow) = (HEADS.query * HEADS.dim, HEADS.key_value * HEADS.dim);
        let q = p.input("q", Rows::Tokens, wide);
        let [k, v] = [0, 1].map(|i| p.state("cache", StateId(i), past, narrow));
        let spans = p.input("spans", Rows::Tokens, 2);
        let (out, lse) = (p.output("out", Rows::Tokens, wide), p.output("lse", Rows::Tokens, HEADS.query));
        p.push(Attention { q, k, v, spans, out, lse, heads: HEADS });
        vec![zeros(wide), vec![0, past as u32 - 1]]
    })
}

fn cross_entropy(head: MatrixId, tokens: usize, chunk: usize) -> Subject {
    subject("cross-entropy", tokens, (4 * tokens * WIDTH * VOCABULARY) as f64, |p| {
        let x = p.input("x", Rows::Selected, WIDTH);
        let targets = p.input("targets", Rows::Selected, 1);
        let losses = p.output("losses", Rows::Selected, 1);
        let logits = p.scratch("logits", Rows::Fixed(chunk), VOCABULARY);
        let gradient =
            Some(LossGradient { dx: p.output("dx", Rows::Selected, WIDTH), total: p.state("total", StateId(0), 1, 1) });
        p.push(CrossEntropy { x, head, targets, losses, logits, cap: None, gradient });
        vec![zeros(tokens * WIDTH), vec![5; tokens]]
    })
}

fn small(tokens: usize, table: MatrixId, weights: &mut Weights) -> Subject {
    let gain = weights.add_vector(vec![1.0; WIDTH]);
    subject("30 × (embed, norm, SwiGLU)", tokens, 0.0, |p| {
        let ids = p.input("ids", Rows::Tokens, 1);
        let [gate, up] = ["gate", "up"].map(|name| p.input(name, Rows::Tokens, HIDDEN));
        let [x, n] = ["x", "n"].map(|name| p.output(name, Rows::Tokens, WIDTH));
        let out = p.output("out", Rows::Tokens, HIDDEN);
        for _ in 0..30 {
            p.push(Embed { table, ids, out: x, scale: 1.0, add: false });
            p.push(RmsNorm { x, gain, residual: None, out: n, epsilon: 1e-5 });
            p.push(Glu { activation: Silu, gate, up: Some(up), out });
        }
        vec![vec![7; tokens], zeros(tokens * HIDDEN), zeros(tokens * HIDDEN)]
    })
}

fn top_logits(k: usize) -> Subject {
    subject(&format!("top {k} logits"), 1, 0.0, |p| {
        let logits = p.input("logits", Rows::Selected, VOCABULARY);
        let out = p.output("out", Rows::Selected, 2 * k + 1);
        p.push(TopLogits { logits, out });
        vec![zeros(VOCABULARY)]
    })
}

/// Milliseconds that this process's threads have computed, where the system tells: what a software adapter takes,
/// whatever else the machine does.
fn cpu_milliseconds() -> f64 {
    let Ok(threads) = std::fs::read_dir("/proc/self/task") else { return 0.0 };
    let nanoseconds = threads.flatten().filter_map(|thread| {
        let text = std::fs::read_to_string(thread.path().join("schedstat")).ok()?;
        text.split(' ').next()?.parse::<f64>().ok()
    });
    nanoseconds.sum::<f64>() / 1e6
}

/// Milliseconds of one run by the clock and by all processors, the medians of several.
fn time(gpu: &mut GpuExecutor, subject: Subject) -> Result<(f64, f64)> {
    gpu.reset();
    for _ in 0..2 {
        gpu.add_state("state", RANK * (WIDTH + VOCABULARY))?;
    }
    let marker = gpu.add_state("marker", 1)?;
    let rows = subject.program.capacity;
    let ids: Vec<_> = subject
        .program
        .buffers()
        .filter(|(_, b)| b.kind == idiolect_kernels::program::Kind::Input)
        .map(|(id, _)| id)
        .collect();
    let program = gpu.load(Arc::new(subject.program))?;
    let inputs = ids.into_iter().zip(subject.inputs.iter().map(Vec::as_slice)).collect();
    let run = Run { rows, inputs, scalars: Scalars::default() };
    let (mut times, mut cpu_times) = (Vec::new(), Vec::new());
    for _ in 0..9 {
        gpu.read_state(marker)?;
        let (began, cpu_began) = (Instant::now(), cpu_milliseconds());
        gpu.run(program, &run)?;
        gpu.read_state(marker)?;
        times.push(began.elapsed().as_secs_f64() * 1e3);
        cpu_times.push(cpu_milliseconds() - cpu_began);
    }
    let [median, cpu_median] = [times, cpu_times].map(|mut times| {
        times.sort_by(f64::total_cmp);
        times[times.len() / 2]
    });
    Ok((median, cpu_median))
}

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|a| a != "--bench").collect();
    let backend = match arguments.first().map(String::as_str) {
        Some("gl") => Backend::Gl,
        Some("metal") => Backend::Metal,
        _ => Backend::Vulkan,
    };
    let filter = arguments.get(1).map_or("", String::as_str);
    let mut weights = Weights::default();
    let shapes = [(WIDTH, WIDTH), (192, WIDTH), (HIDDEN, WIDTH), (WIDTH, HIDDEN), (VOCABULARY, WIDTH)];
    let matrices = shapes.map(|(rows, cols)| weights.add_matrix(random_matrix(rows, cols)));
    let mut subjects = Vec::new();
    for tokens in [1, 16, 64, 128] {
        for (shape, &weight) in shapes.into_iter().zip(&matrices) {
            let name = format!("[{}, {}]", shape.0, shape.1);
            if tokens < 128 || shape.0 < VOCABULARY {
                subjects.push(linear(&format!("linear {name}"), weight, shape, tokens));
            }
            if tokens > 1 && shape.0 < VOCABULARY {
                subjects.push(linear_backward(&format!("linear backward {name}"), weight, shape, tokens));
            }
        }
    }
    subjects.extend([lora(1), lora(128), attention(128, false), attention(128, true), attention(512, true)]);
    subjects.extend([attention_decode(128), attention_decode(1024), cross_entropy(matrices[4], 64, 32)]);
    subjects.extend([top_logits(1), top_logits(40), small(1, matrices[4], &mut weights)]);
    let options = Options { backend: Some(backend), software: true, ..Options::default() };
    let mut gpu = GpuExecutor::new(&weights, &options)?;
    println!("{}", gpu.device());
    for subject in subjects.into_iter().filter(|s| s.name.contains(filter)) {
        let (name, flops) = (subject.name.clone(), subject.flops);
        let (wall, cpu) = time(&mut gpu, subject)?;
        let speed = if flops > 0.0 { format!("{:8.2} GFLOP/s", flops / wall / 1e6) } else { String::new() };
        println!("{name:<50} {wall:9.3} ms, {cpu:9.3} ms of processors {speed}");
    }
    Ok(())
}
