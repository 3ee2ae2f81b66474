//! Text that belongs to nobody: what the model knew before, in many subjects and registers. A training that forgets it
//! shows that in the loss.
//!
//! Two pieces of three are replayed beside the person's text while training, which holds what the base knew. The third
//! is never trained on: forgetting is measured there. Pieces stand in groups by register, so that both parts have all.

/// Short paragraphs, an empty line between two.
const TEXT: &str = include_str!("generic.txt");

/// Of so many pieces, the last one is for measuring.
const CYCLE: usize = 3;

/// Pieces to mix into a training.
pub fn replay() -> impl Iterator<Item = &'static str> {
    pieces().filter(|(number, _)| !is_measured(*number)).map(|(_, piece)| piece)
}

/// Pieces to measure forgetting on, never trained on.
pub fn measuring() -> impl Iterator<Item = &'static str> {
    pieces().filter(|(number, _)| is_measured(*number)).map(|(_, piece)| piece)
}

fn pieces() -> impl Iterator<Item = (usize, &'static str)> {
    TEXT.split("\n\n").map(str::trim).filter(|piece| !piece.is_empty()).enumerate()
}

fn is_measured(number: usize) -> bool {
    number % CYCLE == CYCLE - 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn the_parts_are_disjoint_and_large_enough() {
        let (replayed, measured): (BTreeSet<_>, BTreeSet<_>) = (replay().collect(), measuring().collect());
        assert!(replayed.is_disjoint(&measured));
        assert_eq!(replayed.len() + measured.len(), pieces().count(), "every piece stands once");
        assert!(measured.len() >= 80 && replayed.len() >= 160, "{} and {}", measured.len(), replayed.len());
        for piece in replayed.iter().chain(&measured) {
            assert!(!piece.contains('\n') && (30..400).contains(&piece.len()), "{} bytes", piece.len());
        }
    }
}
