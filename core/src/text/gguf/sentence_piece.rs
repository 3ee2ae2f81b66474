//! A SentencePiece vocabulary (`tokenizer.ggml.model` is `llama`): pieces with scores, as byte pairs to merge.
//!
//! SentencePiece merges the two neighbours that make the piece with the best score. A `tokenizer.json` says the same by
//! a list of merges, and transformers makes that list of the scores; so is it made here.

use std::path::Path;

use tokenizers::decoders::byte_fallback::ByteFallback;
use tokenizers::decoders::fuse::Fuse;
use tokenizers::decoders::sequence::Sequence as Decoders;
use tokenizers::decoders::strip::Strip;
use tokenizers::models::bpe::{Merges, Vocab};
use tokenizers::normalizers::utils::Sequence as Normalizers;
use tokenizers::normalizers::{Prepend, Replace};
use tokenizers::{DecoderWrapper, NormalizerWrapper};

use super::{FIELDS, GgufVocabulary, NORMAL, UNUSED, USER_DEFINED};
use crate::text::pipeline::PipelineParts;
use crate::{Error, ErrorKind, Result};

const SCORES: &str = "tokenizer.ggml.scores";
const UNKNOWN: &str = "tokenizer.ggml.unknown_token_id";
const EXTRA_WHITESPACES: &str = "tokenizer.ggml.remove_extra_whitespaces";

/// How a space is spelled.
const SPACE: &str = "▁";

/// More bytes than any published piece has: the work of finding the merges grows with the square of a piece's length.
const LONGEST_PIECE: usize = 1024;

/// The architecture of Phi-3, whose control tokens swallow the white space behind them. That stands in its
/// `tokenizer.json`, but in no field of a GGUF file.
const PHI3: &str = "phi3";

/// Phi-3's tokens that swallow nothing.
const PHI3_PLAIN: [&str; 3] = ["<unk>", "<s>", "<|endoftext|>"];

impl GgufVocabulary {
    /// The pipeline of a vocabulary of scored pieces.
    pub(super) fn sentence_piece(&self, path: &Path) -> Result<PipelineParts> {
        self.check_pieces(path)?;
        let vocab = self.vocab(path, |id, token| self.spelled(id, token))?;
        if let Some(byte) = (0..=u8::MAX).find(|byte| !vocab.contains_key(&format!("<0x{byte:02X}>"))) {
            return Err(Error::bad_file(path, FIELDS.vocab, format_args!("none is for the byte 0x{byte:02X}")));
        }
        let unk_token = match self.unknown {
            None => None,
            Some(id) => Some(
                self.tokens
                    .get(id as usize)
                    .cloned()
                    .ok_or_else(|| Error::bad_file(path, UNKNOWN, format_args!("{id} is not in the vocabulary")))?,
            ),
        };
        let merges = self.merges_by_score(&vocab);
        let mut added = self.added(|id, token| self.spelled(id, token));
        for (_, token) in &mut added {
            token.rstrip = self.architecture == PHI3 && !PHI3_PLAIN.contains(&token.content.as_str());
        }
        let (normalizer, decoder) = spaces(self.space_prefix.unwrap_or(true))
            .map_err(|cause| Error::new(ErrorKind::Unsupported, format!("spaces in pieces: {cause}")))?;
        Ok(PipelineParts {
            vocab,
            merges,
            unk_token,
            fuse_unk: true,
            byte_fallback: true,
            ignore_merges: false,
            added,
            normalizer: Some(normalizer),
            pre_tokenizer: None,
            decoder: Some(decoder),
        })
    }

