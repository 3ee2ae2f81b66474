//! GPTQ's and AWQ's weights: `w = scale · (q − zero)`, with the codes of a layer along its outputs and scales and zeros by
//! groups of its inputs.
//!
//! They are the group-affine form with `bias = −scale · zero`, but lie the other way around, so that they are not read in
//! place: an import repacks them, a module at a time, into a file that is gone with its mapping. Scales and biases are
//! stored as floats that hold each bias exactly; the sum of the exact products is the exact weight, so nothing is rounded.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use idiolect_kernels::matrix::{AFFINE_GROUPS, AffineRows, FloatType};
use rayon::prelude::*;

use super::safetensors::Tensors;
use super::tensor::{Storage, Tensor};
use crate::disk::file_bytes::FileBytes;
use crate::disk::json::JsonFields;
use crate::error::{Error, Result, shown};

/// How codes and zeros are packed into words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Packing {
    /// Codes along the inputs; what is stored of a zero is so much less.
    Gptq { less: u8 },
    /// Codes along the outputs, in an order of their own.
    Awq,
}

/// Where in a word AWQ's kernels for matrix products (`gemm`) have each of eight outputs.
const AWQ_PLACES: [usize; 8] = [0, 4, 1, 5, 2, 6, 3, 7];

/// What `config.json` says of such weights.
#[derive(Debug)]
pub(super) struct ZeroPoints {
    method: &'static str,
    packing: Packing,
    bits: u8,
}

impl ZeroPoints {
    /// `None` where the weights are not of this kind.
    pub fn of(config: &JsonFields) -> Result<Option<Self>> {
        if config.get("quantization").is_some() {
            return Ok(None);
        }
        let Some(fields) = config.fields("quantization_config")? else { return Ok(None) };
        let unknown = |field: &str, what: &str| fields.unsupported(field, format!("{} is not known", shown(what)));
        let (method, packing, widths) = match fields.str("quant_method")? {
            None => return Ok(None),
            Some("gptq") => match fields.str("checkpoint_format")?.unwrap_or("gptq") {
                "gptq" => ("gptq", Packing::Gptq { less: 1 }, &[4, 8][..]),
                "gptq_v2" => ("gptq", Packing::Gptq { less: 0 }, &[4, 8][..]),
                other => return Err(unknown("checkpoint_format", other)),
            },
            Some("awq") => match fields.str("version")?.unwrap_or("gemm") {
                version if version.eq_ignore_ascii_case("gemm") => ("awq", Packing::Awq, &[4][..]),
                other => return Err(unknown("version", other)),
            },
            Some(other) => return Err(unknown("quant_method", other)),
        };
        let bits = fields.required("bits", fields.usize("bits")?)?;
        let known = u8::try_from(bits).ok().filter(|bits| widths.contains(bits));
        let bits =
            known.ok_or_else(|| fields.unsupported("bits", format!("{bits}, where {method} is read at {widths:?}")))?;
        Ok(Some(Self { method, packing, bits }))
    }

    /// What is said where a model of this kind is opened as it is.
    pub fn refusal(&self, folder: &Path) -> Error {
        let what = format!("{}, whose codes lie the other way around", self.method);
        Error::unsupported(&folder.join("config.json"), "quantization_config.quant_method", what)
            .with_hint("import the model first: that keeps each weight, in a folder that opens")
    }

