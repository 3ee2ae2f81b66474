use std::time::Duration;

use super::*;
use crate::error::ErrorKind;
use crate::history::{Added, Exclusion, Origin, Retention, SampleId, Selection};

fn of(source: Option<&str>, contact: Option<&str>, content: &str) -> NewSample {
    NewSample { source: source.map(Into::into), contact: contact.map(Into::into), ..text(content) }
}

#[test]
fn each_message_is_counted_once() {
    let home = Home::new();
    let history = home.open();
    let answer = |content: &str, context: &str| NewSample { context: Some(context.into()), ..text(content) };
    let with_id = |id: &str, content: &str| NewSample { id: Some(id.into()), ..text(content) };
    let origin = |origin, content: &str| NewSample { origin, ..text(content) };
    history.exclude(&Exclusion::Source("bank".into())).unwrap();
    history.exclude(&Exclusion::Contact("Doctor".into())).unwrap();
    let none = Added::default();
    // (what, batch, what became of it, samples afterwards)
    for (what, batch, expected, samples) in [
        ("two texts", vec![text("on my way"), text("see you")], Added { new: 2, ..none }, 2),
        ("a repeat", vec![text("on my way"), text("on my way")], Added { repeated: 2, ..none }, 2),
        ("a context", vec![answer("on my way", "where are you?")], Added { new: 1, ..none }, 3),
        ("another context", vec![answer("on my way", "")], Added { new: 1, ..none }, 4),
        ("the same context", vec![answer("on my way", "")], Added { repeated: 1, ..none }, 4),
        ("an id", vec![with_id("m1", "hello"), with_id("m1", "hello")], Added { new: 1, known: 1, ..none }, 5),
        (
            "the id again",
            vec![with_id("m1", "hello"), with_id("m2", "hello")],
            Added { known: 1, repeated: 1, ..none },
            5,
        ),
        ("white space", vec![text(""), text(" \n\t")], Added { blank: 2, ..none }, 5),
        ("incognito", vec![NewSample { incognito: true, ..text("secret") }], Added { incognito: 1, ..none }, 5),
        ("an excluded source", vec![of(Some("bank"), None, "x1")], Added { excluded: 1, ..none }, 5),
        ("an excluded contact", vec![of(Some("chat"), Some("Doctor"), "x2")], Added { excluded: 1, ..none }, 5),
        ("neither", vec![of(Some("Doctor"), Some("bank"), "x3")], Added { new: 1, ..none }, 6),
        ("turned down", vec![origin(Origin::SuggestionTurnedDown, "on my way")], Added { new: 1, ..none }, 7),
        ("accepted", vec![origin(Origin::SuggestionAccepted, "sounds good")], Added { new: 1, ..none }, 8),
        ("edited", vec![origin(Origin::SuggestionEdited, "sounds great")], Added { new: 1, ..none }, 9),
        ("of the app's own", vec![origin(Origin::named("dictated"), "on my way")], Added { new: 1, ..none }, 10),
        ("nothing", vec![], none, 10),
    ] {
        let before = history.revision().unwrap();
        assert_eq!(history.add(&batch).unwrap(), expected, "{what}");
        assert_eq!(all(&history).len(), samples, "{what}");
        let changed = expected.new + expected.repeated > 0;
        assert_eq!(history.revision().unwrap() > before, changed, "{what}");
    }
    let counts: Vec<_> = all(&history).into_iter().map(|sample| (sample.text, sample.count)).collect();
    assert!(counts.contains(&("hello".into(), 2)));
    assert!(counts.contains(&("on my way".into(), 3)));
    let mut learned = learnable(&history);
    learned.sort();
    let expected = ["hello", "on my way", "on my way", "on my way", "see you", "sounds great", "x3"];
    assert_eq!(learned, expected);

    let stats = history.stats().unwrap();
    assert_eq!((stats.total.samples, stats.total.messages), (10, 14));
    assert_eq!(stats.splits.iter().map(|(_, tally)| tally.samples).sum::<u64>(), 7);
    let origins: Vec<_> = stats.origins.iter().map(|(origin, tally)| (origin.name(), tally.messages)).collect();
    let suggested = ["suggestion_accepted", "suggestion_edited", "suggestion_turned_down"].map(|name| (name, 1));
    assert_eq!(origins, [&[("typed", 10)], &suggested[..], &[("dictated", 1)]].concat());
    let sources: Vec<_> = stats.sources.iter().map(|tally| (tally.source.as_deref(), tally.messages)).collect();
    assert_eq!(sources, [(None, 13), (Some("Doctor"), 1)]);
    assert_eq!(history.exclusions().unwrap().len(), 2);
    assert!(history.include(&Exclusion::Source("bank".into())).unwrap());
    assert!(!history.include(&Exclusion::Source("bank".into())).unwrap());
    assert_eq!(history.add(&[of(Some("bank"), None, "x1")]).unwrap().new, 1);
}

