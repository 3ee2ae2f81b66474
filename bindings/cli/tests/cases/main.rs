//! What people reported of programs that do the same jobs, as inputs with their right values (`inputs/`, a folder a
//! report), and further variants of each kind. A subject a file.

mod chats;
#[path = "../common/folders.rs"]
mod folders;
mod gguf;
mod rows;
#[path = "../common/run.rs"]
mod run;
mod secrets;
mod suggesting;
mod templates;
mod training;

use std::path::{Path, PathBuf};

use libtest_mimic::{Arguments, Failed, Trial};

fn main() {
    let arguments = Arguments::from_args();
    let subjects =
        [chats::trials, secrets::trials, rows::trials, training::trials, templates::trials, suggesting::trials];
    libtest_mimic::run(&arguments, subjects.iter().flat_map(|trials| trials()).collect()).exit();
}

/// A trial that fails where `check` panics.
fn trial(name: &str, check: impl FnOnce() + Send + 'static) -> Trial {
    let caught = move || {
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(check)).map_err(|panic| {
            let message = panic.downcast_ref::<String>().cloned();
            Failed::from(message.unwrap_or_else(|| "panicked".into()))
        })
    };
    Trial::test(name, caught)
}

/// A report's input file.
fn input(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/inputs").join(name)
}

/// The published model, where `tests/get-model` has put it.
fn published() -> Option<PathBuf> {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| "../../target".into(), PathBuf::from);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(target).join("models/SmolLM2-135M-Instruct.Q4_1.gguf");
    path.is_file().then_some(path)
}