    /// Refuses lists that do not fit the tokens, and what no reader of such a vocabulary does.
    fn check_pieces(&self, path: &Path) -> Result<()> {
        let count = self.tokens.len();
        if self.scores.len() != count {
            let what = format_args!("{} scores for {count} tokens", self.scores.len());
            return Err(Error::bad_file(path, SCORES, what));
        }
        if let Some(id) = self.scores.iter().position(|score| !score.is_finite()) {
            return Err(Error::bad_file(path, SCORES, format_args!("number {id} is not finite")));
        }
        if self.token_types.is_empty() {
            return Err(Error::bad_file(path, FIELDS.added, "missing"));
        }
        // A converter without the SentencePiece model at hand writes one number for all.
        let mut pieces = self.scores.iter().zip(&self.token_types).filter(|(_, kind)| **kind == NORMAL);
        if let Some((first, _)) = pieces.next()
            && pieces.clone().next().is_some()
            && pieces.all(|(score, _)| score == first)
        {
            return Err(Error::bad_file(path, SCORES, "all pieces have the same, which gives merges no order"));
        }
        if let Some(id) = self.tokens.iter().position(|token| token.len() > LONGEST_PIECE) {
            let what = format_args!("number {id} has more than {LONGEST_PIECE} bytes");
            return Err(Error::bad_file(path, FIELDS.vocab, what));
        }
        match self.remove_extra_whitespaces {
            Some(true) => Err(Error::unsupported(path, EXTRA_WHITESPACES, "true is not supported")),
            _ => Ok(()),
        }
    }

    /// A token as `tokenizer.json` spells it. llama.cpp's converter writes runs of spaces, which Gemma has as tokens of
    /// their own, as a text has them; but a text's spaces are spelled anew before they are looked for.
    fn spelled(&self, id: u32, token: &str) -> String {
        let is_run = self.kind(id, token) == USER_DEFINED && token.bytes().all(|byte| byte == b' ');
        if is_run { token.replace(' ', SPACE) } else { token.to_owned() }
    }

    /// Every pair of pieces that makes a third, the best score first; of those that make the same, the longest left one.
    fn merges_by_score(&self, vocab: &Vocab) -> Merges {
        /// Two parts of a piece: where it is cut, in bytes, and how many characters stand before and after.
        struct Pair<'v> {
            score: f32,
            chars: (usize, usize),
            parts: (&'v str, &'v str),
        }

        // Fillers are in no `tokenizer.json`.
        let used = |id: u32| self.token_types.get(id as usize) != Some(&UNUSED);
        let is_piece = |part: &str| vocab.get(part).is_some_and(|id| used(*id));
        let mut pieces: Vec<(u32, &str)> = vocab.iter().map(|(piece, id)| (*id, piece.as_str())).collect();
        pieces.sort_unstable();
        let mut pairs = Vec::new();
        for (id, piece) in pieces.into_iter().filter(|(id, _)| used(*id)) {
            // In a SentencePiece model the user's pieces score 0, above all others; the converter overwrites that.
            let is_users = self.token_types.get(id as usize) == Some(&USER_DEFINED);
            let score = if is_users { 0.0 } else { self.scores.get(id as usize).copied().unwrap_or_default() };
            let length = piece.chars().count();
            for (before, (at, _)) in piece.char_indices().enumerate().skip(1) {
                let parts = piece.split_at(at);
                if is_piece(parts.0) && is_piece(parts.1) {
                    pairs.push(Pair { score, chars: (before, length - before), parts });
                }
            }
        }
        pairs.sort_by(|a, b| b.score.total_cmp(&a.score).then(b.chars.cmp(&a.chars)));
        pairs.into_iter().map(|pair| (pair.parts.0.to_owned(), pair.parts.1.to_owned())).collect()
    }
}

/// What spells spaces as pieces have them, with one before the text where `prefix` says so, and what undoes it.
fn spaces(prefix: bool) -> tokenizers::Result<(NormalizerWrapper, DecoderWrapper)> {
    let spell: NormalizerWrapper = Replace::new(" ", SPACE)?.into();
    let mut unspell: Vec<DecoderWrapper> =
        vec![Replace::new(SPACE, " ")?.into(), ByteFallback::new().into(), Fuse::new().into()];
    if !prefix {
        return Ok((spell, Decoders::new(unspell).into()));
    }
    unspell.push(Strip::new(' ', 1, 0).into());
    let prepend = Prepend::new(SPACE.to_owned()).into();
    Ok((Normalizers::new(vec![prepend, spell]).into(), Decoders::new(unspell).into()))
}
