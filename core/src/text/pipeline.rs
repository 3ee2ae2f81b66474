//! The byte-pair pipeline that every source of a vocabulary is built into: normalizer, pre-tokenizer,
//! BPE, decoder and added tokens, checked before the `tokenizers` crate sees them.

use std::collections::HashSet;
use std::path::Path;

use sha2::{Digest, Sha256};
use tokenizers::models::bpe::{BPE, Merges, Vocab};
use tokenizers::{
    AddedToken, DecoderWrapper, NormalizerWrapper, PostProcessorWrapper, PreTokenizerWrapper, TokenizerImpl,
};

use crate::{Error, Result};

/// The library's tokenizer, for byte-pair models only.
pub(super) type Pipeline =
    TokenizerImpl<BPE, NormalizerWrapper, PreTokenizerWrapper, PostProcessorWrapper, DecoderWrapper>;

/// A byte-pair tokenizer as a file states it.
pub(super) struct PipelineParts {
    pub vocab: Vocab,
    pub merges: Merges,
    pub unk_token: Option<String>,
    pub fuse_unk: bool,
    pub byte_fallback: bool,
    pub ignore_merges: bool,
    /// Added tokens, special or not, with the id that the file gives each.
    pub added: Vec<(u32, AddedToken)>,
    pub normalizer: Option<NormalizerWrapper>,
    pub pre_tokenizer: Option<PreTokenizerWrapper>,
    pub decoder: Option<DecoderWrapper>,
}

/// What the fields are called in the file, for error messages.
pub(super) struct FieldNames {
    pub vocab: &'static str,
    pub merges: &'static str,
    pub added: &'static str,
}

/// A built pipeline and what was learned of its vocabulary on the way.
pub(super) struct Built {
    pub pipeline: Pipeline,
    /// One more than the largest id.
    pub vocab_size: usize,
    /// A hash of every (id, token) in the order of ids and of the merges in the order of their rank.
    pub digest: Sha256,
}

impl PipelineParts {
    /// Checks the parts and builds the pipeline; errors name `path` and the field.
    pub fn build(self, path: &Path, fields: &FieldNames) -> Result<Built> {
        let (vocab_size, digest) = self.digest(path, fields)?;
        if let Some(unk) = &self.unk_token
            && !self.vocab.contains_key(unk)
        {
            return Err(Error::bad_file(path, "model.unk_token", format_args!("{unk:?} is not in the vocabulary")));
        }
        let control = self.added.iter().filter(|(_, token)| token.special).map(|(_, token)| token.content.as_str());
        let merges = without_results(self.merges, &control.collect());

        // Without the cache of words: it would hold the user's own.
        let mut builder = BPE::builder()
            .cache_capacity(0)
            .vocab_and_merges(self.vocab, merges)
            .fuse_unk(self.fuse_unk)
            .byte_fallback(self.byte_fallback)
            .ignore_merges(self.ignore_merges);
        if let Some(unk) = self.unk_token {
            builder = builder.unk_token(unk);
        }
        let model = builder.build().map_err(|cause| Error::bad_file(path, fields.merges, cause))?;

        let mut pipeline = Pipeline::new(model);
        pipeline.with_normalizer(self.normalizer).with_pre_tokenizer(self.pre_tokenizer).with_decoder(self.decoder);
        let (ids, tokens): (Vec<u32>, Vec<AddedToken>) = self.added.into_iter().unzip();
        pipeline.add_tokens(&tokens);
        for (id, token) in ids.into_iter().zip(&tokens) {
            if pipeline.token_to_id(&token.content) != Some(id) {
                let what = format_args!("{:?} cannot have the id {id}", token.content);
                return Err(Error::bad_file(path, fields.added, what));
            }
        }
        Ok(Built { pipeline, vocab_size, digest })
    }

    /// The number of ids (one more than the largest) and the hash of vocabulary and merges.
    fn digest(&self, path: &Path, fields: &FieldNames) -> Result<(usize, Sha256)> {
        let mut entries: Vec<(u32, &str)> = self.vocab.iter().map(|(token, id)| (*id, token.as_str())).collect();
        for (id, token) in &self.added {
            if self.vocab.get(&token.content) != Some(id) {
                entries.push((*id, &token.content));
            }
        }
        entries.sort_unstable();
        if let Some(pair) = entries.windows(2).find(|pair| pair[0].0 == pair[1].0) {
            return Err(Error::bad_file(path, fields.vocab, format_args!("the id {} has two tokens", pair[0].0)));
        }
        let Some(&(last, _)) = entries.last() else {
            return Err(Error::bad_file(path, fields.vocab, "holds no token"));
        };

        // Every count and length comes before what it counts, so that no two vocabularies hash the same bytes.
        let mut digest = Sha256::new();
        digest.update((entries.len() as u64).to_le_bytes());
        digest.update((self.merges.len() as u64).to_le_bytes());
        for (id, _) in &entries {
            digest.update(id.to_le_bytes());
        }
        let tokens = entries.iter().map(|(_, token)| *token);
        let sides = self.merges.iter().flat_map(|(left, right)| [left.as_str(), right.as_str()]);
        for text in tokens.chain(sides) {
            digest.update((text.len() as u64).to_le_bytes());
            digest.update(text);
        }
        Ok((last as usize + 1, digest))
    }
}

/// The merges that do not end in one of `tokens`. A control token that a text spells out must not come out
/// of merging its letters; no other text can contain such a merge's result.
fn without_results(mut merges: Merges, tokens: &HashSet<&str>) -> Merges {
    let mut result = String::new();
    merges.retain(|(left, right)| {
        result.clear();
        result.push_str(left);
        result.push_str(right);
        !tokens.contains(result.as_str())
    });
    merges
}

/// One side of a merge and the other, from the form `left right`.
pub(super) fn split_merge(line: &str) -> Option<(String, String)> {
    let (left, right) = line.split_once(' ')?;
    (!left.is_empty() && !right.is_empty() && !right.contains(' ')).then(|| (left.to_owned(), right.to_owned()))
}
