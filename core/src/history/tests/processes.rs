//! Several threads, connections and processes at one history, and processes that die.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use super::*;

/// Names the file of a child process's history; without it the child's test does nothing.
const FILE: &str = "IDIOLECT_TEST_HISTORY";
const NUMBER: &str = "IDIOLECT_TEST_NUMBER";

fn key() -> Key {
    Key::from_bytes(&[7; 32]).unwrap()
}

/// This test binary again, running one of the ignored tests below.
fn child(test: &str, file: &Path, number: usize) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args([&format!("history::tests::processes::{test}"), "--exact", "--ignored", "--nocapture"])
        .env(FILE, file)
        .env(NUMBER, number.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

fn batch(number: usize, round: usize) -> Vec<NewSample> {
    (0..5)
        .map(|i| NewSample { id: Some(format!("{number}/{round}/{i}")), ..distinct(round * 5 + i + 1).pop().unwrap() })
        .collect()
}

#[test]
#[ignore = "runs in a process that the other tests here start"]
fn adds_in_a_child() {
    let file = std::env::var_os(FILE).expect("started by another test");
    let number: usize = std::env::var(NUMBER).unwrap().parse().unwrap();
    let history = History::open(Path::new(&file), &key()).unwrap();
    for round in 0..40 {
        history.add(&batch(number, round)).unwrap();
        println!("\nadded {round}");
    }
}

#[test]
fn processes_and_threads_add_at_once() {
    let home = Home { key: key(), ..Home::new() };
    let children: Vec<_> = (0..3).map(|number| child("adds_in_a_child", &home.file(), number)).collect();
    let history = home.open();
    std::thread::scope(|scope| {
        for number in 3..5 {
            let history = &history;
            scope.spawn(move || {
                for round in 0..10 {
                    history.add(&batch(number, round)).unwrap();
                }
            });
        }
    });
    for child in children {
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success());
    }
    let stats = history.stats().unwrap();
    // The same 200 texts from each process, the first 50 from each thread.
    assert_eq!((stats.total.messages, stats.total.samples), (3 * 200 + 2 * 50, 200));
    assert_eq!(stats.revision, 3 * 40 + 2 * 10);
    assert_eq!(learnable(&history).len(), 200);
}

#[test]
fn acknowledged_batches_survive_a_kill() {
    let mut acknowledged_in_all = 0;
    for run in 0..6_u64 {
        let home = Home { key: key(), ..Home::new() };
        let mut child = child("adds_in_a_child", &home.file(), 0);
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let (mut acknowledged, mut line) = (0, String::new());
        // Killed right after an acknowledgement, or a little later, in the middle of the next batch.
        while acknowledged < 3 + run as usize * 5 && output.read_line(&mut line).unwrap() > 0 {
            acknowledged += usize::from(line.starts_with("added"));
            line.clear();
        }
        std::thread::sleep(std::time::Duration::from_micros(run * 700));
        child.kill().unwrap();
        child.wait().unwrap();
        while output.read_line(&mut line).unwrap() > 0 {
            acknowledged += usize::from(line.starts_with("added"));
            line.clear();
        }
        let history = home.open();
        let stored: std::collections::HashSet<_> =
            all(&history).into_iter().map(|sample| sample.app_id.unwrap()).collect();
        for round in 0..acknowledged {
            assert!(batch(0, round).into_iter().all(|sample| stored.contains(&sample.id.unwrap())), "round {round}");
        }
        // Whole batches only.
        assert_eq!(stored.len() % 5, 0);
        assert!(acknowledged >= 3);
        // Repeating everything adds just what is missing.
        for round in 0..40 {
            history.add(&batch(0, round)).unwrap();
        }
        assert_eq!(history.stats().unwrap().total.messages, 200);
        acknowledged_in_all += acknowledged;
    }
    assert!(acknowledged_in_all < 6 * 40, "no child was killed before its end");
}