#[test]
fn everything_given_comes_back() {
    let home = Home::new();
    let full = NewSample {
        id: Some("m-17".into()),
        text: "Grüße \u{1F600}\n\"quoted\" \\ \0".into(),
        context: Some("wie geht's?".into()),
        source: Some("chat".into()),
        contact: Some("Ada".into()),
        conversation: Some("room 1".into()),
        timestamp: Some(1_700_000_000),
        origin: Origin::Typed,
        incognito: false,
    };
    home.open().add(std::slice::from_ref(&full)).unwrap();
    let [stored] = all(&home.open()).try_into().unwrap();
    assert_eq!(
        (stored.app_id, stored.context, stored.source, stored.contact, stored.conversation),
        (full.id.clone(), full.context.clone(), full.source.clone(), full.contact.clone(), full.conversation.clone())
    );
    assert_eq!(
        (&stored.text, stored.timestamp, stored.origin, stored.count),
        (&full.text, 1_700_000_000, full.origin.clone(), 1)
    );
    let learned = home.open().learnable(stored.split).unwrap().next().unwrap().unwrap();
    assert_eq!((learned.text, learned.context, learned.count), (full.text.clone(), full.context.clone(), 1));
    assert_eq!((learned.cluster, learned.cluster_size), (stored.cluster, 1));
    let shown = format!("{full:?} {:?}", all(&home.open()));
    for secret in ["Grüße", "wie geht", "Ada", "room 1", "m-17"] {
        assert!(!shown.contains(secret), "{shown}");
    }
}

#[test]
fn a_bad_sample_refuses_its_batch_and_names_the_place() {
    let home = Home::new();
    let history = home.open();
    let long = "x".repeat((1 << 20) + 1);
    for (bad, field) in [
        (text(&long), "text"),
        (NewSample { contact: Some(long.clone()), ..text("a") }, "contact"),
        (NewSample { id: Some(long.clone()), ..text("a") }, "id"),
        (NewSample { timestamp: Some(1_700_000_000_000), ..text("a") }, "timestamp"),
        (NewSample { timestamp: Some(i64::MIN), ..text("a") }, "timestamp"),
    ] {
        let error = history.add(&[text("good"), bad]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BadData);
        assert!(error.message().contains("sample 1") && error.message().contains(field), "{error}");
        assert_eq!(history.stats().unwrap().total.samples, 0);
    }
    history.add(&[text(&long[1..])]).unwrap();
    assert_eq!(all(&history)[0].text.len(), 1 << 20);
}

