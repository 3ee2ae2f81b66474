//! State tensors that are made longer, on any executor.

use idiolect_kernels::{Executor, Result};

/// Values before and after: within one piece of what is read at a time, and beyond it.
const LENGTHS: [(usize, usize); 4] = [(1, 3), (64, 64), (1000, 1001), (300_000, 2_500_000)];

/// What does not hold.
pub fn failures(executor: &mut dyn Executor) -> Vec<String> {
    LENGTHS
        .iter()
        .filter_map(|&lengths| check(executor, lengths).unwrap_or_else(|error| Some(error.to_string())))
        .collect()
}

fn check(executor: &mut dyn Executor, (before, after): (usize, usize)) -> Result<Option<String>> {
    executor.reset();
    let values = |seed: usize| -> Vec<f32> { (0..before).map(|at| ((at * 7919 + seed) % 1013) as f32 + 0.5).collect() };
    let mut states = Vec::new();
    for seed in 0..3 {
        let state = executor.add_state("values", before)?;
        executor.write_state(state, &values(seed))?;
        states.push(state);
    }
    // The one in the middle stays as it is.
    executor.lengthen(&[states[0], states[2]], after)?;
    for (seed, &state) in states.iter().enumerate() {
        let mut expected = values(seed);
        expected.resize(if seed == 1 { before } else { after }, 0.0);
        if executor.read_state(state)? != expected {
            return Ok(Some(format!("{before} values lengthened to {after}: tensor {seed} is another")));
        }
    }
    let shortened = executor.lengthen(&[states[2]], after - 1);
    Ok(shortened.is_ok().then(|| format!("{after} values lengthened to fewer")))
}
