//! The base's own samples, in languages of the person's that there is no generic text in: what the model would have
//! written before it learned, half of it replayed while it learns, half of it kept to measure what is forgotten.
//!
//! Each piece begins with the first words of a text of the person's, which say what language it is to be in, and goes on as
//! the base draws it at temperature 1. Only what the base drew carries loss. No two pieces begin alike, so the halves share
//! no beginning. As no model predicts the base's own draws better than the base does, on average, forgetting shows here as
//! a rise where on other people's text it may show as a gain: this measure is the stricter one.
//!
//! They cost [`PIECES`] · [`TOKENS`] decode steps a language, once a training: half a minute at 60 tokens a second.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::ControlFlow;

use serde::{Deserialize, Serialize};

use super::corpus::{Selection, each_row, masked_row};
use super::settings::LearnSettings;
use crate::error::Result;
use crate::gate::language_of;
use crate::generate::{FinishReason, GenerateOptions, Generator, SamplingOptions};
use crate::history::{Learnable, Split};
use crate::model::Model;
use crate::random::Random;
use crate::samples::{Sample, SampleSet, TextRow};
use crate::session::Session;
use crate::text::word::first_words;

/// Pieces in a language, both halves together.
const PIECES: usize = 24;

/// Tokens that the base draws for a piece.
const TOKENS: usize = 64;

/// Languages that are sampled: each costs time.
const LANGUAGES: usize = 3;

/// Beginnings in a language, below which there is too little to measure on.
const LEAST: usize = 8;

/// Words that a piece begins with, of a text that has more of them than that.
const WORDS: [usize; 2] = [3, 2];

/// Tokens that a beginning may have; letters that the tokenizer does not know are several tokens each.
const LONGEST_BEGINNING: usize = 64;

/// Texts that a beginning is drawn from, for each piece: many begin alike.
const DRAWN: usize = 4;

/// The pieces in each language, by ISO 639-3.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct OwnSamples(BTreeMap<String, Vec<Piece>>);

/// A text that the base went on with.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
struct Piece {
    /// Token ids: the beginning, and what the base drew.
    ids: Vec<u32>,
    /// Ids of the beginning.
    begun: usize,
    /// Bytes of what the base drew.
    bytes: usize,
}

/// Never the text: it begins with the person's words.
impl fmt::Debug for Piece {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Piece({} tokens)", self.ids.len())
    }
}

impl From<&Piece> for Sample {
    fn from(piece: &Piece) -> Self {
        Self { ids: piece.ids.clone(), supervised_from: piece.begun, masked: Vec::new(), text_bytes: piece.bytes }
    }
}

impl OwnSamples {
    /// Has the base of `session` draw pieces in those of the `unmeasured` languages that enough texts were chosen in.
    ///
    /// # Errors
    /// [`ErrorKind::Cancelled`](crate::ErrorKind::Cancelled) when the session's `between` ended it; when the history cannot
    /// be read, or the device fails.
    pub fn draw(
        session: &mut Session,
        rows: &mut Learnable,
        selection: &Selection,
        unmeasured: &[String],
        settings: &LearnSettings,
    ) -> Result<Self> {
        let mut drawn = BTreeMap::new();
        let languages = &unmeasured[..unmeasured.len().min(LANGUAGES)];
        if languages.is_empty() {
            return Ok(Self(drawn));
        }
        let seed = settings.train.seed ^ 0x4f77_6e53; // apart from the order of samples
        for (language, beginnings) in beginnings(session, rows, selection, languages, settings, seed)? {
            if beginnings.len() >= LEAST {
                drawn.insert(language, go_on(session, &beginnings, settings.train.seq_len, seed)?);
            }
        }
        Ok(Self(drawn))
    }

