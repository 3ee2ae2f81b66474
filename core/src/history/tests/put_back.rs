//! Records and databases that somebody without the key puts back.

use std::fs;

use rusqlite::Connection;

use super::*;
use crate::error::ErrorKind;
use crate::history::{SampleId, Selection, generation};

fn anchor(home: &Home) -> PathBuf {
    generation::anchor_of(&home.file())
}

/// The kind of what opening and reading everything ends with.
fn ends(home: &Home) -> Option<ErrorKind> {
    let read = |history: History| {
        history.list(None, 100)?;
        history.learnable(Split::Training).map(drop)
    };
    History::open(&home.file(), &home.key).and_then(read).err().map(|error| error.kind())
}

/// A history of 20 texts, of which one was removed; what its file was before.
fn removed_from(home: &Home) -> (SampleId, PathBuf) {
    let history = home.open();
    history.add(&distinct(20)).unwrap();
    let id = all(&history)[5].id;
    let before = home.path().join("before");
    history.copy_to(&before).unwrap();
    assert_eq!(history.remove(&Selection::Samples(vec![id])).unwrap().samples, 1);
    (id, before)
}

#[test]
fn what_was_removed_cannot_be_put_back_unnoticed() {
    const ROWS: &str = "INSERT INTO samples SELECT * FROM old.samples WHERE id = ?1;
        INSERT INTO occurrences SELECT * FROM old.occurrences WHERE sample = ?1;
        INSERT INTO clusters SELECT * FROM old.clusters WHERE id = (SELECT cluster FROM samples WHERE id = ?1);
        UPDATE records SET sealed = (SELECT sealed FROM old.records o WHERE o.id = records.id)
            WHERE id = (SELECT record FROM samples WHERE id = ?1);";
    const GENERATION: &str = "INSERT INTO generations SELECT * FROM old.generations
        WHERE record = (SELECT record FROM samples WHERE id = ?1);";
    const SETTINGS: &str = "DELETE FROM settings; INSERT INTO settings SELECT * FROM old.settings;";
    const OTHER_PLACE: &str = "UPDATE samples SET record = (SELECT min(record) FROM samples) WHERE id = 9;";
    const TAKEN: &str = "DELETE FROM generations WHERE record = (SELECT record FROM samples WHERE id = 9);
        DELETE FROM samples WHERE id = 9;";
    // (what is done to the database, what reading it ends with)
    for (what, statements, expected) in [
        ("nothing", vec![], None),
        // A record without a generation is no record: its text is in no list.
        ("the rows of a text", vec![ROWS], None),
        ("with the generation", vec![ROWS, GENERATION], Some(ErrorKind::PutBack)),
        ("with all settings", vec![ROWS, GENERATION, SETTINGS], Some(ErrorKind::PutBack)),
        ("a record of another place", vec![OTHER_PLACE], Some(ErrorKind::BadFile)),
        ("a text is taken away", vec![TAKEN], Some(ErrorKind::PutBack)),
    ] {
        let home = Home::new();
        let (id, before) = removed_from(&home);
        let connection = Connection::open(home.file()).unwrap();
        connection.execute("ATTACH ?1 AS old", [before.to_str().unwrap()]).unwrap();
        for statement in statements.iter().flat_map(|statements| statements.split_inclusive(';')) {
            let statement = statement.replace("?1", &id.to_string());
            connection.execute_batch(&statement).unwrap();
        }
        drop(connection);
        assert_eq!(ends(&home), expected, "{what}");
        if expected.is_some() {
            continue;
        }
        assert_eq!(all(&home.open()).len(), 19, "{what}");
    }
}

#[test]
fn an_older_database_opens_once_it_is_accepted() {
    let replace = |home: &Home, with: &Path| {
        for log in ["history.db-wal", "history.db-shm"] {
            let _ = fs::remove_file(home.path().join(log));
        }
        fs::copy(with, home.file()).unwrap();
    };
    let home = Home::new();
    let (_, before) = removed_from(&home);
    let after = home.path().join("after");
    home.open().copy_to(&after).unwrap();
    replace(&home, &before);
    let error = History::open(&home.file(), &home.key).unwrap_err();
    assert!(error.kind() == ErrorKind::PutBack && error.hint().is_some(), "{error}");
    let accepted = History::open_put_back(&home.file(), &home.key).unwrap();
    assert_eq!(all(&accepted).len(), 20);
    drop(accepted);
    assert_eq!((ends(&home), all(&home.open()).len()), (None, 20));
    // Now the other one is the older.
    replace(&home, &after);
    assert_eq!(ends(&home), Some(ErrorKind::PutBack));
    // Nor does a missing, damaged or other anchor let one in, or one that stands alone.
    replace(&home, &before);
    let other = Home { key: Key::from_bytes(&[9; 32]).unwrap(), ..Home::new() };
    drop(other.open());
    type Change<'a> = &'a dyn Fn();
    let changes: [(&str, Change<'_>); 4] = [
        ("missing", &|| fs::remove_file(anchor(&home)).unwrap()),
        ("damaged", &|| fs::write(anchor(&home), b"damaged").unwrap()),
        ("another's", &|| assert!(fs::copy(anchor(&other), anchor(&home)).is_ok())),
        ("alone", &|| fs::remove_file(home.file()).unwrap()),
    ];
    for (what, change) in changes {
        drop(History::open_put_back(&home.file(), &home.key).unwrap());
        assert_eq!(ends(&home), None, "{what}");
        change();
        assert_eq!(ends(&home), Some(ErrorKind::PutBack), "{what}");
    }
}

#[test]
fn an_anchor_that_lags_behind_is_raised() {
    let home = Home::new();
    let history = home.open();
    history.add(&distinct(5)).unwrap();
    let low = fs::read(anchor(&home)).unwrap();
    history.clear().unwrap();
    assert!(fs::read(anchor(&home)).unwrap() != low, "a removal raises it");
    drop(history);
    // As a kill between a removal and the anchor leaves it.
    fs::write(anchor(&home), &low).unwrap();
    assert_eq!(ends(&home), None);
    assert!(fs::read(anchor(&home)).unwrap() != low, "an opening raises it");
}
