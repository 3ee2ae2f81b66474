//! The tokenizer: text to ids, ids to text, and the ids that mean something to the engine.

use std::collections::BTreeMap;
use std::ops::Range;

use sha2::{Digest, Sha256};
use tokenizers::{AddedVocabulary, Model, OffsetReferential, OffsetType, PreTokenizedString, PreTokenizer};

use super::Detokenizer;
use super::controls::{Control, Controls};
use super::pipeline::{Built, Pipeline};
use super::template::ChatTemplate;
use crate::{Error, ErrorKind, Result};

/// The token that starts a document, where a vocabulary has it.
const DOCUMENT_START: &str = "<|endoftext|>";

/// A model's tokenizer, with its chat template and its special ids.
///
/// A *control token* is one that the vocabulary marks as special, such as `<|im_end|>`. [`encode`] never
/// gives a control token's id for a text that merely spells it out.
///
/// [`encode`]: Tokenizer::encode
pub struct Tokenizer {
    pub(super) pipeline: Pipeline,
    /// The pipeline's added tokens, with control tokens read as plain text.
    plain: AddedVocabulary,
    pub(super) controls: Controls,
    pub(super) special: SpecialTokens,
    pub(super) template: Option<ChatTemplate>,
    document_start: Option<u32>,
    vocab_size: usize,
    fingerprint: [u8; 32],
}

/// The ids with a part to play, and the names a chat template knows them by.
#[derive(Debug, Default)]
pub(super) struct SpecialTokens {
    pub bos: Option<u32>,
    pub adds_bos: bool,
    pub eos: Option<u32>,
    /// What ends a turn, where that is told apart from `eos`.
    pub turn_end: Option<u32>,
    /// Every id that ends a generation, ascending.
    pub stops: Vec<u32>,
    /// `bos_token`, `eos_token` and the like, to the token's text.
    pub names: BTreeMap<String, String>,
}

/// A token and the bytes of the text it stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Placed {
    pub id: u32,
    pub bytes: Range<usize>,
}

impl std::fmt::Debug for Tokenizer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tokenizer").field("vocab_size", &self.vocab_size).field("special", &self.special).finish()
    }
}

impl Tokenizer {
    pub(super) fn assemble(built: Built, special: SpecialTokens, chat_template: Option<String>) -> Self {
        let Built { pipeline, vocab_size, mut digest } = built;
        if let Some(template) = &chat_template {
            digest.update(template);
        }
        let mut plain = pipeline.get_added_vocabulary().clone();
        plain.set_encode_special_tokens(true);
        let mut tokenizer = Self {
            document_start: pipeline.token_to_id(DOCUMENT_START).or(special.bos),
            template: chat_template.map(|source| ChatTemplate::new(source, &special.names)),
            fingerprint: Sha256::finalize(digest).into(),
            controls: Controls::of(pipeline.get_added_vocabulary()),
            pipeline,
            plain,
            special,
            vocab_size,
        };
        tokenizer.special.turn_end = tokenizer.template_end().or(tokenizer.special.turn_end);
        let SpecialTokens { turn_end, stops, .. } = &mut tokenizer.special;
        stops.extend(*turn_end);
        stops.sort_unstable();
        stops.dedup();
        tokenizer
    }

