//! Programs of one operation each, over shapes that it is not made for: every executor refuses them, in the same words.

use idiolect_kernels::matrix::{Encoding, FloatType};
use idiolect_kernels::ops::{
    Activation::Silu, AdamW, Attention, AttentionBackward, ColumnRuns, CrossEntropy, Dropout, Embed, GatherRows, Glu,
    GluBackward, Heads, JoinColumns, LayerNorm, LayerNormBackward, Linear, LinearBackward, LoraBackward, LoraDown,
    LoraInputGradient, LoraTerm, LossGradient, RmsNorm, RmsNormBackward, Rope, ScatterRows, SoftCap, SplitColumns,
    TopLogits,
};
use idiolect_kernels::program::{BufferId, MatrixId, Program, RowCounts, Rows, StateId, VectorId, Weights};
use idiolect_kernels::{Error, Executor, Job};

use super::encodings::Known;
use super::random::Random;

/// W `[OUT, IN]`, and vectors of these lengths.
const OUT: usize = 8;
const IN: usize = 12;
const WEIGHT: MatrixId = MatrixId(0);
const OF_OUT: VectorId = VectorId(0);
const OF_IN: VectorId = VectorId(1);
/// Values of the only state tensor.
const STATE: usize = 64;

/// The weights of all cases.
pub fn weights() -> Weights {
    let mut weights = Weights::default();
    weights.add_matrix(Known::random(&mut Random::new(1), Encoding::Float(FloatType::F32), OUT, IN).matrix);
    weights.add_vector(vec![1.0; OUT]);
    weights.add_vector(vec![1.0; IN]);
    weights
}

/// A program in the making.
struct Draft(Program);

impl Draft {
    /// A buffer `[t, width]`.
    fn tokens(&mut self, width: usize) -> BufferId {
        self.0.input("per token", Rows::Tokens, width)
    }

    fn selected(&mut self, width: usize) -> BufferId {
        self.0.input("per selected", Rows::Selected, width)
    }

    fn fixed(&mut self, rows: usize, width: usize) -> BufferId {
        self.0.input("fixed", Rows::Fixed(rows), width)
    }

    fn state(&mut self, len: usize) -> BufferId {
        self.0.state("flat", StateId(0), 1, len)
    }

    fn attention(&mut self, heads: Heads, keys: usize) {
        let (wide, narrow) = (heads.query * heads.dim, keys * heads.dim);
        let [q, out] = [(); 2].map(|()| self.tokens(wide));
        let [k, v] = [(); 2].map(|()| self.tokens(narrow));
        let (spans, lse) = (self.tokens(2), self.tokens(heads.query));
        self.0.push(Attention { q, k, v, spans, out, lse, heads });
    }

    fn adam(&mut self, params: BufferId, grads: BufferId) {
        let [first_moment, second_moment] = [grads; 2];
        let (total, report) = (self.fixed(1, 1), self.fixed(1, 3));
        let (clip, beta1, beta2, epsilon, weight_decay) = (1.0, 0.9, 0.999, 1e-8, 0.0);
        let moments = AdamW {
            params,
            grads,
            first_moment,
            second_moment,
            total,
            report,
            clip,
            beta1,
            beta2,
            epsilon,
            weight_decay,
        };
        self.0.push(moments);
    }
}

fn heads(query: usize, key_value: usize, dim: usize) -> Heads {
    Heads { query, key_value, dim, scale: 1.0, cap: None, alibi: false }
}

fn linear(x: BufferId, out: BufferId) -> Linear {
    Linear { x, weight: WEIGHT, bias: None, lora: None, residual: None, out }
}

type Build = fn(&mut Draft);

