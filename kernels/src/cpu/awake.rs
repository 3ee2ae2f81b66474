//! Threads that stay awake while a program runs: waking one costs as much time as many an operation takes.

use std::hint::spin_loop;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rayon::Yield;

/// A thread that found nothing to do for so long goes to sleep after all: the run is paused, not between two operations.
const PATIENCE: Duration = Duration::from_millis(1);
/// Turns between two looks for work.
const TURNS: usize = 20;

/// Keeps the other threads of the calling one's pool awake until it is dropped.
pub(crate) struct Awake {
    over: Arc<AtomicBool>,
}

impl Awake {
    /// To be called on a thread of the pool.
    pub fn keep() -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let (caller, seen) = (rayon::current_thread_index(), Arc::clone(&over));
        rayon::spawn_broadcast(move |context| {
            if Some(context.index()) != caller {
                look_for_work(&seen);
            }
        });
        Self { over }
    }
}

impl Drop for Awake {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
    }
}

fn look_for_work(over: &AtomicBool) {
    let mut idle_since = Instant::now();
    while !over.load(Ordering::Relaxed) && idle_since.elapsed() < PATIENCE {
        if rayon::yield_now() == Some(Yield::Executed) {
            idle_since = Instant::now();
        } else {
            (0..TURNS).for_each(|_| spin_loop());
        }
    }
}
