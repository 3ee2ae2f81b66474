//! The CPU executor: every operation against a naive f64 reference, its gradients against finite differences, its bits
//! against its bits under other circumstances; the planner; the encodings.

#[path = "../common/mod.rs"]
mod common;

mod attention;
mod determinism;
mod elementwise;
mod loss;
mod matrix;
mod optimizer;
mod plan;
mod products;
mod reference;

use std::sync::Arc;

use idiolect_kernels::cpu::CpuExecutor;

use common::case::{Case, Ran};
use common::{lengthening, refusals};

/// Runs a case on two threads.
fn run(case: Case) -> Ran {
    run_on(case, 2)
}

#[test]
fn shapes_that_an_operation_is_not_made_for_are_refused() {
    let mut cpu = CpuExecutor::new(Arc::new(refusals::weights()), 2).unwrap();
    let failures = refusals::failures(&mut cpu);
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn state_made_longer_keeps_what_it_holds() {
    let failures = lengthening::failures(&mut CpuExecutor::new(Arc::default(), 2).unwrap());
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

fn run_on(case: Case, threads: usize) -> Ran {
    case.run(|weights| Box::new(CpuExecutor::new(weights, threads).unwrap()))
}
