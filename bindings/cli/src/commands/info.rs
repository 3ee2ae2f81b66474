//! `idiolect info`.

use std::fmt::{self, Display};
use std::path::PathBuf;

use clap::Args;
use idiolect::adapter::LoraOptions;
use idiolect::format::ModelLayout;
use idiolect::model::{MatrixKind, ModelConfig};
use idiolect::text::Tokenizer;
use idiolect::{Model, Result};
use serde::Serialize;

use crate::output::{Output, Table, megabytes, thousands, trainable};

#[derive(Debug, Args)]
pub struct Info {
    /// A model folder or a GGUF file
    model: PathBuf,
}

/// What a model is.
#[derive(Serialize)]
struct Report {
    path: PathBuf,
    format: &'static str,
    architecture: &'static str,
    layers: usize,
    hidden_size: usize,
    intermediate_size: usize,
    heads: usize,
    kv_heads: usize,
    head_dim: usize,
    context: usize,
    rope_theta: Option<f64>,
    tied_head: bool,
    parameters: usize,
    bytes: usize,
    matrices: Vec<Matrices>,
    vocab_size: usize,
    document_start: Option<String>,
    end_of_turn: Option<String>,
    adds_bos: bool,
    chat_template: bool,
    fingerprint: String,
    trainable_rank_8: usize,
}

/// One kind of matrix.
#[derive(Serialize)]
struct Matrices {
    name: &'static str,
    rows: usize,
    cols: usize,
    stored: Vec<Stored>,
}

/// A form and how many matrices have it.
#[derive(Serialize)]
struct Stored {
    form: String,
    count: usize,
}

impl From<MatrixKind> for Matrices {
    fn from(kind: MatrixKind) -> Self {
        let stored = kind.forms.iter().map(|(form, count)| Stored { form: form.to_string(), count: *count }).collect();
        Self { name: kind.name, rows: kind.shape.0, cols: kind.shape.1, stored }
    }
}

impl Display for Matrices {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let forms = match &self.stored[..] {
            [only] => only.form.clone(),
            several => several.iter().map(|s| format!("{} × {}", s.count, s.form)).collect::<Vec<_>>().join("; "),
        };
        write!(f, "{} × {}  {forms}", thousands(self.rows), thousands(self.cols))
    }
}

impl Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let token = |token: &Option<String>| token.clone().unwrap_or_else(|| "none".into());
        let rotation = self.rope_theta.map_or_else(String::new, |theta| format!(", rotary base {theta}"));
        let mut rows = vec![
            ("model", self.path.display().to_string()),
            ("format", self.format.into()),
            ("architecture", self.architecture.into()),
            ("layers", self.layers.to_string()),
            ("width", format!("{}, feed-forward {}", thousands(self.hidden_size), thousands(self.intermediate_size))),
            ("heads", format!("{} of width {}, {} for keys and values", self.heads, self.head_dim, self.kv_heads)),
            ("context", format!("{} tokens{rotation}", thousands(self.context))),
            ("parameters", thousands(self.parameters)),
            ("size", megabytes(self.bytes)),
        ];
        rows.extend(self.matrices.iter().map(|matrices| (matrices.name, matrices.to_string())));
        if self.tied_head {
            rows.push(("lm_head", "the embedding".into()));
        }
        let ends = format!(
            "starts a document with {}, ends a turn with {}",
            token(&self.document_start),
            token(&self.end_of_turn)
        );
        let bos = if self.adds_bos { ", BOS before a plain prompt" } else { "" };
        rows.extend([
            ("tokenizer", format!("{} tokens, {ends}{bos}", thousands(self.vocab_size))),
            ("chat template", if self.chat_template { "yes" } else { "no" }.into()),
            ("fingerprint", self.fingerprint.clone()),
            ("rank 8", trainable(self.trainable_rank_8, self.parameters + self.trainable_rank_8)),
        ]);
        Table(&rows).fmt(f)
    }
}

impl Info {
    pub fn run(&self, output: &Output) -> Result<()> {
        let model = Model::open(&self.model)?;
        let config: &ModelConfig = &model.base().config;
        let layer = &config.layers[0];
        let tokenizer: &Tokenizer = model.tokenizer();
        let spelled =
            |id: Option<u32>| id.and_then(|id| tokenizer.token_text(id)).map(|token| token.escape_debug().to_string());
        let adapter = LoraOptions::default().shape(&model)?;
        output.result(&Report {
            path: self.model.clone(),
            format: match model.files().layout() {
                ModelLayout::Folder(_) => "folder",
                ModelLayout::Gguf(_) => "GGUF",
            },
            architecture: config.family.name,
            layers: config.layers.len(),
            hidden_size: config.hidden_size,
            intermediate_size: layer.intermediate_size,
            heads: layer.attention.heads,
            kv_heads: layer.attention.kv_heads,
            head_dim: layer.attention.head_dim,
            context: config.max_position_embeddings,
            rope_theta: config.ropes.first().map(|rope| rope.theta),
            tied_head: config.tie_word_embeddings,
            parameters: model.base().parameters(),
            bytes: model.base().weights.bytes(),
            matrices: model.base().matrix_kinds().into_iter().map(Matrices::from).collect(),
            vocab_size: tokenizer.vocab_size(),
            document_start: spelled(tokenizer.document_start()),
            end_of_turn: spelled(tokenizer.end_of_turn()),
            adds_bos: tokenizer.adds_bos(),
            chat_template: tokenizer.chat_template().is_some(),
            fingerprint: model.fingerprint().to_owned(),
            trainable_rank_8: adapter.layout().len(),
        })
    }
}
