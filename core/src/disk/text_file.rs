//! Text files, read whole or a line at a time.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use crate::error::{Error, Result};

/// The byte order mark that some editors put before a text, also where such texts were joined.
const MARK: char = '\u{feff}';

/// The text of a file, without a byte order mark before it. The error of one that is not UTF-8 names the first byte that
/// is wrong.
pub(crate) fn read_utf8(path: &Path) -> Result<String> {
    let bytes = fs::read(path).map_err(|cause| Error::io(path, &cause))?;
    let mut text = String::from_utf8(bytes).map_err(|cause| {
        let place = format!("byte {}", cause.utf8_error().valid_up_to());
        Error::bad_file(path, &place, "not UTF-8").with_hint("save the file as UTF-8")
    })?;
    if text.starts_with(MARK) {
        text.drain(..MARK.len_utf8());
    }
    Ok(text)
}

/// Why a line cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BadLine {
    TooLong,
    NotUtf8,
}

/// Shows the lines of a file to `see`, with their numbers from 1, without their ends or a byte order mark before them. A
/// bad line costs no other, and one of more than `longest` bytes is passed over without being held.
pub(crate) fn each_line(path: &Path, longest: usize, mut see: impl FnMut(u64, Result<&str, BadLine>)) -> Result<()> {
    let io = |cause| Error::io(path, &cause);
    let mut reader = BufReader::new(File::open(path).map_err(io)?);
    let mut line = Vec::new();
    for number in 1.. {
        line.clear();
        // The longest with its end, of one byte or two.
        let most = longest as u64 + 2;
        if reader.by_ref().take(most).read_until(b'\n', &mut line).map_err(io)? == 0 {
            break;
        }
        let ended = line.pop_if(|byte| *byte == b'\n').is_some();
        line.pop_if(|byte| *byte == b'\r');
        if line.len() > longest {
            see(number, Err(BadLine::TooLong));
            if !ended {
                reader.skip_until(b'\n').map_err(io)?;
            }
            continue;
        }
        let text = str::from_utf8(&line).map(|text| text.strip_prefix(MARK).unwrap_or(text));
        see(number, text.map_err(|_| BadLine::NotUtf8));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_come_one_at_a_time_and_bad_ones_alone() {
        let path = tempfile::NamedTempFile::new().unwrap().into_temp_path();
        let good = |text: &str| Ok(text.to_owned());
        let (long, bad) = (Err(BadLine::TooLong), Err(BadLine::NotUtf8));
        for (content, expected) in [
            (&b""[..], vec![]),
            (b"\n", vec![good("")]),
            (b"one\ntwo", vec![good("one"), good("two")]),
            (b"\xef\xbb\xbfone\r\n\xef\xbb\xbftwo\r\n\r\n", vec![good("one"), good("two"), good("")]),
            (b"on\xffe\ntwo\n", vec![bad.clone(), good("two")]),
            (b"\xed\xa0\xbd\ntwo\n", vec![bad, good("two")]),
            (b"12345678\r\n123456789\r\ntwo", vec![good("12345678"), long.clone(), good("two")]),
            (b"1234567890\n12345678901\n\n", vec![long.clone(), long.clone(), good("")]),
            (b"one\n1234567890123456789012345678901234567890", vec![good("one"), long]),
        ] {
            fs::write(&path, content).unwrap();
            let mut found = Vec::new();
            each_line(&path, 8, |number, line| {
                found.push(line.map(str::to_owned));
                assert_eq!(number, found.len() as u64);
            })
            .unwrap();
            assert_eq!(found, expected, "{content:?}");
        }
        assert!(each_line(Path::new("/nowhere"), 8, |_, _| ()).is_err());
    }
}
