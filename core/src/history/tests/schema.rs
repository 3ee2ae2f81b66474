use rusqlite::{Connection, TransactionBehavior};

use super::*;
use crate::error::ErrorKind;
use crate::history::{Origin, Secrets, database, records, schema, settings};

#[test]
fn a_database_of_the_first_version_is_brought_up_to_date() {
    let home = Home::new();
    // As the first version made it: only the first step.
    let mut connection = database::connect(&home.file()).unwrap();
    database::configure(&connection, &home.file()).unwrap();
    let secrets = Secrets::new(&home.key).unwrap();
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).unwrap();
    schema::migrate(&transaction, 0, 1).unwrap();
    let check = records::append(&transaction, &secrets.cipher, &settings::KEY_CHECK).unwrap();
    settings::set(&transaction, settings::KEY_CHECK, check).unwrap();
    let content = records::Content { text: "an old text", context: Some("an old context") };
    let record = records::append(&transaction, &secrets.cipher, &content).unwrap();
    transaction
        .execute_batch(&format!(
            "INSERT INTO samples VALUES (1, {record}, x'00', 1, 0, 2, 1, 1, 2, 3, 4, 5, 6);
             INSERT INTO occurrences VALUES (1, 1, 7, NULL, NULL, NULL, NULL);
             INSERT INTO clusters VALUES (1, 0, 1);"
        ))
        .unwrap();
    transaction.commit().unwrap();
    assert_eq!(schema::version(&connection, &home.file()).unwrap(), 1);
    drop(connection);

    let history = home.open();
    let [old] = all(&history).try_into().unwrap();
    assert_eq!((old.text.as_str(), old.context.as_deref(), old.timestamp), ("an old text", Some("an old context"), 7));
    assert_eq!(old.origin, Origin::SuggestionEdited);
    history.record_learning(1, [old.id], 0).unwrap();
    assert_eq!(history.learned_from(1).unwrap(), [old.id]);
    let version = schema::version(&Connection::open(home.file()).unwrap(), &home.file()).unwrap();
    assert_eq!(version, schema::VERSION);
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
fn a_damaged_record_is_named_and_ends_the_reading() {
    let home = Home::new();
    home.open().add(&distinct(20)).unwrap();
    let [ref a, ref b, ..] = *all(&home.open()) else { panic!() };
    let connection = Connection::open(home.file()).unwrap();
    // Sealed under the key, but in another row: the UUID is part of the seal.
    let swap = "UPDATE records SET sealed = (SELECT sealed FROM records WHERE id =
                    (SELECT record FROM samples WHERE id = ?2))
                WHERE id = (SELECT record FROM samples WHERE id = ?1)";
    connection.execute(swap, [a.id.0, b.id.0]).unwrap();
    let history = home.open();
    let error = history.list(None, 100).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::BadFile);
    assert!(error.message().contains("record"), "{error}");
    let last = history.learnable(a.split).unwrap().last().unwrap();
    assert_eq!(last.unwrap_err().kind(), ErrorKind::BadFile);
}
