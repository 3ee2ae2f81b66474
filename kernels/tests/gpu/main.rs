//! Every operation on the GPU against its CPU twin, by Vulkan and by GL, on whatever adapters the machine has: a
//! software one will do. Without an adapter the tests say `ignored`.

#[path = "../common/encodings.rs"]
mod encodings;
#[path = "../common/lengthening.rs"]
mod lengthening;
#[path = "../common/random.rs"]
mod random;
#[path = "../common/refusals.rs"]
mod refusals;

mod attention;
mod case;
mod flow;
mod limits;
mod matrices;
mod pointwise;
mod products;
mod step;

use std::sync::Arc;

use idiolect_kernels::cpu::CpuExecutor;
use idiolect_kernels::gpu::{Backend, GpuExecutor, Options, adapters, choose};
use idiolect_kernels::program::Weights;
use libtest_mimic::{Arguments, Failed, Trial};

use case::Case;

type Cases = fn(&mut Weights) -> Vec<Case>;

/// The operations, by what they are called in test names.
const TABLES: &[(&str, Cases)] = &[
    ("rms_norm", pointwise::rms_norm),
    ("layer_norm", pointwise::layer_norm),
    ("glu", pointwise::glu),
    ("columns", pointwise::columns),
    ("rope", pointwise::rope),
    ("rows", pointwise::rows),
    ("dropout", pointwise::dropout),
    ("adamw", pointwise::adamw),
    ("soft_cap", pointwise::soft_cap),
    ("top_logits", pointwise::top_logits),
    ("linear", products::linear),
    ("linear_epilogue", products::linear_epilogue),
    ("embed", products::embed),
    ("lora", products::lora),
    ("cross_entropy", products::cross_entropy),
    ("attention", attention::packed),
    ("attention_cached", attention::cached),
    ("attention_branches", attention::branches),
];

type Test = fn(&Options) -> Result<(), Failed>;

/// Tests of the flow of submissions, and of refusals.
const OTHERS: &[(&str, Test)] = &[
    ("cuts", flow::cuts),
    ("cut_submission", flow::cut_submission),
    ("cut_end", flow::cut_end),
    ("cut_copy", flow::cut_copy),
    ("lost_device", flow::lost_device),
    ("out_of_memory", flow::out_of_memory),
    ("flat_memory", flow::flat_memory),
    ("interrupted", flow::interrupted),
    ("refused_shapes", refused_shapes),
    ("lengthened_state", lengthened_state),
    ("too_wide", limits::too_wide),
];

fn options(backend: Backend) -> Options {
    Options { backend: Some(backend), software: true, ..Options::default() }
}

/// Runs a table of cases and reports every one that differs.
fn compare(cases: Cases, options: &Options) -> Result<(), Failed> {
    let mut weights = Weights::default();
    let cases = cases(&mut weights);
    let weights = Arc::new(weights);
    let mut cpu = CpuExecutor::new(weights.clone(), 0)?;
    let mut gpu = GpuExecutor::new(&weights, options)?;
    let failures: Vec<String> = cases.iter().flat_map(|case| case.compare(&mut cpu, &mut gpu)).collect();
    if failures.is_empty() { Ok(()) } else { Err(failures.join("\n").into()) }
}

/// The shapes that the CPU refuses are refused, in the same words.
fn refused_shapes(options: &Options) -> Result<(), Failed> {
    let failures = refusals::failures(&mut GpuExecutor::new(&refusals::weights(), options)?);
    if failures.is_empty() { Ok(()) } else { Err(failures.join("\n").into()) }
}

/// State tensors made longer keep what they hold.
fn lengthened_state(options: &Options) -> Result<(), Failed> {
    let failures = lengthening::failures(&mut GpuExecutor::new(&Weights::default(), options)?);
    if failures.is_empty() { Ok(()) } else { Err(failures.join("\n").into()) }
}

/// A software adapter is taken only where it is allowed; else the refusal names it.
fn adapters_say_what_they_are() -> Result<(), Failed> {
    for backend in [None, Some(Backend::Vulkan), Some(Backend::Gl), Some(Backend::Metal)] {
        let found = adapters(backend);
        match choose(backend, false) {
            Ok(adapter) if adapter.is_software() => return Err("software without being asked".into()),
            Ok(_) => {}
            Err(error) => {
                let silent = found.iter().find(|adapter| !error.to_string().contains(&adapter.name()));
                if let Some(adapter) = silent {
                    return Err(format!("{error} does not say why not {}", adapter.name()).into());
                }
            }
        }
    }
    Ok(())
}

fn main() {
    let mut arguments = Arguments::from_args();
    // The device is one for all, and the CPU twin takes every core.
    arguments.test_threads.get_or_insert(1);
    let mut trials = Vec::new();
    for (name, backend) in [("vulkan", Backend::Vulkan), ("gl", Backend::Gl), ("metal", Backend::Metal)] {
        let missing = choose(Some(backend), true).is_err();
        for &(operation, cases) in TABLES {
            let run = move || compare(cases, &options(backend));
            trials.push(Trial::test(format!("{name}::{operation}"), run).with_ignored_flag(missing));
        }
        let limited = move || compare(limits::cases, &limits::options(options(backend)));
        trials.push(Trial::test(format!("{name}::small_bindings"), limited).with_ignored_flag(missing));
        let equal = move || compare(limits::large_matrices, &limits::equal(options(backend)));
        trials.push(Trial::test(format!("{name}::equal_limits"), equal).with_ignored_flag(missing));
        for &(what, test) in OTHERS {
            let run = move || test(&options(backend));
            trials.push(Trial::test(format!("{name}::{what}"), run).with_ignored_flag(missing));
        }
    }
    trials.push(Trial::test("segments", limits::segments));
    trials.push(Trial::test("cpu::interrupted", flow::interrupted_cpu));
    trials.push(Trial::test("adapters", adapters_say_what_they_are));
    libtest_mimic::run(&arguments, trials).exit();
}