    /// The ids of `text`, without a BOS. Control tokens spelled out in it are text like any other; added
    /// tokens that are not special (`<think>` in some vocabularies) are matched whole.
    ///
    /// # Errors
    /// `BadData` where the vocabulary has no way to spell the text.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>> {
        Ok(ids(self.tokenize(&self.plain, text)?))
    }

    /// The same with the bytes that each token stands for.
    pub(crate) fn encode_placed(&self, text: &str) -> Result<Vec<Placed>> {
        placed(self.tokenize(&self.plain, text)?, 0)
    }

    /// The ids of `text`, without a BOS, control tokens in it taken as such: for text that no user wrote.
    ///
    /// # Errors
    /// As [`encode`](Self::encode).
    pub fn encode_with_controls(&self, text: &str) -> Result<Vec<u32>> {
        Ok(ids(self.tokenize(self.pipeline.get_added_vocabulary(), text)?))
    }

    /// The tokens of `text`, control tokens taken as such unless a byte of them lies in one of the
    /// ascending, disjoint ranges of `quoted`. The text is cut at control tokens and nowhere else.
    pub(super) fn encode_around(&self, text: &str, quoted: &[Range<usize>]) -> Result<Vec<Placed>> {
        let mut controls = self.controls.find(text, 0..text.len());
        let in_quote = |control: &Control| {
            quoted.iter().any(|quote| quote.start < control.spelled.end && control.spelled.start < quote.end)
        };
        if controls.iter().any(in_quote) {
            // Search between the quotes only, so that no control token is hidden by one that a quote spells.
            let starts = std::iter::once(0).chain(quoted.iter().map(|quote| quote.end));
            let ends = quoted.iter().map(|quote| quote.start).chain(std::iter::once(text.len()));
            controls = starts.zip(ends).flat_map(|(start, end)| self.controls.find(text, start..end)).collect();
        }

        let mut tokens = Vec::new();
        let mut done = 0;
        for Control { id, taken, .. } in controls {
            tokens.extend(placed(self.tokenize(&self.plain, &text[done..taken.start])?, done)?);
            done = taken.end;
            tokens.push(Placed { id, bytes: taken });
        }
        tokens.extend(placed(self.tokenize(&self.plain, &text[done..])?, done)?);
        Ok(tokens)
    }

    /// Whether `text` spells out a control token.
    pub(super) fn spells_control(&self, text: &str) -> bool {
        !self.controls.find(text, 0..text.len()).is_empty()
    }

    /// Runs the pipeline, finding added tokens by `added`.
    fn tokenize(&self, added: &AddedVocabulary, text: &str) -> Result<PreTokenizedString> {
        let mut split = added.extract_and_normalize(self.pipeline.get_normalizer(), text);
        let run = |split: &mut PreTokenizedString| {
            if let Some(words) = self.pipeline.get_pre_tokenizer() {
                words.pre_tokenize(split)?;
            }
            split.tokenize(|word| self.pipeline.get_model().tokenize(word.get()))
        };
        run(&mut split).map_err(|_| cannot_encode())?;
        Ok(split)
    }

    /// The text of `ids`, control tokens left out; ids beyond the vocabulary give nothing, bytes that are no
    /// character U+FFFD.
    ///
    /// # Errors
    /// `BadData` where the tokenizer's own decoder fails.
    pub fn decode(&self, ids: &[u32]) -> Result<String> {
        let mut detokenizer = Detokenizer::new(self);
        let mut text = String::new();
        for id in ids {
            text.push_str(&detokenizer.push(*id)?);
        }
        text.push_str(&detokenizer.finish()?);
        Ok(text)
    }

    /// One more than the largest id, added tokens included.
    pub fn vocab_size(&self) -> usize {
        self.vocab_size
    }

    /// The token that begins a sequence.
    pub fn bos(&self) -> Option<u32> {
        self.special.bos
    }

    /// Whether the model's own settings put a BOS before a plain prompt.
    pub fn adds_bos(&self) -> bool {
        self.special.adds_bos && self.special.bos.is_some()
    }

    /// Whether generation ends at `id`.
    pub fn is_eos(&self, id: u32) -> bool {
        self.special.stops.binary_search(&id).is_ok()
    }

    /// Every id that ends a generation, ascending.
    pub fn eos_ids(&self) -> &[u32] {
        &self.special.stops
    }

    /// The token that ends a turn, the last one of a training sample: the one that the chat template ends turns with,
    /// else the one that the files name for it, `eos` where they name no other.
    pub fn end_of_turn(&self) -> Option<u32> {
        self.special.turn_end.or(self.special.eos)
    }

    /// The token that starts a document: `<|endoftext|>` where the vocabulary has it, else the BOS.
    pub fn document_start(&self) -> Option<u32> {
        self.document_start
    }

    /// The source of the model's chat template.
    pub fn chat_template(&self) -> Option<&str> {
        self.template.as_ref().map(ChatTemplate::source)
    }

    /// The token `id` as the vocabulary spells it (`Ġhello`, `▁hello`, `<0x0A>`).
    pub fn token_text(&self, id: u32) -> Option<String> {
        self.pipeline.id_to_token(id)
    }

    /// The id of a token by its spelling in the vocabulary.
    pub fn token_id(&self, token: &str) -> Option<u32> {
        self.pipeline.token_to_id(token)
    }

    /// Whether `id` is a control token.
    pub fn is_control(&self, id: u32) -> bool {
        self.controls.contains(id)
    }

    /// The SHA-256 of the vocabulary, the merges and the chat template: the tokenizer's part of a base
    /// model's fingerprint, the same for a GGUF file and a folder that hold the same tokenizer. Merges that are made of
    /// SentencePiece's scores stand in the order of today's transformers; older folders have another.
    pub fn fingerprint(&self) -> [u8; 32] {
        self.fingerprint
    }
}

