//! GGUF files: the same model as a folder's, and what is refused with which words.

use std::fs;

use idiolect::ErrorKind::{self, BadFile, Unsupported};
use idiolect::format::ModelFiles;
use idiolect::model::{NormPlace, RopeScaling, TensorName};
use safetensors::Dtype;

use crate::gguf_bytes::{Gguf, Meta, Stored};
use crate::samples::{self, HEAD_DIM};
use crate::{matrices, refusal};

/// Plain floats of a type number.
fn plain(kind: u32) -> impl Fn(&str, &[f32]) -> (u32, Vec<u8>) {
    let dtype = match kind {
        0 => Dtype::F32,
        1 => Dtype::F16,
        _ => Dtype::BF16,
    };
    move |_, values| (kind, samples::bytes(values, dtype))
}

#[test]
fn gguf_holds_the_same_model() {
    let home = tempfile::tempdir().unwrap();
    let folder = ModelFiles::open(&samples::tiny(&home.path().join("folder"))).unwrap();
    for (version, kind) in [(3, 0), (3, 1), (3, 30), (2, 0)] {
        let gguf = Gguf { version, ..Gguf::tiny(plain(kind)) };
        let path = home.path().join("model.gguf");
        fs::write(&path, gguf.bytes().0).unwrap();
        let files = ModelFiles::open(&path).unwrap();
        assert_eq!(files.config(), folder.config());
        assert!(matrices(&files) == matrices(&folder), "type {kind}");
        let norm = TensorName::Norm(1, NormPlace::Mlp);
        assert_eq!(files.vector(norm).unwrap(), folder.vector(norm).unwrap());
    }
    // A folder of just one GGUF file is that file.
    let alone = home.path().join("alone");
    fs::create_dir(&alone).unwrap();
    fs::rename(home.path().join("model.gguf"), alone.join("x.GGUF")).unwrap();
    assert!(matrices(&ModelFiles::open(&alone).unwrap()) == matrices(&folder));
    fs::copy(alone.join("x.GGUF"), alone.join("y.gguf")).unwrap();
    assert!(refusal(&alone).message().contains("several GGUF files"));
}

/// A string in Latin-1.
fn latin() -> Meta {
    Meta::Raw(8, [&4u64.to_le_bytes()[..], b"caf\xe9"].concat())
}

/// A list of two strings, the second in Latin-1.
fn latin_list() -> Meta {
    let string = |bytes: &[u8]| [&(bytes.len() as u64).to_le_bytes()[..], bytes].concat();
    let header = [&8u32.to_le_bytes()[..], &2u64.to_le_bytes()].concat();
    Meta::Raw(9, [header, string(b"a"), string(b"\xe9")].concat())
}

#[test]
fn gguf_text_that_is_not_utf8_is_refused_where_it_is_needed() {
    for (key, value, opens, tokenizer) in [
        ("general.description", latin(), true, None),
        ("general.tags", latin_list(), true, None),
        ("tokenizer.chat_template", latin(), true, Some("tokenizer.chat_template: not UTF-8")),
        ("tokenizer.ggml.pre", latin(), true, Some("tokenizer.ggml.pre: not UTF-8")),
        ("tokenizer.ggml.tokens", latin_list(), true, Some("tokenizer.ggml.tokens: number 1 is not UTF-8")),
        ("tokenizer.ggml.merges", latin_list(), true, Some("tokenizer.ggml.merges: number 1 is not UTF-8")),
        ("general.architecture", latin(), false, None),
    ] {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("model.gguf");
        let mut gguf = Gguf::tiny(plain(0));
        gguf.meta.retain(|(other, _)| other != key);
        gguf.meta.push((key.to_owned(), value));
        fs::write(&path, gguf.bytes().0).unwrap();
        let files = ModelFiles::open(&path);
        assert_eq!(files.is_ok(), opens, "{key}");
        let Ok(files) = files else { continue };
        match (files.tokenizer(), tokenizer) {
            (Ok(_), None) => {}
            (Err(error), Some(part)) => assert!(error.message().contains(part), "{key}: {error}"),
            (result, _) => panic!("{key}: {result:?}"),
        }
    }
}

/// A list of floats.
fn floats(values: &[f32]) -> Meta {
    let header = [&6u32.to_le_bytes()[..], &(values.len() as u64).to_le_bytes()].concat();
    Meta::Raw(9, [header, values.iter().flat_map(|value| value.to_le_bytes()).collect()].concat())
}

