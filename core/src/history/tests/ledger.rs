use super::*;
use crate::error::ErrorKind;
use crate::history::{LearnedVersion, Retention, SampleId, Selection};

#[test]
fn a_version_that_learned_from_what_was_removed_is_marked() {
    let home = Home::new();
    let history = home.open();
    history.add(&distinct(6)).unwrap();
    let ids: Vec<SampleId> = all(&history).into_iter().map(|sample| sample.id).rev().collect();
    history.record_learning(1, ids[..4].iter().copied(), 0).unwrap();
    history.record_learning(2, ids[3..].iter().copied(), 0).unwrap();
    assert_eq!(history.learned_from(1).unwrap(), ids[..4]);
    assert_eq!(history.learned_from(3).unwrap_err().kind(), ErrorKind::BadOption);
    let figures = |history: &History| -> Vec<(u32, u64, u64, u64)> {
        let of = |version: LearnedVersion| (version.version, version.samples, version.removed, version.expired);
        history.versions().unwrap().into_iter().map(of).collect()
    };

    let removed = history.remove(&Selection::Samples(vec![ids[0]])).unwrap();
    assert_eq!(removed.marked, [1]);
    assert_eq!(figures(&history), [(1, 4, 1, 0), (2, 3, 0, 0)]);
    let removed = history.remove(&Selection::Samples(vec![ids[3]])).unwrap();
    assert_eq!(removed.marked, [1, 2]);
    assert_eq!(history.learned_from(1).unwrap(), ids[1..3]);

    // What the cap takes is kept apart and marks nothing.
    history.set_retention(Retention { max_messages: Some(3), max_age: None }).unwrap();
    assert_eq!(figures(&history), [(1, 4, 2, 1), (2, 3, 1, 0)]);

    // Learned from a sample that went while it trained: at the cap, or because somebody asked meanwhile.
    assert_eq!(history.removals().unwrap(), 2);
    for (removals, removed, expired) in [(2, 0, 1), (1, 1, 0)] {
        let recorded = history.record_learning(3, [ids[0], ids[4]], removals).unwrap();
        assert_eq!(recorded, LearnedVersion { version: 3, samples: 2, removed, expired, replaced: 0 });
        assert_eq!(history.versions().unwrap()[2], recorded);
    }
    assert_eq!(history.learned_from(3).unwrap(), [ids[4]]);

    // Recorded again, forgotten, and everything cleared.
    history.record_learning(3, [ids[4]], 2).unwrap();
    let touched: Vec<_> = home.open().versions_touched_by_removed().unwrap();
    assert_eq!(touched.iter().map(|version| version.version).collect::<Vec<_>>(), [1, 2]);
    assert!(history.forget_version(1).unwrap());
    assert!(!history.forget_version(1).unwrap());
    assert_eq!(history.clear().unwrap().marked, [2, 3]);
    assert_eq!(history.removals().unwrap(), 3);
    assert_eq!(figures(&history), [(2, 3, 3, 0), (3, 1, 1, 0)]);
    // Numbers are never used again, so an old ledger cannot point at a new sample.
    history.add(&distinct(1)).unwrap();
    assert!(all(&history)[0].id > ids[5]);
}
