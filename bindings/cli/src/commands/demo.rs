//! `idiolect demo`: a model learns one person's messages before your eyes, with nothing but this program.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use clap::{Args, value_parser};
use idiolect::adapter::{AdapterShape, LoraOptions};
use idiolect::eval::{Evaluation, evaluate_with_progress};
use idiolect::generate::{GenerateOptions, Generator, SamplingOptions};
use idiolect::samples::{TextRow, read_texts};
use idiolect::train::{TrainOptions, Training, TrainingData, TrainingSummary};
use idiolect::{Adapter, Model, Result, Session};
use serde::Serialize;

use crate::args::{DeviceArgs, in_words};
use crate::commands::train::report_line;
use crate::embedded::{unpack_base, unpack_history};
use crate::memory::peak_process_bytes;
use crate::output::{Output, megabytes, thousands, trainable};
use crate::progress::Progress;

/// Every tenth message is held out.
const HELD_OUT_EVERY: usize = 10;

/// What is completed before and after.
const PROMPTS: [&str; 3] = ["good morning", "we had", "have you got"];

/// New tokens of a completion.
const COMPLETION_TOKENS: usize = 40;

/// Columns of the page.
const WIDTH: usize = 96;

/// Columns of the labels.
const LABEL: usize = 12;

#[derive(Debug, Args)]
pub struct Demo {
    /// Learn with this model folder or GGUF file instead of the embedded one
    #[arg(long)]
    model: Option<PathBuf>,

    /// The folder for the adapter, the sample history and the unpacked model
    #[arg(long, value_name = "FOLDER", default_value = "idiolect-demo")]
    out: PathBuf,

    /// Optimizer steps [default: three times through the history]
    #[arg(long, value_parser = value_parser!(u16).range(1..))]
    steps: Option<u16>,

    #[command(flatten)]
    device: DeviceArgs,
}

/// The object that `--json` ends with.
#[derive(Serialize)]
struct Report {
    before_nll: f64,
    after_nll: f64,
    trainable_percent: f64,
    seconds: f64,
    peak_bytes: Option<usize>,
    device: &'static str,
    adapter: PathBuf,
}

impl Demo {
    pub fn run(&self, output: &Output) -> Result<()> {
        let started = Instant::now();
        let page = Page { output };
        let adapter_path = self.out.join("adapter");
        Adapter::check_destination(&adapter_path)?;
        page.paragraph("Idiolect learns how one person writes, here, from a few hundred messages.")?;
        let (model_path, model) = self.open_model(&page)?;
        let mut session = Session::new(Arc::clone(&model), self.device.device)?;
        page.line("device", &in_words(session.device()))?;
        let history = History::read(&page, &self.out.join("history.jsonl"), &model)?;
        let adapter = LoraOptions::default().shape(&model)?;
        let adapted = adapter.layout().len();
        let parameters = model.base().parameters() + adapted;
        page.line("adapter", "LoRA of rank 8 on all seven linear layers, the model itself frozen")?;
        page.line("", &trainable(adapted, parameters))?;

        let before = measure(&page, "before", &mut session, None, &history.held_out)?;
        page.line("before", &loss(&before))?;
        let completed_before = completions(&mut session, None)?;
        let (adapter, summary) = self.learn(&page, &mut session, adapter, history.learned)?;
        let after = measure(&page, "after", &mut session, Some(&adapter), &history.held_out)?;
        let fall = 100.0 * (1.0 - after.nll / before.nll);
        page.line("after", &format!("{}, {fall:.0} % less loss", loss(&after)))?;
        let completed_after = completions(&mut session, Some(&adapter))?;
        page.completions(&completed_before, &completed_after)?;

        adapter.save(&adapter_path, &model, summary.record())?;
        page.line("adapter", &adapter_path.display().to_string())?;
        page.whole("try it", &try_it(&program(), &model_path, &adapter_path))?;
        let peak_bytes = peak_process_bytes();
        if let Some(bytes) = peak_bytes {
            page.line("memory", &format!("{} at most, the whole program", megabytes(bytes)))?;
        }
        let seconds = started.elapsed().as_secs_f64();
        page.line("time", &format!("{seconds:.0} s"))?;
        output.object(&Report {
            before_nll: before.nll,
            after_nll: after.nll,
            trainable_percent: 100.0 * adapted as f64 / parameters as f64,
            seconds,
            peak_bytes,
            device: session.device().kind.name(),
            adapter: adapter_path,
        })
    }

