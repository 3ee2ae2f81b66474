//! Greedy text on real models, token for token the reference's, on the CPU and on a GPU (a software one will do).

use std::fs;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use idiolect::eval::evaluate;
use idiolect::generate::{GenerateOptions, GenerationPlan, Generator, SamplingOptions, chat_prompt, plain_prompt};
use idiolect::samples::{read_texts, samples_of_text};
use idiolect::train::TrainingData;
use idiolect::{DeviceChoice, Model, Session};
use idiolect_tests::golden::{Result, published, repository, shared};
use libtest_mimic::{Arguments, Failed, Trial};
use serde::Deserialize;
use sha2::{Digest, Sha256};

/// Answers that a landing asks of a GPU: plain ones and chats, ended ones and cut ones.
const ASKED_OF_A_GPU: usize = 6;

/// `tests/goldens/published/greedy.json`: what transformers answers.
#[derive(Deserialize)]
struct Greedy {
    max_new_tokens: usize,
    answers: Vec<Answer>,
}

#[derive(Deserialize)]
struct Answer {
    prompt: String,
    chat: bool,
    prompt_ids: Vec<u32>,
    ids: Vec<u32>,
}

/// The golden of stories260K: the prompt and its continuation in one list.
#[derive(Deserialize)]
struct Story {
    prompt_ids: Vec<u32>,
    greedy_ids: Vec<u32>,
}

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let gpu = idiolect_kernels::gpu::choose(None, true).is_ok();
    let devices = [("cpu", DeviceChoice::Cpu, true), ("gpu", DeviceChoice::Gpu, gpu)];
    let mut trials = Vec::new();
    for (name, choice, present) in devices {
        type Check = fn(DeviceChoice) -> Result<()>;
        // Thousands of tokens of the published model take minutes on a software GPU.
        let whole = name == "cpu" || is_long();
        let checks: [(&str, Check, bool); 6] = [
            ("an answer does not depend on what was asked before", reused, true),
            ("a conversation computes no turn twice, in a cache that grows", conversed, true),
            ("stories260K continues as llama2.c does", story, shared().is_some()),
            ("the published model answers as transformers does", answers, published().is_some()),
            (
                "a person's messages lose what transformers says",
                loss,
                whole && published().is_some() && shared().is_some(),
            ),
            ("the published model knows the capital of France", paris, published().is_some()),
        ];
        for (what, check, has_model) in checks {
            let run = move || check(choice).map_err(|e| Failed::from(e.to_string()));
            trials.push(Trial::test(format!("{what}/{name}"), run).with_ignored_flag(!present || !has_model));
        }
    }
    libtest_mimic::run(&arguments, trials).exit_code()
}

/// Whether all is asked for that a landing leaves out.
fn is_long() -> bool {
    std::env::var_os("IDIOLECT_LONG").is_some()
}

/// One generator's answers, sampled, to prompts that share beginnings, against fresh generators'.
fn reused(choice: DeviceChoice) -> Result<()> {
    let mut session = open(repository().join("bindings/cli/assets/base"), choice)?;
    let text = "We took the early train and sat by the window until the rain stopped. ".repeat(12);
    let ids = session.model().tokenizer().encode(&text)?;
    let options = GenerateOptions { max_tokens: 12, ignore_eos: true, ..GenerateOptions::default() };
    let capacity = ids.len() + options.max_tokens;
    let go_on = &mut |_: &str| ControlFlow::Continue(());
    let mut expected = Vec::new();
    // Lengths around a prefill's chunk of 128, then shorter and longer ones in turn.
    let lengths = [3, 4, 1, 2, 127, 128, 129, 130, 40, 41, 150, 129, 128, 5, 150];
    for length in lengths {
        expected.push(Generator::new(&mut session, None, capacity)?.generate(&ids[..length], &options, go_on)?.ids);
    }
    let mut generator = Generator::new(&mut session, None, capacity)?;
    for (length, expected) in lengths.into_iter().zip(&expected) {
        same(&generator.generate(&ids[..length], &options, go_on)?.ids, expected, &format!("{length} tokens"))?;
    }
    Ok(())
}

/// Turns of several lengths, greedily, in a generator that grows under them: each costs the passes of what is new in it,
/// and is what a fresh generator makes of the whole.
fn conversed(choice: DeviceChoice) -> Result<()> {
    let base = repository().join("bindings/cli/assets/base");
    let (mut kept, mut fresh) = (open(base.clone(), choice)?, open(base, choice)?);
    let text = "We took the early train and sat by the window until the rain stopped. ".repeat(30);
    let ids = kept.model().tokenizer().encode(&text)?;
    let options =
        GenerateOptions { sampling: SamplingOptions::greedy(), ignore_eos: true, ..GenerateOptions::default() };
    let go_on = &mut |_: &str| ControlFlow::Continue(());
    let mut generator = Generator::new(&mut kept, None, 48)?;
    let (mut said, mut cached) = (Vec::new(), 0);
    for (turn, (message, answer)) in [(20, 12), (1, 8), (128, 4), (60, 1), (140, 10)].into_iter().enumerate() {
        said.extend(&ids[turn * 7..][..message]);
        let options = GenerateOptions { max_tokens: answer, ..options.clone() };
        generator.grow(said.len() + answer)?;
        let before = generator.passes();
        let generation = generator.converse(&said, &options, go_on)?;
        // Chunks of 128 tokens, but for one that would leave a single token; the first token comes with the last of them.
        let new = said.len() - cached;
        let passes = (new.div_ceil(128) + answer - 1) as u64;
        let got = (generation.cached_tokens, generator.passes() - before);
        if got != (cached, passes) {
            return Err(format!("turn {turn}: cached tokens and passes are {got:?}, not {:?}", (cached, passes)).into());
        }
        let whole = Generator::new(&mut fresh, None, said.len() + answer)?.generate(&said, &options, go_on)?;
        same(&generation.ids, &whole.ids, &format!("turn {turn}"))?;
        said.extend(generation.ids);
        cached = said.len() - 1;
    }
    let plan = GenerationPlan::new(generator.session(), None, generator.capacity(), None)?;
    match generator.session().device_bytes() + plan.process_bytes {
        held if held <= plan.total_bytes() => Ok(()),
        held => Err(format!("{held} bytes held of {plan:?}").into()),
    }
}

