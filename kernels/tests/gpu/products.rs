//! Cases of the products with frozen matrices and with adapters.

use idiolect_kernels::matrix::{Encoding, FloatType};
use idiolect_kernels::ops::{
    CrossEntropy, Embed, Linear, LinearBackward, LoraBackward, LoraDown, LoraInputGradient, LoraTerm, LossGradient,
};
use idiolect_kernels::program::{MatrixId, Rows, Weights};

use crate::case::{Case, SIZES, random, random_below};
use crate::encodings;
use crate::matrices::{label, matrix};

/// W's rows, W's columns and tokens, each dimension through its sizes while the others are small.
fn shapes(encoding: Encoding) -> Vec<(usize, usize, usize)> {
    let group = encodings::group_of(encoding);
    let columns = match encoding {
        Encoding::Float(_) => SIZES.to_vec(),
        _ => [1, 2, 3, 55].map(|n| n * group).to_vec(),
    };
    let small = if group == 1 { 24 } else { group };
    let by_rows = SIZES.map(|rows| (rows, small, 9));
    let by_columns = columns.into_iter().flat_map(|cols| [(34, cols, 9), (7, cols, 1)]);
    let by_tokens = SIZES.map(|tokens| (12, small, tokens));
    by_rows.into_iter().chain(by_columns).chain(by_tokens).collect()
}

/// Every encoding and shape, the matrix added to `weights`.
fn matrices(weights: &mut Weights) -> Vec<(String, MatrixId, (usize, usize, usize))> {
    let mut list = Vec::new();
    for encoding in encodings::all() {
        for (rows, cols, tokens) in shapes(encoding) {
            let id = weights.add_matrix(matrix(encoding, rows, cols, (rows + cols) as u64));
            list.push((format!("{}, [{rows}, {cols}], {tokens} tokens", label(encoding)), id, (rows, cols, tokens)));
        }
    }
    list
}

pub fn linear(weights: &mut Weights) -> Vec<Case> {
    let mut cases = Vec::new();
    for (name, weight, (rows, cols, tokens)) in matrices(weights) {
        let mut case = Case::new(name, tokens, 0);
        let x = case.values("x", Rows::Tokens, cols);
        let out = case.output("out", Rows::Tokens, rows);
        case.push(Linear { x, weight, bias: None, lora: None, residual: None, out });
        let dy = case.values("dy", Rows::Tokens, rows);
        let dx = case.output("dx", Rows::Tokens, cols);
        case.push(LinearBackward { dy, weight, lora: None, dx, add: false });
        cases.push(case);
    }
    cases
}

/// The epilogues: bias, residual, adapters of several ranks, alone and together, for one row and several.
pub fn linear_epilogue(weights: &mut Weights) -> Vec<Case> {
    let mut cases = Vec::new();
    let affine = Encoding::Affine { bits: 4, group: 32, scales: FloatType::F16 };
    for (encoding, rows, cols) in [(affine, 33, 64), (affine, 64, 64), (Encoding::Float(FloatType::BF16), 31, 33)] {
        let weight = weights.add_matrix(matrix(encoding, rows, cols, 5));
        let bias = weights.add_vector(random(rows, 9));
        for tokens in [1, 2, 9, 70] {
            for (rank, with_bias, with_residual) in [
                (0, true, false),
                (0, false, true),
                (0, true, true),
                (1, false, false),
                (5, true, true),
                (8, true, true),
            ]
            .into_iter()
            .chain([(16, false, true)])
            {
                let what = format!("rank {rank}, bias {with_bias}, residual {with_residual}");
                let mut case = Case::new(format!("[{rows}, {cols}], {tokens} tokens, {what}"), tokens, 0);
                let x = case.values("x", Rows::Tokens, cols);
                let residual = with_residual.then(|| case.values("residual", Rows::Tokens, rows));
                let (a, b) = (3, 3 + rank * cols);
                let params = case.random_state("params", 1, b + rank * rows);
                let low = (rank > 0).then(|| case.values("low", Rows::Tokens, rank));
                let term = |offset, scale| low.map(|low| LoraTerm { low, params, offset, scale });
                let out = case.output("out", Rows::Tokens, rows);
                let bias = with_bias.then_some(bias);
                case.push(Linear { x, weight, bias, lora: term(b, 0.7), residual, out });
                let dy = case.values("dy", Rows::Tokens, rows);
                let dx = case.output("dx", Rows::Tokens, cols);
                case.push(LinearBackward { dy, weight, lora: term(a, 1.0), dx, add: false });
                case.push(LinearBackward { dy, weight, lora: None, dx, add: true });
                cases.push(case);
            }
        }
    }
    cases
}