#[test]
fn a_gguf_file_has_scored_pieces() {
    let bytes = (0..256).map(|byte| format!("<0x{byte:02X}>"));
    let tokens: Vec<String> = ["<s>", "▁h", "▁", "h"].map(str::to_owned).into_iter().chain(bytes).collect();
    let types = [3, 1, 1, 1].into_iter().chain([6; 256]).collect::<Vec<i32>>();
    let count = tokens.len();
    let falling: Vec<f32> = (0..count).map(|id| -(id as f32)).collect();
    for (key, value, part) in [
        ("tokenizer.ggml.add_space_prefix", Meta::Bool(true), None),
        ("tokenizer.ggml.scores", floats(&falling[1..]), Some("tokenizer.ggml.scores: 259 scores for 260")),
        ("tokenizer.ggml.scores", floats(&[f32::NAN; 260]), Some("tokenizer.ggml.scores: number 0 is not finite")),
        ("tokenizer.ggml.scores", Meta::I32s(vec![0; count]), Some("tokenizer.ggml.scores: not a list of floats")),
        ("tokenizer.ggml.scores", Meta::U32(1), Some("tokenizer.ggml.scores")),
        ("tokenizer.ggml.unknown_token_id", Meta::U32(260), Some("tokenizer.ggml.unknown_token_id: 260")),
        ("tokenizer.ggml.add_space_prefix", Meta::U32(1), Some("tokenizer.ggml.add_space_prefix")),
        ("tokenizer.ggml.remove_extra_whitespaces", Meta::Bool(true), Some("tokenizer.ggml.remove_extra_whitespaces")),
    ] {
        let mut gguf = Gguf::tiny(plain(0));
        for (key, value) in [
            ("tokenizer.ggml.model", Meta::Text("llama")),
            ("tokenizer.ggml.tokens", Meta::Texts(tokens.clone())),
            ("tokenizer.ggml.token_type", Meta::I32s(types.clone())),
            ("tokenizer.ggml.scores", floats(&falling)),
            ("tokenizer.ggml.bos_token_id", Meta::U32(0)),
            ("tokenizer.ggml.eos_token_id", Meta::U32(0)),
            (key, value),
        ] {
            gguf.meta.retain(|(other, _)| other != key);
            gguf.meta.push((key.to_owned(), value));
        }
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("model.gguf");
        fs::write(&path, gguf.bytes().0).unwrap();
        match (ModelFiles::open(&path).unwrap().tokenizer(), part) {
            (Ok(tokenizer), None) => assert_eq!(tokenizer.encode("hi").unwrap(), [1, 4 + u32::from(b'i')]),
            (Err(error), Some(part)) => {
                assert!(error.message().contains("model.gguf") && error.message().contains(part), "{key}: {error}");
            }
            (result, _) => panic!("{key}: {result:?}"),
        }
    }
}

