//! Files that are cut off, flipped or lie: each opens as something sound or is refused, without a panic and without
//! memory that the file's own size does not warrant.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::fs;
use std::io::{Seek, SeekFrom, Write};
use std::path::Path;

use idiolect::format::peft::{AdapterFiles, AdapterRecord, Factors, LoraConfig};
use idiolect::model::{LLAMA, LinearSpec, Projection, TensorName};
use idiolect::{Adapter, ErrorKind, Model};
use safetensors::Dtype;
use serde_json::json;

use crate::gguf_bytes::{Gguf, Meta};
use crate::samples::{self, Values};

/// Notes the largest allocation of each thread: other tests run beside, and sound files may take more.
struct Noting;

thread_local! {
    static LARGEST: Cell<usize> = const { Cell::new(0) };
}

fn note(size: usize) {
    // A thread that ends has no test to tell it to.
    let _ = LARGEST.try_with(|largest| largest.set(largest.get().max(size)));
}

// SAFETY: every call is handed on to the system's allocator as it came.
unsafe impl GlobalAlloc for Noting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        note(layout.size());
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps the contract of `dealloc`.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        note(size);
        // SAFETY: the caller keeps the contract of `realloc`.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Noting = Noting;

/// The files are at most 300 KB.
fn assert_modest() {
    let largest = LARGEST.get();
    assert!(largest < 8 << 20, "one allocation of {largest} bytes");
}

/// Opens a model and reads what a program would; the first error's kind.
fn open(path: &Path) -> Result<(), ErrorKind> {
    let read = || {
        let model = Model::open(path)?;
        let files = model.files();
        let mut row = vec![0.0; files.config().hidden_size];
        files.matrix(TensorName::Head)?.row(files.config().vocab_size - 1, &mut row);
        files.bias(LLAMA.computing(0, Projection::Q).unwrap())?;
        model.fingerprint();
        Ok(())
    };
    read().map_err(|error: idiolect::Error| {
        assert!(!error.message().is_empty());
        error.kind()
    })
}

/// What a damaged file is refused as.
const REFUSALS: [ErrorKind; 3] = [ErrorKind::BadFile, ErrorKind::Unsupported, ErrorKind::AdapterMismatch];

/// Every bit of `bytes[range]` flipped on its own, every cut within it, written to `file`, each tried. Some flips make
/// another sound file: a name that nobody reads, a value within its range. All others are refused as what they are, and
/// those are at least `refused` of a hundred.
fn torment(
    file: &Path,
    bytes: &[u8],
    range: std::ops::Range<usize>,
    refused: usize,
    tried: impl Fn() -> Result<(), ErrorKind>,
) {
    let flips = 8 * range.len();
    let mut refusals = 0;
    fs::write(file, bytes).unwrap();
    let mut handle = fs::OpenOptions::new().write(true).open(file).unwrap();
    let mut put = |at: usize, byte: u8| {
        handle.seek(SeekFrom::Start(at as u64)).and_then(|_| handle.write_all(&[byte])).unwrap();
    };
    for at in range.clone() {
        for bit in 0..8 {
            put(at, bytes[at] ^ 1 << bit);
            if let Err(kind) = tried() {
                let name = file.display();
                assert!(REFUSALS.contains(&kind), "{name}, bit {bit} of {at}: {kind:?}");
                refusals += 1;
            }
        }
        put(at, bytes[at]);
    }
    assert_eq!(tried(), Ok(()), "{} as it was", file.display());
    assert!(100 * refusals >= refused * flips, "{}: {refusals} of {flips} flips are refused", file.display());
    for cut in range.rev() {
        handle.set_len(cut as u64).unwrap();
        assert!(tried().is_err(), "{} opened, cut at {cut}", file.display());
    }
    fs::write(file, bytes).unwrap();
    assert_modest();
}

#[test]
fn safetensors_headers() {
    let home = tempfile::tempdir().unwrap();
    let path = samples::tiny(home.path());
    let file = path.join("model.safetensors");
    let bytes = fs::read(&file).unwrap();
    let header = 8 + u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    torment(&file, &bytes, 0..header, 90, || open(&path));
    for cut in (header..bytes.len()).step_by(997) {
        fs::write(&file, &bytes[..cut]).unwrap();
        assert_eq!(open(&path), Err(ErrorKind::BadFile), "cut at {cut}");
    }
}