#[test]
fn what_is_added_again_counts_once_and_true_repeats_count() {
    let ok = || text("ok");
    let at = |time: i64| NewSample { timestamp: Some(time), ..ok() };
    let answer = |context: &str, sample: NewSample| NewSample { context: Some(context.into()), ..sample };
    let source = |name: &str, sample: NewSample| NewSample { source: Some(name.into()), ..sample };
    let contact = |name: &str, sample: NewSample| NewSample { contact: Some(name.into()), ..sample };
    let talk = |name: &str, sample: NewSample| NewSample { conversation: Some(name.into()), ..sample };
    let id = |id: &str, sample: NewSample| NewSample { id: Some(id.into()), ..sample };
    let turned_down = |sample: NewSample| NewSample { origin: Origin::SuggestionTurnedDown, ..sample };
    type Add = fn(&History, &[NewSample]) -> crate::Result<Added>;
    let (alone, whole): (Add, Add) = (History::add, History::add_all);
    // (what, how it is added, what is there, what comes then, how much of that is known)
    for (what, add, first, then, known) in [
        ("by an app, without a time", alone, vec![ok()], vec![ok()], 0),
        ("by an app, with one", alone, vec![at(5)], vec![at(5), at(6)], 1),
        ("by an app, twice in a second", alone, vec![at(5), at(5)], vec![at(5), at(5), at(5)], 2),
        ("the same file", whole, vec![ok(), ok()], vec![ok(), ok()], 2),
        ("a file with more", whole, vec![ok(), ok()], vec![ok(), text("no"), ok(), ok()], 2),
        ("a file with less", whole, vec![ok(), ok()], vec![ok()], 1),
        ("a file in another order", whole, vec![ok(), at(5), at(5)], vec![at(5), ok(), at(5)], 3),
        ("what it answers, without a time", whole, vec![answer("so?", ok())], vec![answer("and?", ok()), ok()], 0),
        ("what it answers, with one", whole, vec![answer("so?", at(5))], vec![answer("and?", at(5))], 1),
        ("another source", whole, vec![source("a", at(5))], vec![source("b", at(5)), at(5)], 0),
        ("another contact", whole, vec![contact("Ben", at(5))], vec![contact("Cy", at(5)), at(5)], 0),
        ("another conversation", whole, vec![talk("1", at(5))], vec![talk("2", at(5)), at(5)], 0),
        (
            "somebody else was heard last",
            whole,
            vec![talk("1", contact("Ben", at(5)))],
            vec![talk("1", contact("Cy", at(5)))],
            1,
        ),
        ("a contact of a conversation's name", whole, vec![contact("1", at(5))], vec![talk("1", at(5))], 0),
        ("another origin", whole, vec![at(5)], vec![turned_down(at(5))], 0),
        ("ids", whole, vec![id("1", at(5)), id("2", at(5))], vec![id("2", at(5)), id("3", at(5)), at(5)], 1),
        ("an app's batch of a file's rows", alone, vec![at(5), at(7)], vec![at(5), at(7)], 2),
    ] {
        let home = Home::new();
        let history = home.open();
        let (before, now) = (first.len() as u64, then.len() as u64);
        assert_eq!(add(&history, &first).unwrap().known, 0, "{what}");
        assert_eq!(add(&history, &then).unwrap().known, known, "{what}");
        assert_eq!(history.stats().unwrap().total.messages, before + now - known, "{what}");
        let shown = all(&history).into_iter().any(|sample| sample.app_id.is_some());
        assert!(!shown || what == "ids", "{what}: an id that no app gave");
    }
}

#[test]
fn figures_tell_sources_with_their_times_and_what_is_held_out() {
    let home = Home::new();
    let history = home.open();
    assert_eq!((history.stats().unwrap().sources, history.stats().unwrap().period), (vec![], None));
    let at = |source: Option<&str>, time: i64, content: &str| NewSample {
        timestamp: Some(time),
        ..of(source, None, content)
    };
    history
        .add(&[at(None, 9, "a"), at(Some("chat"), 7, "b"), at(Some("chat"), 3, "c"), at(Some("mail"), 5, "d")])
        .unwrap();
    let stats = history.stats().unwrap();
    let sources: Vec<_> = stats.sources.iter().map(|tally| (tally.source.as_deref(), tally.period)).collect();
    assert_eq!(sources, [(Some("chat"), (3, 7)), (None, (9, 9)), (Some("mail"), (5, 5))]);
    assert_eq!(stats.period, Some((3, 9)));

    history.clear().unwrap();
    history.add(&distinct(300)).unwrap();
    let mut copies: Vec<_> = all(&history).into_iter().filter(|sample| sample.split == Split::HeldOut).collect();
    let held_out = copies.len() as u64;
    assert_eq!(history.stats().unwrap().held_out_units, held_out);
    // Another of a cluster adds none, and a suggestion is no text of the person's.
    let copy = copies.remove(0).text;
    let suggested = NewSample { origin: Origin::SuggestionAccepted, ..text(&copy) };
    history.add(&[NewSample { context: Some("so?".into()), ..text(&copy) }, suggested]).unwrap();
    assert_eq!(history.stats().unwrap().held_out_units, held_out);
    let training = all(&history).into_iter().filter(|sample| sample.split == Split::Training).map(|sample| sample.id);
    let training: Vec<SampleId> = training.collect();
    for (after, expected) in [(None, training.len()), (Some(training[0]), 0), (Some(training[7]), 7)] {
        assert_eq!(history.new_texts(after).unwrap(), expected as u64, "{after:?}");
    }
}

