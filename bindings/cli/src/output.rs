//! Where things are printed: results on standard output, everything else on standard error.

use std::fmt::{self, Display};
use std::io::{self, Write};

use idiolect::history::{Skipped, SkippedRow};
use idiolect::time::iso_day;
use idiolect::{Error, ErrorKind, Result};
use serde::Serialize;

/// The two streams of the program.
#[derive(Debug)]
pub struct Output {
    json: bool,
}

impl Output {
    /// With `json`, standard output carries JSON objects and nothing else.
    pub fn new(json: bool) -> Self {
        Self { json }
    }

    /// Whether results are JSON objects.
    pub fn json(&self) -> bool {
        self.json
    }

    /// Prints a result: one compact JSON object a line, or the same for people.
    pub fn result(&self, result: &(impl Serialize + Display)) -> Result<()> {
        if self.json { self.object(result) } else { print(io::stdout(), &format!("{result}\n")) }
    }

    /// Prints a result that people see in another way.
    pub fn object(&self, result: &impl Serialize) -> Result<()> {
        if !self.json {
            return Ok(());
        }
        let line = serde_json::to_string(result).map_err(|e| Error::new(ErrorKind::Io, format!("JSON: {e}")))?;
        print(io::stdout(), &format!("{line}\n"))
    }

    /// Prints text for people as it comes: on standard output, unless that is kept for JSON.
    pub fn text(&self, text: &str) -> Result<()> {
        if self.json { print(io::stderr(), text) } else { print(io::stdout(), text) }
    }

    /// Prints a line beside the results.
    pub fn note(&self, line: &str) {
        // With standard error gone there is nobody left to tell.
        let _ = print(io::stderr(), &format!("{line}\n"));
    }
}

/// Writes and flushes. A reader that went away is no failure of the work: what it learned is still saved.
fn print(mut stream: impl Write, text: &str) -> Result<()> {
    match stream.write_all(text.as_bytes()).and_then(|()| stream.flush()) {
        Err(e) if e.kind() != io::ErrorKind::BrokenPipe => {
            Err(Error::new(ErrorKind::Io, format!("the output cannot be written: {e}")))
        }
        _ => Ok(()),
    }
}

/// A column of labels beside a column of values.
pub struct Table<'a>(pub &'a [(&'a str, String)]);

impl Display for Table<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self.0.iter().map(|(label, _)| label.chars().count()).max().unwrap_or(0);
        for (row, (label, value)) in self.0.iter().enumerate() {
            let end = if row + 1 < self.0.len() { "\n" } else { "" };
            write!(f, "{label:width$}  {value}{end}")?;
        }
        Ok(())
    }
}

/// The bad rows of a file: a part of what is reported of it, and a line for people.
#[derive(Serialize)]
pub struct SkippedRows {
    skipped: u64,
    /// The first of them.
    skipped_rows: Vec<SkippedRow>,
}

impl From<Skipped> for SkippedRows {
    fn from(skipped: Skipped) -> Self {
        Self { skipped: skipped.rows, skipped_rows: skipped.named }
    }
}

impl SkippedRows {
    /// The same, where there are any.
    pub fn any(skipped: Skipped) -> Option<Self> {
        (skipped.rows > 0).then(|| skipped.into())
    }

    /// How many.
    pub fn count(&self) -> u64 {
        self.skipped
    }
}

impl Display for SkippedRows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named: Vec<String> =
            self.skipped_rows.iter().map(|row| format!("line {} ({})", row.line, row.why)).collect();
        let rows = if self.skipped == 1 { "row" } else { "rows" };
        write!(f, "skipped {} bad {rows}: {}", self.skipped, named.join(", "))?;
        match self.skipped - self.skipped_rows.len() as u64 {
            0 => Ok(()),
            others => write!(f, " and {others} more"),
        }
    }
}

/// The day of a time in seconds since 1970, in UTC, as ISO 8601 has it; a time beyond all years as it is.
pub fn day(seconds: i64) -> String {
    iso_day(seconds).unwrap_or_else(|| seconds.to_string())
}

/// `1234567` as `1,234,567`.
pub fn thousands(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Bytes in megabytes of a million, the unit of `--budget-mb`.
pub fn megabytes(bytes: usize) -> String {
    format!("{:.1} MB", bytes as f64 / 1e6)
}

/// A share as PEFT prints it.
pub fn trainable(trainable: usize, all: usize) -> String {
    format!(
        "trainable params: {} || all params: {} || trainable%: {:.4}",
        thousands(trainable),
        thousands(all),
        100.0 * trainable as f64 / all as f64
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        for (number, text) in [(0, "0"), (999, "999"), (1000, "1,000"), (12_345_678, "12,345,678")] {
            assert_eq!(thousands(number), text);
        }
        assert_eq!(megabytes(98_362_432), "98.4 MB");
        assert_eq!(trainable(1_234, 5_678), "trainable params: 1,234 || all params: 5,678 || trainable%: 21.7330");
    }

    #[test]
    fn skipped_rows_are_named_and_counted() {
        let named =
            vec![SkippedRow { line: 2, why: "text: missing".into() }, SkippedRow { line: 7, why: "not UTF-8".into() }];
        let one = Skipped { rows: 1, named: named[..1].to_vec() };
        assert_eq!(SkippedRows::from(one).to_string(), "skipped 1 bad row: line 2 (text: missing)");
        for (rows, end) in [(2, "line 7 (not UTF-8)"), (5, "line 7 (not UTF-8) and 3 more")] {
            let shown = SkippedRows::from(Skipped { rows, named: named.clone() }).to_string();
            assert_eq!(shown, format!("skipped {rows} bad rows: line 2 (text: missing), {end}"));
        }
    }

    #[test]
    fn tables_align() {
        let table = Table(&[("a", "1".into()), ("long", "2".into())]);
        assert_eq!(table.to_string(), "a     1\nlong  2");
    }
}
