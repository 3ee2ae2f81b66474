//! Cuts, repeats and faults.

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use idiolect_kernels::cpu::CpuExecutor;
use idiolect_kernels::gpu::{Fault, GpuExecutor, Options};
use idiolect_kernels::program::{StateId, Weights};
use idiolect_kernels::{Between, Error, Executor};
use libtest_mimic::Failed;

use crate::case::{Case, Outcome};
use crate::step::step;

type Test = Result<(), Failed>;

/// Every submission as short as it can be.
fn shortest(options: &Options) -> Options {
    Options { submission: Duration::from_nanos(1), ..options.clone() }
}

fn samples() -> (Weights, Case) {
    let mut weights = Weights::default();
    let case = step(&mut weights, &[3, 37]);
    (weights, case)
}

fn bits(outcome: &Outcome) -> Vec<Vec<u32>> {
    outcome.iter().map(|(_, values)| values.iter().map(|v| v.to_bits()).collect()).collect()
}

/// Three steps equal the CPU's within rounding, and one another's bits, however they are cut; cuts take no memory.
pub fn cuts(options: &Options) -> Test {
    let (weights, mut case) = samples();
    // Three optimizer steps carry rounding along.
    case.tolerance *= 2.0;
    let weights = Arc::new(weights);
    let expected = case.run(&mut CpuExecutor::new(weights.clone(), 0)?, 3)?;
    let mut uncut = GpuExecutor::new(&weights, options)?;
    let whole = case.run(&mut uncut, 3)?;
    for ((name, expected), (_, got)) in expected.iter().zip(&whole) {
        if let Some(difference) = case.difference(expected, got) {
            return Err(format!("{name}: {difference}").into());
        }
    }
    let mut cut = GpuExecutor::new(&weights, &shortest(options))?;
    for attempt in 0..2 {
        if bits(&case.run(&mut cut, 3)?) != bits(&whole) {
            return Err(format!("cuts changed bits, attempt {attempt}").into());
        }
    }
    let (held, expected) = (cut.device_bytes(), uncut.device_bytes());
    if held != expected {
        return Err(format!("{held} bytes on the device where {expected} are needed").into());
    }
    Ok(())
}

fn is_lost<T>(result: Result<T, Error>) -> bool {
    matches!(result, Err(Error::DeviceLost(_)))
}

/// Wherever a submission ends before its end, whole or midway, the next read says so, the optimizer leaves the parameters
/// alone if it comes after, and the executor stays failed.
pub fn cut_submission(options: &Options) -> Test {
    let (weights, case) = samples();
    let params = StateId(0);
    let untouched = {
        let mut gpu = GpuExecutor::new(&weights, options)?;
        case.run(&mut gpu, 0)?;
        gpu.read_state(params)?
    };
    // Submissions of one dispatch, of about ten, and one of all: the optimizer's three are the last.
    let [few, all] = [250, 1_000_000].map(|us| Options { submission: Duration::from_micros(us), ..options.clone() });
    let cases = [
        (shortest(options), vec![(0, 0), (9, 0), (40, 1), (60, 0)]),
        (few, vec![(0, 1), (0, 9), (2, 5), (3, 0)]),
        (all, vec![(0, 1), (0, 50)]),
    ];
    for (options, cuts) in cases {
        for (after, dispatches) in cuts {
            let mut gpu = GpuExecutor::new(&weights, &options)?;
            case.run(&mut gpu, 0)?;
            gpu.inject(Fault::CutSubmission { after, dispatches });
            let cut = format!("submission {after} of {:?} ended after {dispatches} dispatches", options.submission);
            let noticed = [is_lost(case.run_again(&mut gpu)), is_lost(gpu.read_state(params))];
            if noticed != [true; 2] || !is_lost(case.run_again(&mut gpu)) {
                return Err(format!("{cut} and nobody noticed").into());
            }
            if gpu.state_after_fault(params)? != untouched {
                return Err(format!("{cut} and the optimizer ran").into());
            }
        }
    }
    Ok(())
}

/// A step that ran but for the last thing it does has not been taken, whatever lies on the device.
pub fn cut_end(options: &Options) -> Test {
    let (weights, case) = samples();
    let mut gpu = GpuExecutor::new(&weights, &Options { submission: Duration::from_secs(1), ..options.clone() })?;
    let before = case.run(&mut gpu, 0)?;
    gpu.inject(Fault::CutSubmission { after: 0, dispatches: u32::MAX });
    if !is_lost(case.run_again(&mut gpu)) {
        return Err("the guard advanced before the end".into());
    }
    let params = gpu.state_after_fault(StateId(0))?;
    match before.iter().any(|(name, values)| *name == "params" && *values == params) {
        true => Err("nothing ran: the cut says nothing about the end".into()),
        false => Ok(()),
    }
}

/// A copy back to the host that ends before its end is noticed, though an equal one went through before it.
pub fn cut_copy(options: &Options) -> Test {
    let (weights, case) = samples();
    for dispatches in [0, 1] {
        let mut gpu = GpuExecutor::new(&weights, options)?;
        case.run(&mut gpu, 1)?;
        gpu.read_state(StateId(0))?;
        gpu.inject(Fault::CutSubmission { after: 0, dispatches });
        if !is_lost(gpu.read_state(StateId(0))) {
            return Err(format!("a copy ended after {dispatches} and nobody noticed").into());
        }
    }
    Ok(())
}

