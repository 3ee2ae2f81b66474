//! How likely given texts are behind a prompt: `log p(c | x) = Σ log p(cᵢ | x, c₁ … cᵢ₋₁)`.

use std::ops::DerefMut;

use super::Generator;
use super::branches::{BRANCH_ROWS, MOST_BRANCH_TOKENS, MOST_LOOKED_AT};
use crate::error::Result;
use crate::session::Session;

/// Tokens of one continuation that one pass gives the probabilities of: the first by what stands before it, the others by
/// the rows of those before them.
const PIECE: usize = 1 + if MOST_LOOKED_AT < MOST_BRANCH_TOKENS { MOST_LOOKED_AT } else { MOST_BRANCH_TOKENS };

/// How likely a text is.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Score {
    /// Of each of its tokens, behind the prompt and those before it; in nats, natural logarithms.
    pub token_log_probabilities: Vec<f32>,
}

impl Score {
    /// Of the whole text: the sum over its tokens, 0 for an empty one.
    pub fn log_probability(&self) -> f64 {
        self.token_log_probabilities.iter().map(|&p| f64::from(p)).sum()
    }
}

/// A prompt and a text behind it, as tokens.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Continuation {
    ids: Vec<u32>,
    /// How many of them are the prompt's.
    prompt: usize,
}

impl Continuation {
    /// The tokens of `prompt` with `text` directly behind them.
    pub fn behind(prompt: &[u32], text: &[u32]) -> Self {
        Self { ids: [prompt, text].concat(), prompt: prompt.len() }
    }

    /// What was tokenized as a whole, `joined`: the prompt's are those that it has in common with the prompt alone; where
    /// the two grew together, the token that is both's is the text's. `None` where that is the first one.
    pub fn within(joined: Vec<u32>, prompt: &[u32]) -> Option<Self> {
        let common = joined.iter().zip(prompt).take_while(|(a, b)| a == b).count();
        (common > 0).then_some(Self { ids: joined, prompt: common })
    }

    /// Tokens that a generator must have room for.
    pub fn tokens(&self) -> usize {
        self.ids.len() + BRANCH_ROWS
    }
}

/// Part of a continuation that one pass gives.
struct Piece<'a> {
    /// The number of the continuation.
    of: usize,
    before: &'a [u32],
    ids: &'a [u32],
}

impl<S: DerefMut<Target = Session>> Generator<S> {
    /// How likely each continuation is. What they have in common is run once, and what the cache holds of it not at all;
    /// so the values are the same within rounding, whatever was asked before.
    ///
    /// # Errors
    /// When an id lies outside the vocabulary, there is no room, or the device fails.
    pub(crate) fn score(&mut self, continuations: &[Continuation]) -> Result<Vec<Score>> {
        let mut pieces = Vec::new();
        for (of, Continuation { ids, prompt }) in continuations.iter().enumerate() {
            self.session.model().check_ids(ids)?;
            for start in (*prompt..ids.len()).step_by(PIECE) {
                pieces.push(Piece { of, before: &ids[..start], ids: &ids[start..ids.len().min(start + PIECE)] });
            }
        }
        // Those behind the same tokens go together. Of one continuation the earlier pieces stay first.
        pieces.sort_by(|a, b| a.before.cmp(b.before));
        let mut scores = vec![Score::default(); continuations.len()];
        for group in pieces.chunk_by(|a, b| a.before == b.before) {
            let first = self.logits_after(group[0].before)?;
            for batch in batches(group) {
                let branches: Vec<_> =
                    batch.iter().map(|piece| (&piece.ids[..piece.ids.len() - 1], 0)).filter(|(ids, _)| !ids.is_empty()).collect();
                let rows = match branches.is_empty() {
                    true => Vec::new(),
                    false => self.logits_in_branches(group[0].before, &branches)?,
                };
                let mut rows = rows.into_iter();
                for piece in batch {
                    let score = &mut scores[piece.of].token_log_probabilities;
                    score.push(log_probability(&first, piece.ids[0]));
                    score.extend(rows.by_ref().zip(&piece.ids[1..]).map(|(logits, &id)| log_probability(&logits, id)));
                }
            }
        }
        Ok(scores)
    }
}

