use std::collections::{BTreeMap, BTreeSet};

use super::*;

const DAY: i64 = 24 * 60 * 60;

#[test]
fn a_conversations_day_is_one_unit_of_held_out_text() {
    let home = Home::new();
    let history = home.open();
    let mut samples = distinct(1200);
    // Five messages a day to one of two friends for a hundred days; the other 200 to nobody in particular.
    for (i, sample) in samples[..1000].iter_mut().enumerate() {
        sample.conversation = Some(if i % 10 < 5 { "Ana".into() } else { "Ben".into() });
        sample.timestamp = Some(i as i64 / 10 * DAY + i as i64 % 10);
    }
    history.add(&samples).unwrap();
    let held_out: Vec<StoredSample> =
        history.list(None, 2000).unwrap().into_iter().filter(|sample| sample.split == Split::HeldOut).collect();
    let key = |sample: &StoredSample| match &sample.conversation {
        Some(name) => format!("{name} on day {}", sample.timestamp / DAY),
        None => sample.id.to_string(),
    };
    let units = history.learnable(Split::HeldOut).unwrap().units().unwrap();
    let mut by_key: BTreeMap<String, BTreeSet<_>> = BTreeMap::new();
    for sample in &held_out {
        by_key.entry(key(sample)).or_default().insert(units[&sample.cluster]);
    }
    assert!(by_key.len() < held_out.len() / 2 && by_key.len() > 20, "{} units of {}", by_key.len(), held_out.len());
    assert!(by_key.values().all(|units| units.len() == 1), "{by_key:?}");
    let distinct: BTreeSet<_> = by_key.values().flatten().collect();
    assert_eq!(distinct.len(), by_key.len(), "no two share a number");
    assert_eq!(history.stats().unwrap().held_out_units, by_key.len() as u64);

    // A near-duplicate that is written on another day belongs to the unit that its cluster began in.
    let before = history.stats().unwrap().held_out_units;
    let first = held_out.iter().find(|sample| sample.conversation.is_some()).unwrap();
    let again = format!("{}!!", first.text);
    let copy = NewSample { conversation: Some("Cleo".into()), timestamp: Some(900 * DAY), ..NewSample::new(again) };
    history.add(&[copy]).unwrap();
    let copy = history.list(None, 1).unwrap().remove(0);
    assert_eq!((copy.cluster, copy.split), (first.cluster, Split::HeldOut));
    assert_eq!(history.stats().unwrap().held_out_units, before);
}