#[test]
fn a_long_file_is_known_whole_and_what_was_removed_of_it_is_not() {
    let home = Home::new();
    let history = home.open();
    let mut rows = distinct(1500);
    rows.extend(distinct(1500));
    let again = |history: &History| history.add_all(&rows).unwrap();
    assert_eq!((again(&history).new, again(&history).known), (1500, 3000));
    let last = all(&history)[0].id;
    assert_eq!(history.remove(&Selection::Samples(vec![last])).unwrap().messages, 2);
    assert_eq!(again(&history), Added { new: 1, repeated: 1, known: 2998, ..Added::default() });
}

#[test]
fn rows_that_earlier_releases_added_get_their_ids_when_they_come_again() {
    let home = Home::new();
    let at = |time: i64, contact: &str| NewSample {
        timestamp: Some(time),
        contact: Some(contact.into()),
        source: Some("chat".into()),
        ..text("ok")
    };
    let there = [at(5, "Ben"), at(5, "Ben"), at(5, "Cy"), at(6, "Ben")];
    home.open().add_all(&there).unwrap();
    rusqlite::Connection::open(home.file()).unwrap().execute("UPDATE occurrences SET app_id_hash = NULL", []).unwrap();
    let history = home.open();
    let other_source = NewSample { source: Some("mail".into()), ..at(5, "Ben") };
    let new = [at(5, "Ben"), at(7, "Ben"), at(6, "Cy"), other_source, text("ok")];
    let later = [&there[..], &new].concat();
    assert_eq!(history.add_all(&later).unwrap(), Added { known: 4, repeated: 5, ..Added::default() });
    assert_eq!(history.add_all(&later).unwrap().known, 9);
}

#[test]
fn pages_join_to_the_whole() {
    let home = Home::new();
    let history = home.open();
    history.add(&distinct(150)).unwrap();
    for limit in [1, 7, 50, 149, 150, 1000] {
        let (mut pages, mut before) = (Vec::new(), None);
        loop {
            let page = history.list(before, limit).unwrap();
            before = page.last().map(|sample| sample.id);
            if page.is_empty() {
                break;
            }
            pages.extend(page);
        }
        assert_eq!(pages, all(&history), "{limit}");
    }
    assert!(history.list(Some(SampleId(1)), 10).unwrap().is_empty());
    // More than a page of the training read, in the order of adding.
    let ids: Vec<_> = history.learnable(Split::Training).unwrap().map(|sample| sample.unwrap().id).collect();
    assert!(ids.len() > 64 && ids.is_sorted(), "{}", ids.len());
}

#[test]
fn splits_keep_their_proportions() {
    let home = Home::new();
    let history = home.open();
    history.add(&distinct(2000)).unwrap();
    let stats = history.stats().unwrap();
    // Within four standard deviations of 80, 10 and 10 %.
    for ((split, tally), range) in stats.splits.iter().zip([1528..1673, 146..254, 146..254]) {
        assert!(range.contains(&tally.samples), "{split:?}: {tally:?}");
    }
    assert_eq!(stats.clusters, 2000);
}

#[test]
fn the_day_that_begins_a_history_is_learned_from_and_moves_nothing() {
    let texts = distinct(400);
    let on = |day: i64, place: usize| NewSample {
        conversation: Some("talk".into()),
        timestamp: Some(day * 86_400 + place as i64),
        ..texts[place].clone()
    };
    let splits = |history: &History, places: std::ops::Range<usize>| {
        let meant = |text: &str| texts[places.clone()].iter().any(|sample| sample.text == text);
        let stored = all(history).into_iter().filter(|sample| meant(&sample.text));
        stored.map(|sample| sample.split).collect::<std::collections::HashSet<_>>()
    };
    let only = |split: Split| std::collections::HashSet::from([split]);
    let begin_otherwise = |history: &History, day: i64, place: usize| {
        history.clear().unwrap();
        history.add(&[text("it begins with something else"), on(day, place)]).unwrap();
        splits(history, place..place + 1)
    };
    let other = Home::new();
    for split in [Split::HeldOut, Split::Validation] {
        // A day that goes there where a history is there already.
        let history = other.open();
        let day = (0..200).find(|&day| begin_otherwise(&history, day, 0) == only(split)).unwrap();
        let home = Home::new();
        let history = home.open();
        // A suggestion that was taken is nothing to learn from.
        history.add(&[NewSample { origin: Origin::SuggestionAccepted, ..text("sounds good") }]).unwrap();
        for places in [0..10, 10..20] {
            history.add(&places.map(|place| on(day, place)).collect::<Vec<_>>()).unwrap();
        }
        assert_eq!(splits(&history, 0..20), only(Split::Training), "{split:?}");
        // The days after it are drawn as ever.
        history.add(&(20..400).map(|place| on(day + place as i64, place)).collect::<Vec<_>>()).unwrap();
        assert_eq!(splits(&history, 20..400).len(), 3, "{split:?}");
        // For ever: what was learned from is not held out when it comes again.
        assert_eq!(begin_otherwise(&history, day, 3), only(Split::Training), "{split:?}");
    }
}

