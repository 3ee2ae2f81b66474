//! What cannot work ends in a message that says what is wrong, a code that says whose fault it is, and nothing written.

use std::fs;
use std::path::Path;

use crate::folders::{copy_folder, listing};
use crate::run::{idiolect, workspace};

/// The program's own failures end with 1, options that make no sense with 2.
const FAILED: i32 = 1;
const USAGE: i32 = 2;
/// The largest number that an option takes.
const MOST: &str = "18446744073709551615";

/// Checks that a run ends with `code`, says `message`, prints no result and leaves `folder` as it was.
fn refused(folder: &Path, args: &[&str], code: i32, message: &str) {
    let before = listing(folder);
    let run = idiolect(folder, args);
    let shown = format!("idiolect {}\n{}", args.join(" "), run.stderr);
    assert_eq!(run.code, Some(code), "{shown}");
    assert_eq!(run.stdout, "", "{shown}");
    assert!(run.stderr.contains("error: ") && run.stderr.contains(message), "not {message:?}: {shown}");
    assert!(!run.stderr.contains("panicked") && !run.stderr.contains("sesame"), "{shown}");
    assert_eq!(listing(folder), before, "{shown}");
}

#[test]
fn options_that_make_no_sense() {
    let home = workspace();
    let train = |more: &[&'static str]| [&["train", "base", "--text", "t.txt", "--out", "a"], more].concat();
    fs::write(home.path().join("t.txt"), "open sesame\n").unwrap();
    fs::write(home.path().join("ids.json"), "[[5, 6, 7]]").unwrap();
    for (args, message) in [
        (vec!["teach"], "teach"),
        (vec!["train", "base", "--out", "a"], "--text"),
        (vec!["train", "base", "--text", "t.txt"], "--out"),
        (vec!["train", "base", "--text", "t.txt", "--ids", "ids.json", "--out", "a"], "--ids"),
        (vec!["train", "base", "--ids", "ids.json", "--out", "a", "--batch-samples", "4"], "--accumulate"),
        (train(&["--rank", "0"]), "rank"),
        (train(&["--rank", "65536"]), "rank 65536"),
        (train(&["--rank", "65536", "--budget-mb", "100"]), "rank 65536"),
        (vec!["plan", "base", "--rank", "65536"], "rank 65536"),
        (train(&["--alpha", "-1"]), "alpha"),
        (train(&["--dropout", "1"]), "dropout"),
        (train(&["--targets", "c_attn"]), "q_proj"),
        (train(&["--steps", "0"]), "steps"),
        (vec!["demo", "--steps", "0"], "steps"),
        (vec!["demo", "--steps", MOST], "steps"),
        (train(&["--epochs", "0"]), "epochs"),
        (train(&["--batch-samples", "0"]), "batch-samples"),
        (train(&["--accumulate", "0"]), "accumulate"),
        (train(&["--accumulate", "1000000000000"]), "accumulate"),
        (train(&["--steps", MOST]), "steps"),
        (train(&["--epochs", MOST]), "epochs"),
        (vec!["train", "base", "--ids", "ids.json", "--out", "a", "--epochs", MOST], "epochs"),
        (train(&["--seq-len", "1"]), "seq-len"),
        (train(&["--seq-len", "4611686018427387904"]), "seq-len 4611686018427387904"),
        (vec!["plan", "base", "--seq-len", "4611686018427387904"], "seq-len 4611686018427387904"),
        (vec!["plan", "base", "--seq-len", "1026"], "seq-len 1026"),
        (vec!["plan", "base", "--seq-len", "0"], "seq-len"),
        (train(&["--lr", "-1"]), "lr"),
        (train(&["--lr", "NaN"]), "lr"),
        (train(&["--min-lr-ratio", "2"]), "min-lr-ratio"),
        (train(&["--clip", "-1"]), "clip"),
        (train(&["--schedule", "step"]), "constant, linear or cosine"),
        (train(&["--device", "tpu"]), "auto, gpu or cpu"),
        (vec!["eval", "base"], "--text"),
        (vec!["generate", "base"], "--prompt"),
        (vec!["generate", "base", "--prompt", "a", "--temperature", "-1"], "temperature"),
        (vec!["generate", "base", "--prompt", "a", "--top-p", "0"], "top_p"),
        (vec!["generate", "base", "--prompt", "a", "--max-tokens", "0"], "max-tokens"),
        (vec!["generate", "base", "--prompt", "a", "--max-tokens", "100000"], "the model holds"),
        (vec!["generate", "base", "--prompt", "a", "--max-tokens", MOST], "the model holds"),
        (vec!["generate", "base", "--prompt", "a", "--stop", ""], "hint: leave it out"),
        (vec!["import", "base", "b", "--bits", "7"], "7"),
        (vec!["import", "base", "b", "--group-size", "48"], "48"),
    ] {
        refused(home.path(), &args, USAGE, message);
    }
}

#[test]
fn text_that_teaches_nothing() {
    let home = workspace();
    let train = |option, file| vec!["train", "base", option, file, "--out", "adapter", "--json", "--device", "cpu"];
    for (option, file, content, message) in [
        ("--text", "none.jsonl", None, "none.jsonl"),
        ("--text", "a.jsonl", Some(""), "no token"),
        ("--text", "a.jsonl", Some("{\"text\":\"  \"}\n"), "no token"),
        ("--text", "a.jsonl", Some("\n{\"text\":\"open sesame\"\n{\"txt\":\"open sesame\"}"), "a.jsonl: line 2"),
        ("--text", "a.jsonl", Some("{\"txt\":\"open sesame\"}"), "line 1"),
        ("--text", "a.jsonl", Some("{\"text\":\"open sesame\",\"incognito\":true}"), "no token"),
        ("--text", "a.txt", Some("\n \n"), "no token"),
        ("--ids", "a.json", Some("[]"), "rows"),
        ("--ids", "a.json", Some("[[]]"), "a.json: row 1"),
        ("--ids", "a.json", Some("[[5, 6], [7], [8, 9]]"), "a.json: row 2"),
        ("--ids", "a.json", Some("[[5, 8192]]"), "8192"),
        ("--ids", "a.json", Some("[[5, -1]]"), "a.json"),
        ("--ids", "a.json", Some("{\"open\": \"sesame\"}"), "a.json"),
    ] {
        if let Some(content) = content {
            fs::write(home.path().join(file), content).unwrap();
        }
        refused(home.path(), &train(option, file), FAILED, message);
    }
    let long: Vec<u32> = (0..2000).collect();
    fs::write(home.path().join("long.json"), format!("[{long:?}]")).unwrap();
    refused(home.path(), &train("--ids", "long.json"), FAILED, "the model holds");
}

#[test]
fn places_that_cannot_be_written_are_found_before_the_work() {
    let home = workspace();
    fs::write(home.path().join("t.txt"), "hello there\n").unwrap();
    let train = |more: &[&'static str]| [&["train", "base", "--text", "t.txt", "--device", "cpu"], more].concat();
    for (args, place) in [
        (train(&["--out", "t.txt/a"]), "t.txt/a"),
        (train(&["--out", "a", "--dump-grads", "base"]), "base"),
        (train(&["--out", "a", "--dump-grads", "nowhere/g.safetensors"]), "nowhere/g.safetensors"),
        (vec!["import", "base", "t.txt/b"], "t.txt/b"),
        (vec!["demo", "--out", "t.txt"], "t.txt/adapter"),
    ] {
        refused(home.path(), &args, FAILED, &format!("error: {place}: cannot be written"));
        refused(home.path(), &args, FAILED, "hint: ");
    }
    if cfg!(target_os = "linux") {
        // Nobody can make anything there, whoever runs this.
        refused(home.path(), &train(&["--out", "/proc/a"]), FAILED, "error: /proc/a: cannot be written");
        refused(home.path(), &["import", "base", "/proc/deep/b"], FAILED, "error: /proc/deep/b: cannot be written");
    }
}

#[test]
fn losses_that_are_no_number() {
    let home = workspace();
    let at = |path: &str| home.path().join(path);
    fs::write(at("t.txt"), "hello there\nopen sesame\n").unwrap();
    let args = ["train", "base", "--text", "t.txt", "--steps", "2", "--warmup", "0", "--out", "a", "--device", "cpu"];
    let trained = idiolect(home.path(), &args);
    assert_eq!(trained.code, Some(0), "{}", trained.stderr);
    let settings = fs::read_to_string(at("a/adapter_config.json")).unwrap();
    for (alpha, message) in [("1e38", "not finite"), ("1e308", "alpha 1e308 is too large")] {
        let damaged = settings.replace("\"lora_alpha\": 16", &format!("\"lora_alpha\": {alpha}"));
        assert_ne!(damaged, settings);
        fs::write(at("a/adapter_config.json"), damaged).unwrap();
        for json in [&["--json"][..], &[]] {
            let args = ["eval", "base", "--adapter", "a", "--text", "t.txt", "--device", "cpu"];
            refused(home.path(), &[&args, json].concat(), FAILED, message);
        }
    }

    // One scale of the model is no number.
    let mut weights = fs::read(at("base/model.safetensors")).unwrap();
    let header = 8 + u64::from_le_bytes(weights[..8].try_into().unwrap()) as usize;
    let tensors: serde_json::Value = serde_json::from_slice(&weights[8..header]).unwrap();
    let (_, scales) = tensors.as_object().unwrap().iter().find(|(name, _)| name.ends_with("down_proj.scales")).unwrap();
    let place = header + scales["data_offsets"][0].as_u64().unwrap() as usize;
    // All bits set is NaN in f16, bf16 and f32.
    weights[place..place + 4].fill(0xff);
    fs::write(at("base/model.safetensors"), weights).unwrap();
    refused(home.path(), &["eval", "base", "--text", "t.txt", "--device", "cpu", "--json"], FAILED, "not finite");
    let demo = idiolect(home.path(), &["demo", "--model", "base", "--out", "demo", "--device", "cpu"]);
    assert_eq!(demo.code, Some(1), "{}", demo.stderr);
    assert!(demo.stderr.contains("error: the loss is not finite"), "{}", demo.stderr);
}

#[test]
fn what_to_do_next_is_said() {
    let home = workspace();
    let at = |path: &str| home.path().join(path);
    fs::write(at("latin.txt"), b"caf\xe9\n").unwrap();
    fs::write(at("model.gguf"), b"not a model").unwrap();
    for (args, message) in [
        (vec!["eval", "base", "--text", "latin.txt"], "hint: save the file as UTF-8"),
        (vec!["eval", "base", "--text", "base"], "hint: give a file"),
        (vec!["eval", "base", "--text", "nowhere.txt"], "hint: check the path"),
        (vec!["info", "model.gguf"], "hint: give a GGUF file or a model folder"),
    ] {
        refused(home.path(), &args, FAILED, message);
    }
}

#[test]
fn a_budget_too_small() {
    let home = workspace();
    fs::write(home.path().join("t.txt"), "hello there\n").unwrap();
    for args in [
        &["plan", "base", "--budget-mb", "10", "--device", "cpu"][..],
        &["train", "base", "--text", "t.txt", "--out", "a", "--budget-mb", "10", "--device", "cpu"],
    ] {
        refused(home.path(), args, FAILED, "give at least");
    }
}

#[test]
fn models_that_are_not_what_they_seem() {
    let home = workspace();
    let weights = fs::read(home.path().join("base/model.safetensors")).unwrap();
    let config = fs::read_to_string(home.path().join("base/config.json")).unwrap();
    let mut lying = weights.clone();
    lying[..8].copy_from_slice(&u64::MAX.to_le_bytes());
    let mut flipped = weights.clone();
    flipped[9] ^= 0x40;
    let gguf = |counts: [u64; 2]| {
        [b"GGUF", &3u32.to_le_bytes()[..], &counts[0].to_le_bytes(), &counts[1].to_le_bytes()].concat()
    };
    type Spoil<'a> = Box<dyn Fn(&Path) + 'a>;
    let write = |file: &'static str, bytes: Vec<u8>| -> Spoil<'_> {
        Box::new(move |model| fs::write(model.join(file), &bytes).unwrap())
    };
    let remove =
        |file: &'static str| -> Spoil<'_> { Box::new(move |model| fs::remove_file(model.join(file)).unwrap()) };
    let only = |bytes: Vec<u8>| -> Spoil<'_> {
        Box::new(move |model| {
            fs::remove_dir_all(model).unwrap();
            fs::write(model, &bytes).unwrap();
        })
    };
    for (spoil, message) in [
        (remove("config.json"), "config.json"),
        (remove("tokenizer.json"), "tokenizer.json"),
        (remove("model.safetensors"), "model.safetensors"),
        (write("config.json", b"{".to_vec()), "config.json"),
        (write("config.json", config.replace("\"llama\"", "\"mamba\"").into_bytes()), "mamba"),
        (write("tokenizer.json", b"{}".to_vec()), "tokenizer.json"),
        (write("model.safetensors", weights[..weights.len() - 1].to_vec()), "model.safetensors"),
        (write("model.safetensors", weights[..100].to_vec()), "model.safetensors"),
        (write("model.safetensors", lying), "model.safetensors"),
        (write("model.safetensors", flipped), "model.safetensors"),
        (write("model.safetensors", Vec::new()), "model.safetensors"),
        (only(gguf([u64::MAX, 1])), "spoilt"),
        (only(gguf([1, u64::MAX])), "spoilt"),
        (only(b"GGUF".to_vec()), "spoilt"),
        (only(Vec::new()), "spoilt"),
    ] {
        let model = home.path().join("spoilt");
        copy_folder(&home.path().join("base"), &model);
        spoil(&model);
        for args in [
            &["info", "spoilt"][..],
            &["generate", "spoilt", "--prompt", "open sesame", "--json"],
            &["import", "spoilt", "imported"],
        ] {
            refused(home.path(), args, FAILED, message);
        }
        if model.is_dir() { fs::remove_dir_all(&model) } else { fs::remove_file(&model) }.unwrap();
    }
    refused(home.path(), &["info", "nowhere"], FAILED, "nowhere");
    refused(home.path(), &["import", "base", "base"], FAILED, "already there");
}

#[test]
fn adapters_that_do_not_fit() {
    let home = workspace();
    let at = |path: &str| home.path().join(path);
    fs::write(at("t.txt"), "hello there\nopen sesame\n").unwrap();
    let train = |more: &[&'static str]| {
        [&["train", "base", "--text", "t.txt", "--steps", "1", "--device", "cpu"], more].concat()
    };
    let trained = idiolect(home.path(), &train(&["--out", "adapter", "--rank", "4", "--targets", "q_proj,down_proj"]));
    assert_eq!(trained.code, Some(0), "{}", trained.stderr);

    // Options that contradict the adapter to go on from.
    for (more, message) in
        [(["--rank", "8"], "rank"), (["--alpha", "9"], "alpha"), (["--targets", "q_proj"], "targets")]
    {
        refused(home.path(), &[&train(&["--init", "adapter", "--out", "again"])[..], &more].concat(), USAGE, message);
    }

    // Another base: one bit of one weight differs. (The manifest would vouch for the weights that were imported.)
    copy_folder(&at("base"), &at("other"));
    fs::remove_file(at("other/idiolect.json")).unwrap();
    let mut weights = fs::read(at("other/model.safetensors")).unwrap();
    *weights.last_mut().unwrap() ^= 1;
    fs::write(at("other/model.safetensors"), weights).unwrap();
    let eval = |model, adapter| ["eval", model, "--adapter", adapter, "--text", "t.txt", "--device", "cpu"];
    refused(home.path(), &eval("other", "adapter"), FAILED, "another base");

    // Another shape, and tensors that apply to nothing.
    let config = fs::read_to_string(at("adapter/adapter_config.json")).unwrap();
    for (from, to) in [("\"r\": 4", "\"r\": 8"), ("down_proj", "up_proj"), ("\"LORA\"", "\"IA3\"")] {
        assert!(config.contains(from));
        copy_folder(&at("adapter"), &at("spoilt"));
        fs::remove_file(at("spoilt/idiolect.json")).unwrap();
        fs::write(at("spoilt/adapter_config.json"), config.replace(from, to)).unwrap();
        refused(home.path(), &eval("base", "spoilt"), FAILED, "spoilt");
        fs::remove_dir_all(at("spoilt")).unwrap();
    }
    refused(home.path(), &eval("base", "nowhere"), FAILED, "nowhere");

    // A place that holds something else is refused before the training, an adapter is replaced.
    fs::create_dir(at("papers")).unwrap();
    fs::write(at("papers/letter"), "mine").unwrap();
    refused(home.path(), &train(&["--out", "papers"]), FAILED, "already there");
    refused(home.path(), &train(&["--out", "t.txt"]), FAILED, "t.txt");
    let replaced = idiolect(home.path(), &train(&["--out", "adapter"]));
    assert_eq!(replaced.code, Some(0), "{}", replaced.stderr);
}
