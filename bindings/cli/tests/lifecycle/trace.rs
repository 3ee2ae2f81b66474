//! What strace saw of a run.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use crate::home::Home;

/// The calls of a trace that concern `what`, in order: name and line.
pub fn calls(home: &Home) -> Vec<(String, String)> {
    let trace = fs::read_to_string(home.path("trace")).unwrap();
    let call = |line: &str| {
        let line = line.split_once(' ')?.1.trim_start();
        Some((line.split_once('(')?.0.to_owned(), line.to_owned()))
    };
    trace.lines().filter_map(call).collect()
}

/// What a trace renames, by the new names: each was synced before, and its folder after.
pub fn synced_renames(home: &Home) -> Vec<String> {
    let mut unsynced: HashMap<String, bool> = HashMap::new();
    let mut waiting: Option<String> = None;
    let mut renamed = Vec::new();
    for (name, line) in calls(home) {
        let descriptor =
            || line.split_once('<').and_then(|(_, rest)| rest.split_once('>')).map(|(path, _)| path.to_owned());
        match name.as_str() {
            "write" => {
                if let Some(path) = descriptor() {
                    unsynced.insert(path, true);
                }
            }
            "fsync" => {
                let path = descriptor().unwrap_or_default();
                unsynced.insert(path.clone(), false);
                if waiting.as_ref().is_some_and(|folder| path.ends_with(folder.as_str())) {
                    waiting = None;
                }
            }
            "rename" | "renameat" | "renameat2" => {
                assert!(waiting.is_none(), "a rename whose folder was not synced: {line}");
                let mut paths = line.split('"').skip(1).step_by(2).map(Path::new);
                let (source, destination) = (paths.next().unwrap(), paths.next().unwrap());
                let synced = unsynced.iter().find(|(path, _)| Path::new(path).file_name() == source.file_name());
                assert_eq!(synced.map(|(_, unsynced)| *unsynced), Some(false), "renamed before it was synced: {line}");
                let folder = destination.parent().and_then(Path::file_name).unwrap();
                waiting = Some(format!("/{}", folder.to_str().unwrap()));
                renamed.push(destination.file_name().unwrap().to_str().unwrap().to_owned());
            }
            _ => {}
        }
    }
    assert!(waiting.is_none(), "never synced: {waiting:?}");
    renamed
}
