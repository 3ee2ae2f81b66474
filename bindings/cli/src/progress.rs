//! Progress on standard error: a bar on a terminal, a line now and then elsewhere.

use std::borrow::Cow;

use indicatif::{ProgressBar, ProgressStyle};

use crate::output::Output;

/// Lines that a log gets where there is no terminal.
const LOG_LINES: usize = 10;

/// Progress through steps of which all are known.
pub struct Progress<'o> {
    output: &'o Output,
    label: &'static str,
    bar: ProgressBar,
    logged: Option<usize>,
}

impl<'o> Progress<'o> {
    /// A bar labelled `label`. Of two in one run that count the same things, each has a label of its own: in a log, the one
    /// would repeat the other.
    pub fn new(output: &'o Output, label: &'static str) -> Self {
        let template = "{prefix:10}  {bar:28.cyan/dim}  {pos}/{len}  {msg}  {eta} left";
        // The template is a constant: where it were wrong, the plain style would still do.
        let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
        let bar = ProgressBar::new(0).with_style(style.progress_chars("━╸─")).with_prefix(label);
        Self { output, label, bar, logged: None }
    }

    /// Moves to step `done` of `total`.
    pub fn reach(&mut self, done: usize, total: usize, message: impl Into<Cow<'static, str>>) {
        let message = message.into();
        let share = done * LOG_LINES / total.max(1);
        if self.bar.is_hidden() && self.logged.is_none_or(|logged| share > logged) {
            self.output.note(format!("{:10}  {done}/{total}  {message}", self.label).trim_end());
            self.logged = Some(share);
        }
        self.bar.set_length(total as u64);
        self.bar.set_message(message);
        self.bar.set_position(done as u64);
    }
}

impl Drop for Progress<'_> {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
