//! Several adapters as one: `Σ wᵢ·sᵢ·Bᵢ·Aᵢ` is `B·A` with all A's rows below each other, and all B's columns beside each
//! other, each scaled by its weight `wᵢ` and its own scale `sᵢ`. Nothing is lost by it but rounding.

use super::{Adapter, AdapterShape};
use crate::error::{Error, ErrorKind, Result};
use crate::format::peft::{LoraConfig, Modules};
use crate::model::Model;

impl Adapter {
    /// The adapter that does what `parts` do together, each with its weight in the place of its strength. It has the sum of
    /// their ranks, and adapts whatever one of them does.
    ///
    /// # Errors
    /// [`ErrorKind::AdapterMismatch`] where the samples of some began with the document-start token and those of others did
    /// not; [`ErrorKind::OverBudget`] when memory cannot hold it; [`ErrorKind::BadOption`] when there is no part.
    pub fn blend(parts: &[(&Adapter, f32)], model: &Model) -> Result<Self> {
        let [(first, _), ..] = parts else {
            return Err(Error::new(ErrorKind::BadOption, "a blend of no adapters"));
        };
        if parts.iter().any(|(part, _)| part.document_start != first.document_start) {
            let message = "adapters whose samples began with the document-start token, and others whose did not";
            return Err(Error::new(ErrorKind::AdapterMismatch, message).with_hint("use them one at a time"));
        }
        let rank = parts.iter().map(|(part, _)| part.layout().rank).sum();
        let shape = AdapterShape::new(
            LoraConfig { rank, alpha: rank as f64, target_modules: adapted_by_any(parts), ..LoraConfig::default() },
            model,
        )?;
        let mut blended = Self::zero(shape)?;
        blended.document_start = first.document_start;
        let mut row = 0;
        for (part, weight) in parts {
            blended.add(part, weight * part.layout().scale, row);
            row += part.layout().rank;
        }
        Ok(blended)
    }

    /// Enters the factors of `part` from row `row` of A on, its B scaled.
    fn add(&mut self, part: &Adapter, scale: f32, row: usize) {
        let (rank, part_rank) = (self.layout().rank, part.layout().rank);
        let places: Vec<_> = part.layout().slots().collect();
        for (module, from) in places {
            let Some(to) = self.layout().slot(module) else { continue };
            let a = &part.params[from.a..from.b];
            self.params[to.a + row * from.inputs..][..a.len()].copy_from_slice(a);
            for output in 0..from.outputs {
                let b = &part.params[from.b + output * part_rank..][..part_rank];
                let place = &mut self.params[to.b + output * rank + row..][..part_rank];
                place.iter_mut().zip(b).for_each(|(place, b)| *place = scale * b);
            }
        }
    }
}

