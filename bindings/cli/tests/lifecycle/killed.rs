//! Trainings killed at random instants go on to the same bits; others may add meanwhile, and none may train.

use std::fs;
use std::process::{Child, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::home::{ENOUGH, Home, MESSAGES, complaint, finish, messages, promoted_once, strings, training, verdict};

/// Kills where nobody asks for more.
const FEW_KILLS: u64 = 3;

pub fn killed() {
    let home = Home::with(ENOUGH);
    let whole = home.profile("whole");
    let began = Instant::now();
    let expected = verdict(finish(home.command(&strings(&training(&whole)))));
    assert_eq!((&expected["verdict"]["decision"], &expected["version"]), (&"promoted".into(), &1.into()), "{expected}");
    let took = began.elapsed();
    let kills = std::env::var("IDIOLECT_KILLS").ok().and_then(|kills| kills.parse().ok()).unwrap_or(FEW_KILLS);
    let (mut resumed, mut random) = (0, 0x9e37_79b9_7f4a_7c15_u64);
    for kill in 0..kills {
        let profile = home.profile(&format!("killed-{kill}"));
        // Killed twice, the second time wherever it has come to by then.
        for _ in 0..2 {
            let mut child: Child = home
                .command(&strings(&training(&profile)))
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .unwrap();
            random = random.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
            sleep(took.mul_f64((random >> 33) as f64 / f64::from(u32::MAX >> 1)));
            child.kill().unwrap();
            child.wait().unwrap();
        }
        let report = finish(home.command(&strings(&training(&profile))));
        resumed += u64::from(report["resumed"] == true);
        assert_eq!(verdict(report), expected, "kill {kill}");
        assert_eq!(messages(&home, &profile), ENOUGH as u64, "kill {kill}");
        promoted_once(&home, &profile);
        fs::remove_dir_all(home.path(&profile)).unwrap();
    }
    println!("{kills} trainings killed twice in {took:.1?}, {resumed} went on from a checkpoint");
    assert!(resumed > 0 || kills < 4, "no training ever went on from a checkpoint");
}

pub fn beside() {
    let home = Home::new();
    let profile = home.profile("shared");
    let mut child =
        home.command(&strings(&training(&profile))).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    while !home.path(&profile).join("checkpoints").read_dir().is_ok_and(|mut files| files.next().is_some()) {
        sleep(Duration::from_millis(5));
    }
    let second = home.command(&strings(&training(&profile))).output().unwrap();
    assert_eq!(second.status.code(), Some(1), "a second training was let in");
    assert!(complaint(&second).contains("train"), "{}", complaint(&second));
    let status = finish(home.command(&["status", &profile, "--json"]));
    assert_eq!(status["training"], true, "{status}");
    fs::write(home.path("more.txt"), "this came while it trained\n").unwrap();
    finish(home.command(&["history", "add", &profile, "more.txt"]));
    assert!(child.wait().unwrap().success());
    assert_eq!(messages(&home, &profile), MESSAGES as u64 + 1);
}
