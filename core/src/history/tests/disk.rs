//! What the files show to somebody who looks, with and without the key.

use std::collections::{HashMap, HashSet};

use rusqlite::Connection;

use super::*;
use crate::history::{Selection, Split};

/// Every sealed record that something refers to, by its number: read with a connection of its own.
fn sealed(file: &Path) -> Vec<(i64, Vec<u8>)> {
    let connection = Connection::open(file).unwrap();
    let sql =
        "SELECT id, sealed FROM records WHERE id IN (SELECT record FROM samples UNION SELECT record FROM occurrences
               UNION SELECT record FROM sources UNION SELECT record FROM exclusions
               UNION SELECT value FROM settings WHERE name = 'key check')";
    let mut statement = connection.prepare(sql).unwrap();
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    rows.map(Result::unwrap).collect()
}

/// Texts of very different lengths: some span pages.
fn batch(seed: u64, count: usize) -> Vec<NewSample> {
    let mut random = crate::random::Random::new(seed);
    (0..count)
        .map(|i| {
            let length = if i % 50 == 7 { 9000 } else { 1 + random.next_u64() % 120 };
            let content: String = (0..length).map(|_| char::from(b'a' + (random.next_u64() % 26) as u8)).collect();
            NewSample {
                id: Some(format!("app-id-{seed}-{i}")),
                contact: Some(format!("contact-name-{}", i % 9)),
                context: (i % 3 == 0).then(|| format!("context-of-message-{seed}-{i}")),
                source: Some(["mail", "chat", "notes"][i % 3].into()),
                conversation: Some(format!("conversation-{}", i % 20)),
                timestamp: Some(i as i64),
                ..text(&format!("plain-text-{seed}-{i} {content}"))
            }
        })
        .collect()
}

#[test]
fn no_plain_text_is_on_the_disk() {
    let home = Home::new();
    let history = home.open();
    let all = batch(1, 300);
    history.add(&all).unwrap();
    history.exclude(&crate::history::Exclusion::Contact("excluded-contact".into())).unwrap();
    // With the write-ahead log, and once it is in the database.
    for _ in 0..2 {
        let bytes = bytes_of(home.path());
        assert!(bytes.len() > 100_000);
        let names =
            ["excluded-contact", "contact-name-", "context-of-", "app-id-", "conversation-", "plain-text-", "notes"];
        for secret in names {
            assert!(!holds(&bytes, secret.as_bytes()), "{secret}");
        }
        for sample in &all[..5] {
            assert!(!holds(&bytes, &sample.text.as_bytes()[16..]), "a text in plain view");
        }
        history.finish_removal().unwrap();
    }
    assert!(!holds(&bytes_of(home.path()), home.key.as_bytes()));
}

#[test]
fn what_was_removed_is_in_no_byte_of_the_folder() {
    for round in 0..5_u64 {
        let home = Home::new();
        let history = home.open();
        for part in batch(round, 900).chunks(60) {
            history.add(part).unwrap();
        }
        let before = sealed(&home.file());
        let removed = match round {
            0 => history.remove(&Selection::Source("mail".into())).unwrap(),
            1 => history.remove(&Selection::Contact("contact-name-3".into())).unwrap(),
            2 => history.remove(&Selection::Time(100..700)).unwrap(),
            3 => history.clear().unwrap(),
            // One after the other, in an order that mixes pages, with additions between.
            _ => {
                for i in 0..150 {
                    let id = format!("app-id-{round}-{}", i * 7 % 900);
                    assert_eq!(history.remove(&Selection::AppIds(vec![id])).unwrap().messages, 1);
                    if i % 50 == 0 {
                        history.add(&batch(100 + i, 20)).unwrap();
                    }
                }
                history.remove(&Selection::Source("chat".into())).unwrap()
            }
        };
        assert!(removed.messages > 90 && !removed.pending, "{removed:?}");
        let kept: HashSet<i64> = sealed(&home.file()).into_iter().map(|(id, _)| id).collect();
        // The nonce, and pieces of the ciphertext: with the key, a piece that is left decrypts too.
        let pieces = before.iter().flat_map(|(id, sealed)| {
            [0, 24, sealed.len() / 2, sealed.len() - 8]
                .map(|at| (<[u8; 8]>::try_from(&sealed[at..][..8]).unwrap(), *id))
        });
        let pieces: HashMap<[u8; 8], i64> = pieces.collect();
        let bytes = bytes_of(home.path());
        let found: HashSet<i64> = bytes.windows(8).filter_map(|window| pieces.get(window).copied()).collect();
        let left: Vec<_> = found.difference(&kept).collect();
        assert!(left.is_empty(), "round {round}: pieces of the removed records {left:?} are left");
        assert!(before.iter().all(|(id, _)| !kept.contains(id) || found.contains(id)), "the search finds nothing");
        // What stays is whole.
        let stays = history.stats().unwrap().total.samples;
        assert_eq!(all(&history).len() as u64, stays);
        assert!(history.learnable(Split::Training).unwrap().all(|sample| sample.is_ok()));
    }
}