    /// The languages that there are pieces in.
    pub fn languages(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// What is replayed, in all of them.
    pub fn replay(&self) -> impl Iterator<Item = Sample> {
        self.0.values().flat_map(|pieces| pieces.iter().step_by(2).map(Sample::from))
    }

    /// What forgetting is measured on in one of them, each piece a text.
    pub fn measuring(&self, language: &str) -> SampleSet {
        let mut set = SampleSet::default();
        for piece in self.0.get(language).into_iter().flat_map(|pieces| pieces.iter().skip(1).step_by(2)) {
            set.add(vec![Sample::from(piece)]);
        }
        set
    }
}

/// The token ids of beginnings in each of the languages, from texts all over what training learns from.
fn beginnings(
    session: &Session,
    rows: &mut Learnable,
    selection: &Selection,
    languages: &[String],
    settings: &LearnSettings,
    seed: u64,
) -> Result<BTreeMap<String, Vec<Vec<u32>>>> {
    let model = session.model();
    let mut random = Random::new(seed);
    // Texts seen, and the beginnings drawn from them (Vitter's algorithm R).
    let mut found: BTreeMap<&str, (u64, Vec<String>)> = BTreeMap::new();
    each_row(rows, &mut || session.give_way(), |split, row| {
        if split != Split::Training || selection.times(split, row.id).is_none() {
            return Ok(());
        }
        let Some(language) = language_of(&row.text).and_then(|of| languages.iter().find(|known| *known == of)) else {
            return Ok(());
        };
        let Some(beginning) = beginning(&masked_row(&row, &settings.filter, model)) else { return Ok(()) };
        let (seen, drawn) = found.entry(language).or_default();
        *seen += 1;
        if drawn.len() < DRAWN * PIECES {
            drawn.push(beginning);
        } else if let Some(place) = drawn.get_mut((random.next_u64() % *seen) as usize) {
            *place = beginning;
        }
        Ok(())
    })?;
    let mut encoded = BTreeMap::new();
    for (language, (_, mut drawn)) in found {
        random.shuffle(&mut drawn);
        encoded.insert(language.to_owned(), distinct(model, &drawn)?);
    }
    Ok(encoded)
}

/// The first words of a text, where it has more of them and none of these is masked.
fn beginning(row: &TextRow) -> Option<String> {
    let open = row.masked.first().map_or(row.text.len(), |masked| masked.start);
    let length = WORDS.into_iter().find_map(|words| first_words(&row.text, words))?;
    (length <= open).then(|| row.text[..length].to_owned())
}

/// The ids of those that differ in their first words already, as many as there are pieces to be.
fn distinct(model: &Model, beginnings: &[String]) -> Result<Vec<Vec<u32>>> {
    let [_, fewest] = WORDS;
    let tokenizer = model.tokenizer();
    let (mut known, mut ids) = (BTreeSet::new(), Vec::new());
    for text in beginnings {
        let first = &text[..first_words(text, fewest).unwrap_or(text.len())];
        let of: Vec<u32> = tokenizer.document_start().into_iter().chain(tokenizer.encode(text)?).collect();
        if of.len() <= LONGEST_BEGINNING && model.check_ids(&of).is_ok() && known.insert(first.to_lowercase()) {
            ids.push(of);
        }
        if ids.len() == PIECES {
            break;
        }
    }
    Ok(ids)
}

/// Has the base go on with each of the beginnings, in samples of up to `seq_len` tokens.
fn go_on(session: &mut Session, beginnings: &[Vec<u32>], seq_len: usize, seed: u64) -> Result<Vec<Piece>> {
    let longest = seq_len.min(session.model().base().context);
    let mut random = Random::new(seed);
    let mut generator = Generator::new(session, None, longest.min(LONGEST_BEGINNING + TOKENS))?;
    let mut pieces = Vec::new();
    for beginning in beginnings {
        generator.session().give_way()?;
        let sampling = SamplingOptions {
            temperature: 1.0,
            top_k: 0,
            top_p: 1.0,
            min_p: 0.0,
            repetition_penalty: 1.0,
            seed: random.next_u64(),
        };
        let max_tokens = TOKENS.min(longest.saturating_sub(beginning.len()));
        if max_tokens == 0 {
            continue;
        }
        let options = GenerateOptions { max_tokens, sampling, ..GenerateOptions::default() };
        let drawn = generator.generate(beginning, &options, &mut |_| ControlFlow::Continue(()))?;
        if drawn.finish_reason == FinishReason::Cancelled {
            return Err(idiolect_kernels::Error::Interrupted.into());
        }
        let (begun, bytes) = (beginning.len(), drawn.text.len());
        pieces.push(Piece { ids: [&beginning[..], &drawn.ids].concat(), begun, bytes });
    }
    Ok(pieces)
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;

    use super::*;
    use crate::device::DeviceChoice;

    #[test]
    fn the_base_goes_on_within_bounds_and_its_words_alone_carry_loss() {
        let base = Path::new(env!("CARGO_MANIFEST_DIR")).join("../bindings/cli/assets/base");
        let mut session = Session::new(Arc::new(Model::open(&base).unwrap()), DeviceChoice::Cpu).unwrap();
        let texts = ["we went to", "We Went home", "i will be", "it was a", "she said that", "there is no"];
        let beginnings = distinct(session.model(), &texts.map(str::to_owned)).unwrap();
        assert_eq!(beginnings.len(), 5, "two begin alike");
        let mut draw = |seq_len, seed| go_on(&mut session, &beginnings, seq_len, seed).unwrap();
        let pieces = draw(256, 1);
        assert_eq!(pieces, draw(256, 1));
        assert_ne!(pieces, draw(256, 2));
        for (piece, beginning) in pieces.iter().zip(&beginnings) {
            let sample = Sample::from(piece);
            assert!(sample.ids.starts_with(beginning) && (1..=TOKENS).contains(&sample.supervised()));
            assert_eq!(sample.targets().next(), Some(beginning.len()));
            assert!(!format!("{piece:?}").contains("went"));
        }
        assert!(draw(16, 1).iter().all(|piece| piece.ids.len() <= 16));

        let own = OwnSamples(BTreeMap::from([("kat".to_owned(), pieces)]));
        let replayed: Vec<Sample> = own.replay().collect();
        let measured = own.measuring("kat").samples;
        assert_eq!((replayed.len(), measured.len(), own.measuring("eng").samples.len()), (3, 2, 0));
        assert!(measured.iter().all(|sample| !replayed.contains(sample)));
    }

    #[test]
    fn a_piece_begins_with_words_that_are_not_the_whole_text_and_not_masked() {
        // (text, masked from, beginning)
        for (text, masked, expected) in [
            ("danas idemo na more", None, Some("danas idemo na")),
            ("danas idemo, more!", None, Some("danas idemo")),
            ("danas idemo", None, None),
            ("danas", None, None),
            ("… danas: idemo na more", None, Some("… danas: idemo na")),
            ("moj broj je 0123456789", Some(12), Some("moj broj je")),
            ("broj 0123456789 je moj", Some(5), None),
            ("", None, None),
        ] {
            let masked = masked.map(|from| from..from + 10).into_iter().collect();
            let row = TextRow { text: text.into(), context: None, masked };
            assert_eq!(beginning(&row).as_deref(), expected, "{text}");
        }
    }
}