#[test]
fn gguf_headers() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("model.gguf");
    let gguf = Gguf::tiny(|_, values| (1, samples::bytes(values, Dtype::F16)));
    let (bytes, header) = gguf.bytes();
    torment(&path, &bytes, 0..header, 70, || open(&path));
    for cut in (header..bytes.len()).step_by(997) {
        fs::write(&path, &bytes[..cut]).unwrap();
        assert_eq!(open(&path), Err(ErrorKind::BadFile), "cut at {cut}");
    }
}

#[test]
fn settings_of_a_model() {
    let home = tempfile::tempdir().unwrap();
    let path = samples::tiny(home.path());
    let file = path.join("config.json");
    let bytes = fs::read(&file).unwrap();
    torment(&file, &bytes, 0..bytes.len(), 65, || open(&path));
}

#[test]
fn adapters() {
    let home = tempfile::tempdir().unwrap();
    let model = Model::open(&samples::tiny(&home.path().join("model"))).unwrap();
    let (config, shape) = (LoraConfig { rank: 2, ..LoraConfig::default() }, &model.base().config);
    let factors = config.targets(shape).unwrap().into_iter().map(|module| {
        let LinearSpec { inputs, outputs, .. } = shape.linear(module);
        Factors { path: LLAMA.path(module), a: samples::noise(2 * inputs, 1), b: samples::noise(2 * outputs, 2) }
    });
    let folder = home.path().join("adapter");
    AdapterFiles::write(&folder, &config, &factors.collect::<Vec<_>>(), &AdapterRecord::default()).unwrap();
    let tried = || Adapter::open(&folder, &model).map(drop).map_err(|error| error.kind());
    // Names of settings that nobody here reads fill much of the first, a report that is only kept much of the last.
    for (name, refused) in [("adapter_config.json", 55), ("adapter_model.safetensors", 80), ("idiolect.json", 30)] {
        let file = folder.join(name);
        let bytes = fs::read(&file).unwrap();
        let end = match name.ends_with("json") {
            // Without the line end that closes the file.
            true => bytes.len() - 1,
            false => 8 + u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize,
        };
        torment(&file, &bytes, 0..end, refused, tried);
    }

    // Settings that promise more than the tensors hold, without a record that would vouch for the base.
    fs::remove_file(folder.join("idiolect.json")).unwrap();
    let settings = fs::read_to_string(folder.join("adapter_config.json")).unwrap();
    for rank in [1, 3, 65_536, 65_537, 1 << 40, u64::MAX] {
        let lying = settings.replace("\"r\": 2", &format!("\"r\": {rank}"));
        assert_ne!(lying, settings);
        fs::write(folder.join("adapter_config.json"), lying).unwrap();
        assert_eq!(tried(), Err(ErrorKind::BadFile), "rank {rank}");
    }
    assert_modest();
}

/// A safetensors file with a header of one's own.
fn with_header(header: &str, data: usize) -> Vec<u8> {
    [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), &vec![0; data]].concat()
}

