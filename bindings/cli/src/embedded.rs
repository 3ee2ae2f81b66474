//! What the program carries: a small base model and a person's messages, for the demo.

use std::fs;
use std::io;
use std::path::Path;

use idiolect::{Error, ErrorKind, Result};

/// The files of the base model, an ordinary model folder.
const BASE: [(&str, &[u8]); 7] = [
    ("README.md", include_bytes!("../assets/base/README.md")),
    ("config.json", include_bytes!("../assets/base/config.json")),
    ("generation_config.json", include_bytes!("../assets/base/generation_config.json")),
    ("idiolect.json", include_bytes!("../assets/base/idiolect.json")),
    ("model.safetensors", include_bytes!("../assets/base/model.safetensors")),
    ("tokenizer.json", include_bytes!("../assets/base/tokenizer.json")),
    ("tokenizer_config.json", include_bytes!("../assets/base/tokenizer_config.json")),
];

/// Messages of one person, JSON lines.
const HISTORY: &[u8] = include_bytes!("../assets/history.jsonl");

/// Writes the base model to `folder`, whole or not at all. A folder that holds it already is left as it is.
pub fn unpack_base(folder: &Path) -> Result<()> {
    if BASE.iter().all(|(name, bytes)| fs::read(folder.join(name)).is_ok_and(|present| present == *bytes)) {
        return Ok(());
    }
    appear(folder, |staging| {
        fs::create_dir(staging)?;
        BASE.iter().try_for_each(|(name, bytes)| fs::write(staging.join(name), bytes))
    })
}

/// Writes the messages to `file`, whole or not at all.
pub fn unpack_history(file: &Path) -> Result<()> {
    appear(file, |staging| fs::write(staging, HISTORY))
}

/// The texts of the messages.
pub fn messages() -> Result<Vec<String>> {
    #[derive(serde::Deserialize)]
    struct Message {
        text: String,
    }
    let rows = serde_json::Deserializer::from_slice(HISTORY).into_iter::<Message>();
    let texts: serde_json::Result<Vec<String>> = rows.map(|row| row.map(|message| message.text)).collect();
    texts.map_err(|cause| Error::new(ErrorKind::BadData, format!("the embedded messages: {cause}")))
}

/// Moves what `write` makes to `path`.
fn appear(path: &Path, write: impl FnOnce(&Path) -> io::Result<()>) -> Result<()> {
    let parent = path.parent().unwrap_or(Path::new("."));
    let io = |cause| Error::io(path, &cause).with_hint("give another folder with --out");
    fs::create_dir_all(parent).map_err(io)?;
    let staging = tempfile::Builder::new().prefix(".unpack-").tempdir_in(parent).map_err(io)?;
    let whole = staging.path().join("whole");
    write(&whole).and_then(|()| fs::rename(&whole, path)).map_err(io)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_of_the_base_is_embedded() {
        let mut present: Vec<String> = fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/assets/base"))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        present.sort();
        assert_eq!(present, BASE.map(|(name, _)| name));
    }

    #[test]
    fn unpacking_is_whole_and_may_be_repeated() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("out").join("base");
        for _ in 0..2 {
            unpack_base(&folder).unwrap();
            for (name, bytes) in BASE {
                assert_eq!(fs::read(folder.join(name)).unwrap(), bytes, "{name}");
            }
            assert_eq!(fs::read_dir(dir.path().join("out")).unwrap().count(), 1, "nothing is left over");
        }
    }
}