#[test]
fn gguf_that_asks_for_the_unknown_is_refused_by_name() {
    let set = |gguf: &mut Gguf, key: &str, value: Meta| {
        gguf.meta.retain(|(other, _)| other != key);
        gguf.meta.push((key.to_owned(), value));
    };
    let remove = |gguf: &mut Gguf, key: &str| gguf.meta.retain(|(other, _)| other != key);
    let tensor = |name: &str, axes: &[u64], kind: u32, len: usize| Stored {
        name: name.into(),
        axes: axes.to_vec(),
        kind,
        bytes: vec![0; len],
    };
    type Change<'a> = &'a dyn Fn(&mut Gguf);
    let cases: [(Change<'_>, ErrorKind, &str); 33] = [
        (&|g| g.version = 1, Unsupported, "version: 1"),
        (&|g| g.version = 3u32.swap_bytes(), Unsupported, "version: a big-endian file"),
        (&|g| set(g, "general.architecture", Meta::Text("gptneox")), Unsupported, "general.architecture: gptneox"),
        (&|g| remove(g, "general.architecture"), BadFile, "general.architecture: missing"),
        (&|g| set(g, "general.type", Meta::Text("adapter")), BadFile, "general.type: adapter"),
        (&|g| set(g, "split.count", Meta::U32(2)), BadFile, "split.no: missing in a part of a model"),
        (&|g| set(g, "llama.expert_count", Meta::U32(8)), Unsupported, "llama.expert_count"),
        (&|g| set(g, "llama.logit_scale", Meta::F32(2.0)), Unsupported, "llama.logit_scale"),
        (&|g| set(g, "llama.vocab_size", Meta::U32(7)), BadFile, "llama.vocab_size: 7"),
        (&|g| remove(g, "llama.block_count"), BadFile, "llama.block_count: missing"),
        (&|g| set(g, "llama.block_count", Meta::F32(2.0)), BadFile, "llama.block_count: not a whole number"),
        (&|g| set(g, "llama.block_count", Meta::U32(u32::MAX)), BadFile, "llama.block_count: 4294967295"),
        (&|g| set(g, "llama.attention.head_count_kv", Meta::I32s(vec![2, 2])), BadFile, "head_count_kv: not a whole"),
        (&|g| set(g, "llama.attention.value_length", Meta::U32(8)), Unsupported, "value_length: 8"),
        (&|g| set(g, "llama.rope.dimension_count", Meta::U32(12)), Unsupported, "dimension_count: 12"),
        (&|g| set(g, "llama.rope.scaling.type", Meta::Text("longrope")), Unsupported, "scaling.type: longrope"),
        (
            &|g| {
                set(g, "llama.rope.scaling.type", Meta::Text("yarn"));
                set(g, "llama.rope.scaling.factor", Meta::F32(4.0));
                set(g, "llama.rope.scaling.yarn_log_multiplier", Meta::F32(0.1));
            },
            Unsupported,
            "rope.scaling.yarn_log_multiplier: scales",
        ),
        (&|g| set(g, "general.alignment", Meta::U32(24)), BadFile, "general.alignment"),
        (&|g| g.meta.push(("a".into(), Meta::Raw(13, vec![0; 8]))), BadFile, "a: unknown value type 13"),
        (&|g| g.meta.push(("a".into(), Meta::Raw(7, vec![2]))), BadFile, "a: 2 where 0 or 1"),
        (&|g| set(g, "general.architecture", latin()), BadFile, "general.architecture: not UTF-8"),
        (&|g| set(g, "llama.rope.scaling.type", latin()), BadFile, "llama.rope.scaling.type: not UTF-8"),
        (&|g| g.meta.push(("general.type".into(), Meta::Text("model"))), BadFile, "general.type: twice"),
        (&|g| g.tensors[1].kind = 23, Unsupported, "blk.0.attn_q.weight: type IQ4_XS"),
        (&|g| g.tensors[1].kind = 13, BadFile, "blk.0.attn_q.weight: 64 columns, where Q5_K needs a multiple of 256"),
        (
            &|g| g.tensors.last_mut().map(|last| (last.kind, last.axes) = (12, vec![256, 9])).unwrap(),
            BadFile,
            "output_norm.weight: offset: reaches beyond the end of the file",
        ),
        (&|g| g.tensors[1].kind = 99, Unsupported, "blk.0.attn_q.weight: type number 99"),
        (&|g| g.tensors[1].axes = vec![1; 5], BadFile, "blk.0.attn_q.weight: 5 axes"),
        (&|g| g.tensors[1].axes = vec![0, 96], BadFile, "blk.0.attn_q.weight: 0 columns"),
        (&|g| g.tensors[1].axes = vec![1 << 32, 1 << 32], BadFile, "blk.0.attn_q.weight: axes"),
        (&|g| g.tensors[1].name = "token_embd.weight".into(), BadFile, "two tensors of this name"),
        (&|g| _ = g.tensors.remove(1), BadFile, "blk.0.attn_q.weight: missing"),
        (
            &|g| g.tensors.push(tensor("blk.0.attn_q_norm.weight", &[4], 0, 16)),
            Unsupported,
            "attn_q_norm.weight: no tensor",
        ),
    ];
    for (change, kind, expected) in cases {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("model.gguf");
        let mut gguf = Gguf::tiny(plain(0));
        change(&mut gguf);
        fs::write(&path, gguf.bytes().0).unwrap();
        let error = refusal(&path);
        assert_eq!(error.kind(), kind, "{expected}: {error}");
        assert!(error.message().contains(expected), "{expected}: {error}");
    }
}

#[test]
fn gguf_rotary_scaling_is_read() {
    let factors: Vec<f32> = (0..HEAD_DIM / 2).map(|i| 1.0 + i as f32).collect();
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("model.gguf");
    let mut linear = Gguf::tiny(plain(0));
    linear.meta.push(("llama.rope.scaling.type".into(), Meta::Text("linear")));
    linear.meta.push(("llama.rope.scaling.factor".into(), Meta::F32(4.0)));
    let mut explicit = Gguf::tiny(plain(0));
    let axes = vec![factors.len() as u64];
    let bytes = samples::bytes(&factors, Dtype::F32);
    explicit.tensors.push(Stored { name: "rope_freqs.weight".into(), axes, kind: 0, bytes });
    let yarn = |changes: &[(&str, f32)], original: Option<u32>| {
        let mut gguf = Gguf::tiny(plain(0));
        gguf.meta.push(("llama.rope.scaling.type".into(), Meta::Text("yarn")));
        let key = |key: &str| format!("llama.rope.scaling.{key}");
        gguf.meta.extend(changes.iter().map(|&(name, value)| (key(name), Meta::F32(value))));
        gguf.meta.extend(original.map(|context| (key("original_context_length"), Meta::U32(context))));
        gguf
    };
    let stretched = |original_max_position_embeddings, beta_fast, of_scores: f64| RopeScaling::Yarn {
        factor: 4.0,
        original_max_position_embeddings,
        beta_fast,
        beta_slow: 1.0,
        attention_factor: of_scores * (0.1 * 4f64.ln() + 1.0),
        truncate: true,
    };
    for (gguf, expected) in [
        (linear, RopeScaling::Linear { factor: 4.0 }),
        (explicit, RopeScaling::Factors(factors.clone())),
        // llama.cpp takes no factor as none, and no original context as the model's.
        (yarn(&[], Some(32)), RopeScaling::None),
        (yarn(&[("factor", 4.0)], None), stretched(64, 32.0, 1.0)),
        (yarn(&[("factor", 4.0), ("yarn_beta_fast", 16.0), ("attn_factor", 0.5)], Some(32)), stretched(32, 16.0, 0.5)),
    ] {
        fs::write(&path, gguf.bytes().0).unwrap();
        assert_eq!(ModelFiles::open(&path).unwrap().config().ropes[0].scaling, expected);
    }
}
