//! What the commands print and write when all is well.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::folders::listing;
use crate::run::{idiolect, workspace};

const TEXT: &str = "kettle is on if youre passing x\nright then duck, off to bed\nsix locks and no rain today\n";

fn number(object: &Value, key: &str) -> f64 {
    object[key].as_f64().unwrap_or_else(|| panic!("{key} of {object}"))
}

/// The losses of a training's steps.
fn losses(folder: &Path, args: &[&str]) -> Vec<f64> {
    let common = ["train", "base", "--out", "a", "--json", "--device", "cpu"];
    idiolect(folder, &[&common, args].concat()).objects().iter().map(|step| number(step, "loss")).collect()
}

fn nll(folder: &Path, args: &[&str]) -> (f64, f64) {
    let report = idiolect(folder, &[&["eval", "base", "--json", "--device", "cpu"], args].concat()).object();
    (number(&report, "nll"), number(&report, "tokens"))
}

#[test]
fn training_prints_a_line_a_step_and_writes_an_adapter() {
    let home = workspace();
    fs::write(home.path().join("t.txt"), TEXT).unwrap();
    let args = ["train", "base", "--text", "t.txt", "--out", "a", "--steps", "12", "--json", "--device", "cpu"];
    let run = idiolect(home.path(), &args);
    let steps = run.objects();
    assert_eq!(steps.len(), 12);
    for (at, step) in steps.iter().enumerate() {
        let expected = ["step", "loss", "grad_norm", "lr", "tokens", "tokens_per_second", "device_bytes"];
        assert_eq!(keys(step), expected);
        assert_eq!(number(step, "step"), at as f64 + 1.0);
        let rate = 2e-3 * ((at as f64 + 1.0) / 10.0).min(1.0) * (1.0 - at as f64 / 12.0).max(0.05);
        assert!((number(step, "lr") - rate).abs() < 1e-9, "{step}");
        assert!(!run.stdout.contains(": ") && !run.stdout.contains(", "), "compact: {}", run.stdout);
    }
    assert!(number(&steps[11], "loss") < number(&steps[0], "loss"));
    let files = ["adapter_config.json", "adapter_model.safetensors", "idiolect.json"];
    assert_eq!(listing(&home.path().join("a")), files.map(|file| home.path().join("a").join(file)));

    let report = idiolect(home.path(), &["eval", "base", "--text", "t.txt", "--json", "--device", "cpu"]).object();
    assert_eq!(keys(&report), ["tokens", "nll", "perplexity", "bits_per_byte"]);
    assert!((number(&report, "perplexity").ln() - number(&report, "nll")).abs() < 1e-9);
    // The first step's loss is that of all its samples before the update, which here are all there are.
    assert!((number(&steps[0], "loss") - number(&report, "nll")).abs() < 1e-4);
    let (learned, _) = nll(home.path(), &["--text", "t.txt", "--adapter", "a"]);
    assert!(learned < number(&report, "nll"));
}

#[test]
fn a_short_context_is_measured_with_what_it_holds() {
    let home = workspace();
    let config = fs::read_to_string(home.path().join("base/config.json")).unwrap();
    let short = config.replace("\"max_position_embeddings\": 1024", "\"max_position_embeddings\": 64");
    assert_ne!(config, short);
    fs::write(home.path().join("base/config.json"), short).unwrap();
    let report = idiolect(home.path(), &["bench", "base", "--json", "--device", "cpu"]).object();
    assert!(report["prefill_128_tokens_per_second"].is_null() && report["prefill_512_tokens_per_second"].is_null());
    assert_eq!(report["train_tokens_a_step"], 64);
    assert!(report["decode_at_1800_tokens_per_second"].is_null() && report["decode_at_1800_over_at_8"].is_null());
    for figure in [
        "decode_tokens_per_second",
        "decode_at_8_tokens_per_second",
        "decode_with_adapter_tokens_per_second",
        "decode_with_adapter_over_without",
        "train_tokens_per_second",
        "planned_bytes",
        "peak_device_bytes",
    ] {
        assert!(number(&report, figure) > 0.0, "{figure}");
    }
}

#[test]
fn the_same_seed_gives_the_same_bits() {
    let home = workspace();
    fs::write(home.path().join("t.txt"), TEXT).unwrap();
    let mut adapters = Vec::new();
    for (out, seed, budget) in [("a", "1", "350"), ("b", "1", "58"), ("c", "2", "350")] {
        let args = ["train", "base", "--text", "t.txt", "--steps", "3", "--batch-samples", "2", "--device", "cpu"];
        let run = idiolect(home.path(), &[&args[..], &["--out", out, "--seed", seed, "--budget-mb", budget]].concat());
        assert_eq!(run.code, Some(0), "{}", run.stderr);
        adapters.push(fs::read(home.path().join(out).join("adapter_model.safetensors")).unwrap());
    }
    assert!(adapters[0] == adapters[1], "a budget changes no bit");
    assert!(adapters[0] != adapters[2], "another seed gives another adapter");
}