/// A lost device is an error at the next call and ever after, and no panic.
pub fn lost_device(options: &Options) -> Test {
    let (weights, case) = samples();
    let mut gpu = GpuExecutor::new(&weights, options)?;
    case.run(&mut gpu, 1)?;
    gpu.inject(Fault::LoseDevice { after: 0 });
    let calls = [
        ("read_state", is_lost(gpu.read_state(StateId(0)))),
        ("run", is_lost(case.run_again(&mut gpu))),
        ("write_state", is_lost(gpu.write_state(StateId(4), &[0.0]))),
        ("add_state", is_lost(gpu.add_state("more", 8))),
        ("load", is_lost(gpu.load(case.program.clone()))),
    ];
    let silent: Vec<_> = calls.iter().filter(|(_, lost)| !lost).map(|(name, _)| *name).collect();
    if silent.is_empty() { Ok(()) } else { Err(format!("{silent:?} did not say that the device is lost").into()) }
}

/// What cannot be held is refused, and the executor goes on.
pub fn out_of_memory(options: &Options) -> Test {
    let (weights, case) = samples();
    let mut gpu = GpuExecutor::new(&weights, options)?;
    let before = bits(&case.run(&mut gpu, 1)?);
    for len in [1 << 40, usize::MAX] {
        if !matches!(gpu.add_state("absurd", len), Err(Error::OutOfMemory(_))) {
            return Err(format!("{len} values were not refused").into());
        }
    }
    if bits(&case.run(&mut gpu, 1)?) == before { Ok(()) } else { Err("the refusal changed bits".into()) }
}

/// A run ends where it is told to, as if it had not begun for all that is loaded anew; and what a sibling does meanwhile
/// changes neither's bits.
pub fn interrupted(options: &Options) -> Test {
    let (weights, case) = samples();
    interruptions(&mut GpuExecutor::new(&weights, &shortest(options))?, &case)
}

/// The same on the CPU.
pub fn interrupted_cpu() -> Test {
    let (weights, case) = samples();
    interruptions(&mut CpuExecutor::new(Arc::new(weights), 0)?, &case)
}

fn interruptions(executor: &mut dyn Executor, case: &Case) -> Test {
    let whole = bits(&case.run(executor, 2)?);
    for after in [0, 1, 5, 12] {
        let asked = AtomicUsize::new(0);
        executor.set_between(Some(Arc::new(move || match asked.fetch_add(1, Ordering::Relaxed) < after {
            true => ControlFlow::Continue(()),
            false => ControlFlow::Break(()),
        })));
        if case.run(executor, 2) != Err(Error::Interrupted) {
            return Err(format!("not interrupted after {after}").into());
        }
        executor.set_between(None);
        if bits(&case.run(executor, 2)?) != whole {
            return Err(format!("a run interrupted after {after} left something behind").into());
        }
    }
    let sibling = Mutex::new((executor.sibling()?, samples().1));
    let visits = Arc::new(Mutex::new(Vec::new()));
    let (seen, asked) = (visits.clone(), AtomicUsize::new(0));
    let between: Between = Arc::new(move || {
        if asked.fetch_add(1, Ordering::Relaxed) % 16 == 3 {
            let (executor, case) = &mut *sibling.lock().expect("no test panicked here");
            seen.lock().expect("no test panicked here").push(case.run(&mut **executor, 2).map(|ran| bits(&ran)));
        }
        ControlFlow::Continue(())
    });
    executor.set_between(Some(between));
    if bits(&case.run(executor, 2)?) != whole {
        return Err("a sibling's work changed bits".into());
    }
    let visits = visits.lock().expect("no test panicked here");
    match visits.iter().all(|visit| visit.as_ref() == Ok(&whole)) && !visits.is_empty() {
        true => Ok(()),
        false => Err("a sibling came to something else".into()),
    }
}

/// A hundred steps take no more memory than the first few, of the device and of the process.
pub fn flat_memory(options: &Options) -> Test {
    let (weights, case) = samples();
    let mut gpu = GpuExecutor::new(&weights, options)?;
    let steps = |gpu: &mut GpuExecutor, count| (0..count).try_for_each(|_| case.run_again(gpu));
    case.run(&mut gpu, 1)?;
    steps(&mut gpu, 20)?;
    let before = (gpu.device_bytes(), resident_bytes());
    steps(&mut gpu, 120)?;
    let after = (gpu.device_bytes(), resident_bytes());
    if before.0 != after.0 {
        return Err(format!("{} device bytes became {}", before.0, after.0).into());
    }
    match (before.1, after.1) {
        (Some(before), Some(after)) if after > before + (8 << 20) => {
            Err(format!("the process grew from {before} to {after} bytes").into())
        }
        _ => Ok(()),
    }
}

/// Resident bytes of this process, where the system tells.
fn resident_bytes() -> Option<usize> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<usize>().ok().map(|kb| kb * 1024)
}
