//! GPTQ's and AWQ's folders: imported to the very weights, refused where they are opened as they are.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use idiolect::ErrorKind::{self, BadFile, Unsupported};
use idiolect::format::{ImportOptions, ModelFiles, import};
use idiolect::model::{LLAMA, ModuleId, TensorName};
use idiolect_kernels::matrix::Encoding::Affine;
use idiolect_kernels::matrix::FloatType::{BF16, F16, F32};
use idiolect_kernels::matrix::{Encoding, FloatType};
use safetensors::Dtype;
use safetensors::tensor::TensorView;
use serde_json::{Value, json};

use crate::{refusal, samples, values};

/// A tensor's type, shape and bytes.
type Stored = (Dtype, Vec<usize>, Vec<u8>);

/// How a program packs what it quantized.
struct Packing {
    config: Value,
    bits: usize,
    /// Inputs a group; 0 has one group.
    group: usize,
    scales: Dtype,
    /// From one zero on, so many are in use.
    zeros: (u8, u8),
}

/// AWQ's order of eight outputs in a word.
const AWQ_ORDER: [usize; 8] = [0, 2, 4, 6, 1, 3, 5, 7];

/// Rows of values, each row in words: value j of a row as `place` says, word and place in it.
fn words(values: &[u8], cols: usize, bits: usize, order: Option<[usize; 8]>) -> Vec<u32> {
    let per_word = 32 / bits;
    let in_word = |word: &[u8]| {
        (0..per_word).fold(0, |packed, place| {
            let value = word[order.map_or(place, |order| order[place])];
            packed | u32::from(value) << (place * bits)
        })
    };
    values.chunks(cols).flat_map(|row| row.chunks(per_word).map(in_word)).collect()
}

fn transposed<T: Copy>(values: &[T], cols: usize) -> Vec<T> {
    (0..cols).flat_map(|col| values.iter().skip(col).step_by(cols)).copied().collect()
}

impl Packing {
    fn is_awq(&self) -> bool {
        self.config["quant_method"] == "awq"
    }

