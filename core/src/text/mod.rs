//! Text to token ids and back: the tokenizer of a model folder or a GGUF file, and its chat template.

pub(crate) mod boundaries;
mod chat;
mod controls;
mod detokenizer;
mod dialogue;
#[cfg(test)]
pub(crate) mod fixtures;
mod folder;
mod gguf;
mod pipeline;
mod spelling;
mod template;
mod tokenizer;
pub(crate) mod word;

pub(crate) use chat::Turn;
pub use chat::{ChatMessage, Role};
pub(crate) use detokenizer::Detokenizer;
pub(crate) use dialogue::Dialogue;
pub use gguf::GgufVocabulary;
pub(crate) use tokenizer::Placed;
pub use tokenizer::Tokenizer;
