//! The program as a user runs it.

mod bad_input;
mod chat;
mod device;
#[path = "../common/folders.rs"]
mod folders;
mod log;
mod merge;
mod profile;
mod results;
#[path = "../common/run.rs"]
mod run;