/// What the refusal says, and the program.
const CASES: &[(&str, Build)] = &[
    ("rms_norm: a gain of 8 values for rows of 12", |d| {
        let (x, out) = (d.tokens(IN), d.tokens(IN));
        d.0.push(RmsNorm { x, gain: OF_OUT, residual: None, out, epsilon: 1e-5 });
    }),
    ("rms_norm: a gain of 12 values for rows of 8", |d| {
        let (x, out) = (d.tokens(OUT), d.tokens(OUT));
        d.0.push(RmsNorm { x, gain: OF_IN, residual: None, out, epsilon: 1e-5 });
    }),
    ("rms_norm: no vector 9", |d| {
        let (x, out) = (d.tokens(OUT), d.tokens(OUT));
        d.0.push(RmsNorm { x, gain: VectorId(9), residual: None, out, epsilon: 1e-5 });
    }),
    ("rms_norm_backward: a gain of 8 values for rows of 12", |d| {
        let (x, dy, dx) = (d.tokens(IN), d.tokens(IN), d.tokens(IN));
        d.0.push(RmsNormBackward { x, gain: OF_OUT, dy, dx, add: false, epsilon: 1e-5 });
    }),
    ("rms_norm_backward: per token has 8 values a row, not 12", |d| {
        let (x, dy, dx) = (d.tokens(IN), d.tokens(OUT), d.tokens(IN));
        d.0.push(RmsNormBackward { x, gain: OF_IN, dy, dx, add: false, epsilon: 1e-5 });
    }),
    ("linear: per token has 13 values a row, not 12", |d| {
        let (x, out) = (d.tokens(IN + 1), d.tokens(OUT));
        d.0.push(linear(x, out));
    }),
    ("linear: per token has 9 values a row, not 8", |d| {
        let (x, out) = (d.tokens(IN), d.tokens(OUT + 1));
        d.0.push(linear(x, out));
    }),
    ("linear: per selected has rows Selected, and per token has Tokens", |d| {
        let (x, out) = (d.tokens(IN), d.selected(OUT));
        d.0.push(linear(x, out));
    }),
    ("linear: a bias of 12 values for rows of 8", |d| {
        let (x, out) = (d.tokens(IN), d.tokens(OUT));
        d.0.push(Linear { bias: Some(OF_IN), ..linear(x, out) });
    }),
    ("linear: per token has 12 values a row, not 8", |d| {
        let (x, out) = (d.tokens(IN), d.tokens(OUT));
        d.0.push(Linear { residual: Some(x), ..linear(x, out) });
    }),
    ("linear: flat has 64 values, and 24 from 41 on are needed", |d| {
        let (x, low, params, out) = (d.tokens(IN), d.tokens(3), d.state(STATE), d.tokens(OUT));
        let lora = Some(LoraTerm { low, params, offset: 41, scale: 1.0 });
        d.0.push(Linear { lora, ..linear(x, out) });
    }),
    ("linear: no matrix 1", |d| {
        let (x, out) = (d.tokens(IN), d.tokens(OUT));
        d.0.push(Linear { weight: MatrixId(1), ..linear(x, out) });
    }),
    ("linear_backward: per token has 12 values a row, not 8", |d| {
        let (dy, dx) = (d.tokens(IN), d.tokens(OUT));
        d.0.push(LinearBackward { dy, weight: WEIGHT, lora: None, dx, add: false });
    }),
    ("linear_backward: flat has 64 values, and 36 from 40 on are needed", |d| {
        let (dy, low, params, dx) = (d.tokens(OUT), d.tokens(3), d.state(STATE), d.tokens(IN));
        let lora = Some(LoraTerm { low, params, offset: 40, scale: 1.0 });
        d.0.push(LinearBackward { dy, weight: WEIGHT, lora, dx, add: false });
    }),
    ("lora_down: flat has 64 values, and 36 from 29 on are needed", |d| {
        let (x, params, low) = (d.tokens(IN), d.state(STATE), d.tokens(3));
        d.0.push(LoraDown { x, params, a: 29, low });
    }),
    ("lora_backward: flat has 64 values, and 24 from 48 on are needed", |d| {
        let (x, dy, params) = (d.tokens(IN), d.tokens(OUT), d.state(STATE));
        let (low, dlow) = (d.tokens(3), d.tokens(3));
        d.0.push(LoraBackward { x, dy, low, dlow, params, grads: params, a: 0, b: 48, scale: 1.0 });
    }),
    ("lora_backward: per token has 4 values a row, not 3", |d| {
        let (x, dy, params) = (d.tokens(IN), d.tokens(OUT), d.state(STATE));
        let (low, dlow) = (d.tokens(3), d.tokens(4));
        d.0.push(LoraBackward { x, dy, low, dlow, params, grads: params, a: 0, b: 36, scale: 1.0 });
    }),
    ("lora_input_gradient: flat has 64 values, and 36 from", |d| {
        let (dlow, params, out) = (d.tokens(3), d.state(STATE), d.tokens(IN));
        d.0.push(LoraInputGradient { dlow, params, a: usize::MAX, out });
    }),
    ("embed: per token has 8 values a row, not 12", |d| {
        let (ids, out) = (d.tokens(1), d.tokens(OUT));
        d.0.push(Embed { table: WEIGHT, ids, out, scale: 1.0, add: false });
    }),
    ("rope: 3 values of a head do not halve", |d| {
        let (positions, x) = (d.tokens(1), d.tokens(6));
        d.0.push(Rope { x, positions, table: OF_IN, head_dim: 3, rotated: 3, inverse: false });
    }),
    ("rope: rows of 6 values in heads of 4", |d| {
        let (positions, x) = (d.tokens(1), d.tokens(6));
        d.0.push(Rope { x, positions, table: OF_IN, head_dim: 4, rotated: 4, inverse: false });
    }),
    ("rope: a table of 12 values for 8 of a head", |d| {
        let (positions, x) = (d.tokens(1), d.tokens(16));
        d.0.push(Rope { x, positions, table: OF_IN, head_dim: 8, rotated: 8, inverse: false });
    }),
    ("rope: 6 values of a head of 4", |d| {
        let (positions, x) = (d.tokens(1), d.tokens(8));
        d.0.push(Rope { x, positions, table: OF_IN, head_dim: 4, rotated: 6, inverse: false });
    }),
    ("layer_norm: a bias of 8 values for rows of 12", |d| {
        let (x, out) = (d.tokens(IN), d.tokens(IN));
        d.0.push(LayerNorm { x, gain: OF_IN, bias: OF_OUT, out, epsilon: 1e-5 });
    }),
    ("layer_norm_backward: a gain of 8 values for rows of 12", |d| {
        let (x, dy, dx) = (d.tokens(IN), d.tokens(IN), d.tokens(IN));
        d.0.push(LayerNormBackward { x, gain: OF_OUT, dy, dx, add: false, epsilon: 1e-5 });
    }),
    ("split_columns: 8 values by ColumnRuns { first: 5, run: 8, stride: 8 } of rows of 12", |d| {
        let (whole, part) = (d.tokens(IN), d.tokens(OUT));
        d.0.push(SplitColumns { whole, parts: vec![(part, ColumnRuns { first: 5, run: 8, stride: 8 })] });
    }),
    ("split_columns: 8 values by ColumnRuns { first: 0, run: 3, stride: 4 } of rows of 12", |d| {
        let (whole, part) = (d.tokens(IN), d.tokens(OUT));
        d.0.push(SplitColumns { whole, parts: vec![(part, ColumnRuns { first: 0, run: 3, stride: 4 })] });
    }),
    ("join_columns: 8 values of parts in rows of 12", |d| {
        let (whole, part) = (d.tokens(IN), d.tokens(OUT));
        d.0.push(JoinColumns { whole, parts: vec![(part, ColumnRuns { first: 0, run: 8, stride: 8 })] });
    }),
    ("dropout: per token has 8 values a row, not 12", |d| {
        let (x, out) = (d.tokens(IN), d.tokens(OUT));
        d.0.push(Dropout { x, out, rate: 0.5, module: 0, add: false });
    }),
    ("dropout: a rate of 1", |d| {
        let (x, out) = (d.tokens(IN), d.tokens(IN));
        d.0.push(Dropout { x, out, rate: 1.0, module: 0, add: false });
    }),
    ("gather_rows: per selected has 8 values a row, not 12", |d| {
        let (src, index, out) = (d.tokens(IN), d.selected(1), d.selected(OUT));
        d.0.push(GatherRows { src, index, out });
    }),
    ("scatter_rows: fixed has 8 values a row, not 12", |d| {
        let (src, index, out) = (d.tokens(IN), d.tokens(1), d.fixed(40, OUT));
        d.0.push(ScatterRows { src, index, out, keep: true });
    }),
    ("glu: per token has 8 values a row, not 12", |d| {
        let (gate, up, out) = (d.tokens(IN), d.tokens(OUT), d.tokens(IN));
        d.0.push(Glu { activation: Silu, gate, up: Some(up), out });
    }),
    ("glu_backward: per selected has rows Selected", |d| {
        let (gate, up, dout) = (d.tokens(IN), d.tokens(IN), d.tokens(IN));
        let (dgate, dup) = (d.tokens(IN), d.selected(IN));
        d.0.push(GluBackward { activation: Silu, gate, up: Some([up, dup]), dout, dgate });
    }),
    ("top_logits: 0 of them", |d| {
        let (logits, out) = (d.selected(OUT), d.selected(1));
        d.0.push(TopLogits { logits, out });
    }),
    ("top_logits: 65 of them", |d| {
        let (logits, out) = (d.selected(OUT), d.selected(131));
        d.0.push(TopLogits { logits, out });
    }),
    ("top_logits: per selected has 4 values a row, not 5", |d| {
        let (logits, out) = (d.selected(OUT), d.selected(4));
        d.0.push(TopLogits { logits, out });
    }),
    ("cross_entropy: fixed has 9 values a row, not 8", |d| {
        let (x, targets, losses) = (d.selected(IN), d.selected(1), d.selected(1));
        let logits = d.fixed(4, OUT + 1);
        d.0.push(CrossEntropy { x, head: WEIGHT, targets, losses, logits, cap: None, gradient: None });
    }),
    ("cross_entropy: fixed has rows Fixed(0), not always as many", |d| {
        let (x, targets, losses) = (d.selected(IN), d.selected(1), d.selected(1));
        let logits = d.fixed(0, OUT);
        d.0.push(CrossEntropy { x, head: WEIGHT, targets, losses, logits, cap: None, gradient: None });
    }),
    ("cross_entropy: per selected has 8 values a row, not 12", |d| {
        let (x, targets, losses, dx) = (d.selected(IN), d.selected(1), d.selected(1), d.selected(OUT));
        let (logits, total) = (d.fixed(4, OUT), d.fixed(1, 1));
        let gradient = Some(LossGradient { dx, total });
        d.0.push(CrossEntropy { x, head: WEIGHT, targets, losses, logits, cap: None, gradient });
    }),
    ("cross_entropy: a cap of Some(0.0)", |d| {
        let (x, targets, losses) = (d.selected(IN), d.selected(1), d.selected(1));
        let logits = d.fixed(4, OUT);
        d.0.push(CrossEntropy { x, head: WEIGHT, targets, losses, logits, cap: Some(0.0), gradient: None });
    }),
    ("soft_cap: a cap of Some(inf)", |d| {
        let x = d.tokens(IN);
        d.0.push(SoftCap { x, cap: f32::INFINITY });
    }),
    ("attention: a cap of Some(-1.0)", |d| d.attention(Heads { cap: Some(-1.0), ..heads(2, 1, 4) }, 1)),
    ("attention: 3 query heads for 2 of keys", |d| d.attention(heads(3, 2, 4), 2)),
    ("attention: 2 query heads for 0 of keys", |d| d.attention(heads(2, 0, 4), 1)),
    ("attention: heads of 257", |d| d.attention(heads(1, 1, 257), 1)),
    ("attention: heads of 1028", |d| d.attention(heads(1, 1, 1028), 1)),
    ("attention: heads of 0", |d| d.attention(heads(1, 1, 0), 1)),
    ("attention: per token has 4 values a row, not 8", |d| d.attention(heads(4, 2, 4), 1)),
    ("attention_backward: fixed has rows Fixed(40), and per token has Tokens", |d| {
        let heads = heads(2, 1, 4);
        let [q, out, dout, dq] = [(); 4].map(|()| d.tokens(8));
        let [k, v] = [(); 2].map(|()| d.fixed(40, 4));
        let [dk, dv] = [(); 2].map(|()| d.tokens(4));
        let (lse, delta, spans, reach) = (d.tokens(2), d.tokens(2), d.tokens(2), d.tokens(1));
        d.0.push(AttentionBackward { q, k, v, out, lse, dout, spans, reach, delta, dq, dk, dv, heads });
    }),
    ("adamw: tensors of 63 and of 64 values", |d| {
        let (params, grads) = (d.state(STATE), d.state(STATE - 1));
        d.adam(params, grads);
    }),
    ("flat: no state tensor of 65 values", |d| {
        let params = d.state(STATE + 1);
        d.adam(params, params);
    }),
];

/// Every case that `executor` did not refuse, or not in these words.
pub fn failures(executor: &mut dyn Executor) -> Vec<String> {
    executor.reset();
    executor.add_state("flat", STATE).expect("a small tensor");
    let mut failures = Vec::new();
    for (words, build) in CASES {
        let mut draft = Draft(Program::new("refused", RowCounts { tokens: 5, selected: 3 }));
        build(&mut draft);
        let program = std::sync::Arc::new(draft.0);
        let refused = |error: Option<Error>| matches!(&error, Some(Error::Shape(text)) if text.contains(words));
        let planned = executor.job_bytes(&Job { states: &[STATE], programs: &[&program] }).err();
        // What state tensors there are is known once they are.
        if !words.starts_with("flat") && !refused(planned.clone()) {
            failures.push(format!("planned, {words}: {planned:?}"));
        }
        let loaded = executor.load(program).err();
        if !refused(loaded.clone()) {
            failures.push(format!("loaded, {words}: {loaded:?}"));
        }
    }
    failures
}
