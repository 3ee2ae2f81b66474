//! README says which models and tensor types are read: the tables of the code, in words.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use idiolect::model::FAMILIES;
use idiolect_kernels::matrix::{AFFINE_BITS, AFFINE_GROUPS, BlockType};

/// What README has to hold.
fn tables() -> String {
    let mut text = "| family | `architectures` | GGUF | models |\n|---|---|---|---|\n".to_owned();
    for family in FAMILIES {
        let gguf = family.gguf.map_or("–".to_owned(), |name| format!("`{name}`"));
        writeln!(text, "| `{}` | `{}` | {gguf} | {} |", family.name, family.class, family.models).unwrap();
    }
    let blocks: Vec<&str> = BlockType::ALL.iter().map(|block| block.name()).collect();
    writeln!(text, "\nTensor types of GGUF: F32, F16, BF16, {}.", blocks.join(", ")).unwrap();
    let (bits, groups) = (numbers(&AFFINE_BITS), numbers(&AFFINE_GROUPS));
    writeln!(text, "\nMLX's affine codes: {bits} bits in groups of {groups}.").unwrap();
    text
}

fn numbers(all: &[impl ToString]) -> String {
    all.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

#[test]
fn readme_lists_what_is_read() {
    let readme = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md")).unwrap();
    let tables = tables();
    assert!(readme.contains(&tables), "README.md lacks these lines:\n\n{tables}");
}
