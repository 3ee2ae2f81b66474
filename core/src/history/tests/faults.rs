//! A full disk and a folder that may not be written.

use std::process::Command;

use super::*;
use crate::error::ErrorKind;

const FOLDER: &str = "IDIOLECT_TEST_FOLDER";

fn key() -> Key {
    Key::from_bytes(&[7; 32]).unwrap()
}

fn fill(history: &History) -> crate::Error {
    (0..1000)
        .find_map(|round| {
            let batch: Vec<_> = distinct(50)
                .into_iter()
                .enumerate()
                .map(|(i, sample)| NewSample {
                    id: Some(format!("{round}/{i}")),
                    ..text(&format!("{round} {}", sample.text))
                })
                .collect();
            history.add(&batch).err()
        })
        .expect("no limit was met")
}

#[test]
fn a_full_database_refuses_and_keeps_what_it_has() {
    let home = Home::new();
    let history = home.open();
    history.add(&distinct(100)).unwrap();
    let mut held = history.lock();
    let connection = held.connection().unwrap();
    let pages: i64 = connection.pragma_query_value(None, "page_count", |row| row.get(0)).unwrap();
    connection.pragma_update(None, "max_page_count", pages + 20).unwrap();
    drop(held);
    let error = fill(&history);
    assert_eq!(error.kind(), ErrorKind::Io);
    assert!(error.message().contains("no room") && error.hint().is_some(), "{error}");
    let held = history.stats().unwrap().total;
    assert_eq!(held.messages % 50, 0, "half a batch is there");
    assert_eq!(learnable(&home.open()).len() as u64, held.samples);
    // Removing needs no room.
    assert!(history.clear().unwrap().messages >= 100);
}

#[test]
#[ignore = "runs in a process that the tests here start"]
fn fills_in_a_child() {
    let folder = std::env::var_os(FOLDER).expect("started by another test");
    let file = Path::new(&folder).join("history.db");
    let opened = History::open(&file, &key());
    let error = match opened {
        Ok(history) => fill(&history),
        Err(error) => error,
    };
    println!("\nrefused {:?}: {error}", error.kind());
}

#[cfg(unix)]
#[test]
fn a_file_that_may_not_grow_refuses_and_keeps_what_it_has() {
    let home = Home { key: key(), ..Home::new() };
    home.open().add(&distinct(100)).unwrap();
    // The signal ignored, as where a disk is full: the write fails instead.
    let output = Command::new("sh")
        .args(["-c", "trap '' XFSZ; ulimit -f 1500; exec \"$0\" \"$@\""])
        .arg(std::env::current_exe().unwrap())
        .args(["history::tests::faults::fills_in_a_child", "--exact", "--ignored", "--nocapture"])
        .env(FOLDER, home.path())
        .output()
        .unwrap();
    let output = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.contains("refused Io"), "{output}");
    let history = home.open();
    let held = history.stats().unwrap().total;
    assert!(held.messages >= 100 && held.messages.is_multiple_of(50), "{held:?}");
    assert_eq!(learnable(&history).len() as u64, held.samples);
    assert_eq!(history.add(&distinct(101)).unwrap().new, 1);
}

#[cfg(unix)]
#[test]
fn a_read_only_folder_refuses_and_keeps_what_it_has() {
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::process::CommandExt;

    // (with a history there already, what the error says)
    for there in [true, false] {
        let home = Home { key: key(), ..Home::new() };
        if there {
            home.open().add(&distinct(100)).unwrap();
        }
        let permit = |path: &Path, mode| std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
        if there {
            permit(&home.file(), 0o444);
        }
        permit(home.path(), 0o555);
        let mut command = Command::new(std::env::current_exe().unwrap());
        command
            .args(["history::tests::faults::fills_in_a_child", "--exact", "--ignored", "--nocapture"])
            .env(FOLDER, home.path());
        // Root may write everywhere: the child is nobody then. (The binary is in nobody's reach in most places.)
        let root = std::fs::File::create_new(home.path().join("probe")).is_ok();
        if root {
            std::fs::remove_file(home.path().join("probe")).unwrap();
            command.uid(65_534).gid(65_534);
        }
        let output = command.output();
        permit(home.path(), 0o755);
        if there {
            permit(&home.file(), 0o600);
        }
        let output = String::from_utf8_lossy(&output.unwrap().stdout).into_owned();
        assert!(output.contains("refused Io"), "{there}: {output}");
        if there {
            assert_eq!(all(&home.open()).len(), 100);
        } else {
            assert!(!home.file().exists());
        }
    }
}
