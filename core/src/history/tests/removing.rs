use super::*;
use crate::error::ErrorKind;
use crate::history::{Exclusion, SampleId, Selection};

fn sample(id: &str, content: &str, source: &str, contact: &str, time: i64) -> NewSample {
    NewSample {
        id: Some(id.into()),
        source: Some(source.into()),
        contact: Some(contact.into()),
        timestamp: Some(time),
        ..text(content)
    }
}

#[test]
fn what_is_selected_goes_and_nothing_else() {
    let batch = [
        sample("a", "hello", "mail", "Ada", 10),
        sample("b", "hello", "chat", "Bob", 20),
        sample("c", "see you", "chat", "Ada", 30),
        sample("d", "thanks", "mail", "Bob", 40),
    ];
    // (what, messages gone, texts gone, what stays with counts)
    for (what, messages, samples, stays) in [
        (Selection::Source("mail".into()), 2, 1, vec![("hello", 1), ("see you", 1)]),
        (Selection::Source("none".into()), 0, 0, vec![("hello", 2), ("see you", 1), ("thanks", 1)]),
        (Selection::Contact("Ada".into()), 2, 1, vec![("hello", 1), ("thanks", 1)]),
        (Selection::Time(20..40), 2, 1, vec![("hello", 1), ("thanks", 1)]),
        (Selection::Time(40..40), 0, 0, vec![("hello", 2), ("see you", 1), ("thanks", 1)]),
        (Selection::Time(i64::MIN..i64::MAX), 4, 3, vec![]),
        (
            Selection::AppIds(vec!["b".into(), "x".into(), "b".into()]),
            1,
            0,
            vec![("hello", 1), ("see you", 1), ("thanks", 1)],
        ),
        (Selection::Samples(vec![SampleId(1), SampleId(99)]), 2, 1, vec![("see you", 1), ("thanks", 1)]),
    ] {
        let home = Home::new();
        let history = home.open();
        history.add(&batch).unwrap();
        let before = history.revision().unwrap();
        let removed = history.remove(&what).unwrap();
        assert_eq!((removed.messages, removed.samples, removed.pending), (messages, samples, false), "{what:?}");
        assert_eq!(history.revision().unwrap() > before, messages > 0, "{what:?}");
        let mut left: Vec<_> = all(&history).into_iter().map(|sample| (sample.text, sample.count)).collect();
        left.sort();
        let stays: Vec<_> = stays.into_iter().map(|(text, count)| (text.to_owned(), count)).collect();
        assert_eq!(left, stays, "{what:?}");
        let stats = history.stats().unwrap();
        assert_eq!(stats.clusters, stays.len() as u64, "{what:?}");
        assert_eq!(stats.sources.iter().map(|tally| tally.messages).sum::<u64>(), 4 - messages, "{what:?}");
        // What went can come again, under the same ids.
        assert_eq!(history.add(&batch).unwrap().known, 4 - messages, "{what:?}");
        assert_eq!(history.stats().unwrap().total.messages, 4, "{what:?}");
    }
}

#[test]
fn a_reader_keeps_its_state_and_holds_the_removal_pending() {
    let home = Home::new();
    let (history, other) = (home.open(), home.open());
    history.add(&distinct(200)).unwrap();
    let mut reading = other.learnable(Split::Training).unwrap();
    let first = reading.next().unwrap().unwrap();
    let removed = history.clear().unwrap();
    assert!(removed.pending && removed.messages == 200);
    assert!(history.stats().unwrap().removal_pending);
    assert!(!history.finish_removal().unwrap());
    // The reader goes on with what it began with.
    let rest = reading.by_ref().map(Result::unwrap).count();
    assert!(rest > 100 && first.count == 1 && reading.revision() == 1, "{rest}");
    drop(reading);
    assert!(history.finish_removal().unwrap());
    assert!(!history.stats().unwrap().removal_pending);
    // Cut to nothing, then one page that notes it.
    let log = std::fs::metadata(home.path().join("history.db-wal")).unwrap().len();
    assert!(log < 20_000, "{log}");
    assert!(history.learnable(Split::Training).unwrap().next().is_none());
}

#[test]
fn a_pending_removal_is_finished_by_the_next_opening() {
    let home = Home::new();
    let history = home.open();
    history.add(&distinct(50)).unwrap();
    let mut reading = history.learnable(Split::Training).unwrap();
    reading.next();
    assert!(history.remove(&Selection::Time(0..i64::MAX)).unwrap().pending);
    drop(history);
    assert!(home.open().stats().unwrap().removal_pending);
    drop(reading);
    assert!(!home.open().stats().unwrap().removal_pending);
}

#[test]
fn room_of_removed_records_is_reclaimed() {
    let home = Home::new();
    let history = home.open();
    let size = || std::fs::metadata(home.file()).unwrap().len();
    let mut sizes = Vec::new();
    for round in 0..4 {
        let batch: Vec<_> =
            distinct(6000).into_iter().map(|sample| NewSample { timestamp: Some(round), ..sample }).collect();
        history.add(&batch).unwrap();
        history.remove(&Selection::Time(round..round + 1)).unwrap();
        sizes.push(size());
    }
    assert!(sizes[3] < sizes[0] * 3 / 2, "{sizes:?}");
    history.clear().unwrap();
    history.add(&distinct(3)).unwrap();
    history.clear().unwrap();
    assert!(size() < 200_000, "{}", size());
}

#[test]
fn what_another_process_erased_is_refused() {
    let home = Home::new();
    let history = home.open();
    history.add(&distinct(5)).unwrap();
    for file in ["history.db", "history.db-wal", "history.db-shm", "history.db-anchor"] {
        std::fs::remove_file(home.path().join(file)).unwrap();
    }
    let refused = |history: &History| {
        let kinds = [history.add(&distinct(6)).map(drop), history.stats().map(drop), history.revision().map(drop)];
        kinds.map(|result| result.unwrap_err().kind())
    };
    assert_eq!(refused(&history), [ErrorKind::Closed; 3]);
    assert_eq!(std::fs::read_dir(home.path()).unwrap().count(), 0);
    // Nor does it mistake another history of the same name for its own.
    let other = home.open();
    assert_eq!(refused(&history), [ErrorKind::Closed; 3]);
    assert_eq!(other.stats().unwrap().total.messages, 0);
}

#[test]
fn a_name_let_in_again_leaves_no_trace_in_the_log() {
    let home = Home::new();
    let history = home.open();
    history.add(&distinct(50)).unwrap();
    let bank = Exclusion::Source("bank".into());
    history.exclude(&bank).unwrap();
    let mut reading = history.learnable(Split::Training).unwrap();
    reading.next();
    assert!(history.include(&bank).unwrap());
    assert!(history.stats().unwrap().removal_pending);
    drop((history, reading));
    assert!(!home.open().stats().unwrap().removal_pending);
}