#[test]
fn rows_of_ids_are_used_as_they_are() {
    let home = workspace();
    let rows: [&[u32]; 3] = [&[0, 50, 60], &[0, 300, 301, 302, 303, 304, 305], &[7, 8, 9, 10]];
    let write =
        |name: &str, rows: &[&[u32]]| fs::write(home.path().join(name), serde_json::to_string(rows).unwrap()).unwrap();
    write("all.json", &rows);
    let alone: Vec<(f64, f64)> = rows
        .iter()
        .map(|row| {
            write("one.json", &[row]);
            nll(home.path(), &["--ids", "one.json"])
        })
        .collect();
    for ((_, tokens), row) in alone.iter().zip(rows) {
        assert_eq!(*tokens, row.len() as f64 - 1.0, "n ids give n − 1 predictions");
    }

    // In order, again and again, a row a micro-batch: with a rate of 0 every step shows its rows' own loss.
    for (accumulate, steps) in
        [(1, vec![vec![0], vec![1], vec![2], vec![0], vec![1]]), (2, vec![vec![0, 1], vec![2, 0]])]
    {
        let (accumulate, count) = (accumulate.to_string(), steps.len().to_string());
        let options = ["--ids", "all.json", "--lr", "0", "--accumulate", &accumulate, "--steps", &count];
        let losses = losses(home.path(), &options);
        assert_eq!(losses.len(), steps.len());
        for (loss, rows) in losses.iter().zip(steps) {
            let (sum, tokens) =
                rows.iter().fold((0.0, 0.0), |(sum, n), &row| (sum + alone[row].0 * alone[row].1, n + alone[row].1));
            assert!((loss - sum / tokens).abs() < 1e-5 * loss, "{loss}, not {} of rows {rows:?}", sum / tokens);
        }
    }
}

#[test]
fn the_first_gradient_can_be_written() {
    let home = workspace();
    fs::write(home.path().join("t.txt"), TEXT).unwrap();
    let args = ["train", "base", "--text", "t.txt", "--steps", "2", "--clip", "0.001", "--json", "--device", "cpu"];
    let run = idiolect(home.path(), &[&args[..], &["--out", "a", "--dump-grads", "g.safetensors"]].concat());
    let bytes = fs::read(home.path().join("g.safetensors")).unwrap();
    let tensors = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let mut shapes = BTreeMap::new();
    let mut square = 0.0;
    for (name, tensor) in tensors.tensors() {
        let values = tensor.data().chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]));
        square += values.map(|v| f64::from(v).powi(2)).sum::<f64>();
        shapes.insert(name, tensor.shape().to_vec());
    }
    assert_eq!(shapes.len(), 6 * 7 * 2);
    assert_eq!(shapes["base_model.model.model.layers.0.self_attn.k_proj.lora_A.weight"], [8, 256]);
    assert_eq!(shapes["base_model.model.model.layers.5.mlp.down_proj.lora_B.weight"], [256, 8]);
    let norm = number(&run.objects()[0], "grad_norm");
    assert!((square.sqrt() - norm).abs() < 1e-4 * norm, "before clipping: {} and {norm}", square.sqrt());
}

#[test]
fn training_goes_on_from_an_adapter() {
    let home = workspace();
    fs::write(home.path().join("t.txt"), TEXT).unwrap();
    let shape = ["--rank", "3", "--alpha", "5", "--targets", "v_proj,mlp.up_proj", "--steps", "8"];
    losses(home.path(), &[&["--text", "t.txt"], &shape[..]].concat());
    let config: Value = serde_json::from_slice(&fs::read(home.path().join("a/adapter_config.json")).unwrap()).unwrap();
    assert_eq!((number(&config, "r"), number(&config, "lora_alpha")), (3.0, 5.0));
    fs::rename(home.path().join("a"), home.path().join("first")).unwrap();
    let (learned, _) = nll(home.path(), &["--text", "t.txt", "--adapter", "first"]);
    let again = losses(home.path(), &["--text", "t.txt", "--init", "first", "--rank", "3", "--steps", "2"]);
    assert!((again[0] - learned).abs() < 1e-4, "{} and {learned}", again[0]);
    let kept: Value = serde_json::from_slice(&fs::read(home.path().join("a/adapter_config.json")).unwrap()).unwrap();
    assert_eq!(config, kept);
}