    /// The tensors of the folder with those of each such module in MLX's form, by way of a file in `scratch`.
    pub fn repacked(&self, folder: &Path, mut tensors: Tensors, scratch: &Path) -> Result<(Tensors, Arc<FileBytes>)> {
        let paths: Vec<String> =
            tensors.keys().filter_map(|name| name.strip_suffix(".qweight")).map(str::to_owned).collect();
        let mut modules = Vec::new();
        for path in paths {
            modules.push((Module::take(self, &path, &mut tensors)?, path));
        }
        let mut placed: Vec<(String, Storage, Vec<usize>, Range<usize>)> = Vec::new();
        let file = FileBytes::filled(folder, scratch, &mut |out| {
            let mut end = 0;
            for (module, path) in &modules {
                for (suffix, storage, width, bytes) in module.repack()? {
                    out.write_all(&bytes).map_err(|cause| Error::io(scratch, &cause))?;
                    let (start, shape) = (end, vec![module.outputs, width]);
                    end += bytes.len();
                    placed.push((format!("{path}.{suffix}"), storage, shape, start..end));
                }
            }
            Ok(())
        })?;
        for (name, storage, shape, range) in placed {
            let bytes =
                file.bytes(range).ok_or_else(|| Error::bad_file(folder, &shown(&name), "cut while repacked"))?;
            let tensor = Tensor { file: folder.into(), name: name.clone(), storage, shape, bytes };
            if let Some(other) = tensors.insert(name, tensor) {
                return Err(other.bad("beside packed codes of the same module"));
            }
        }
        Ok((tensors, file))
    }
}

