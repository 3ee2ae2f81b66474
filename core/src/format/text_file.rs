//! Text files, read whole.

use std::fs;
use std::path::Path;

use crate::error::{Error, Result};

/// The text of a file. The error of one that is not UTF-8 names the first byte that is wrong.
pub(crate) fn read_utf8(path: &Path) -> Result<String> {
    let bytes = fs::read(path).map_err(|cause| Error::io(path, &cause))?;
    String::from_utf8(bytes)
        .map_err(|cause| Error::bad_file(path, &format!("byte {}", cause.utf8_error().valid_up_to()), "not UTF-8"))
}
