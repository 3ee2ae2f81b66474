//! Text files, read whole.

use std::fs;
use std::path::Path;

use crate::error::{Error, Result};

/// The text of a file, without the byte order mark that some editors put before it. The error of one that is not UTF-8
/// names the first byte that is wrong.
pub(crate) fn read_utf8(path: &Path) -> Result<String> {
    let bytes = fs::read(path).map_err(|cause| Error::io(path, &cause))?;
    let mut text = String::from_utf8(bytes).map_err(|cause| {
        let place = format!("byte {}", cause.utf8_error().valid_up_to());
        Error::bad_file(path, &place, "not UTF-8").with_hint("save the file as UTF-8")
    })?;
    if text.starts_with('\u{feff}') {
        text.drain(..'\u{feff}'.len_utf8());
    }
    Ok(text)
}
