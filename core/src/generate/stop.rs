//! Stop strings, found across the borders of the pieces that a text comes in.

use crate::{Error, ErrorKind, Result};

/// Watches a text for stop strings, holding back what may be the beginning of one.
///
/// Where several stop strings overlap, the one that is complete first counts, and of those that end
/// together the longest: the result does not depend on how the text is cut into pieces.
#[derive(Debug, Clone)]
pub struct StopMatcher {
    stops: Vec<String>,
    /// The text not yet given out: the longest end of it that begins a stop string.
    held: String,
    stopped: bool,
}

impl StopMatcher {
    /// Watches for any of `stops`.
    ///
    /// # Errors
    /// `BadOption` for an empty stop string.
    pub fn new(stops: &[String]) -> Result<Self> {
        if stops.iter().any(String::is_empty) {
            return Err(Error::new(ErrorKind::BadOption, "a stop string is empty").with_hint("leave it out"));
        }
        Ok(Self { stops: stops.to_vec(), held: String::new(), stopped: false })
    }

    /// Takes the next piece of text; gives what may be shown. After a stop string there is nothing more.
    pub fn push(&mut self, piece: &str) -> String {
        if self.stopped {
            return String::new();
        }
        self.held.push_str(piece);
        if let Some(start) = self.find() {
            self.stopped = true;
            self.held.truncate(start);
            return std::mem::take(&mut self.held);
        }
        let kept = self.held.len() - self.longest_beginning();
        let rest = self.held.split_off(kept);
        std::mem::replace(&mut self.held, rest)
    }

    /// The end of the text: gives what was held back for a stop string that did not come.
    pub fn finish(&mut self) -> String {
        std::mem::take(&mut self.held)
    }

    /// Whether a stop string has come.
    pub fn stopped(&self) -> bool {
        self.stopped
    }

    /// Where the stop string that ends first begins.
    fn find(&self) -> Option<usize> {
        let matches = self.stops.iter().filter_map(|stop| Some((self.held.find(stop)?, stop.len())));
        matches.min_by_key(|(start, length)| (start + length, *start)).map(|(start, _)| start)
    }

    /// The length of the longest end of the held text that a stop string goes on from.
    fn longest_beginning(&self) -> usize {
        let ends = |stop: &String| {
            let mut beginnings = stop.char_indices().map(|(length, _)| length).rev();
            beginnings.find(|length| self.held.ends_with(&stop[..*length])).unwrap_or(0)
        };
        self.stops.iter().map(ends).max().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::StopMatcher;
    use crate::ErrorKind;

    fn run<'a>(stops: &[&str], pieces: impl IntoIterator<Item = &'a str>) -> (Vec<String>, bool) {
        let stops: Vec<String> = stops.iter().map(|stop| stop.to_string()).collect();
        let mut matcher = StopMatcher::new(&stops).expect("stop strings");
        let mut shown: Vec<String> = pieces.into_iter().map(|piece| matcher.push(piece)).collect();
        shown.push(matcher.finish());
        (shown, matcher.stopped())
    }

    #[test]
    fn text_is_held_only_while_a_stop_string_may_be_coming() {
        type Case<'a> = (&'a [&'a str], &'a [&'a str], &'a [&'a str], bool);
        let cases: &[Case] = &[
            (&[], &["a", "b"], &["a", "b", ""], false),
            (&["\n\n"], &["one\n", "two\n", "\nthree"], &["one", "\ntwo", "", ""], true),
            (&["STOP"], &["a S", "T", "A", "STO"], &["a ", "", "STA", "", "STO"], false),
            (&["aab"], &["a", "a", "a", "b", "c"], &["", "", "a", "", "", ""], true),
            (&["end"], &["the end of it"], &["the ", ""], true),
            (&["é!"], &["café", "!", "x"], &["caf", "", "", ""], true),
        ];
        for (stops, pieces, expected, stopped) in cases {
            let (shown, ended) = run(stops, pieces.iter().copied());
            assert_eq!((shown.iter().map(String::as_str).collect::<Vec<_>>(), ended), (expected.to_vec(), *stopped));
        }
    }

    #[test]
    fn the_cut_into_pieces_makes_no_difference() {
        let cases: &[(&[&str], &str, &str)] = &[
            (&["abc", "b"], "xabcx", "xa"),
            (&["bc", "abc"], "xabcx", "x"),
            (&["ccc", "ab"], "aacabccc", "aac"),
            (&["😀😀", "\u{fe0f}"], "a😀b😀😀", "a😀b"),
            (&["zz"], "no such thing z", "no such thing z"),
        ];
        for (stops, text, expected) in cases {
            let borders: Vec<usize> = text.char_indices().map(|(at, _)| at).skip(1).collect();
            for mask in 0..1_u32 << borders.len() {
                let mut pieces = Vec::new();
                let mut start = 0;
                for (bit, border) in borders.iter().enumerate() {
                    if mask >> bit & 1 == 1 {
                        pieces.push(&text[start..*border]);
                        start = *border;
                    }
                }
                pieces.push(&text[start..]);
                assert_eq!(run(stops, pieces.iter().copied()).0.concat(), *expected, "{stops:?} {pieces:?}");
            }
        }
    }

    #[test]
    fn an_empty_stop_string_is_refused() {
        let error = StopMatcher::new(&["a".into(), String::new()]).expect_err("empty");
        assert_eq!(error.kind(), ErrorKind::BadOption);
    }
}
