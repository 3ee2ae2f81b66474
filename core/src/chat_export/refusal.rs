//! Exported chats are no lists of what one person wrote: read as such, other people's lines would be learned.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use super::head::head;
use crate::error::{Error, ErrorKind, Result};

/// How much of a file is looked at, in bytes.
const BEGINNING: u64 = 64 << 10;

/// Whether a text begins like an exported chat: its first line that is not blank is the head of a message, and soon one
/// has an author.
pub fn begins_like_export(text: &str) -> bool {
    const SOON: usize = 50;
    let mut heads = text.lines().filter(|line| !line.trim().is_empty()).take(SOON).map(head);
    let authored = |head: Option<super::head::Head<'_>>| head.is_some_and(|head| head.author.is_some());
    heads.next().flatten().is_some_and(|first| first.author.is_some() || heads.any(authored))
}

/// Refuses a file that begins like an exported chat, before it is read as what one person wrote.
///
/// # Errors
/// `BadOption` for such a file; `Io` when it cannot be read.
pub fn refuse_export(path: &Path) -> Result<()> {
    let io = |cause| Error::io(path, &cause);
    let mut beginning = Vec::new();
    File::open(path).map_err(io)?.take(BEGINNING).read_to_end(&mut beginning).map_err(io)?;
    // What is not UTF-8 in it is for the reader to judge, row by row.
    if !begins_like_export(&String::from_utf8_lossy(&beginning)) {
        return Ok(());
    }
    let message = format!("{}: begins like an exported chat, where others write, too", path.display());
    Err(Error::new(ErrorKind::BadOption, message).with_hint(
        "read it as a chat export, with the person's name in it; or say that every line is the person's own",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exports_are_told_from_other_texts() {
        for (text, expected) in [
            ("31/12/2023, 21:41 - Ben: u coming?\n", true),
            ("\n\n[31.12.23, 21:41:05] Ben: u coming?\n", true),
            ("\u{feff}\u{200e}[31.12.23, 21:41:05] Ben: \u{200e}image omitted\n", true),
            ("31/12/2023 à 22:39 - Les messages sont chiffrés.\n31/12/2023 à 22:41 - Ben: tu viens ?\n", true),
            ("12/31/15, 9:41:05 PM: Ana: hi", true),
            // A diary and a list of messages.
            ("31/12/2023, 21:41 - we had dinner\n31/12/2023, 22:10 - we went home\n", false),
            ("kettle is on\n31/12/2023, 21:41 - Ben: u coming?\n", false),
            ("back by six\n", false),
            ("{\"text\":\"31/12/2023, 21:41 - Ben: hi\"}", false),
            ("", false),
        ] {
            assert_eq!(begins_like_export(text), expected, "{text:?}");
        }
        let path = tempfile::NamedTempFile::new().unwrap().into_temp_path();
        std::fs::write(&path, b"31/12/2023, 21:41 - Ben: my secret\n31/12/2023, 21:42 - Ana: \xff\n").unwrap();
        let error = refuse_export(&path).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BadOption);
        let named = error.message().starts_with(&*path.to_string_lossy());
        assert!(named && !format!("{error:?}").contains("secret"), "{error:?}");
    }
}
