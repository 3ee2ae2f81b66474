//! What every store on a disk needs: files and folders that appear whole or not at all, locks between processes, a door
//! that an erasure can shut, texts read line by line.

pub(crate) mod door;
pub(crate) mod lock;
pub(crate) mod staged;
pub(crate) mod text_file;
