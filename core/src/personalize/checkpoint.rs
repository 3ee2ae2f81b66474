//! Checkpoints: what a training has come to, sealed, in two files that are written in turn; and beside them, in two more,
//! the parameters of the best epoch, which change with epochs only.
//!
//! A file replaces the one before the last, so that a damaged checkpoint falls back to its predecessor. Content, within
//! the seal: the length of a note (u32), the note (JSON), then arrays, each a length (u64) and f32 values; all
//! little-endian.

use std::fs;
use std::io::{ErrorKind as IoKind, Read, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::disk::staged::{private_file, remove_if_there, whole_file};
use crate::error::{Error, ErrorKind, Result};
use crate::seal::{Key, Purpose, SealedReader, SealedWriter};

const CHECKPOINTS: [&str; 2] = ["training-a", "training-b"];
const BEST_EPOCHS: [&str; 2] = ["best-epoch-a", "best-epoch-b"];

/// Values that are converted at a time.
const CHUNK: usize = 16 << 10;

/// The checkpoints of one profile.
pub(crate) struct Checkpoints {
    folder: PathBuf,
    key: Key,
    /// The number of the last one.
    sequence: u64,
}

/// One that was read.
pub(crate) struct Saved<N> {
    pub note: N,
    pub arrays: Vec<Vec<f32>>,
    /// The bytes of its file.
    pub bytes: u64,
    /// A newer one was damaged.
    pub fell_back: bool,
}

/// What there is to go on from.
pub(crate) enum Found<N> {
    /// There is no checkpoint.
    Nothing,
    /// There is none that opens.
    Damaged,
    /// The newest that opens.
    Saved(Saved<N>),
}

/// Hands arrays to a sink, one after the other.
pub(crate) type Arrays<'a> = &'a mut dyn FnMut(&mut dyn FnMut(&[f32]) -> Result<()>) -> Result<()>;

impl Checkpoints {
    /// The checkpoints in `folder`, which is made where it is missing.
    pub fn open(folder: &Path, key: &Key) -> Result<Self> {
        fs::create_dir_all(folder).map_err(|cause| Error::io(folder, &cause))?;
        Ok(Self { folder: folder.to_owned(), key: key.clone(), sequence: 0 })
    }

    /// Writes a checkpoint, durably, and gives the bytes of its file; on an error the ones before are untouched.
    pub fn save(&mut self, note: &impl Serialize, arrays: Arrays<'_>) -> Result<u64> {
        let sequence = self.sequence + 1;
        let bytes = self.write(CHECKPOINTS, sequence, note, arrays)?;
        self.sequence = sequence;
        Ok(bytes)
    }

    /// Writes the parameters of the best epoch so far, durably, and gives the bytes of their file. `number` is one more
    /// than that of the epoch that was the best before, whose parameters stay: the last checkpoint needs them.
    pub fn save_best_epoch(&self, number: u64, params: &[f32]) -> Result<u64> {
        self.write(BEST_EPOCHS, number, &(), &mut |sink| sink(params))
    }

    /// The parameters that were written under `number`; none where they are damaged or gone.
    ///
    /// # Errors
    /// When the file cannot be read, or was sealed under another key.
    pub fn best_epoch(&self, number: u64) -> Result<Option<Vec<f32>>> {
        let name = slot(BEST_EPOCHS, number);
        match self.folder.join(name).exists().then(|| self.read::<()>(name)) {
            Some(Ok((found, saved))) if found == number => Ok(saved.arrays.into_iter().next()),
            Some(Err(error)) if error.kind() != ErrorKind::BadFile => Err(error),
            _ => Ok(None),
        }
    }

    fn write(&self, slots: [&'static str; 2], number: u64, note: &impl Serialize, arrays: Arrays<'_>) -> Result<u64> {
        let name = slot(slots, number);
        let path = self.folder.join(name);
        let io = |cause| Error::io(&path, &cause);
        let note = serde_json::to_vec(&(number, note))
            .map_err(|_| Error::new(ErrorKind::BadData, "a checkpoint's note that cannot be written as JSON"))?;
        whole_file(&path, |staging| {
            let file = private_file(staging).map_err(io)?;
            let mut writer = SealedWriter::begin(file, &path, &self.key, Purpose::Checkpoint, name)?;
            writer.write_all(&(note.len() as u32).to_le_bytes()).and_then(|()| writer.write_all(&note)).map_err(io)?;
            arrays(&mut |values| {
                writer.write_all(&(values.len() as u64).to_le_bytes()).map_err(io)?;
                let mut parts = values.chunks(CHUNK);
                parts.try_for_each(|part| writer.write_all(bytemuck::cast_slice(part))).map_err(io)
            })?;
            writer.finish().map(drop).map_err(io)
        })?;
        Ok(fs::metadata(&path).map_err(io)?.len())
    }

    /// The newest checkpoint that opens.
    ///
    /// # Errors
    /// [`ErrorKind::WrongKey`] under another key.
    pub fn latest<N: DeserializeOwned>(&mut self) -> Result<Found<N>> {
        let mut damaged = false;
        let mut found: Option<(u64, Saved<N>)> = None;
        for name in CHECKPOINTS.into_iter().filter(|name| self.folder.join(name).exists()) {
            match self.read::<N>(name) {
                Ok((sequence, saved)) => {
                    if found.as_ref().is_none_or(|(newest, _)| *newest < sequence) {
                        found = Some((sequence, saved));
                    }
                }
                Err(error) if error.kind() == ErrorKind::BadFile => damaged = true,
                Err(error) => return Err(error),
            }
        }
        Ok(match found {
            Some((sequence, saved)) => {
                self.sequence = sequence;
                Found::Saved(Saved { fell_back: damaged, ..saved })
            }
            None if damaged => Found::Damaged,
            None => Found::Nothing,
        })
    }

    fn read<N: DeserializeOwned>(&self, name: &str) -> Result<(u64, Saved<N>)> {
        let path = self.folder.join(name);
        let bad = |what: &str| Error::bad_file(&path, "checkpoint", what);
        let broken = |cause: std::io::Error| match cause.kind() {
            IoKind::InvalidData | IoKind::UnexpectedEof => bad("damaged or cut off"),
            _ => Error::io(&path, &cause),
        };
        let file = fs::File::open(&path).map_err(|cause| Error::io(&path, &cause))?;
        let bytes = file.metadata().map_err(|cause| Error::io(&path, &cause))?.len();
        let mut reader = SealedReader::open(file, &path, &self.key, Purpose::Checkpoint, name)?;
        let mut len = [0; 4];
        reader.read_exact(&mut len).map_err(broken)?;
        let mut note = Vec::new();
        reader.by_ref().take(u64::from(u32::from_le_bytes(len))).read_to_end(&mut note).map_err(broken)?;
        let (sequence, note) = serde_json::from_slice(&note).map_err(|_| bad("of another version"))?;
        let mut arrays = Vec::new();
        let mut len = [0; 8];
        while reader.read(&mut len[..1]).map_err(broken)? == 1 {
            reader.read_exact(&mut len[1..]).map_err(broken)?;
            arrays.push(read_values(&mut reader, u64::from_le_bytes(len)).map_err(broken)?);
        }
        Ok((sequence, Saved { note, arrays, bytes, fell_back: false }))
    }

    /// Whether there is any.
    pub fn exist(&self) -> bool {
        CHECKPOINTS.iter().any(|name| self.folder.join(name).exists())
    }

    /// Removes all of them, and the best epoch's parameters.
    pub fn clear(&self) -> Result<()> {
        CHECKPOINTS.iter().chain(&BEST_EPOCHS).try_for_each(|name| remove_if_there(&self.folder.join(name)))
    }
}

/// The one of two files that what has this number is written to.
fn slot(slots: [&'static str; 2], number: u64) -> &'static str {
    slots[(number % 2) as usize]
}

/// Memory grows with what is really there, not with what the length claims.
fn read_values(reader: &mut impl Read, count: u64) -> std::io::Result<Vec<f32>> {
    let mut values: Vec<f32> = Vec::new();
    while (values.len() as u64) < count {
        let start = values.len();
        values.resize(start + CHUNK.min((count - start as u64) as usize), 0.0);
        reader.read_exact(bytemuck::cast_slice_mut(&mut values[start..]))?;
    }
    Ok(values)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn save(checkpoints: &mut Checkpoints, step: u32, arrays: &[Vec<f32>]) {
        checkpoints.save(&step, &mut |sink| arrays.iter().try_for_each(|values| sink(values))).unwrap();
    }

    #[test]
    fn a_damaged_checkpoint_falls_back_to_the_one_before() {
        let home = tempfile::tempdir().unwrap();
        let key = Key::random().unwrap();
        let mut checkpoints = Checkpoints::open(home.path(), &key).unwrap();
        assert!(matches!(checkpoints.latest::<u32>().unwrap(), Found::Nothing));
        let arrays = |step: u32| vec![vec![step as f32; 40_000], Vec::new(), vec![-1.5]];
        (1..=3).for_each(|step| save(&mut checkpoints, step, &arrays(step)));
        assert_eq!(fs::read_dir(home.path()).unwrap().count(), 2);

        let latest = |key: &Key| Checkpoints::open(home.path(), key)?.latest::<u32>();
        let saved = || match latest(&key).unwrap() {
            Found::Saved(Saved { note, arrays, fell_back, .. }) => Some((note, arrays, fell_back)),
            Found::Damaged => None,
            Found::Nothing => panic!("nothing is there"),
        };
        assert_eq!(saved(), Some((3, arrays(3), false)));
        assert!(matches!(latest(&Key::random().unwrap()), Err(error) if error.kind() == ErrorKind::WrongKey));

        let newest = home.path().join(CHECKPOINTS[1]);
        let whole = fs::read(&newest).unwrap();
        let flipped = |at: usize| {
            let mut bytes = whole.clone();
            bytes[at] ^= 4;
            bytes
        };
        for (what, bytes) in [
            ("cut", whole[..whole.len() - 1].to_vec()),
            ("halved", whole[..whole.len() / 2].to_vec()),
            ("empty", Vec::new()),
            ("header", flipped(14)),
            ("middle", flipped(whole.len() / 2)),
            ("end", flipped(whole.len() - 3)),
        ] {
            fs::write(&newest, bytes).unwrap();
            assert_eq!(saved(), Some((2, arrays(2), true)), "{what}");
        }
        let older = home.path().join(CHECKPOINTS[0]);
        let kept = fs::read(&older).unwrap();
        fs::write(&older, &kept[1..]).unwrap();
        assert_eq!(saved(), None, "both are damaged");
        fs::write(&older, kept).unwrap();
        // The next one takes the damaged one's place.
        let mut checkpoints = Checkpoints::open(home.path(), &key).unwrap();
        checkpoints.latest::<u32>().unwrap();
        save(&mut checkpoints, 4, &arrays(4));
        assert_eq!(saved().map(|(step, ..)| step), Some(4));
        checkpoints.clear().unwrap();
        assert!(matches!(latest(&key).unwrap(), Found::Nothing));
    }
    #[test]
    fn the_best_epoch_before_stays_until_the_next_but_one() {
        let home = tempfile::tempdir().unwrap();
        let key = Key::random().unwrap();
        let checkpoints = Checkpoints::open(home.path(), &key).unwrap();
        let best = |number| checkpoints.best_epoch(number).unwrap();
        assert_eq!(best(1), None);
        for number in 1..=3u64 {
            let bytes = checkpoints.save_best_epoch(number, &[number as f32, 0.5]).unwrap();
            assert_eq!(bytes, fs::metadata(home.path().join(slot(BEST_EPOCHS, number))).unwrap().len());
        }
        // No checkpoint, and what is left without one.
        assert!(!checkpoints.exist());
        assert_eq!([1, 2, 3, 4].map(best), [None, Some(vec![2.0, 0.5]), Some(vec![3.0, 0.5]), None]);
        let newest = home.path().join(slot(BEST_EPOCHS, 3));
        fs::write(&newest, &fs::read(&newest).unwrap()[1..]).unwrap();
        assert_eq!([2, 3].map(best), [Some(vec![2.0, 0.5]), None]);
        let other = Checkpoints::open(home.path(), &Key::random().unwrap()).unwrap();
        assert_eq!(other.best_epoch(2).unwrap_err().kind(), ErrorKind::WrongKey);
        checkpoints.clear().unwrap();
        assert_eq!(fs::read_dir(home.path()).unwrap().count(), 0);
    }
}
