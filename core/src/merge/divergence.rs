//! The merged model beside what it stands for: base and adapter, on text that belongs to nobody.

use std::sync::Arc;

use rayon::prelude::*;

use crate::adapter::Adapter;
use crate::device::{DeviceChoice, DeviceKind};
use crate::error::Result;
use crate::eval::logits;
use crate::gate::generic;
use crate::model::Model;
use crate::session::Session;

/// Of so many pieces of generic text, one is read: a few hundred tokens of every register.
const EVERY: usize = 8;

/// How far the merged model is from base and adapter, on generic text.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Divergence {
    /// Tokens whose logits were compared.
    pub tokens: usize,
    /// Mean KL divergence of the merged model's next token from that of base and adapter, nats.
    pub kl: f64,
    /// The same of the base alone: what the adapter does, to hold [`Divergence::kl`] against.
    pub kl_of_base: f64,
    /// The largest difference of a logit, over the largest logit's absolute value.
    pub largest_logit_difference: f64,
    /// Mean loss under base and adapter, nats a token.
    pub loss_before: f64,
    /// Mean loss under the merged model, nats a token.
    pub loss: f64,
}

impl Divergence {
    /// [`Divergence::kl`] as a share of what the adapter does.
    pub fn share(&self) -> f64 {
        if self.kl == 0.0 { 0.0 } else { self.kl / self.kl_of_base }
    }
}

/// Compares `merged` with the session's model under `adapter`, on the same kind of device. `progress` is told of texts
/// done and texts in all; an error of its ends it.
///
/// # Errors
/// When the device fails.
pub(super) fn measure(
    session: &mut Session,
    adapter: &Adapter,
    merged: Model,
    progress: &mut dyn FnMut(u64, u64) -> Result<()>,
) -> Result<Divergence> {
    let choice = match session.device().kind {
        DeviceKind::Gpu => DeviceChoice::Gpu,
        DeviceKind::Cpu => DeviceChoice::Cpu,
    };
    let mut merged = Session::with_threads(Arc::new(merged), choice, session.device().threads)?;
    let vocabulary = session.model().base().config.vocab_size;
    let texts = texts(session.model())?;
    let mut tokens = Vec::new();
    // A text at a time: logits of a large vocabulary are many.
    for (done, ids) in texts.iter().enumerate() {
        progress(done as u64, texts.len() as u64)?;
        let sequence = std::slice::from_ref(ids);
        let [meant, base, merged] = [
            logits(session, Some(adapter), sequence)?.concat(),
            logits(session, None, sequence)?.concat(),
            logits(&mut merged, None, sequence)?.concat(),
        ];
        let rows = meant.par_chunks_exact(vocabulary).zip(base.par_chunks_exact(vocabulary));
        let rows = rows.zip(merged.par_chunks_exact(vocabulary)).enumerate();
        tokens.par_extend(
            rows.map(|(at, ((meant, base), merged))| Token::of(meant, base, merged, ids.get(at + 1).copied())),
        );
    }
    progress(texts.len() as u64, texts.len() as u64)?;
    Ok(summary(&tokens))
}

/// Some generic texts as ids, each after the document-start token where there is one.
fn texts(model: &Model) -> Result<Vec<Vec<u32>>> {
    let tokenizer = model.tokenizer();
    let mut texts = Vec::new();
    for piece in generic::measuring(generic::ENGLISH).into_iter().step_by(EVERY) {
        let mut ids: Vec<u32> = tokenizer.document_start().into_iter().collect();
        ids.extend(tokenizer.encode(piece)?);
        ids.truncate(model.base().context);
        texts.push(ids);
    }
    Ok(texts)
}

/// One token's logits, compared.
struct Token {
    kl: f64,
    kl_of_base: f64,
    difference: f64,
    largest: f64,
    /// The losses of the next token before and after; none at the end of a text.
    losses: Option<(f64, f64)>,
}

