use super::*;
use crate::history::{Added, ClusterId, LearnedVersion, Origin, SampleId, Selection};

fn message(id: &str, content: &str) -> NewSample {
    NewSample { id: Some(id.into()), ..text(content) }
}

fn at(time: i64, sample: NewSample) -> NewSample {
    NewSample { timestamp: Some(time), ..sample }
}

/// Texts and how often they were written.
fn counts(history: &History) -> Vec<(String, u64)> {
    let mut counts: Vec<_> = all(history).into_iter().map(|sample| (sample.text, sample.count)).collect();
    counts.sort();
    counts
}

#[test]
fn another_text_under_a_known_id_takes_the_old_ones_place() {
    let elsewhere = |sample: NewSample| NewSample {
        context: Some("so?".into()),
        source: Some("chat".into()),
        contact: Some("Ben".into()),
        conversation: Some("1".into()),
        origin: Origin::SuggestionAccepted,
        ..sample
    };
    let incognito = |sample: NewSample| NewSample { incognito: true, ..sample };
    let (a, b) = (|content: &str| message("a", content), |content: &str| message("b", content));
    let none = Added::default();
    // (what, what is there, what comes then, what becomes of that, what is there afterwards)
    for (what, first, then, expected, left) in [
        ("another text", vec![a("hello")], vec![a("bye")], Added { replaced: 1, ..none }, vec![("bye", 1)]),
        ("the same text", vec![a("hello")], vec![a("hello")], Added { known: 1, ..none }, vec![("hello", 1)]),
        (
            "the same text elsewhere",
            vec![at(5, a("hello"))],
            vec![at(9, elsewhere(a("hello")))],
            Added { known: 1, ..none },
            vec![("hello", 1)],
        ),
        (
            "a later time",
            vec![at(5, a("hello"))],
            vec![at(9, a("bye"))],
            Added { replaced: 1, ..none },
            vec![("bye", 1)],
        ),
        (
            "an older state",
            vec![at(5, a("hello"))],
            vec![at(4, a("bye"))],
            Added { known: 1, ..none },
            vec![("hello", 1)],
        ),
        (
            "a text that is there",
            vec![a("hello"), b("bye")],
            vec![a("bye")],
            Added { replaced: 1, ..none },
            vec![("bye", 2)],
        ),
        (
            "of a text written twice",
            vec![a("hello"), b("hello")],
            vec![a("bye")],
            Added { replaced: 1, ..none },
            vec![("bye", 1), ("hello", 1)],
        ),
        (
            "two that change places",
            vec![a("hello"), b("bye")],
            vec![a("bye"), b("hello")],
            Added { replaced: 2, ..none },
            vec![("bye", 1), ("hello", 1)],
        ),
        (
            "twice in a batch",
            vec![a("hello")],
            vec![a("hm"), b("ok"), a("bye")],
            Added { new: 1, known: 1, replaced: 1, ..none },
            vec![("bye", 1), ("ok", 1)],
        ),
        (
            "twice in a batch, the newest first",
            vec![at(5, a("hello"))],
            vec![at(7, a("bye")), at(6, a("hm"))],
            Added { known: 1, replaced: 1, ..none },
            vec![("bye", 1)],
        ),
        (
            "a blank text",
            vec![a("hello")],
            vec![a("bye"), a(" ")],
            Added { replaced: 1, blank: 1, ..none },
            vec![("bye", 1)],
        ),
        ("incognito", vec![a("hello")], vec![incognito(a("bye"))], Added { incognito: 1, ..none }, vec![("hello", 1)]),
        (
            "without an id of the app's",
            vec![at(5, text("hello"))],
            vec![at(5, text("bye"))],
            Added { new: 1, ..none },
            vec![("bye", 1), ("hello", 1)],
        ),
    ] {
        let home = Home::new();
        let history = home.open();
        history.add(&first).unwrap();
        let before = history.revision().unwrap();
        assert_eq!(history.add(&then).unwrap(), expected, "{what}");
        assert_eq!(history.revision().unwrap() > before, expected.new + expected.replaced > 0, "{what}");
        let left: Vec<_> = left.into_iter().map(|(text, count)| (text.to_owned(), count)).collect();
        let messages = left.iter().map(|(_, count)| count).sum::<u64>();
        let check = |history: &History| {
            assert_eq!(counts(history), left, "{what}");
            let stats = history.stats().unwrap();
            assert_eq!((stats.total.messages, stats.clusters), (messages, left.len() as u64), "{what}");
            assert_eq!(stats.sources.iter().map(|tally| tally.messages).sum::<u64>(), messages, "{what}");
            assert!(!stats.removal_pending, "{what}");
        };
        check(&history);
        // As a file: added again, nothing changes.
        let again = history.add_all(&then).unwrap();
        assert_eq!((again.new, again.repeated, again.replaced), (0, 0, 0), "{what}");
        check(&home.open());
    }
}