fn cannot_encode() -> Error {
    Error::new(ErrorKind::BadData, "the vocabulary has no token for a character of the text")
}

fn ids(split: PreTokenizedString) -> Vec<u32> {
    let splits = split.get_splits(OffsetReferential::Original, OffsetType::None);
    splits.iter().flat_map(|(_, _, tokens)| tokens.iter().flatten()).map(|token| token.id).collect()
}

/// The tokens of a piece of text that begins at byte `start` of the whole.
fn placed(split: PreTokenizedString, start: usize) -> Result<Vec<Placed>> {
    let encoding = split.into_encoding(None, 0, OffsetType::Byte).map_err(|_| cannot_encode())?;
    let tokens = encoding.get_ids().iter().zip(encoding.get_offsets());
    Ok(tokens.map(|(id, (from, to))| Placed { id: *id, bytes: from + start..to + start }).collect())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::text::fixtures::{built, byte_fallback, byte_level, folder, scored};

    #[test]
    fn control_tokens_in_a_text_are_text() {
        let tokenizer = built(&byte_level());
        for (text, controls) in [
            ("<|im_end|>", vec![2]),
            ("hello<|im_start|>user\n<|im_end|><|endoftext|>", vec![1, 2, 0]),
            ("<|im_en", vec![]),
            ("<think>hello", vec![]),
        ] {
            let of_kind = |ids: &[u32]| ids.iter().copied().filter(|id| *id < 3).collect::<Vec<u32>>();
            let plain = tokenizer.encode(text).expect("ids");
            assert!(of_kind(&plain).is_empty(), "{text}");
            assert_eq!(tokenizer.decode(&plain).expect("text"), text);
            assert_eq!(of_kind(&tokenizer.encode_with_controls(text).expect("ids")), controls, "{text}");
        }
        assert_eq!(tokenizer.encode("<think>").expect("ids"), [3], "an added token that is not special stays whole");

        // Not even where the merges would spell one.
        let mut file = byte_fallback();
        let size = file["model"]["vocab"].as_object().expect("a vocabulary").len();
        for (id, token) in ["<", "s", ">", "<s"].into_iter().enumerate() {
            file["model"]["vocab"][token] = json!(size + id);
        }
        file["model"]["merges"] = json!(["< s", "<s >"]);
        let (_guard, dir) = folder(&[("tokenizer.json", &file.to_string())]);
        let ids = Tokenizer::from_folder(&dir).expect("a tokenizer").encode("<s>").expect("ids");
        assert_eq!(ids[1..], [size as u32 + 3, size as u32 + 2]);
    }

    #[test]
    fn text_comes_back_from_its_ids() {
        let (_guard, dir) = folder(&[("tokenizer.json", &byte_fallback().to_string())]);
        let fallback = Tokenizer::from_folder(&dir).expect("a tokenizer");
        for tokenizer in [built(&byte_level()), fallback, built(&scored())] {
            for text in ["", "hello", " hello", "  two  spaces  ", "é 日本 👩‍👩‍👧\n\n", "\0 \t\r\n", "</s> <s>"]
            {
                let ids = tokenizer.encode(text).expect("ids");
                assert_eq!(tokenizer.decode(&ids).expect("text"), text);
            }
            assert_eq!(tokenizer.decode(&[1, 2, 9_999_999]).expect("text"), "");
        }
    }

    #[test]
    fn quoted_text_keeps_its_control_tokens_as_text() {
        let tokenizer = built(&byte_level());
        let text = "<|im_start|>a<|im_end|><|im_end|>b";
        for (quoted, expected) in [
            (vec![], vec![1, 2, 2]),
            (vec![(12, 13)], vec![1, 2, 2]),
            (vec![(12, 23)], vec![1, 2]),
            (vec![(0, 12)], vec![2, 2]),
            // A control token that only begins or ends in a quote is none.
            (vec![(12, 14)], vec![1, 2]),
            (vec![(11, 12), (32, 34)], vec![2]),
            (vec![(0, 34)], vec![]),
        ] {
            let ranges: Vec<Range<usize>> = quoted.iter().map(|(start, end)| *start..*end).collect();
            let tokens = tokenizer.encode_around(text, &ranges).expect("tokens");
            let controls: Vec<u32> = tokens.iter().map(|token| token.id).filter(|id| *id < 3).collect();
            assert_eq!(controls, expected, "{quoted:?}");
            assert!(tokens.windows(2).all(|pair| pair[0].bytes.end == pair[1].bytes.start), "{quoted:?}");
            assert_eq!(tokens.last().map(|token| token.bytes.end), Some(text.len()));
        }
    }
}
