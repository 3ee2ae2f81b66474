//! Sealed files of any length, written and read in frames with flat memory.
//!
//! ```text
//! header   magic (8) ‖ version u32 ‖ nonce prefix (19) ‖ key check (16) ‖ the first 8 bytes of SHA-256 of these
//! frames   65,536 bytes of plaintext each (the last has fewer, or as many), sealed, with a tag of 16 bytes
//! ```
//!
//! A frame's nonce is `prefix ‖ number, u32 big-endian ‖ 1 if it is the last, else 0` (the STREAM construction of
//! Hoang, Reyhanitabar, Rogaway and Vizár, 2015): frames can be neither dropped nor swapped, and a file that was cut does
//! not open. Its associated data are the header, the purpose and the name. The key check is an HMAC of the nonce
//! prefix; it tells a wrong key from a damaged file.

use std::fmt;
use std::io::{self, Read, Write};
use std::path::Path;

use chacha20poly1305::{AeadInOut, KeyInit, XChaCha20Poly1305, XNonce};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::hash::KeyedHash;
use super::key::{Key, Purpose};
use super::random_bytes;
use crate::error::{Error, ErrorKind, Result};

const MAGIC: &[u8; 8] = b"IDIOSEAL";
const VERSION: u32 = 1;
const PREFIX: usize = 19;
const CHECK: usize = 16;
const HEADER: usize = 8 + 4 + PREFIX + CHECK + 8;
const FRAME: usize = 64 * 1024;
const TAG: usize = 16;

/// What frames are sealed with.
struct Frames {
    cipher: XChaCha20Poly1305,
    prefix: [u8; PREFIX],
    associated: Vec<u8>,
    number: u32,
}

impl Frames {
    fn new(key: &Key, purpose: Purpose, name: &str, header: &[u8], prefix: [u8; PREFIX]) -> Self {
        let cipher = XChaCha20Poly1305::new(&(*key.subkey(purpose)).into());
        let associated = [header, purpose.label().as_bytes(), b"\0", name.as_bytes()].concat();
        Self { cipher, prefix, associated, number: 0 }
    }

    /// The next frame's nonce.
    fn nonce(&mut self, last: bool) -> io::Result<XNonce> {
        let mut nonce = [0; 24];
        nonce[..PREFIX].copy_from_slice(&self.prefix);
        nonce[PREFIX..23].copy_from_slice(&self.number.to_be_bytes());
        nonce[23] = u8::from(last);
        self.number = self.number.checked_add(1).ok_or_else(|| io::Error::other("a sealed file of 256 TiB"))?;
        Ok(nonce.into())
    }

    fn seal(&mut self, frame: &mut Vec<u8>, last: bool) -> io::Result<()> {
        let nonce = self.nonce(last)?;
        self.cipher
            .encrypt_in_place(&nonce, &self.associated, frame)
            .map_err(|_| io::Error::other("a frame that cannot be sealed"))
    }

    fn open(&mut self, frame: &mut Vec<u8>, last: bool) -> io::Result<()> {
        let nonce = self.nonce(last)?;
        self.cipher.decrypt_in_place(&nonce, &self.associated, frame).map_err(|_| damaged())
    }
}

fn damaged() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "damaged, cut off, or sealed as another file")
}

fn header(prefix: [u8; PREFIX], check: [u8; CHECK]) -> Vec<u8> {
    let mut header = [&MAGIC[..], &VERSION.to_le_bytes(), &prefix, &check].concat();
    let sum = Sha256::digest(&header);
    header.extend_from_slice(&sum[..8]);
    header
}

fn key_check(key: &Key, prefix: [u8; PREFIX]) -> Result<[u8; CHECK]> {
    Ok(KeyedHash::with_subkey(&*key.check_subkey())?.short("file", &[&prefix]))
}

/// Writes a sealed file. What it is given appears sealed in the inner writer, a frame at a time;
/// [`SealedWriter::finish`] ends it, and a file without that does not open.
pub struct SealedWriter<W> {
    inner: W,
    frames: Frames,
    /// The frame in the making: plain text, wiped when dropped.
    plain: Zeroizing<Vec<u8>>,
}