pub fn embed(weights: &mut Weights) -> Vec<Case> {
    let mut cases = Vec::new();
    for (name, table, (rows, cols, tokens)) in matrices(weights) {
        let mut case = Case::new(name, tokens, 0);
        case.tolerance = 1e-6;
        let ids = case.input("ids", Rows::Tokens, 1, random_below(tokens, rows, 3));
        let out = case.output("out", Rows::Tokens, cols);
        case.push(Embed { table, ids, out, scale: 1.0, add: false });
        let scaled = case.output("scaled", Rows::Tokens, cols);
        case.push(Embed { table, ids, out: scaled, scale: 24.0, add: false });
        case.push(Embed { table, ids, out: scaled, scale: 1.0, add: true });
        cases.push(case);
    }
    cases
}

pub fn lora(_: &mut Weights) -> Vec<Case> {
    let mut cases = Vec::new();
    let by_tokens = SIZES.map(|tokens| (tokens, 33, 24, 8));
    let by_cols = SIZES.map(|cols| (9, cols, 24, 8));
    let by_rows = SIZES.map(|rows| (9, 24, rows, 8));
    let by_rank = [1, 2, 8, 13, 16, 64].map(|rank| (9, 65, 40, rank));
    for (tokens, cols, rows, rank) in by_tokens.into_iter().chain(by_cols).chain(by_rows).chain(by_rank) {
        let mut case = Case::new(format!("{tokens} tokens, [{rows}, {cols}], rank {rank}"), tokens, 0);
        let (a, b) = (70, 70 + rank * cols);
        let x = case.values("x", Rows::Tokens, cols);
        let dy = case.values("dy", Rows::Tokens, rows);
        let params = case.random_state("params", 1, b + rank * rows + 3);
        let grads = case.random_state("grads", 1, b + rank * rows + 3);
        let low = case.output("low", Rows::Tokens, rank);
        case.push(LoraDown { x, params, a, low });
        let dlow = case.output("dlow", Rows::Tokens, rank);
        case.push(LoraBackward { x, dy, low, dlow, params, grads, a, b, scale: 1.7 });
        let out = case.output("out", Rows::Tokens, cols);
        case.push(LoraInputGradient { dlow, params, a, out });
        cases.push(case);
    }
    cases
}

pub fn cross_entropy(weights: &mut Weights) -> Vec<Case> {
    let mut cases = Vec::new();
    let affine = Encoding::Affine { bits: 4, group: 32, scales: FloatType::BF16 };
    let float = Encoding::Float(FloatType::F16);
    let by_vocabulary = SIZES.map(|vocabulary| (affine, vocabulary, 32, 9, 4));
    let by_rows = SIZES.map(|rows| (float, 33, 31, rows, 16));
    let by_chunk = [1, 8, 31, 64].map(|chunk| (affine, 65, 64, 33, chunk));
    let large = [(affine, 20_000, 32, 5, 2)];
    for (encoding, vocabulary, width, rows, chunk) in
        by_vocabulary.into_iter().chain(by_rows).chain(by_chunk).chain(large)
    {
        let head = weights.add_matrix(matrix(encoding, vocabulary, width, 8));
        for (train, poisoned, cap) in [
            (false, false, None),
            (true, false, None),
            (true, true, None),
            (false, false, Some(1.5)),
            (true, false, Some(1.5)),
            (true, true, Some(1.5)),
        ] {
            let loss = format!("train {train}, NaN {poisoned}, cap {cap:?}");
            let name = format!("{rows} rows by {chunk}, head [{vocabulary}, {width}], {loss}");
            let mut case = Case::new(name, 1, rows);
            let mut x = random(rows * width, 77);
            if poisoned {
                x[rows * width / 2] = f32::NAN;
            }
            let x = case.input("x", Rows::Selected, width, x.into_iter().map(f32::to_bits).collect());
            let targets = case.input("targets", Rows::Selected, 1, random_below(rows, vocabulary, 4));
            let losses = case.output("losses", Rows::Selected, 1);
            let logits = case.scratch(Rows::Fixed(chunk), vocabulary);
            let gradient = train.then(|| LossGradient {
                dx: case.output("dx", Rows::Selected, width),
                total: case.state("total", 1, vec![0.25]),
            });
            case.push(CrossEntropy { x, head, targets, losses, logits, cap, gradient });
            cases.push(case);
        }
    }
    cases
}