    /// The model to learn with, and where it lies.
    fn open_model(&self, page: &Page<'_>) -> Result<(PathBuf, Arc<Model>)> {
        let started = Instant::now();
        let (path, how) = match &self.model {
            Some(path) => (path.clone(), "opened"),
            None => {
                let base = self.out.join("base");
                unpack_base(&base)?;
                (base, "unpacked and opened")
            }
        };
        let model = Arc::new(Model::open(&path)?);
        let base = model.base();
        let parameters = thousands(base.parameters());
        let size = megabytes(base.weights.bytes());
        let seconds = started.elapsed().as_secs_f64();
        page.line("model", &path.display().to_string())?;
        page.line("", &format!("{parameters} parameters in {size}, {how} in {seconds:.2} s"))?;
        Ok((path, model))
    }

    fn learn(
        &self,
        page: &Page<'_>,
        session: &mut Session,
        adapter: AdapterShape,
        data: TrainingData,
    ) -> Result<(Adapter, TrainingSummary)> {
        let options = TrainOptions { steps: self.steps.map(usize::from), ..TrainOptions::default() };
        let mut training = Training::new(session, adapter, data, &options)?;
        let planned = megabytes(training.plan().total_bytes());
        let steps = training.steps();
        let mut progress = Progress::new(page.output, "learning");
        while let Some(report) = training.step()? {
            progress.reach(report.step, steps, report_line(&report));
        }
        drop(progress);
        let (adapter, summary) = training.finish()?;
        let (seconds, speed) = (summary.seconds, summary.tokens_per_second());
        page.line(
            "learning",
            &format!("{steps} steps in {seconds:.0} s, {speed:.0} tokens a second, {planned} planned"),
        )?;
        Ok((adapter, summary))
    }
}

/// The sample history, split.
struct History {
    learned: TrainingData,
    held_out: TrainingData,
}

impl History {
    fn read(page: &Page<'_>, file: &Path, model: &Model) -> Result<Self> {
        unpack_history(file)?;
        let rows = read_texts(file)?.rows;
        let (held_out, learned): (Vec<_>, Vec<_>) =
            rows.into_iter().enumerate().partition(|(i, _)| i % HELD_OUT_EVERY == HELD_OUT_EVERY - 1);
        let texts = |rows: Vec<(usize, TextRow)>| rows.into_iter().map(|(_, row)| row).collect::<Vec<_>>();
        let (held_out, learned) = (texts(held_out), texts(learned));
        page.line(
            "history",
            &format!(
                "{}: {} messages to learn from, {} held out, such as",
                file.display(),
                learned.len(),
                held_out.len()
            ),
        )?;
        for row in held_out.iter().take(3) {
            page.line("", &format!("“{}”", row.text))?;
        }
        let seq_len = TrainOptions::default().seq_len;
        Ok(Self {
            learned: TrainingData::from_texts(&learned, model, seq_len)?,
            held_out: TrainingData::from_texts(&held_out, model, seq_len)?,
        })
    }
}

fn measure(
    page: &Page<'_>,
    label: &'static str,
    session: &mut Session,
    adapter: Option<&Adapter>,
    data: &TrainingData,
) -> Result<Evaluation> {
    let mut progress = Progress::new(page.output, label);
    evaluate_with_progress(session, adapter, data.samples(), &mut |done, rows| progress.reach(done, rows, ""))?.finite()
}