/// Every module that one of the adapters adapts, by its whole path.
fn adapted_by_any(parts: &[(&Adapter, f32)]) -> Modules {
    let paths_of = |(part, _): &(&Adapter, f32)| {
        part.layout().slots().map(|(module, _)| part.shape().path(module)).collect::<Vec<_>>()
    };
    let mut paths: Vec<String> = parts.iter().flat_map(paths_of).collect();
    paths.sort();
    paths.dedup();
    Modules::Names(paths)
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;

    use super::*;
    use crate::adapter::LoraOptions;
    use crate::device::DeviceChoice;
    use crate::eval::logits;
    use crate::session::Session;

    /// An adapter with something in both factors.
    fn adapter(model: &Model, rank: usize, rslora: bool, modules: &[&str], seed: u64) -> Adapter {
        let names = modules.iter().map(|name| name.to_string()).collect();
        let options = LoraOptions {
            rank: Some(rank),
            rslora: Some(rslora),
            target_modules: Some(Modules::Names(names)),
            ..LoraOptions::default()
        };
        let fresh = options.fresh(model, seed).unwrap();
        let params = fresh.params().iter().enumerate().map(|(at, a)| a + ((at * 7 + 3) % 11) as f32 * 1e-3).collect();
        fresh.with_params(params).unwrap()
    }

    /// The change of every weight matrix that it makes, where `weight` takes the place of its strength.
    fn changes(adapter: &Adapter, weight: f32) -> Vec<(String, Vec<f32>)> {
        let (rank, scale) = (adapter.layout().rank, adapter.layout().scale * weight);
        let change = |(module, slot): (crate::model::ModuleId, crate::adapter::LoraSlot)| {
            let (a, b) = (&adapter.params()[slot.a..slot.b], &adapter.params()[slot.b..]);
            let value = |at: usize| {
                let (output, input) = (at / slot.inputs, at % slot.inputs);
                (0..rank).map(|r| scale * b[output * rank + r] * a[r * slot.inputs + input]).sum()
            };
            (adapter.shape().path(module), (0..slot.outputs * slot.inputs).map(value).collect())
        };
        adapter.layout().slots().map(change).collect()
    }

    #[test]
    fn a_blend_changes_every_matrix_by_the_weighted_sum() {
        let base = Path::new(env!("CARGO_MANIFEST_DIR")).join("../bindings/cli/assets/base");
        let model = Arc::new(Model::open(&base).unwrap());
        let q = adapter(&model, 3, false, &["q_proj", "down_proj"], 1);
        let v = adapter(&model, 8, true, &["q_proj", "v_proj"], 2);
        for parts in [vec![(&q, 1.0)], vec![(&q, 0.5), (&v, 1.0)], vec![(&v, -0.7), (&q, 0.0)]] {
            let blend = Adapter::blend(&parts, &model).unwrap();
            let mut found = 0;
            for (path, change) in changes(&blend, 1.0) {
                let mut expected = vec![0.0; change.len()];
                for (part, weight) in &parts {
                    let of_part = changes(part, *weight).into_iter().find(|(of, _)| *of == path);
                    for (sum, value) in expected.iter_mut().zip(of_part.into_iter().flat_map(|(_, change)| change)) {
                        *sum += value;
                    }
                }
                let most = expected.iter().fold(0.0_f32, |most, value| most.max(value.abs()));
                for (got, expected) in change.iter().zip(&expected) {
                    assert!((got - expected).abs() <= 1e-5 * most, "{path}: {got}, not {expected}");
                }
                found += 1;
            }
            let modules = if parts.len() == 1 { 2 } else { 3 };
            assert_eq!(found, modules * model.base().config.layers.len());
        }
    }

    #[test]
    fn one_alone_answers_as_it_does_at_that_strength() {
        let base = Path::new(env!("CARGO_MANIFEST_DIR")).join("../bindings/cli/assets/base");
        let model = Arc::new(Model::open(&base).unwrap());
        let q = adapter(&model, 4, false, &["q_proj", "up_proj"], 3);
        let mut session = Session::new(Arc::clone(&model), DeviceChoice::Cpu).unwrap();
        let ids = vec![(20..60).collect()];
        let blend = Adapter::blend(&[(&q, 0.6)], &model).unwrap();
        let blended = logits(&mut session, Some(&blend), &ids).unwrap();
        let alone = logits(&mut session, Some(&q.with_strength(0.6).unwrap()), &ids).unwrap();
        let most = alone[0].iter().fold(0.0_f32, |most, z| most.max(z.abs()));
        assert!(alone[0].iter().zip(&blended[0]).all(|(a, b)| (a - b).abs() <= 1e-5 * most));
    }

    #[test]
    fn adapters_that_cannot_go_together_are_refused() {
        let base = Path::new(env!("CARGO_MANIFEST_DIR")).join("../bindings/cli/assets/base");
        let model = Model::open(&base).unwrap();
        let (plain, mut other) = (adapter(&model, 2, false, &["q_proj"], 4), adapter(&model, 2, false, &["q_proj"], 5));
        other.set_document_start(true);
        for (parts, kind) in
            [(vec![], ErrorKind::BadOption), (vec![(&plain, 1.0), (&other, 1.0)], ErrorKind::AdapterMismatch)]
        {
            assert_eq!(Adapter::blend(&parts, &model).unwrap_err().kind(), kind);
        }
    }
}