#[test]
fn safetensors_that_lie() {
    let home = tempfile::tempdir().unwrap();
    let path = samples::tiny(home.path());
    let one = |entry: &str| format!("{{{entry}}}");
    let huge = u64::MAX.to_le_bytes();
    for (bytes, expected) in [
        (vec![], "header length: the file ends before"),
        (vec![1, 0, 0], "header length: the file ends before"),
        ([&huge[..], b"{}"].concat(), "header length: over 100 MB"),
        ([&1000u64.to_le_bytes()[..], b"{}"].concat(), "header length: the file ends before"),
        (with_header("{", 0), "header: not the JSON"),
        (with_header("[]", 0), "header: not the JSON"),
        (with_header("\u{0}", 0), "header: not the JSON"),
        (with_header(&"[".repeat(100_000), 0), "header: not the JSON"),
        (
            with_header(&one(r#""a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}"#), 4),
            "do not end where the file ends",
        ),
        (
            with_header(&one(r#""a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}"#), 9),
            "do not end where the file ends",
        ),
        (with_header(&one(r#""a":{"dtype":"F32","shape":[2],"data_offsets":[4,12]}"#), 12), "a: data_offsets: gap"),
        (with_header(&one(r#""a":{"dtype":"F32","shape":[2],"data_offsets":[8,0]}"#), 8), "a: data_offsets: gap"),
        (with_header(&one(r#""a":{"dtype":"F32","shape":[3],"data_offsets":[0,8]}"#), 8), "type and shape contradict"),
        (with_header(&one(r#""a":{"dtype":"F99","shape":[2],"data_offsets":[0,8]}"#), 8), "header: not the JSON"),
        (with_header(&one(r#""a":{"dtype":"F32","shape":[-1],"data_offsets":[0,8]}"#), 8), "header: not the JSON"),
        (
            with_header(&one(r#""a":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,8]}"#), 8),
            "shape: the size overflows",
        ),
        (
            with_header(
                &one(
                    r#""a":{"dtype":"U8","shape":[6],"data_offsets":[0,6]},"b":{"dtype":"U8","shape":[4],"data_offsets":[4,8]}"#,
                ),
                8,
            ),
            "b: data_offsets: gap, overlap",
        ),
        (
            with_header(
                &one(
                    r#""a":{"dtype":"U8","shape":[8],"data_offsets":[0,8]},"a":{"dtype":"U8","shape":[8],"data_offsets":[0,8]}"#,
                ),
                8,
            ),
            "header: a twice",
        ),
    ] {
        fs::write(path.join("model.safetensors"), bytes).unwrap();
        let error = crate::refusal(&path);
        assert_eq!(error.kind(), ErrorKind::BadFile, "{error}");
        assert!(error.message().contains("model.safetensors: ") && error.message().contains(expected), "{error}");
    }
    assert_modest();
}

#[test]
fn gguf_that_lies() {
    let huge = u64::MAX.to_le_bytes();
    let array = |kind: u32, len: u64| [&kind.to_le_bytes()[..], &len.to_le_bytes()].concat();
    let nested = |depth: usize| {
        let mut bytes: Vec<u8> = (0..depth).flat_map(|_| array(9, 1)).collect();
        bytes.extend(array(0, 0));
        bytes
    };
    let one = |value: Meta| Gguf { version: 3, meta: vec![("k".into(), value)], tensors: Vec::new() };
    // (bytes written over a place of the file, the place), or the value of a key
    let counts = |at: usize| {
        let mut bytes = Gguf::tiny(|_, values| (0, samples::bytes(values, Dtype::F32))).bytes().0;
        bytes[at..at + 8].copy_from_slice(&huge);
        bytes
    };
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("model.gguf");
    for (bytes, expected) in [
        (counts(8), "tensor "),
        (counts(16), "key "),
        (counts(24), "key 0 of 21: reaches beyond the end"),
        (one(Meta::Raw(8, huge.to_vec())).bytes().0, "k: reaches beyond the end"),
        (one(Meta::Raw(9, array(4, u64::MAX))).bytes().0, "k: reaches beyond the end"),
        (one(Meta::Raw(9, array(4, 1 << 61))).bytes().0, "k: reaches beyond the end"),
        (one(Meta::Raw(9, array(8, u64::MAX))).bytes().0, "k: reaches beyond the end"),
        (one(Meta::Raw(9, array(9, u64::MAX))).bytes().0, "k: reaches beyond the end"),
        (one(Meta::Raw(9, array(77, 0))).bytes().0, "k: unknown value type 77"),
        (one(Meta::Raw(9, nested(1000))).bytes().0, "k: arrays nested deeper than 4"),
        (one(Meta::Raw(9, nested(2))).bytes().0, "general.architecture: missing"),
    ] {
        fs::write(&path, bytes).unwrap();
        let error = crate::refusal(&path);
        assert_eq!(error.kind(), ErrorKind::BadFile, "{error}");
        assert!(error.message().contains("model.gguf: ") && error.message().contains(expected), "{expected}: {error}");
    }
    // Offsets: beyond the end, not aligned, on top of another tensor.
    let (bytes, header) = Gguf::tiny(|_, values| (0, samples::bytes(values, Dtype::F32))).bytes();
    for (offset, expected) in [
        (u64::MAX, "offset: not aligned"),
        (1 << 62, "offset: reaches beyond the end"),
        (33, "offset: not aligned"),
        (0, "offset: overlaps"),
        (u64::MAX - 31, "offset: overflows"),
    ] {
        let mut lying = bytes.clone();
        lying[header - 8..header].copy_from_slice(&offset.to_le_bytes());
        fs::write(&path, lying).unwrap();
        let error = crate::refusal(&path);
        assert!(error.message().contains(expected), "{offset}: {error}");
    }
    assert_modest();
}

#[test]
fn a_model_that_is_all_names() {
    // Many tensors of no bytes: refused by the first that has no place, in reasonable time.
    let home = tempfile::tempdir().unwrap();
    let mut tensors = samples::tensors();
    tensors.extend((0..2000).map(|i| Values { name: format!("x{i}"), shape: vec![0], values: Vec::new() }));
    let path = samples::folder(home.path(), &json!(samples::config()), &tensors, Dtype::F32);
    assert_eq!(open(&path), Err(ErrorKind::Unsupported));
}