/// The prompts, completed as the person's own messages: the same ids with and without an adapter.
fn completions(session: &mut Session, adapter: Option<&Adapter>) -> Result<Vec<String>> {
    let model = Arc::clone(session.model());
    let options = GenerateOptions {
        max_tokens: COMPLETION_TOKENS,
        // Greedily, so that nothing depends on luck; small models repeat themselves then unless they are kept from it.
        sampling: SamplingOptions { repetition_penalty: 1.3, ..SamplingOptions::greedy() },
        stop: vec!["\n".into()],
        ..GenerateOptions::default()
    };
    let tokenizer = model.tokenizer();
    let prompts = PROMPTS.iter().map(|prompt| {
        let start = tokenizer.document_start().into_iter();
        Ok(start.chain(tokenizer.encode(prompt)?).collect())
    });
    let prompts: Vec<Vec<u32>> = prompts.collect::<Result<_>>()?;
    let longest = prompts.iter().map(Vec::len).max().unwrap_or(0);
    let mut generator = Generator::new(session, adapter, longest + COMPLETION_TOKENS)?;
    let complete = |(prompt, ids): (&&str, &Vec<u32>)| {
        let completion = generator.generate(ids, &options, &mut |_| ControlFlow::Continue(()))?;
        Ok(format!("{prompt}{}", completion.text))
    };
    PROMPTS.iter().zip(&prompts).map(complete).collect()
}

fn loss(evaluation: &Evaluation) -> String {
    format!("held-out loss {:.3} nats a token, perplexity {:.1}", evaluation.nll, evaluation.perplexity())
}

/// This program as it was called.
fn program() -> PathBuf {
    std::env::args_os().next().map_or("idiolect".into(), PathBuf::from)
}

/// The command that uses the adapter.
fn try_it(program: &Path, model: &Path, adapter: &Path) -> String {
    let quoted = |path: &Path| {
        let text = path.display().to_string();
        let plain = text.chars().all(|c| c.is_alphanumeric() || "/._-".contains(c));
        if plain { text } else { format!("'{}'", text.replace('\'', r"'\''")) }
    };
    let [program, model, adapter] = [program, model, adapter].map(quoted);
    format!(
        "{program} generate {model} --adapter {adapter} --temperature 0 --repetition-penalty 1.3 --prompt '{}'",
        PROMPTS[0]
    )
}

/// What the demo shows, line by line: labels on the left, wrapped text on the right.
struct Page<'o> {
    output: &'o Output,
}

impl Page<'_> {
    fn paragraph(&self, text: &str) -> Result<()> {
        self.output.text(&format!("\n{text}\n\n"))
    }

    fn line(&self, label: &str, text: &str) -> Result<()> {
        let lines = wrapped(text, WIDTH - LABEL);
        for (number, line) in lines.iter().enumerate() {
            let label = if number == 0 { label } else { "" };
            self.output.text(&format!("{label:LABEL$}{line}\n"))?;
        }
        Ok(())
    }

    /// A line that stays one, to be copied.
    fn whole(&self, label: &str, text: &str) -> Result<()> {
        self.output.text(&format!("{label:LABEL$}{text}\n"))
    }

    fn completions(&self, before: &[String], after: &[String]) -> Result<()> {
        self.paragraph("The same three prompts, before and after:")?;
        for (before, after) in before.iter().zip(after) {
            self.line("before", before)?;
            self.line("after", after)?;
            self.output.text("\n")?;
        }
        Ok(())
    }
}

/// The words of `text` in lines of at most `width` characters.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.is_empty() => line.push_str(word),
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.into()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_wraps_at_words() {
        for (text, width, lines) in [
            ("", 5, vec![""]),
            ("one two", 7, vec!["one two"]),
            ("one two", 6, vec!["one", "two"]),
            ("longword a", 4, vec!["longword", "a"]),
        ] {
            assert_eq!(wrapped(text, width), lines);
        }
    }

    #[test]
    fn the_command_survives_a_shell() {
        let command = try_it(Path::new("bin/idiolect"), Path::new("a b/it's"), Path::new("plain/adapter"));
        let expected = r"bin/idiolect generate 'a b/it'\''s' --adapter plain/adapter --temperature 0 ".to_owned()
            + "--repetition-penalty 1.3 --prompt 'good morning'";
        assert_eq!(command, expected);
    }
}
