//! What strace saw of a run.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use crate::home::Home;

/// The calls of the latest trace, in order: name and line.
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

/// The bytes that a trace writes so that a training can go on elsewhere.
pub fn written(home: &Home) -> u64 {
    let kept = |line: &str| {
        line.contains("/checkpoints/.") && !line.contains("/.last-training") && !line.contains("/.timesheet")
    };
    let size = |line: String| {
        let (_, size) = line.rsplit_once(", ")?;
        size.split(|c: char| !c.is_ascii_digit()).next()?.parse::<u64>().ok()
    };
    let writes = calls(home).into_iter().filter(|(name, line)| name == "write" && kept(line));
    writes.map(|(_, line)| size(line).expect("a size")).sum()
}

/// A call of a traced process.
pub struct Point {
    pub call: String,
    /// What it concerns below the profile; none for a file in the making, whose name is another every time.
    pub path: Option<PathBuf>,
    /// Its number in its thread, among the calls of this name; of those that concern `path`, where there is one.
    pub at: usize,
}

impl Point {
    /// What has strace do something to this call (`signal=KILL`, say), in the same run on the profile `profile`.
    pub fn inject(&self, home: &Home, profile: &str, what: &str) -> Vec<String> {
        let Self { call, path, at } = self;
        let mut strace: Vec<String> =
            ["-e", &format!("trace={call}"), "-e", &format!("inject={call}:{what}:when={at}")]
                .map(str::to_owned)
                .to_vec();
        // As the program names it, and as the system does.
        let paths = path.iter().flat_map(|path| [Path::new(profile).join(path), home.path(profile).join(path)]);
        strace.extend(paths.flat_map(|path| ["-P".to_owned(), path.to_str().unwrap().to_owned()]));
        strace
    }
}

/// The calls of a trace on `profile` from the one on that first names `place`, in that thread; those whose number another
/// thread comes to as well are left out.
pub fn points(home: &Home, profile: &str, place: &str) -> Vec<Point> {
    let trace = fs::read_to_string(home.path("trace")).unwrap();
    let below = |arguments: &str| {
        let path = arguments.split(['"', '<', '>']).find(|part| part.contains(&format!("{profile}/")))?;
        let path = path.split_once(&format!("{profile}/"))?.1;
        (!path.contains(".partial-")).then(|| PathBuf::from(path))
    };
    let mut counts: HashMap<(String, Option<PathBuf>), HashMap<String, usize>> = HashMap::new();
    let (mut points, mut begun) = (Vec::new(), None);
    for line in trace.lines() {
        let Some((thread, call)) = line.split_once(' ') else { continue };
        let Some((call, arguments)) = call.trim_start().split_once('(') else { continue };
        let path = below(arguments);
        let mut count = |path: Option<PathBuf>| {
            let count = counts.entry((call.to_owned(), path)).or_default().entry(thread.to_owned()).or_default();
            *count += 1;
            *count
        };
        let of_its_name = count(None);
        let at = if path.is_some() { count(path.clone()) } else { of_its_name };
        if begun.is_none() && arguments.contains(place) {
            begun = Some(thread.to_owned());
        }
        if begun.as_deref() == Some(thread) {
            points.push(Point { call: call.to_owned(), path, at });
        }
    }
    let thread = begun.expect("it never came there");
    points.retain(|Point { call, path, at }| {
        counts[&(call.clone(), path.clone())].iter().all(|(other, count)| *other == thread || count < at)
    });
    points
}
