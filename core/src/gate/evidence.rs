//! What the gate is shown.

use super::screen::Fitness;

/// The loss of one text before and after a training.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PairedLoss {
    /// What is independent of all other evidence: a conversation's day, or a cluster of near-duplicates outside of any.
    pub unit: u64,
    /// The cluster of near-duplicates that the text belongs to: all of a cluster's texts together count as one.
    pub cluster: u64,
    /// Tokens that carry loss, the same before and after.
    pub tokens: usize,
    /// Summed loss before, nats.
    pub before: f64,
    /// Summed loss after, nats.
    pub after: f64,
}

impl PairedLoss {
    /// Pairs two evaluations of the same texts, each a `(summed loss, tokens)` as [`crate::eval::Evaluation::samples`]
    /// gives them; `places` names each text's unit and cluster. Texts without a token that carries loss are left out.
    pub fn pair(
        places: impl IntoIterator<Item = (u64, u64)>,
        before: &[(f64, usize)],
        after: &[(f64, usize)],
    ) -> Vec<Self> {
        let losses = before.iter().zip(after);
        let paired = places.into_iter().zip(losses).map(|((unit, cluster), (&(before, tokens), &(after, _)))| Self {
            unit,
            cluster,
            tokens,
            before,
            after,
        });
        paired.filter(|pair| pair.tokens > 0).collect()
    }
}

/// The losses on generic text in one language.
#[derive(Debug, Clone, PartialEq)]
pub struct GenericLosses {
    /// ISO 639-3.
    pub language: String,
    /// Text that training never sees, each piece a unit of its own.
    pub losses: Vec<PairedLoss>,
}

/// Everything that a verdict rests on.
#[derive(Debug, Clone, Copy)]
pub struct Evidence<'a> {
    /// Held-out texts of the person, which neither the candidate nor what it is compared with has seen.
    pub held_out: &'a [PairedLoss],
    /// Generic text in the languages of the person.
    pub generic: &'a [GenericLosses],
    /// How often the gate has been asked in the life of the profile, this time included: 1, 2, …
    pub asked: u32,
    /// What the screen says of the history that the candidate learned from.
    pub history: Fitness,
}
