//! A version on its way out, unsealed. It is made in the registry's own folder, which only the person can enter and where
//! whoever comes next removes what a killed process left; only what is whole is moved to its place.

use std::fs;
use std::path::Path;

use serde_json::{Map, Value};

use super::archive;
use crate::adapter::Adapter;
use crate::disk::staged::{StagedFolder, finish_replacing, parent_of, remove_unfinished, take_file, whole_file};
use crate::error::{Error, Result};
use crate::format::peft;
use crate::model::Model;

/// What the folder in the making is of; it never appears under this name.
const EXPORT: &str = "export";

/// Writes an adapter as a folder, or one `.tar` file of it where `destination` ends so. It appears whole or not at all,
/// in place of an adapter that lies there. For one who holds the lock of the registry in `home`.
pub(super) fn write(
    home: &Path,
    adapter: &Adapter,
    model: &Model,
    report: Map<String, Value>,
    destination: &Path,
) -> Result<()> {
    let parent = parent_of(destination)?;
    // What an export to the same place left that was killed while it was moved there; a replacement first, or what it set
    // aside would go as well.
    finish_replacing(destination)?;
    remove_unfinished(parent, |name| destination.file_name().is_some_and(|own| own == name))?;
    let staged = StagedFolder::begin(&home.join(EXPORT))?;
    let folder = staged.file("adapter");
    if archive::is_archive(destination) {
        adapter.save(&folder, model, report)?;
        let file = staged.file("adapter.tar");
        archive::write(&folder, &file)?;
        fs::create_dir_all(parent).map_err(|cause| Error::io(parent, &cause))?;
        return whole_file(destination, |place| take_file(&file, place));
    }
    Adapter::check_destination(destination)?;
    adapter.save(&folder, model, report)?;
    let placed = StagedFolder::begin(destination)?;
    for name in peft::FILES {
        placed.take(&folder.join(name), name)?;
    }
    placed.publish(Some(peft::CONFIG))
}
