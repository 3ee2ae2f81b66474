//! What distinguishes one base model from every other: an adapter of another base must not be applied.

use rayon::prelude::*;
use sha2::{Digest, Sha256};

use super::model_files::ModelFiles;
use super::tensor::Tensor;

impl ModelFiles {
    /// A hash over the names, types, shapes and bytes of all tensors, in the order of their names, and over the
    /// tokenizer's own hash (vocabulary, merges, chat template): the same however the tensors are spread over files.
    /// Reads every byte of the model once.
    pub(crate) fn fingerprint(&self, tokenizer: &[u8; 32]) -> String {
        let mut tensors: Vec<&Tensor> = self.stored().iter().collect();
        tensors.sort_by(|a, b| a.name.cmp(&b.name));
        let digests: Vec<[u8; 32]> = tensors
            .par_iter()
            .map(|tensor| {
                let head = format!("{} {} {:?}\n", tensor.name, tensor.storage, tensor.shape);
                Sha256::new_with_prefix(head).chain_update(&*tensor.bytes).finalize().into()
            })
            .collect();
        let digest = digests.iter().fold(Sha256::new(), |hash, digest| hash.chain_update(digest));
        digest.chain_update(tokenizer).finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }
}