#[test]
fn generation_streams_and_ends_with_an_object() {
    let home = workspace();
    let args = ["generate", "base", "--prompt", "I was going to", "--max-tokens", "12", "--device", "cpu"];
    let people = idiolect(home.path(), &args);
    let json = idiolect(home.path(), &[&args[..], &["--json"]].concat());
    let report = json.object();
    assert_eq!(keys(&report), ["text", "ids", "finish_reason", "tokens_per_second"]);
    let text = report["text"].as_str().unwrap();
    assert!(!text.is_empty() && report["ids"].as_array().unwrap().len() <= 12);
    assert_eq!(people.stdout, format!("{text}\n"), "the same seed, the same text");
    assert!(json.stderr.contains(text), "streamed text goes to standard error");

    let greedy = |more: &[&str]| {
        let args = [&args[..], &["--json", "--temperature", "0"], more].concat();
        idiolect(home.path(), &args).object()["text"].as_str().unwrap().to_owned()
    };
    let whole = greedy(&[]);
    let stop: String = whole.chars().skip(whole.chars().count() / 2).take(3).collect();
    assert_eq!(greedy(&["--stop", &stop]), whole[..whole.find(&stop).unwrap()]);
    assert!(!greedy(&["--chat"]).is_empty());
    assert!(
        !idiolect(home.path(), &["generate", "base", "--prompt", "", "--json"]).object()["ids"]
            .as_array()
            .unwrap()
            .is_empty()
    );
}

#[test]
fn models_are_described_and_imported() {
    let home = workspace();
    let info = idiolect(home.path(), &["info", "base", "--json"]).object();
    assert_eq!((number(&info, "parameters"), number(&info, "trainable_rank_8")), (6_819_072.0, 233_472.0));
    assert_eq!(info["matrices"].as_array().unwrap().len(), 8);
    let people = idiolect(home.path(), &["info", "base"]).stdout;
    assert!(people.contains("trainable params: 233,472 || all params: 7,052,544 || trainable%: 3.3105"), "{people}");

    for (bits, expected) in [
        ("3", "3 bits in groups of 32"),
        ("4", "4 bits in groups of 32"),
        ("8", "8 bits in groups of 32"),
        ("16", "bf16"),
        ("32", "f32"),
    ] {
        let imported =
            idiolect(home.path(), &["import", "base", bits, "--bits", bits, "--group-size", "32", "--json"]).object();
        assert_eq!(number(&imported, "parameters"), 6_819_072.0);
        let people = idiolect(home.path(), &["info", bits]).stdout;
        assert!(
            people.lines().any(|line| line.starts_with("down_proj") && line.contains(expected)),
            "{bits}: {people}"
        );
    }
    let kept = idiolect(home.path(), &["import", "base", "kept", "--json"]).object();
    assert_eq!(kept["fingerprint"], info["fingerprint"], "a quantized model keeps its bits and groups");
}

#[test]
fn plans_add_up_and_keep_to_the_budget() {
    let home = workspace();
    let plan = |more: &[&str]| {
        idiolect(home.path(), &[&["plan", "base", "--json", "--device", "cpu"], more].concat()).object()
    };
    let free = plan(&[]);
    let parts = ["weight_bytes", "state_bytes", "arena_bytes", "scratch_bytes", "process_bytes"];
    assert_eq!(parts.map(|part| number(&free, part)).iter().sum::<f64>(), number(&free, "total_bytes"));
    // Parameters, gradients and two moments; the loss of a step.
    assert_eq!(number(&free, "state_bytes"), (233_472.0 * 4.0 + 1.0) * 4.0);
    let budget = number(&free, "total_bytes") / 1e6 - 2.0;
    let tight = plan(&["--budget-mb", &format!("{budget:.0}")]);
    assert!(number(&tight, "total_bytes") <= budget.round() * 1e6);
    assert!(number(&tight, "recomputed_mlp") > number(&free, "recomputed_mlp"));
    assert!(number(&plan(&["--rank", "16"]), "total_bytes") > number(&free, "total_bytes"));
    assert!(number(&plan(&["--seq-len", "512"]), "total_bytes") > number(&free, "total_bytes"));
}

#[test]
fn the_demo_learns_the_voice() {
    let home = tempfile::tempdir().unwrap();
    let run = idiolect(home.path(), &["demo", "--json", "--device", "cpu"]);
    // What people see goes to standard error here.
    run.check_no_line_comes_twice();
    let report = run.object();
    let expected = ["before_nll", "after_nll", "trainable_percent", "seconds", "peak_bytes", "device", "adapter"];
    assert_eq!(keys(&report), expected);
    assert!(number(&report, "after_nll") < 0.85 * number(&report, "before_nll"), "{report}");
    assert_eq!(report["device"], "cpu");
    // What it says to try works.
    let adapter = report["adapter"].as_str().unwrap();
    let tried =
        idiolect(home.path(), &["generate", "idiolect-demo/base", "--adapter", adapter, "--prompt", "ay up", "--json"]);
    assert!(!tried.object()["text"].as_str().unwrap().is_empty());
    let names: Vec<_> =
        fs::read_dir(home.path().join("idiolect-demo")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names.len(), 3, "{names:?}");
}

/// The keys of an object, in order.
pub fn keys(object: &Value) -> Vec<&str> {
    object.as_object().unwrap().keys().map(String::as_str).collect()
}