    /// A layer's tensors and its weights `[outputs, inputs]`.
    fn layer(&self, [outputs, inputs]: [usize; 2], seed: u64) -> (Vec<(&'static str, Stored)>, Vec<f32>) {
        let (group, top) = (if self.group == 0 { inputs } else { self.group }, (1usize << self.bits) - 1);
        let groups = inputs / group;
        let random = |len: usize, seed: u64| samples::noise(len, seed).into_iter().map(|x| (x * 128.0) as i32 as u8);
        // By inputs, as both store them.
        let codes: Vec<u8> = random(inputs * outputs, seed).map(|code| code & top as u8).collect();
        let zeros: Vec<u8> = random(groups * outputs, seed + 1).map(|x| self.zeros.0 + x % self.zeros.1).collect();
        // Of more bits than their products with some zeros leave to f16.
        let fine = samples::noise(groups * outputs, seed + 3).into_iter().map(|x| x / 16.0);
        let scales: Vec<f32> = samples::noise(groups * outputs, seed + 2)
            .into_iter()
            .zip(fine)
            .map(|(scale, fine)| match self.scales {
                Dtype::BF16 => half::bf16::from_f32(scale + fine).to_f32(),
                _ => half::f16::from_f32(scale + fine).to_f32(),
            })
            .collect();
        let weight = |(at, &code): (usize, &u8)| {
            let of = at / outputs / group * outputs + at % outputs;
            scales[of] * (f32::from(code) - f32::from(zeros[of]))
        };
        let weights: Vec<f32> = codes.iter().enumerate().map(weight).collect();

        let less = u8::from(!self.is_awq() && self.config["checkpoint_format"] != "gptq_v2");
        let zeros: Vec<u8> = zeros.iter().map(|zero| zero - less).collect();
        let (packed, order) = match self.is_awq() {
            true => (words(&codes, outputs, self.bits, Some(AWQ_ORDER)), Some(AWQ_ORDER)),
            // Words along the inputs.
            false => {
                let rows = words(&transposed(&codes, outputs), inputs, self.bits, None);
                (transposed(&rows, inputs * self.bits / 32), None)
            }
        };
        let int = |rows: usize, words: Vec<u32>| {
            let shape = vec![rows, words.len() / rows];
            (Dtype::I32, shape, words.into_iter().flat_map(u32::to_le_bytes).collect())
        };
        let rows = if self.is_awq() { inputs } else { inputs * self.bits / 32 };
        let mut tensors = vec![
            ("qweight", int(rows, packed)),
            ("qzeros", int(groups, words(&zeros, outputs, self.bits, order))),
            ("scales", (self.scales, vec![groups, outputs], samples::bytes(&scales, self.scales))),
        ];
        if !self.is_awq() {
            let order = (0..inputs).flat_map(|input| ((input / group) as i32).to_le_bytes()).collect();
            tensors.push(("g_idx", (Dtype::I32, vec![inputs], order)));
        }
        (tensors, transposed(&weights, outputs))
    }

    /// The tiny model's tensors, its linear layers packed, and the weights of these.
    fn tensors(&self) -> (BTreeMap<String, Stored>, BTreeMap<String, Vec<f32>>) {
        let (mut stored, mut weights) = (BTreeMap::new(), BTreeMap::new());
        for (seed, tensor) in (0..).zip(samples::tensors()) {
            let path = tensor.name.strip_suffix(".weight").unwrap();
            if LLAMA.module_at(path).is_some() {
                let (parts, values) = self.layer([tensor.shape[0], tensor.shape[1]], 100 * seed);
                stored.extend(parts.into_iter().map(|(suffix, part)| (format!("{path}.{suffix}"), part)));
                weights.insert(path.to_owned(), values);
            } else {
                let bytes = samples::bytes(&tensor.values, Dtype::F16);
                stored.insert(tensor.name.clone(), (Dtype::F16, tensor.shape, bytes));
            }
        }
        (stored, weights)
    }

    fn config(&self) -> Value {
        let mut config = samples::config();
        config["quantization_config"] = self.config.clone();
        config["quantization_config"]["bits"] = json!(self.bits);
        config
    }
}

fn folder(path: &Path, config: &Value, tensors: &BTreeMap<String, Stored>) -> PathBuf {
    let folder = samples::folder(path, config, &[], Dtype::F16);
    let views = tensors
        .iter()
        .map(|(name, (dtype, shape, bytes))| (name.as_str(), TensorView::new(*dtype, shape.clone(), bytes).unwrap()));
    fs::write(folder.join("model.safetensors"), safetensors::serialize(views, None).unwrap()).unwrap();
    folder
}

fn gptq() -> Packing {
    Packing { config: json!({ "quant_method": "gptq" }), bits: 4, group: 32, scales: Dtype::F16, zeros: (1, 15) }
}

#[test]
fn an_import_keeps_each_weight() {
    const Q: TensorName = TensorName::Linear(ModuleId { layer: 1, index: 0 });
    let v2 = json!({ "quant_method": "gptq", "checkpoint_format": "gptq_v2", "desc_act": false });
    let awq = json!({ "quant_method": "awq", "version": "GEMM", "zero_point": true });
    let affine = |bits: u8, group: usize, scales: FloatType| Affine { bits, group, scales };
    let cases: [(Packing, Encoding); 7] = [
        (gptq(), affine(4, 32, F32)),
        // A bias of eight times a scale is as exact as the scale.
        (Packing { zeros: (8, 1), ..gptq() }, affine(4, 32, F16)),
        (Packing { group: 0, scales: Dtype::F32, ..gptq() }, affine(4, 64, F32)),
        (Packing { bits: 8, zeros: (1, 255), ..gptq() }, affine(8, 32, F32)),
        (Packing { config: v2, zeros: (0, 16), ..gptq() }, affine(4, 32, F32)),
        (Packing { config: awq.clone(), zeros: (0, 16), ..gptq() }, affine(4, 32, F32)),
        (Packing { config: awq, scales: Dtype::BF16, zeros: (4, 1), ..gptq() }, affine(4, 32, BF16)),
    ];
    for (packing, encoding) in cases {
        let home = tempfile::tempdir().unwrap();
        let (tensors, weights) = packing.tensors();
        let source = folder(&home.path().join("source"), &packing.config(), &tensors);
        let case = format!("{} at {} bits", packing.config, packing.bits);
        let error = refusal(&source);
        assert_eq!(error.kind(), Unsupported, "{case}: {error}");
        assert!(error.message().contains("quant_method: ") && error.hint().unwrap().contains("import"), "{error}");

        let destination = home.path().join("model");
        let report = import(&source, &destination, ImportOptions::default(), |_, _| ()).unwrap();
        assert_eq!((report.quantized, report.unquantized.len()), (weights.len(), 1), "{case}");
        let files = ModelFiles::open(&destination).unwrap();
        assert_eq!(files.matrix(Q).unwrap().encoding(), encoding, "{case}");
        for (path, expected) in &weights {
            let found = values(&files, TensorName::Linear(LLAMA.module_at(path).unwrap()));
            assert!(found == *expected, "{case}: {path}");
        }
        let left = fs::read_dir(home.path()).unwrap().count();
        assert_eq!(left, 2, "{case}: something else is left");
    }
}

#[test]
fn what_has_no_exact_form_is_refused_by_name() {
    const PATH: &str = "model.layers.0.self_attn.q_proj";
    type Change<'a> = &'a dyn Fn(&mut Value, &mut dyn FnMut(&str, Option<Stored>));
    let cases: [(Change<'_>, ErrorKind, &str); 11] = [
        (&|config, _| config["quant_method"] = json!("fp8"), Unsupported, "quant_method: fp8 is not known"),
        (&|config, _| config["checkpoint_format"] = json!("marlin"), Unsupported, "checkpoint_format: marlin"),
        (&|config, _| config["bits"] = json!(3), Unsupported, "bits: 3, where gptq is read at [4, 8]"),
        (
            &|config, _| *config = json!({ "quant_method": "awq", "bits": 4, "version": "gemv" }),
            Unsupported,
            "version: gemv",
        ),
        (&|config, _| config["bits"] = json!(8), BadFile, "qzeros: shape"),
        (&|_, set| set("qzeros", None), BadFile, "qweight: without qzeros"),
        (&|_, set| set("g_idx", Some((Dtype::I32, vec![64], vec![0; 256]))), Unsupported, "g_idx: groups whose inputs"),
        (
            &|_, set| set("qzeros", Some((Dtype::I32, vec![2, 12], vec![0xff; 96]))),
            Unsupported,
            "qzeros: a zero that is stored as 15",
        ),
        (
            &|_, set| set("scales", Some((Dtype::F32, vec![2, 96], 0.1f32.to_le_bytes().repeat(192)))),
            Unsupported,
            "scales: a scale whose products with codes would be rounded",
        ),
        (&|_, set| set("qzeros", Some((Dtype::F32, vec![2, 12], vec![0; 96]))), BadFile, "qzeros: type F32"),
        (
            &|_, set| set("weight", Some((Dtype::F16, vec![96, 64], vec![0; 96 * 64 * 2]))),
            BadFile,
            "weight: beside packed codes",
        ),
    ];
    for (change, kind, expected) in cases {
        let home = tempfile::tempdir().unwrap();
        let (mut tensors, _) = gptq().tensors();
        let mut config = gptq().config();
        change(&mut config["quantization_config"], &mut |suffix, stored| {
            let name = format!("{PATH}.{suffix}");
            tensors.remove(&name);
            tensors.extend(stored.map(|stored| (name, stored)));
        });
        let source = folder(&home.path().join("source"), &config, &tensors);
        let destination = home.path().join("model");
        let error = import(&source, &destination, ImportOptions::default(), |_, _| ()).unwrap_err();
        assert_eq!(error.kind(), kind, "{expected}: {error}");
        assert!(error.message().contains(expected), "{expected}: {error}");
        assert_eq!(fs::read_dir(home.path()).unwrap().count(), 1, "{expected}: something is left");
    }
}
