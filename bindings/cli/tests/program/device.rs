//! Looking for a device leaves no trace: drivers print nothing, and no window system is asked.

use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use crate::run::{idiolect_where, workspace};

/// What `generate` and a refusal of a device say on standard error.
fn is_ours(line: &str) -> bool {
    ["device: ", "2 tokens, ", "error: no GPU found", "error: no usable GPU"].iter().any(|ours| line.starts_with(ours))
}

/// Machines without a desktop, and sessions whose desktop does not answer.
const ENVIRONMENTS: &[&[(&str, &str)]] = &[&[], &[("WAYLAND_DISPLAY", "wayland-0")], &[("DISPLAY", ":0")], NO_VULKAN];

/// With `--device gpu` it is GL then.
const NO_VULKAN: &[(&str, &str)] =
    &[("VK_ICD_FILENAMES", "/nonexistent.json"), ("VK_DRIVER_FILES", "/nonexistent.json")];

#[test]
fn standard_error_has_only_our_lines() {
    let home = workspace();
    for variables in ENVIRONMENTS {
        for device in ["auto", "cpu", "gpu"] {
            let args = ["generate", "--prompt", "Hello", "--max-tokens", "2", "--device", device, "base"];
            let run = idiolect_where(home.path(), &args, |command| {
                let gone = ["XDG_RUNTIME_DIR", "WAYLAND_DISPLAY", "DISPLAY"];
                gone.iter().fold(command, |command, name| command.env_remove(name)).envs(variables.iter().copied())
            });
            let strange: Vec<_> = run.stderr.lines().filter(|line| !is_ours(line)).collect();
            assert!(strange.is_empty(), "--device {device}, {variables:?}: {strange:#?}");
            assert!(run.code == Some(0) || device == "gpu", "--device {device}, {variables:?}: {}", run.stderr);
        }
    }
}

/// An X server is reached by TCP where `DISPLAY` names a machine.
#[test]
fn no_window_system_is_reached() {
    let home = workspace();
    let (listener, display) = (100..200)
        .find_map(|display| Some((TcpListener::bind(("127.0.0.1", 6000 + display)).ok()?, display)))
        .expect("one of a hundred ports is free");
    let address = listener.local_addr().unwrap();
    let ended = AtomicBool::new(false);
    thread::scope(|scope| {
        // Who connects is turned away at once, so that nobody waits for a greeting.
        let visits = scope.spawn(|| listener.incoming().take_while(|_| !ended.load(Ordering::SeqCst)).count());
        for (device, variables) in [("auto", &[][..]), ("gpu", &[]), ("gpu", NO_VULKAN)] {
            let args = ["generate", "--prompt", "Hello", "--max-tokens", "2", "--device", device, "base"];
            idiolect_where(home.path(), &args, |command| {
                let command = command.env("DISPLAY", format!("127.0.0.1:{display}")).env_remove("WAYLAND_DISPLAY");
                command.envs(variables.iter().copied())
            });
        }
        ended.store(true, Ordering::SeqCst);
        TcpStream::connect(address).unwrap();
        assert_eq!(visits.join().unwrap(), 0, "connections to an X server");
    });
}
