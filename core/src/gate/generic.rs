//! Text that belongs to nobody: what the model knew before, in many subjects and registers. A training that forgets it
//! shows that in the loss.
//!
//! One part is replayed beside the person's text while training, which holds what the base knew; the other is never
//! trained on: forgetting is measured there. The parts share no register. Where they did, replay taught the model the
//! register itself, and the measure showed a gain of 7 % while the loss on a writer whom nobody replays still rose by 4 %.
//!
//! On the embedded base and 400 messages of one writer (`nus_sms_a`), three epochs at the default settings; the last column
//! is the loss on another writer (`pepys_diary`), who is in neither part:
//!
//! | replay, share of tokens | strength | held-out gain, nats a token | forgetting, upper bound | other writer's loss |
//! |---|---|---|---|---|
//! | none | 1 | 1.64 | 13.7 % | +10.0 % |
//! | none | 0.85 | 1.61 | 8.8 % | +6.9 % |
//! | none | 0.7 | 1.51 | 4.3 % | +4.2 % |
//! | 10 % | 1 | 1.63 | 2.4 % | +4.0 % |
//! | 20 % | 1 | 1.62 | −2.1 % | +2.4 % |
//!
//! A fifth costs 2 % of the gain, so that is the default; with 800 messages the other writer's loss rose by 3.9 %.
//!
//! All that is English. In other languages there is one text that is free everywhere, the Universal Declaration of Human
//! Rights: some of its articles are replayed, others measured (`generic/udhr/README.md`). There the parts do share a
//! register, so that the measure shows rather too little.

/// The language whose text has registers of its own for either part.
pub const ENGLISH: &str = "eng";

/// English: encyclopedic and technical text, dialogue, instructions, letters and notes; an empty line between two pieces.
const REPLAY: &str = include_str!("generic/replay.txt");

/// English: stories, news, opinions and a mixture.
const MEASURING: &str = include_str!("generic/measuring.txt");

macro_rules! declarations {
    ($($code:literal)*) => {
        [$(($code, include_str!(concat!("generic/udhr/", $code, ".txt")))),*]
    };
}

/// The declarations, by ISO 639-3, their articles apart by an empty line and a paragraph a line.
const DECLARATIONS: [(&str, &str); 32] = declarations!(
    "ara" "ben" "bul" "ces" "cmn" "dan" "deu" "ell" "fin" "fra" "heb" "hin" "hun" "ind" "ita" "jpn" "kor"
    "nld" "nob" "pes" "pol" "por" "ron" "rus" "spa" "swe" "tam" "tha" "tur" "ukr" "urd" "vie"
);

/// Of so many articles of a declaration one is measured on.
const MEASURED_OF: usize = 3;

/// The languages that there is text in, by ISO 639-3.
pub fn languages() -> impl Iterator<Item = &'static str> {
    std::iter::once(ENGLISH).chain(DECLARATIONS.iter().map(|(code, _)| *code))
}

/// Pieces to mix into a training, in one of the [`languages`]; none in any other.
pub fn replay(language: &str) -> Vec<&'static str> {
    if language == ENGLISH { pieces(REPLAY, "\n\n").collect() } else { paragraphs(language, false) }
}

/// Pieces to measure forgetting on, never trained on, in one of the [`languages`]; none in any other.
pub fn measuring(language: &str) -> Vec<&'static str> {
    if language == ENGLISH { pieces(MEASURING, "\n\n").collect() } else { paragraphs(language, true) }
}

fn paragraphs(language: &str, measured: bool) -> Vec<&'static str> {
    let declaration = DECLARATIONS.iter().find(|(code, _)| *code == language).map_or("", |(_, text)| text);
    let articles = pieces(declaration, "\n\n").enumerate();
    let chosen = articles.filter(|(number, _)| (number % MEASURED_OF == MEASURED_OF - 1) == measured);
    chosen.flat_map(|(_, article)| pieces(article, "\n")).collect()
}

fn pieces(text: &'static str, between: &'static str) -> impl Iterator<Item = &'static str> {
    text.split(between).map(str::trim).filter(|piece| !piece.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn the_parts_are_disjoint_and_large_enough() {
        assert!(languages().count() > 30);
        for language in languages() {
            let (replayed, measured) = (replay(language), measuring(language));
            let distinct: BTreeSet<_> = replayed.iter().chain(&measured).collect();
            assert_eq!(replayed.len() + measured.len(), distinct.len(), "{language}: every piece stands once");
            let (least, longest) = if language == ENGLISH { ([150, 100], 400) } else { ([28, 14], 1000) };
            let there = [replayed.len(), measured.len()];
            assert!(there[0] >= least[0] && there[1] >= least[1], "{language}: {there:?}");
            for piece in distinct {
                assert!(
                    !piece.contains('\n') && (30..=longest).contains(&piece.len()),
                    "{language}: {} bytes",
                    piece.len()
                );
            }
        }
        assert!(replay("tlh").is_empty() && measuring("tlh").is_empty());
    }
}