#[test]
fn what_comes_with_an_edit_is_taken_and_the_time_is_kept_where_none_comes() {
    let home = Home::new();
    let history = home.open();
    let sent = |source: &str, content: &str| NewSample { source: Some(source.into()), ..message("a", content) };
    let stored = |history: &History| {
        let [sample] = all(history).try_into().unwrap();
        let stats = history.stats().unwrap();
        let sources: Vec<_> = stats.sources.into_iter().map(|tally| (tally.source, tally.messages)).collect();
        assert_eq!((sources, sample.app_id.as_deref()), (vec![(sample.source, 1)], Some("a")));
        (sample.text, sample.context, sample.timestamp)
    };
    history.add(&[at(5, sent("mail", "see you"))]).unwrap();
    history.add(&[NewSample { context: Some("when?".into()), ..sent("chat", "at nine") }]).unwrap();
    assert_eq!(stored(&history), ("at nine".into(), Some("when?".into()), 5));
    history.add(&[at(7, sent("chat", "at ten"))]).unwrap();
    assert_eq!(stored(&history), ("at ten".into(), None, 7));
    // It is the same message for whoever removes it.
    assert_eq!(history.remove(&Selection::AppIds(vec!["a".into()])).unwrap().messages, 1);
}

#[test]
fn what_was_changed_a_little_stays_in_its_cluster_and_split() {
    let home = Home::new();
    let history = home.open();
    let written = distinct(60);
    let id = |place: usize| format!("{place}");
    let sample = |place: usize, text: String| message(&id(place), &text);
    let first: Vec<_> = written.iter().enumerate().map(|(i, new)| sample(i, new.text.clone())).collect();
    history.add(&first).unwrap();
    let places = |history: &History| {
        let mut places: Vec<(String, ClusterId, Split)> =
            all(history).into_iter().map(|sample| (sample.app_id.unwrap(), sample.cluster, sample.split)).collect();
        places.sort_by(|a, b| a.0.cmp(&b.0));
        places
    };
    let before = places(&history);
    assert!(Split::ALL.iter().all(|split| before.iter().any(|(_, _, of)| of == split)));
    let edited: Vec<_> = written.iter().enumerate().map(|(i, new)| sample(i, format!("{}!?", new.text))).collect();
    assert_eq!(history.add(&edited).unwrap().replaced, 60);
    assert_eq!(places(&history), before);
    let stats = history.stats().unwrap();
    assert_eq!((stats.clusters, stats.largest_cluster), (60, 1));
}

#[test]
fn an_edit_is_counted_apart_in_the_ledger_and_ends_no_training() {
    let home = Home::new();
    let history = home.open();
    history.add(&[message("a", "hello"), message("b", "bye"), message("c", "bye")]).unwrap();
    let ids: Vec<SampleId> = all(&history).into_iter().map(|sample| sample.id).rev().collect();
    history.record_learning(1, ids.iter().copied(), 0).unwrap();
    // Of a text that was written twice one is left: it is still there.
    history.add(&[message("a", "good morning"), message("b", "good night")]).unwrap();
    let learned = LearnedVersion { version: 1, samples: 2, removed: 0, expired: 0, replaced: 1 };
    assert_eq!(history.versions().unwrap(), std::slice::from_ref(&learned));
    assert_eq!(history.versions_touched_by_removed().unwrap(), []);
    assert_eq!(history.removals().unwrap(), 0);
    assert_eq!(history.learned_from(1).unwrap(), ids[1..]);
    // A training that chose it before: whatever else was removed meanwhile.
    for removals in [0, 1] {
        let recorded = history.record_learning(2, ids.iter().copied(), removals).unwrap();
        assert_eq!(recorded, LearnedVersion { version: 2, ..learned.clone() });
        assert_eq!(history.versions().unwrap()[1], recorded);
    }
    assert_eq!(history.clear().unwrap().marked, [1, 2]);
}

#[test]
fn the_old_text_is_overwritten_and_the_log_cut() {
    let home = Home::new();
    let history = home.open();
    history.add(&[message("a", "hello")]).unwrap();
    let [old] = all(&history).try_into().unwrap();
    let sealed = |id: SampleId| {
        let connection = rusqlite::Connection::open(home.file()).unwrap();
        let sql = "SELECT r.sealed FROM records r JOIN samples s ON s.record = r.id WHERE s.id = ?1";
        connection.query_row(sql, [id.0], |row| row.get::<_, Vec<u8>>(0)).unwrap()
    };
    let old = sealed(old.id);
    history.add(&[message("a", "bye")]).unwrap();
    let bytes = bytes_of(home.path());
    let [new] = all(&history).try_into().unwrap();
    assert!(!holds(&bytes, &old) && holds(&bytes, &sealed(new.id)));
}