fn story(choice: DeviceChoice) -> Result<()> {
    let data = shared().ok_or("no shared data")?;
    let story: Story = serde_json::from_slice(&fs::read(data.join("golden/stories260K_greedy200.json"))?)?;
    let expected = story.greedy_ids.strip_prefix(&story.prompt_ids[..]).unwrap_or(&story.greedy_ids);
    let mut session = open(data.join("models/stories260K"), choice)?;
    same(&greedy(&mut session, &story.prompt_ids, expected.len())?, expected, "the story")
}

fn answers(choice: DeviceChoice) -> Result<()> {
    let golden = repository().join("tests/goldens/published/greedy.json");
    let golden: Greedy = serde_json::from_slice(&fs::read(golden)?)?;
    let mut session = open(published().ok_or("no published model")?, choice)?;
    // Through a software GPU a token takes a seventh of a second: a landing asks for a few there.
    let asked = match choice {
        DeviceChoice::Gpu if !is_long() => ASKED_OF_A_GPU.min(golden.answers.len()),
        _ => golden.answers.len(),
    };
    for answer in &golden.answers[..asked] {
        let model = Arc::clone(session.model());
        let prompt = match answer.chat {
            true => chat_prompt(&model, &answer.prompt)?,
            false => plain_prompt(&model, None, &answer.prompt)?,
        };
        same(&prompt, &answer.prompt_ids, &format!("the prompt {:?}", answer.prompt))?;
        let ids = greedy(&mut session, &prompt, golden.max_new_tokens)?;
        same(&ids, &answer.ids, &format!("the answer to {:?}", answer.prompt))?;
    }
    Ok(())
}

/// `tests/goldens/published/loss.json`: the loss on the first messages of a person, 2,000 predictions.
#[derive(Deserialize)]
struct Loss {
    rows: usize,
    rows_sha256: String,
    tokens: usize,
    nll: f64,
}

fn loss(choice: DeviceChoice) -> Result<()> {
    let golden = repository().join("tests/goldens/published/loss.json");
    let golden: Loss = serde_json::from_slice(&fs::read(golden)?)?;
    let texts = read_texts(&shared().ok_or("no shared data")?.join("users/nus_sms_a.jsonl"))?.rows;
    let mut session = open(published().ok_or("no published model")?, choice)?;
    let model = Arc::clone(session.model());
    let mut rows: Vec<Vec<u32>> = Vec::new();
    for row in &texts[..golden.rows] {
        rows.extend(samples_of_text(row, model.tokenizer(), 256).samples.into_iter().map(|sample| sample.ids));
    }
    // The last message is cut where the predictions are as many as wanted.
    let excess = rows.iter().map(|row| row.len() - 1).sum::<usize>() - golden.tokens;
    if let Some(last) = rows.last_mut() {
        last.truncate(last.len() - excess);
    }
    let digest = Sha256::digest(serde_json::to_string(&rows)?);
    let digest: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    if digest != golden.rows_sha256 {
        return Err("the messages are tokenized otherwise".into());
    }
    let data = TrainingData::from_ids(&rows, &model)?;
    let nll = evaluate(&mut session, None, data.samples())?.nll;
    println!("{nll} nats a token, {} in transformers", golden.nll);
    if (nll / golden.nll - 1.0).abs() <= 2e-4 { Ok(()) } else { Err(format!("{nll}, not {}", golden.nll).into()) }
}

fn paris(choice: DeviceChoice) -> Result<()> {
    let mut session = open(published().ok_or("no published model")?, choice)?;
    let model = Arc::clone(session.model());
    let ids = greedy(&mut session, &chat_prompt(&model, "What is the capital of France?")?, 40)?;
    let text = model.tokenizer().decode(&ids)?;
    if text.contains("Paris") { Ok(()) } else { Err(format!("it says {text:?}").into()) }
}

fn open(path: PathBuf, choice: DeviceChoice) -> Result<Session> {
    Ok(Session::new(Arc::new(Model::open(&path)?), choice)?)
}

fn greedy(session: &mut Session, prompt: &[u32], max_tokens: usize) -> Result<Vec<u32>> {
    let options = GenerateOptions { max_tokens, sampling: SamplingOptions::greedy(), ..GenerateOptions::default() };
    let mut generator = Generator::new(session, None, prompt.len() + max_tokens)?;
    Ok(generator.generate(prompt, &options, &mut |_| ControlFlow::Continue(()))?.ids)
}

fn same(ids: &[u32], expected: &[u32], what: &str) -> Result<()> {
    match ids.iter().zip(expected).position(|(a, b)| a != b) {
        None if ids.len() == expected.len() => Ok(()),
        None => Err(format!("{what}: {} tokens, not {}", ids.len(), expected.len()).into()),
        Some(at) => Err(format!("{what}: token {at} is {}, not {}", ids[at], expected[at]).into()),
    }
}