impl Token {
    fn of(meant: &[f32], base: &[f32], merged: &[f32], next: Option<u32>) -> Self {
        let norms = [meant, base, merged].map(log_sum_exp);
        let losses = next.map(|id| (loss(meant, norms[0], id), loss(merged, norms[2], id)));
        let pairs = || meant.iter().zip(merged);
        Self {
            kl: divergence((meant, norms[0]), (merged, norms[2])),
            kl_of_base: divergence((meant, norms[0]), (base, norms[1])),
            difference: pairs().fold(0.0, |largest: f64, (a, b)| largest.max(f64::from((a - b).abs()))),
            largest: meant.iter().fold(0.0, |largest: f64, a| largest.max(f64::from(a.abs()))),
            losses,
        }
    }
}

fn summary(tokens: &[Token]) -> Divergence {
    let mean = |of: fn(&Token) -> f64| tokens.iter().map(of).sum::<f64>() / tokens.len() as f64;
    let largest = |of: fn(&Token) -> f64| tokens.iter().map(of).fold(0.0, f64::max);
    let losses: Vec<(f64, f64)> = tokens.iter().filter_map(|token| token.losses).collect();
    let mean_loss = |of: fn(&(f64, f64)) -> f64| losses.iter().map(of).sum::<f64>() / losses.len() as f64;
    Divergence {
        tokens: tokens.len(),
        kl: mean(|token| token.kl),
        kl_of_base: mean(|token| token.kl_of_base),
        largest_logit_difference: largest(|token| token.difference) / largest(|token| token.largest),
        loss_before: mean_loss(|losses| losses.0),
        loss: mean_loss(|losses| losses.1),
    }
}

/// `ln Σ e^x`.
fn log_sum_exp(logits: &[f32]) -> f64 {
    let largest = f64::from(logits.iter().copied().fold(f32::NEG_INFINITY, f32::max));
    largest + logits.iter().map(|&x| (f64::from(x) - largest).exp()).sum::<f64>().ln()
}

/// `−ln p(id)`.
fn loss(logits: &[f32], norm: f64, id: u32) -> f64 {
    logits.get(id as usize).map_or(f64::NAN, |&x| norm - f64::from(x))
}

/// `KL(p ‖ q) = Σ p·(ln p − ln q)`, of logits and their [`log_sum_exp`].
fn divergence((p, p_norm): (&[f32], f64), (q, q_norm): (&[f32], f64)) -> f64 {
    let terms = p.iter().zip(q).map(|(&p, &q)| {
        let (p, q) = (f64::from(p) - p_norm, f64::from(q) - q_norm);
        p.exp() * (p - q)
    });
    terms.sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn divergences_agree_with_plain_formulas() {
        // (logits meant, logits merged, KL in nats)
        let ln = f32::ln;
        let cases: [([f32; 2], [f32; 2], f64); 4] = [
            ([0.0, 0.0], [0.0, 0.0], 0.0),
            ([1.0, -2.0], [101.0, 98.0], 0.0),
            ([ln(3.0), 0.0], [0.0, 0.0], 0.75 * 1.5f64.ln() + 0.25 * 0.5f64.ln()),
            ([0.0, 0.0], [ln(3.0), 0.0], 0.5 * (2.0f64 / 3.0).ln() + 0.5 * 2.0f64.ln()),
        ];
        for (meant, merged, kl) in cases {
            let token = Token::of(&meant, &meant, &merged, Some(1));
            assert!((token.kl - kl).abs() < 1e-6 && token.kl_of_base.abs() < 1e-12, "{meant:?}, {merged:?}");
            let (before, after) = token.losses.unwrap();
            let plain = |logits: [f32; 2]| f64::from(1.0 + (logits[0] - logits[1]).exp()).ln();
            assert!((before - plain(meant)).abs() < 1e-6 && (after - plain(merged)).abs() < 1e-6);
        }
    }
}
