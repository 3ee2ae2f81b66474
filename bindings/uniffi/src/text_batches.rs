//! Gathering pieces of text, so that an app is not called for every token.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::error::Result;
use crate::listeners::TextListener;

/// How long pieces are gathered for one callback.
const INTERVAL: Duration = Duration::from_millis(40);

/// Pieces on their way to a listener.
struct TextBatches {
    listener: Arc<dyn TextListener>,
    gathered: String,
    last: Instant,
}

impl TextBatches {
    fn new(listener: Arc<dyn TextListener>) -> Self {
        Self { listener, gathered: String::new(), last: Instant::now() }
    }

    /// Takes a piece; hands over what there is where the last callback was long enough ago.
    fn add(&mut self, piece: &str) -> Result<()> {
        self.gathered.push_str(piece);
        if self.last.elapsed() < INTERVAL { Ok(()) } else { self.flush() }
    }

    /// Hands over what is left.
    fn flush(&mut self) -> Result<()> {
        if self.gathered.is_empty() {
            return Ok(());
        }
        let text = std::mem::take(&mut self.gathered);
        let heard = self.listener.on_text(text);
        self.last = Instant::now();
        heard
    }
}

/// What `make` makes, its text gathered for the listener. A listener that fails ends it.
///
/// # Errors
/// The listener's, else what `make` gives.
pub(crate) fn batched<T>(
    listener: Arc<dyn TextListener>,
    make: impl FnOnce(&mut dyn FnMut(&str) -> ControlFlow<()>) -> idiolect::Result<T>,
) -> Result<T> {
    let mut batches = TextBatches::new(listener);
    let mut heard = Ok(());
    let made = make(&mut |text| {
        heard = batches.add(text);
        if heard.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    });
    heard?;
    batches.flush()?;
    Ok(made?)
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::thread::sleep;

    use super::*;

    #[derive(Default)]
    struct Heard(Mutex<Vec<String>>);

    impl TextListener for Heard {
        fn on_text(&self, text: String) -> Result<()> {
            self.0.lock().unwrap().push(text);
            Ok(())
        }
    }

    #[test]
    fn pieces_are_gathered_and_none_is_lost() {
        let heard = Arc::new(Heard::default());
        let mut batches = TextBatches::new(heard.clone());
        for (piece, wait) in [("a", 0), ("b", 0), ("c", 60), ("d", 0)] {
            sleep(Duration::from_millis(wait));
            batches.add(piece).unwrap();
        }
        batches.flush().unwrap();
        batches.flush().unwrap();
        assert_eq!(*heard.0.lock().unwrap(), ["abc", "d"]);
    }
}