#[test]
fn near_duplicates_share_a_split_across_conversations() {
    let home = Home::new();
    let history = home.open();
    let families = [
        ["meet at 5pm ok?", "Meet at 6 pm ok", "MEET AT 7PM, OK??", "meet at 11.30 pm - ok"],
        ["happy birthday!", "Happy Birthday!!!", "happy birthdayyy", "Happy birthday 🎂"],
        [
            "the quarterly report is attached, please have a look",
            "The quarterly report is attached, please have a look!",
            "the quarterly report is attached please take a look",
            "Hi, the quarterly report is attached, please have a look",
        ],
    ];
    for (number, copy) in (0..4).flat_map(|copy| (0..families.len()).map(move |family| (family, copy))) {
        let sample = NewSample {
            conversation: Some(format!("talk {copy}")),
            timestamp: Some(86_400 * (100 + copy as i64)),
            ..text(families[number][copy])
        };
        history.add(&distinct(40)[copy * 10..][..10]).unwrap();
        history.add(&[sample]).unwrap();
    }
    let stored = all(&history);
    let mut clusters = Vec::new();
    for family in families {
        let members: Vec<_> = stored.iter().filter(|sample| family.contains(&sample.text.as_str())).collect();
        assert_eq!(members.len(), 4);
        assert!(members.iter().all(|member| member.cluster == members[0].cluster), "{family:?}");
        assert!(members.iter().all(|member| member.split == members[0].split), "{family:?}");
        clusters.push(members[0].cluster);
        let learned = history.learnable(members[0].split).unwrap().map(Result::unwrap);
        let sizes: Vec<_> = learned.filter(|sample| sample.cluster == members[0].cluster).collect();
        assert!(sizes.len() == 4 && sizes.iter().all(|sample| sample.cluster_size == 4), "{sizes:?}");
    }
    clusters.dedup();
    assert_eq!(clusters.len(), 3);
}

#[test]
fn a_message_varied_a_thousand_times_is_one_cluster() {
    let home = Home::new();
    let history = home.open();
    let mut random = crate::random::Random::new(3);
    let base: Vec<char> = "please remember to water the plants on the balcony".chars().collect();
    let varied: Vec<_> = (0..1000)
        .map(|i| {
            let mut copy = base.clone();
            copy[(random.next_u64() % 50) as usize] = char::from(b'a' + (random.next_u64() % 26) as u8);
            text(&format!("{} {i}", copy.into_iter().collect::<String>()))
        })
        .collect();
    for batch in varied.chunks(100) {
        history.add(batch).unwrap();
    }
    history.add(&distinct(100)).unwrap();
    let stats = history.stats().unwrap();
    assert!(stats.largest_cluster >= 990, "{stats:?}");
    let stored = all(&history);
    let largest: Vec<_> = stored.iter().filter(|sample| sample.text.contains("balcony")).collect();
    let splits: std::collections::HashSet<_> = largest.iter().map(|sample| sample.split).collect();
    assert!(splits.len() <= 2, "{splits:?}");
}

#[test]
fn the_same_text_gets_the_same_split_again() {
    let home = Home::new();
    let history = home.open();
    let splits = |history: &History| {
        history.add(&distinct(60)).unwrap();
        let mut splits: Vec<_> = all(history).into_iter().map(|sample| (sample.text, sample.split.code())).collect();
        splits.sort();
        splits
    };
    let first = splits(&history);
    history.clear().unwrap();
    assert_eq!(splits(&history), first);
}