impl<W: Write> SealedWriter<W> {
    /// Begins a sealed file: writes its header. `name` is part of what is authenticated: the file opens under it only.
    ///
    /// # Errors
    /// When `inner` cannot be written, or the system gives no random bytes.
    pub fn begin(mut inner: W, path: &Path, key: &Key, purpose: Purpose, name: &str) -> Result<Self> {
        let prefix = random_bytes()?;
        let header = header(prefix, key_check(key, prefix)?);
        inner.write_all(&header).map_err(|cause| Error::io(path, &cause))?;
        Ok(Self { inner, frames: Frames::new(key, purpose, name, &header, prefix), plain: Zeroizing::default() })
    }

    /// Writes the last frame and gives the inner writer back, neither flushed nor synced.
    ///
    /// # Errors
    /// When the inner writer fails.
    pub fn finish(self) -> io::Result<W> {
        let Self { mut inner, mut frames, mut plain } = self;
        frames.seal(&mut plain, true)?;
        inner.write_all(&plain)?;
        Ok(inner)
    }

    fn put(&mut self, last: bool) -> io::Result<()> {
        self.frames.seal(&mut self.plain, last)?;
        self.inner.write_all(&self.plain)?;
        self.plain.clear();
        Ok(())
    }
}

impl<W: Write> Write for SealedWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // A full frame goes only when more comes: it might be the last.
        if self.plain.len() == FRAME && !bytes.is_empty() {
            self.put(false)?;
        }
        if self.plain.capacity() == 0 {
            // Room for the tag as well: a growing buffer would leave copies of the text behind.
            self.plain.reserve_exact(FRAME + TAG);
        }
        let taken = bytes.len().min(FRAME - self.plain.len());
        self.plain.extend_from_slice(&bytes[..taken]);
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

impl<W> fmt::Debug for SealedWriter<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SealedWriter(…)")
    }
}

/// Reads a sealed file. No byte comes out that was not authenticated; damage ends in an error of kind `InvalidData`. After
/// an error nothing comes any more but the same error: what follows damage is not what was written.
pub struct SealedReader<R> {
    inner: R,
    frames: Frames,
    /// The frame to open next, still sealed: whether it is the last is known when nothing follows.
    ahead: Vec<u8>,
    plain: Zeroizing<Vec<u8>>,
    /// How much of `plain` was handed out.
    read: usize,
    ended: bool,
    failed: Option<io::ErrorKind>,
}

impl<R: Read> SealedReader<R> {
    /// Begins to read; `path` is for the errors.
    ///
    /// # Errors
    /// `BadFile` when this is no sealed file, `Unsupported` when a newer version wrote it, `WrongKey` when it was sealed
    /// under another key, `Io` when it cannot be read.
    pub fn open(mut inner: R, path: &Path, key: &Key, purpose: Purpose, name: &str) -> Result<Self> {
        let io = |cause| Error::io(path, &cause);
        let bad = |what| Error::bad_file(path, "header", what);
        let bytes = read_up_to(&mut inner, HEADER).map_err(io)?;
        if !bytes.starts_with(MAGIC) {
            return Err(bad("not a sealed file"));
        }
        let (fields, sum) = bytes.split_last_chunk::<8>().filter(|_| bytes.len() == HEADER).ok_or(bad("cut off"))?;
        if Sha256::digest(fields)[..8] != *sum {
            return Err(bad("its checksum does not match"));
        }
        let version = u32::from_le_bytes(std::array::from_fn(|i| fields[8 + i]));
        if version != VERSION {
            return Err(Error::unsupported(path, "header", format!("version {version}, this library reads {VERSION}")));
        }
        let prefix: [u8; PREFIX] = std::array::from_fn(|i| fields[12 + i]);
        if fields[12 + PREFIX..] != key_check(key, prefix)? {
            return Err(Error::new(ErrorKind::WrongKey, format!("{}: sealed under another key", path.display())));
        }
        let frames = Frames::new(key, purpose, name, &bytes, prefix);
        let ahead = read_up_to(&mut inner, FRAME + TAG).map_err(io)?;
        Ok(Self { inner, frames, ahead, plain: Zeroizing::default(), read: 0, ended: false, failed: None })
    }

