use rusqlite::{Connection, Transaction, TransactionBehavior, params};

use super::*;
use crate::error::ErrorKind;
use crate::history::{Exclusion, Origin, SampleId, Secrets, Selection, database, generation, reseal, schema, settings};

/// A record as releases before schema 4 sealed them; its number.
fn earlier_record(transaction: &Transaction<'_>, secrets: &Secrets, plain: &str) -> i64 {
    let uuid: [u8; 16] = crate::seal::random_bytes().unwrap();
    let sealed = secrets.cipher.seal(&[&uuid[..], &1_u32.to_le_bytes()].concat(), plain.as_bytes()).unwrap();
    transaction
        .execute("INSERT INTO records (uuid, format, sealed) VALUES (?1, 1, ?2)", params![uuid, sealed])
        .unwrap();
    transaction.last_insert_rowid()
}

/// A database as the release of a schema made it, with `texts` texts, each with all that a message can have.
fn earlier_database(home: &Home, version: usize, texts: i64) {
    let mut connection = database::connect(&home.file()).unwrap();
    database::configure(&connection, &home.file()).unwrap();
    let secrets = Secrets::new(&home.key).unwrap();
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).unwrap();
    schema::migrate(&transaction, 0, version).unwrap();
    let check = earlier_record(&transaction, &secrets, "\"key check\"");
    settings::set(&transaction, settings::KEY_CHECK, check).unwrap();
    let chat = earlier_record(&transaction, &secrets, "\"chat\"");
    transaction.execute("INSERT INTO sources VALUES (1, ?1, ?2)", params![secrets.source_hash("chat"), chat]).unwrap();
    let doctor = earlier_record(&transaction, &secrets, "\"Doctor\"");
    let values = params![secrets.contact_hash("Doctor"), doctor];
    transaction.execute("INSERT INTO exclusions VALUES (?1, 1, ?2)", values).unwrap();
    for text in 1..=texts {
        let content = earlier_record(&transaction, &secrets, &format!(r#"{{"t":"text {text}","c":"context {text}"}}"#));
        let circumstances = earlier_record(&transaction, &secrets, r#"{"i":"id","p":"Ben","v":"talk"}"#);
        transaction
            .execute_batch(&format!(
                "INSERT INTO samples VALUES ({text}, {content}, x'{text:08x}', {text}, 0, 2, 1, 1, 2, 3, 4, 5, 6);
                 INSERT INTO occurrences VALUES ({text}, {text}, 7, 1, NULL, NULL, {circumstances});
                 INSERT INTO clusters VALUES ({text}, 0, 1);"
            ))
            .unwrap();
    }
    transaction.commit().unwrap();
    assert_eq!(schema::version(&connection, &home.file()).unwrap(), version);
}

/// Whether all of such a database is there.
fn is_whole(history: &History, texts: i64) {
    let stored = all(history);
    assert_eq!(stored.len() as i64, texts);
    for sample in stored {
        let text = sample.id.0;
        assert_eq!((sample.text, sample.context), (format!("text {text}"), Some(format!("context {text}"))));
        let names = [sample.app_id, sample.source, sample.contact, sample.conversation];
        assert_eq!(names.map(Option::unwrap), ["id", "chat", "Ben", "talk"]);
        assert_eq!((sample.timestamp, sample.origin), (7, Origin::SuggestionEdited));
    }
    assert_eq!(history.exclusions().unwrap(), [Exclusion::Contact("Doctor".into())]);
    assert_eq!(learnable(history).len() as i64, texts);
}

#[test]
fn a_database_of_any_earlier_version_is_brought_up_to_date() {
    for version in 1..schema::VERSION {
        let home = Home::new();
        earlier_database(&home, version, 3);
        let refused = History::open(&home.file(), &Key::from_bytes(&[1; 32]).unwrap()).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::WrongKey, "{version}");
        for _ in 0..2 {
            is_whole(&home.open(), 3);
        }
        let history = home.open();
        history.record_learning(1, [SampleId(2)], 0).unwrap();
        assert_eq!(history.learned_from(1).unwrap(), [SampleId(2)]);
        assert_eq!(history.remove(&Selection::Samples(vec![SampleId(2)])).unwrap().marked, [1]);
        let connection = Connection::open(home.file()).unwrap();
        assert_eq!(schema::version(&connection, &home.file()).unwrap(), schema::VERSION);
        assert!(!reseal::is_due(&connection).unwrap(), "{version}");
    }
}

#[test]
fn sealing_again_goes_on_wherever_it_was_ended() {
    let texts = 2500;
    let made = Home::new();
    earlier_database(&made, 3, texts);
    let sealed = |home: &Home| {
        let sql = "SELECT count(*) FROM records";
        Connection::open(home.file()).unwrap().query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap()
    };
    let traces = {
        let sql = "SELECT sealed FROM records WHERE id % 500 = 3";
        let connection = Connection::open(made.file()).unwrap();
        let mut statement = connection.prepare(sql).unwrap();
        statement.query_map([], |row| row.get::<_, Vec<u8>>(0)).unwrap().map(Result::unwrap).collect::<Vec<_>>()
    };
    for steps in 0..9 {
        let home = Home::new();
        std::fs::copy(made.file(), home.file()).unwrap();
        // What a process does until it is killed.
        let secrets = Secrets::new(&home.key).unwrap();
        let mut connection = database::connect(&home.file()).unwrap();
        database::configure(&connection, &home.file()).unwrap();
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).unwrap();
        schema::migrate(&transaction, 3, schema::VERSION).unwrap();
        generation::write(&transaction, &secrets).unwrap();
        transaction.commit().unwrap();
        let mut left = steps;
        let ended = reseal::each(&mut connection, &secrets, &mut || {
            left -= 1;
            left >= 0
        });
        ended.unwrap();
        drop(connection);
        assert!(sealed(&home) <= steps * 1000, "{steps}");
        is_whole(&home.open(), texts);
        let bytes = bytes_of(home.path());
        assert!(traces.iter().all(|trace| !holds(&bytes, trace)), "{steps}: the earlier seals are left");
        assert_eq!(sealed(&home), 2 * texts + 3, "{steps}");
    }
}