#[test]
fn an_origin_that_is_not_known_is_kept_by_its_name_and_not_learned() {
    let home = Home::new();
    let history = home.open();
    let of = |origin: &str, content: &str| NewSample { origin: Origin::named(origin), ..text(content) };
    let samples = [of("dictated", "one"), of("translated", "two"), of("dictated", "three"), of("typed", "one")];
    history.add_all(&samples).unwrap();
    let read = |history: &History| {
        let mut rows: Vec<_> = all(history).into_iter().map(|row| (row.origin.name().to_owned(), row.text)).collect();
        rows.sort();
        rows.into_iter().map(|(origin, text)| format!("{origin}: {text}")).collect::<Vec<_>>()
    };
    drop(history);
    let history = home.open();
    assert_eq!(read(&history), ["dictated: one", "dictated: three", "translated: two", "typed: one"]);
    assert_eq!((history.add_all(&samples).unwrap().known, learnable(&history)), (4, vec!["one".to_owned()]));
    let rowid = |text: &str| all(&history).into_iter().find(|row| row.text == text).unwrap().id;
    // A name goes with the last text of it.
    let names = || {
        let connection = rusqlite::Connection::open(home.file()).unwrap();
        connection.query_row("SELECT count(*) FROM origins", [], |row| row.get::<_, i64>(0)).unwrap()
    };
    for (gone, left) in [("three", 2), ("two", 1)] {
        history.remove(&Selection::Samples(vec![rowid(gone)])).unwrap();
        assert_eq!(names(), left, "{gone}");
    }
    assert_eq!(read(&history), ["dictated: one", "typed: one"]);
    history.clear().unwrap();
    assert_eq!(names(), 0);
    history.add(&[of("translated", "two")]).unwrap();
    assert_eq!(read(&history), ["translated: two"]);
}

#[test]
fn retention_takes_the_oldest() {
    let now = crate::time::now();
    let day = 86_400;
    let at = |days: i64, content: &str| NewSample { timestamp: Some(now - days * day), ..text(content) };
    let messages =
        [at(400, "ancient"), at(30, "month"), at(8, "week"), at(7, "week"), at(1, "yesterday"), at(0, "today")];
    let cap = |max_messages, days: Option<u64>| Retention {
        max_messages,
        max_age: days.map(|days| Duration::from_secs(days * 86_400)),
    };
    // (cap, texts that stay with their counts)
    for (retention, expected) in [
        (cap(None, None), vec![("ancient", 1), ("month", 1), ("today", 1), ("week", 2), ("yesterday", 1)]),
        (cap(Some(4), None), vec![("today", 1), ("week", 2), ("yesterday", 1)]),
        (cap(Some(3), None), vec![("today", 1), ("week", 1), ("yesterday", 1)]),
        (cap(None, Some(31)), vec![("month", 1), ("today", 1), ("week", 2), ("yesterday", 1)]),
        (cap(Some(1), Some(31)), vec![("today", 1)]),
        (cap(Some(0), None), vec![]),
    ] {
        let gone = 6 - expected.iter().map(|(_, count)| count).sum::<u64>();
        let counts = |history: &History| {
            let mut counts: Vec<_> = all(history).into_iter().map(|sample| (sample.text, sample.count)).collect();
            counts.sort();
            counts
        };
        let expected: Vec<_> = expected.into_iter().map(|(text, count)| (text.to_owned(), count)).collect();
        // Set before and after the messages come.
        let (before, after) = (Home::new(), Home::new());
        let history = before.open();
        history.set_retention(retention).unwrap();
        assert_eq!(before.open().retention().unwrap(), retention);
        assert_eq!(history.add(&messages).unwrap().expired, gone, "{retention:?}");
        assert_eq!(counts(&history), expected, "{retention:?}");
        let history = after.open();
        history.add(&messages).unwrap();
        assert_eq!(history.set_retention(retention).unwrap(), gone);
        assert_eq!(counts(&history), expected, "{retention:?}");
        assert_eq!(history.stats().unwrap().total.messages, 6 - gone);
        // What has come to exceed it since is taken by the next opening.
        let aged = "UPDATE occurrences SET time = time - 86400 * 365";
        rusqlite::Connection::open(after.file()).unwrap().execute(aged, []).unwrap();
        drop(history);
        let stays = if retention.max_age.is_some() { 0 } else { 6 - gone };
        let history = after.open();
        assert_eq!(history.stats().unwrap().total.messages, stays, "{retention:?}");
        assert_eq!(history.apply_retention().unwrap(), 0);
    }
}
