//! An open model: its files, its frozen parts, its tokenizer.

mod base;
mod rope;
mod summary;

use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Instant;

pub use base::BaseModel;
pub(crate) use base::NormParts;
pub use summary::{MatrixForm, MatrixKind};

#[cfg(unix)]
pub use crate::format::ModelDescriptor;
pub use crate::format::ModelSource;
pub use crate::shape::{
    AttentionSpec, Bias, FAMILIES, Family, LLAMA, LayerSpec, LinearSpec, ModelConfig, Module, ModuleId, Names, Norm,
    NormPlace, Projection, RopeParameters, RopeScaling, TensorName,
};

use crate::error::{Error, ErrorKind, Result};
use crate::format::ModelFiles;
use crate::format::known_weights::KnownWeights;
use crate::text::Tokenizer;
use crate::trace::{self, Event};

/// Positions that a model is opened for, unless [`Model::with_context`] asks for more.
pub const DEFAULT_CONTEXT: usize = 2048;

/// The most positions that a model is opened for: a table of rotations for more would fit no binding of many GPUs.
const LONGEST_CONTEXT: usize = 131_072;

/// What a process takes beside weights, arena and state, measured: 16 MB of code, 7 MB of compiled patterns, threads' stacks,
/// the allocator's slack.
const PROCESS_BYTES: usize = 28_000_000;

/// What the tokenizer takes for every entry of its vocabulary: text, merges, their maps. Measured.
const TOKEN_BYTES: usize = 400;

/// An open model: files mapped, tensors checked, tokenizer ready. Nothing is on a device yet.
pub struct Model {
    path: PathBuf,
    files: ModelFiles,
    base: BaseModel,
    tokenizer: Tokenizer,
    document_start: bool,
    fingerprint: OnceLock<String>,
    known: Option<KnownWeights>,
}

impl Model {
    /// Opens a model folder or a GGUF file for contexts of up to [`DEFAULT_CONTEXT`] tokens.
    ///
    /// The weights' files are mapped, not read, for as long as the model is open. **They have to lie where nobody else
    /// writes**: in the app's own storage, or where only the system does. A file that another app cuts short ends this
    /// process with a signal (SIGBUS), which a library does not catch in somebody's app; each piece of work looks whether
    /// the files are as long as they were, and fails where they are not, but a cut in the midst of it is not found. What
    /// comes from shared storage (a download, a picker, a card) is brought in by [`import`](crate::format::import), or
    /// copied by the app. To replace a file that is open, rename another one into its place.
    ///
    /// # Errors
    /// When a file is missing or damaged, or the architecture or a tensor type is not supported.
    pub fn open(path: &Path) -> Result<Self> {
        Self::open_source(&path.into())
    }

    /// The same from wherever it lies: an app's asset, too, by its descriptor. The same holds for the file that it lies in.
    ///
    /// # Errors
    /// As [`Model::open`]; when a descriptor is none of a regular file, or the file ends before the model does.
    pub fn open_source(source: &ModelSource) -> Result<Self> {
        let began = Instant::now();
        let files = ModelFiles::open_source(source)?;
        let path = match source {
            ModelSource::Path(path) => path.as_path(),
            #[cfg(unix)]
            ModelSource::Descriptor(descriptor) => descriptor.name(),
        };
        let base = BaseModel::new(&files, DEFAULT_CONTEXT)?;
        let tokenizer = files.tokenizer()?;
        let document_start = files.document_start();
        let (fingerprint, known) = (OnceLock::new(), None);
        trace::tell(Event::ModelOpened {
            path,
            layers: base.config.layers.len(),
            bytes: files.weight_bytes(),
            milliseconds: trace::milliseconds_since(began),
        });
        Ok(Self { path: path.to_owned(), files, base, tokenizer, document_start, fingerprint, known })
    }

    /// The same model, whose weights are not hashed where they are `known`.
    pub(crate) fn with_known(self, known: KnownWeights) -> Self {
        Self { known: Some(known), ..self }
    }

    /// The same model for contexts of at least `context` tokens, or of as many as it was made for where that is fewer; of
    /// 131,072 at most.
    ///
    /// # Errors
    /// When its files were damaged since they were opened.
    pub fn with_context(self, context: usize) -> Result<Self> {
        let context = context.min(self.base.config.max_position_embeddings).min(LONGEST_CONTEXT);
        let base = if context > self.base.context { BaseModel::new(&self.files, context)? } else { self.base };
        Ok(Self { base, ..self })
    }

    /// Where it was opened from.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its files.
    pub fn files(&self) -> &ModelFiles {
        &self.files
    }

    /// Its frozen parts.
    pub fn base(&self) -> &BaseModel {
        &self.base
    }

    /// Its tokenizer.
    pub fn tokenizer(&self) -> &Tokenizer {
        &self.tokenizer
    }

    /// Whether plain prompts begin with the document-start token: where an adapter is merged in that learned so.
    pub fn document_start(&self) -> bool {
        self.document_start
    }

    /// What distinguishes it from every other base: a hash over weights, tokenizer, template and quantization. The first
    /// call reads all weights, but for a folder that [`import`](crate::format::import) wrote and for a model that a
    /// profile knows ([`Profile::open_model`](crate::profile::Profile::open_model)).
    pub fn fingerprint(&self) -> &str {
        let hash = || self.files.fingerprint(&self.tokenizer.fingerprint(), self.known.as_ref());
        self.fingerprint.get_or_init(hash)
    }

    /// Bytes of a process that works with it, beside what it works on: code, stacks, slack, the tokenizer.
    pub(crate) fn process_bytes(&self) -> usize {
        PROCESS_BYTES + TOKEN_BYTES * self.tokenizer.vocab_size()
    }

    /// Checks that every id is in the vocabulary.
    pub(crate) fn check_ids(&self, ids: &[u32]) -> Result<()> {
        let vocabulary = self.base.config.vocab_size;
        match ids.iter().find(|&&id| id as usize >= vocabulary) {
            Some(id) => Err(Error::new(ErrorKind::BadData, format!("token id {id} in a vocabulary of {vocabulary}"))),
            None => Ok(()),
        }
    }
}
