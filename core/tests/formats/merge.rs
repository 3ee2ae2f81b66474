//! What a merge writes of a GGUF file: the blocks that nothing touches repacked exactly, q and k in plain order.

use std::fs;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use idiolect::adapter::LoraOptions;
use idiolect::merge::{MergeOptions, merge};
use idiolect::model::{LLAMA, ModuleId, TensorName};
use idiolect::{Adapter, DeviceChoice, Model, Session};
use serde_json::Map;

use crate::import::blocks;
use crate::{matrices, samples};

/// An adapter of all linear layers whose factors are noise, by way of a folder.
fn adapter(folder: &Path, model: &Model, size: f32) -> Adapter {
    let fresh = LoraOptions { rank: Some(2), ..LoraOptions::default() }.fresh(model, 1).unwrap();
    let values: Vec<f32> = samples::noise(fresh.layout().len(), 5).iter().map(|value| size * value).collect();
    fresh.save(folder, model, Map::new()).unwrap();
    fresh.write_values(&folder.join("adapter_model.safetensors"), &values).unwrap();
    Adapter::open(folder, model).unwrap()
}

/// `scale·B·A` of a matrix, plainly.
fn added(adapter: &Adapter, module: ModuleId) -> Vec<f64> {
    let (layout, params) = (adapter.layout(), adapter.params());
    let slot = layout.slot(module).unwrap();
    let at = |index: usize| f64::from(params[index]);
    let entry = |row: usize, col: usize| {
        let terms = (0..layout.rank).map(|r| at(slot.b + row * layout.rank + r) * at(slot.a + r * slot.inputs + col));
        f64::from(layout.scale) * terms.sum::<f64>()
    };
    (0..slot.outputs * slot.inputs).map(|i| entry(i / slot.inputs, i % slot.inputs)).collect()
}

#[test]
fn blocks_merge_as_their_values_do() {
    // (GGUF's type, bytes a block, largest divergence, bits that follow)
    for (kind, size, max_divergence, bits) in
        [(2, 18, 1.0, 4), (3, 20, 1.0, 4), (6, 22, 1.0, 5), (8, 34, 1.0, 8), (3, 20, 1e-3, 8), (3, 20, 1e-6, 16)]
    {
        let home = tempfile::tempdir().unwrap();
        let source = home.path().join("model.gguf");
        fs::write(&source, blocks(kind, size).bytes().0).unwrap();
        let model = Arc::new(Model::open(&source).unwrap());
        let adapter = adapter(&home.path().join("adapter"), &model, 0.5);
        let mut session = Session::new(Arc::clone(&model), DeviceChoice::Cpu).unwrap();
        let options = MergeOptions { max_divergence, ..MergeOptions::default() };
        let folder = home.path().join("merged");
        let report = merge(&mut session, &adapter, &folder, options, |_, _, _| ControlFlow::Continue(())).unwrap();
        let case = format!("type {kind}, {max_divergence}: {report:?}");
        assert!(report.matrices.iter().all(|matrix| matrix.bits == bits), "{case}");

        let merged = Model::open(&folder).unwrap();
        assert_eq!((merged.fingerprint(), report.copied), (report.fingerprint.as_str(), 1), "{case}");
        for ((name, old), (_, new)) in matrices(model.files()).into_iter().zip(matrices(merged.files())) {
            let TensorName::Linear(module) = name else {
                assert!(old == new, "{case}: {name:?}");
                continue;
            };
            let (mut lost, mut change, mut product) = (0.0, 0.0, 0.0);
            for ((w, d), s) in old.into_iter().zip(added(&adapter, module)).zip(new) {
                let stored = f64::from(s) - f64::from(w);
                lost += (stored - d).powi(2);
                change += d * d;
                product += stored * d;
            }
            let found = report.matrices.iter().find(|matrix| matrix.module == LLAMA.path(name)).unwrap().fidelity;
            let (kept, error) = (product / change, (lost / change).sqrt());
            let near = |found: f64, expected: f64| (found - expected).abs() < 1e-3 * expected + 1e-6;
            let same = near(found.kept, kept) && near((1.0 - found.kept).hypot(found.noise), error);
            assert!(same, "{case}: {name:?} kept {kept}, off by {error}");
        }
    }
}