/// A tensor in MLX's form: its suffix, type, width and bytes.
type Repacked = (&'static str, Storage, usize, Vec<u8>);

/// A module's tensors, checked against each other.
struct Module {
    packing: Packing,
    bits: u8,
    inputs: usize,
    outputs: usize,
    /// Inputs that share a scale and a zero.
    group: usize,
    codes: Tensor,
    zeros: Tensor,
    scales: Tensor,
    float: FloatType,
}

impl Module {
    fn take(kind: &ZeroPoints, path: &str, tensors: &mut Tensors) -> Result<Self> {
        let ZeroPoints { packing, bits, .. } = *kind;
        let per_word = 32 / usize::from(bits);
        let mut part = |suffix: &str| tensors.remove(&format!("{path}.{suffix}"));
        let (codes, zeros, scales, order) = (part("qweight"), part("qzeros"), part("scales"), part("g_idx"));
        let Some(codes) = codes else { unreachable!("{path} was found by its codes") };
        let beside =
            |tensor: Option<Tensor>, suffix: &str| tensor.ok_or_else(|| codes.bad(format!("without {suffix}")));
        let (zeros, scales) = (beside(zeros, "qzeros")?, beside(scales, "scales")?);
        let (&[rows, words], &[groups, outputs]) = (codes.shape.as_slice(), scales.shape.as_slice()) else {
            return Err(codes.bad(format!("shape {:?} with scales {:?}", codes.shape, scales.shape)));
        };
        let float = scales.expect_floats(&[groups, outputs])?;
        let (inputs, expected) = match packing {
            Packing::Gptq { .. } => (rows.checked_mul(per_word), [rows, outputs]),
            Packing::Awq => (Some(rows), [rows, outputs / per_word]),
        };
        let group = inputs.filter(|inputs| groups > 0 && inputs.is_multiple_of(groups)).map(|inputs| inputs / groups);
        let (Some(inputs), Some(group), true) = (inputs, group, outputs.is_multiple_of(per_word)) else {
            return Err(
                codes.bad(format!("{rows} × {words} words and {groups} × {outputs} scales do not fit together"))
            );
        };
        expect_words(&codes, &expected)?;
        expect_words(&zeros, &[groups, outputs / per_word])?;
        if let Some(order) = order {
            expect_words(&order, &[inputs])?;
            if (0..inputs).any(|input| word(&order, input) as usize != input / group) {
                let what = "groups whose inputs do not follow each other (desc_act)";
                return Err(order.unsupported(what).with_hint("quantize the model without desc_act"));
            }
        }
        Ok(Self { packing, bits, inputs, outputs, group, codes, zeros, scales, float })
    }

    /// What the module becomes.
    fn repack(&self) -> Result<[Repacked; 3]> {
        // Longer groups become several with the same scale.
        let group =
            AFFINE_GROUPS.into_iter().rev().find(|&group| self.group.is_multiple_of(group)).ok_or_else(|| {
                self.scales
                    .unsupported(format!("groups of {}", self.group))
                    .with_hint(format!("read are multiples of {}", AFFINE_GROUPS[0]))
            })?;
        let factors: Vec<Vec<(f32, f32)>> =
            (0..self.outputs).map(|output| self.factors(output)).collect::<Result<_>>()?;
        let holds = |float: FloatType| factors.iter().flatten().all(|&(_, bias)| stored(float, bias) == bias);
        let float = if holds(self.float) { self.float } else { FloatType::F32 };
        let rows: Vec<AffineRows> = factors
            .par_iter()
            .enumerate()
            .map(|(output, factors)| {
                let mut row = AffineRows::default();
                let codes: Vec<u8> = (0..self.inputs).map(|input| self.code(input, output)).collect();
                row.pack(self.bits, &codes);
                for &(scale, bias) in factors.iter().flat_map(|pair| std::iter::repeat_n(pair, self.group / group)) {
                    float.write(scale, &mut row.scales);
                    float.write(bias, &mut row.biases);
                }
                row
            })
            .collect();
        let joined = |part: fn(&AffineRows) -> &[u8]| rows.iter().flat_map(part).copied().collect();
        let (words, groups) = (self.inputs * usize::from(self.bits) / 32, self.inputs / group);
        Ok([
            ("weight", Storage::Words, words, joined(|row| &row.codes)),
            ("scales", Storage::Float(float), groups, joined(|row| &row.scales)),
            ("biases", Storage::Float(float), groups, joined(|row| &row.biases)),
        ])
    }

    /// Scale and bias of each group of an output.
    fn factors(&self, output: usize) -> Result<Vec<(f32, f32)>> {
        let per_word = 32 / usize::from(self.bits);
        let (words, place) = (self.outputs / per_word, self.place(output % per_word));
        let most = u8::MAX >> (8 - self.bits);
        let factors = (0..self.inputs / self.group).map(|group| {
            let stored = self.part(word(&self.zeros, group * words + output / per_word), place);
            let zero = match self.packing {
                // Such a zero was 0 before it was stored as one less, or never was: programs differ.
                Packing::Gptq { less: 1 } if stored == most => {
                    return Err(self.zeros.unsupported(format!("a zero that is stored as {most}")));
                }
                Packing::Gptq { less } => stored + less,
                Packing::Awq => stored,
            };
            let scale = self.float.read(&self.scales.bytes, group * self.outputs + output);
            if self.float == FloatType::F32 && scale.to_bits() & u32::from(most) != 0 {
                return Err(self.scales.unsupported("a scale whose products with codes would be rounded"));
            }
            Ok((scale, -scale * f32::from(zero)))
        });
        factors.collect()
    }

    fn code(&self, input: usize, output: usize) -> u8 {
        let per_word = 32 / usize::from(self.bits);
        match self.packing {
            Packing::Gptq { .. } => {
                self.part(word(&self.codes, input / per_word * self.outputs + output), input % per_word)
            }
            Packing::Awq => {
                let words = self.outputs / per_word;
                self.part(word(&self.codes, input * words + output / per_word), self.place(output % per_word))
            }
        }
    }

    /// Where in a word output `output` of those that share it lies.
    fn place(&self, output: usize) -> usize {
        match self.packing {
            Packing::Gptq { .. } => output,
            Packing::Awq => AWQ_PLACES[output],
        }
    }

    /// A code or zero of a word.
    fn part(&self, word: u32, place: usize) -> u8 {
        let bits = u32::from(self.bits);
        (word >> (bits * place as u32)) as u8 & (u8::MAX >> (8 - bits))
    }
}

fn expect_words(tensor: &Tensor, shape: &[usize]) -> Result<()> {
    tensor.expect_shape(shape)?;
    match &tensor.storage {
        Storage::Words => Ok(()),
        Storage::Other(name) if name == "I32" => Ok(()),
        other => Err(tensor.bad(format!("type {other} where words belong"))),
    }
}

/// A word of a tensor of words.
fn word(tensor: &Tensor, index: usize) -> u32 {
    let bytes = &tensor.bytes[4 * index..][..4];
    u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])
}

/// A value as a float type holds it.
fn stored(float: FloatType, value: f32) -> f32 {
    let mut bytes = Vec::new();
    float.write(value, &mut bytes);
    float.read(&bytes, 0)
}