/// The pieces parted so that one pass has room for each part.
fn batches<'p, 'a>(pieces: &'p [Piece<'a>]) -> Vec<&'p [Piece<'a>]> {
    let (mut parts, mut start, mut rows) = (Vec::new(), 0, 0);
    for (at, piece) in pieces.iter().enumerate() {
        let more = piece.ids.len() - 1;
        if rows + more > PIECE - 1 {
            parts.push(&pieces[start..at]);
            (start, rows) = (at, 0);
        }
        rows += more;
    }
    parts.push(&pieces[start..]);
    parts
}

/// `z_id − ln Σ exp z`.
fn log_probability(logits: &[f32], id: u32) -> f32 {
    let most = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let sum: f64 = logits.iter().map(|z| f64::from(z - most).exp()).sum();
    (f64::from(logits[id as usize] - most) - sum.ln()) as f32
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;

    use super::*;
    use crate::device::DeviceChoice;
    use crate::eval;
    use crate::model::Model;

    fn session() -> Session {
        let base = Path::new(env!("CARGO_MANIFEST_DIR")).join("../bindings/cli/assets/base");
        Session::new(Arc::new(Model::open(&base).unwrap()), DeviceChoice::Cpu).unwrap()
    }

    fn ids(len: usize, seed: u32) -> Vec<u32> {
        (0..len as u32).map(|at| (at + seed) * 104_729 % 8000 + 17).collect()
    }

    #[test]
    fn scores_are_what_whole_passes_give() {
        let (mut scoring, mut whole) = (session(), session());
        let mut generator = Generator::new(&mut scoring, None, 400).unwrap();
        // (tokens of the prompt, tokens of each text behind it)
        let cases: [(usize, &[usize]); 6] = [
            (1, &[1, 2]),
            (5, &[0, 1, 3, 16, 17, 18]),
            (200, &[40, 1, 60]),
            (200, &[5; 12]),
            (33, &[26, 27, 33, 100]),
            (1, &[0]),
        ];
        for (prompt, lens) in cases {
            let prompt = ids(prompt, 3);
            let texts: Vec<_> = lens.iter().enumerate().map(|(n, &len)| ids(len, 900 + 50 * n as u32)).collect();
            let asked: Vec<_> = texts.iter().map(|text| Continuation::behind(&prompt, text)).collect();
            let scores = generator.score(&asked).unwrap();
            assert_eq!(scores.len(), texts.len());
            for (text, score) in texts.iter().zip(scores) {
                let sequence = [&prompt[..], text].concat();
                let logits = eval::logits(&mut whole, None, &[sequence]).unwrap().remove(0);
                let rows = logits.chunks_exact(logits.len() / (prompt.len() + text.len())).skip(prompt.len() - 1);
                let expected: Vec<_> = rows.zip(text).map(|(logits, &id)| log_probability(logits, id)).collect();
                assert_eq!(score.token_log_probabilities.len(), text.len());
                for (got, expected) in score.token_log_probabilities.iter().zip(&expected) {
                    assert!((got - expected).abs() < 1e-4, "{got}, not {expected}");
                }
                let sum: f64 = expected.iter().map(|&p| f64::from(p)).sum();
                assert!((score.log_probability() - sum).abs() < 1e-4 * (1.0 + text.len() as f64));
            }
        }
    }

    #[test]
    fn what_grew_together_is_the_texts() {
        let within = |joined: &[u32], prompt: &[u32]| Continuation::within(joined.to_vec(), prompt);
        for (joined, prompt, expected) in [
            (&[1, 2, 3, 4][..], &[1, 2][..], Some(2)),
            (&[1, 9, 4], &[1, 2], Some(1)),
            (&[1, 2], &[1, 2], Some(2)),
            (&[9], &[1], None),
        ] {
            assert_eq!(within(joined, prompt).map(|found| found.prompt), expected);
        }
    }

    #[test]
    fn the_least_likely_tokens_have_a_finite_score() {
        let mut logits = vec![0.0; 50];
        logits[7] = 300.0;
        assert_eq!(log_probability(&logits, 7), 0.0);
        assert_eq!(log_probability(&logits, 8), -300.0);
    }
}