#[test]
fn what_is_no_history_of_ours_is_refused_untouched() {
    let newer = |file: &Path| {
        drop(History::open(file, &Key::from_bytes(&[7; 32]).unwrap()).unwrap());
        Connection::open(file).unwrap().pragma_update(None, "user_version", 99).unwrap();
    };
    let foreign = |file: &Path| Connection::open(file).unwrap().execute_batch("CREATE TABLE notes (text)").unwrap();
    let garbage = |file: &Path| {
        std::fs::write(file, b"no database at all, but longer than a header of one would be; ".repeat(9)).unwrap()
    };
    let cut = |file: &Path| {
        let history = History::open(file, &Key::from_bytes(&[7; 32]).unwrap()).unwrap();
        history.add(&distinct(100)).unwrap();
        history.finish_removal().unwrap();
        drop(history);
        let length = std::fs::metadata(file).unwrap().len();
        std::fs::File::options().write(true).open(file).unwrap().set_len(length / 2).unwrap();
    };
    type Make<'a> = &'a dyn Fn(&Path);
    let makers: [(&str, Make<'_>, ErrorKind); 4] = [
        ("newer", &newer, ErrorKind::Unsupported),
        ("foreign", &foreign, ErrorKind::BadFile),
        ("garbage", &garbage, ErrorKind::BadFile),
        ("cut", &cut, ErrorKind::BadFile),
    ];
    for (what, make, kind) in makers {
        let home = Home::new();
        make(&home.file());
        let before = std::fs::read(home.file()).unwrap();
        let opened = History::open(&home.file(), &Key::from_bytes(&[7; 32]).unwrap())
            .and_then(|history| history.stats().map(drop));
        assert_eq!(opened.expect_err(what).kind(), kind, "{what}");
        assert!(std::fs::read(home.file()).unwrap() == before, "{what}: changed");
    }
}

#[test]
fn another_key_is_refused_and_changes_nothing() {
    let home = Home::new();
    home.open().add(&[text("mine")]).unwrap();
    let before = std::fs::read(home.file()).unwrap();
    for key in [Key::random().unwrap(), Key::from_bytes(&[1; 32]).unwrap()] {
        let error = History::open(&home.file(), &key).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::WrongKey);
        assert!(error.message().contains("history.db") && error.hint().is_some(), "{error}");
    }
    assert!(std::fs::read(home.file()).unwrap() == before);
    assert_eq!(all(&home.open())[0].text, "mine");
}

#[test]
fn a_record_in_another_place_is_named_and_ends_the_reading() {
    let home = Home::new();
    home.open().add(&distinct(20)).unwrap();
    let [ref a, ref b, ..] = *all(&home.open()) else { panic!() };
    let connection = Connection::open(home.file()).unwrap();
    // Sealed under the key, but for another text.
    let swap = "UPDATE samples SET record = (SELECT record FROM samples WHERE id = ?2) WHERE id = ?1";
    connection.execute(swap, [a.id.0, b.id.0]).unwrap();
    let history = home.open();
    let error = history.list(None, 100).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::BadFile);
    assert!(error.message().contains("record"), "{error}");
    let last = history.learnable(a.split).unwrap().last().unwrap();
    assert_eq!(last.unwrap_err().kind(), ErrorKind::BadFile);
}
