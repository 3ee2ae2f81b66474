//! What all share who have to do with files: files and folders that appear whole or not at all, locks between processes, a
//! door that an erasure can shut; files as memory, as lines of text, as JSON.

pub(crate) mod door;
pub(crate) mod file_bytes;
pub(crate) mod file_stamp;
pub(crate) mod json;
pub(crate) mod lock;
pub(crate) mod staged;
pub(crate) mod text_file;
