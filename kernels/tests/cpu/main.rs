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

use idiolect_kernels::cpu::CpuExecutor;

use common::case::{Case, Ran};

/// Runs a case on two threads.
fn run(case: Case) -> Ran {
    run_on(case, 2)
}

fn run_on(case: Case, threads: usize) -> Ran {
    case.run(|weights| Box::new(CpuExecutor::new(weights, threads).unwrap()))
}