    fn next_frame(&mut self) -> io::Result<()> {
        let following = read_up_to(&mut self.inner, FRAME + TAG)?;
        let mut frame = std::mem::replace(&mut self.ahead, following);
        self.ended = self.ahead.is_empty();
        self.frames.open(&mut frame, self.ended)?;
        self.plain = Zeroizing::new(frame);
        self.read = 0;
        Ok(())
    }
}

impl<R: Read> Read for SealedReader<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if let Some(kind) = self.failed {
            return Err(if kind == io::ErrorKind::InvalidData { damaged() } else { kind.into() });
        }
        if self.read == self.plain.len() && !self.ended {
            self.next_frame().inspect_err(|cause| self.failed = Some(cause.kind()))?;
        }
        let taken = out.len().min(self.plain.len() - self.read);
        out[..taken].copy_from_slice(&self.plain[self.read..self.read + taken]);
        self.read += taken;
        Ok(taken)
    }
}

impl<R> fmt::Debug for SealedReader<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SealedReader(…)")
    }
}

/// Up to `limit` bytes: fewer at the end only.
fn read_up_to(reader: &mut impl Read, limit: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(limit);
    reader.take(limit as u64).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// An error while reading: damage is a bad file, all else the system's.
pub(crate) fn read_error(path: &Path, cause: &io::Error) -> Error {
    match cause.kind() {
        io::ErrorKind::InvalidData => Error::bad_file(path, "content", cause),
        _ => Error::io(path, cause),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAME: &str = "adapter 3";

    fn key(byte: u8) -> Key {
        Key::from_bytes(&[byte; 32]).unwrap()
    }

    fn sealed(plain: &[u8]) -> Vec<u8> {
        let mut writer = SealedWriter::begin(Vec::new(), Path::new("f"), &key(7), Purpose::Adapter, NAME).unwrap();
        writer.write_all(plain).unwrap();
        writer.finish().unwrap()
    }

    fn opened(bytes: &[u8], key: &Key, purpose: Purpose, name: &str) -> Result<Vec<u8>> {
        let path = Path::new("f");
        let mut plain = Vec::new();
        SealedReader::open(bytes, path, key, purpose, name)?
            .read_to_end(&mut plain)
            .map_err(|cause| read_error(path, &cause))?;
        Ok(plain)
    }

    #[test]
    fn what_is_sealed_opens_at_every_length() {
        for length in [0, 1, FRAME - 1, FRAME, FRAME + 1, 2 * FRAME, 3 * FRAME + 17] {
            let plain: Vec<u8> = (0..length).map(|i| (i % 251) as u8).collect();
            let bytes = sealed(&plain);
            assert!(opened(&bytes, &key(7), Purpose::Adapter, NAME).unwrap() == plain, "{length}");
            let frames = length.div_ceil(FRAME).max(1);
            assert_eq!(bytes.len(), HEADER + length + frames * TAG, "{length}");
        }
    }

    #[test]
    fn a_reader_stays_at_its_first_error() {
        /// Fails once, at this byte.
        struct Failing<'a>(&'a [u8], usize);
        impl Read for Failing<'_> {
            fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
                if self.1 == 0 {
                    self.1 = usize::MAX;
                    return Err(io::ErrorKind::TimedOut.into());
                }
                let most = out.len().min(self.1);
                let read = self.0.read(&mut out[..most])?;
                self.1 -= read;
                Ok(read)
            }
        }
        let frame = FRAME + TAG;
        let whole = sealed(&vec![b'x'; 3 * FRAME]);
        let flipped = |number: usize| {
            let mut bytes = whole.clone();
            bytes[HEADER + number * frame + 9] ^= 1;
            bytes
        };
        let (never, damaged, failed) = (usize::MAX, io::ErrorKind::InvalidData, io::ErrorKind::TimedOut);
        // (what, bytes, where reading them fails, frames that come before, kind of the error)
        for (what, bytes, fails_at, before, kind) in [
            ("the first is damaged", flipped(0), never, 0, damaged),
            ("the second is damaged", flipped(1), never, 1, damaged),
            ("the last is damaged", flipped(2), never, 2, damaged),
            ("cut", whole[..HEADER + 2 * frame].to_vec(), never, 1, damaged),
            ("the third cannot be read", whole.clone(), HEADER + 2 * frame + 5, 1, failed),
        ] {
            let mut reader =
                SealedReader::open(Failing(&bytes, fails_at), Path::new("f"), &key(7), Purpose::Adapter, NAME).unwrap();
            let mut plain = Vec::new();
            for again in 0..4 {
                let error = reader.read_to_end(&mut plain).expect_err(what);
                assert_eq!((error.kind(), plain.len()), (kind, before * FRAME), "{what}, read {again}");
            }
        }
    }

    #[test]
    fn a_wrong_key_is_told_from_damage() {
        let bytes = sealed(&vec![b'x'; 3 * FRAME]);
        let frame = FRAME + TAG;
        let changed = |at: usize, with: u8| {
            let mut bytes = bytes.clone();
            bytes[at] ^= with;
            bytes
        };
        let cut = |length: usize| bytes[..length].to_vec();
        let swapped = [&bytes[..HEADER], &bytes[HEADER + frame..][..frame], &bytes[HEADER..][..frame]].concat();
        let mut newer = bytes.clone();
        newer[8] = 9;
        let sum = Sha256::digest(&newer[..HEADER - 8]);
        newer[HEADER - 8..HEADER].copy_from_slice(&sum[..8]);
        let longer = [&bytes[..], b"x"].concat();
        let (own, adapter) = (key(7), Purpose::Adapter);
        // (what, bytes, key, purpose, name, kind)
        for (what, bytes, key, purpose, name, kind) in [
            ("another key", cut(bytes.len()), key(8), adapter, NAME, ErrorKind::WrongKey),
            ("another purpose", cut(bytes.len()), own.clone(), Purpose::Checkpoint, NAME, ErrorKind::BadFile),
            ("another name", cut(bytes.len()), own.clone(), adapter, "adapter 4", ErrorKind::BadFile),
            ("empty", vec![], own.clone(), adapter, NAME, ErrorKind::BadFile),
            ("another format", b"PK\x03\x04 and so on".to_vec(), own.clone(), adapter, NAME, ErrorKind::BadFile),
            ("cut in the header", cut(HEADER - 1), own.clone(), adapter, NAME, ErrorKind::BadFile),
            ("cut after the header", cut(HEADER), own.clone(), adapter, NAME, ErrorKind::BadFile),
            ("cut between frames", cut(HEADER + frame), own.clone(), adapter, NAME, ErrorKind::BadFile),
            ("cut in a frame", cut(bytes.len() - 1), own.clone(), adapter, NAME, ErrorKind::BadFile),
            ("longer", longer, own.clone(), adapter, NAME, ErrorKind::BadFile),
            ("frames swapped", swapped, own.clone(), adapter, NAME, ErrorKind::BadFile),
            ("a flip in the header", changed(20, 1), own.clone(), adapter, NAME, ErrorKind::BadFile),
            ("a flip in the key check", changed(35, 1), own.clone(), adapter, NAME, ErrorKind::BadFile),
            ("a flip in a frame", changed(HEADER + 5, 1), own.clone(), adapter, NAME, ErrorKind::BadFile),
            ("a newer version", newer, own.clone(), adapter, NAME, ErrorKind::Unsupported),
        ] {
            let error = opened(&bytes, &key, purpose, name).expect_err(what);
            assert_eq!(error.kind(), kind, "{what}: {error}");
        }
    }
}
