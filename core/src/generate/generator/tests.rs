use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::device::DeviceChoice;
use crate::model::Model;

/// The embedded model on the CPU.
fn session() -> Session {
    let base = Path::new(env!("CARGO_MANIFEST_DIR")).join("../bindings/cli/assets/base");
    Session::new(Arc::new(Model::open(&base).unwrap()), DeviceChoice::Cpu).unwrap()
}

/// Tokens that no model finds special.
fn ids(len: usize) -> Vec<u32> {
    (0..len as u32).map(|at| at * 104_729 % 8000 + 17).collect()
}

fn one_token() -> GenerateOptions {
    GenerateOptions {
        max_tokens: 1,
        sampling: SamplingOptions::greedy(),
        ignore_eos: true,
        ..GenerateOptions::default()
    }
}

fn go_on(_: &str) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

/// The logits behind a prompt, by whatever its pass found in the cache.
fn logits<S: DerefMut<Target = Session>>(generator: &mut Generator<S>, prompt: &[u32]) -> Vec<f32> {
    generator.converse(prompt, &one_token(), &mut go_on).unwrap();
    generator.session.executor().read(generator.prefill.program, generator.prefill.logits).unwrap()
}

#[test]
fn decoded_rows_and_grown_caches_give_the_same_logits_within_rounding() {
    let (mut kept, mut fresh) = (session(), session());
    let given = ids(400);
    let mut generator = Generator::new(&mut kept, None, 140).unwrap();
    let mut said = given[..100].to_vec();
    // How many tokens are decoded, how many come behind them, and whether there has to be more room first.
    for (decoded, behind, room) in [(30, 10, 140), (20, 1, 300), (2, 150, 400), (1, 129, 500)] {
        generator.grow(room).unwrap();
        let options = GenerateOptions { max_tokens: decoded, ..one_token() };
        said.extend(generator.converse(&said, &options, &mut go_on).unwrap().ids);
        // The last one was chosen, and not run.
        let held = said.len() - 1;
        said.extend(&given[said.len() % 100..][..behind]);
        assert_eq!(generator.cache.held(&said, false), held, "{decoded} decoded");
        let got = logits(&mut generator, &said);
        let expected = logits(&mut Generator::new(&mut fresh, None, said.len()).unwrap(), &said);
        let most = expected.iter().fold(0.0_f32, |most, z| most.max(z.abs()));
        let off = got.iter().zip(&expected).fold(0.0_f32, |off, (a, b)| off.max((a - b).abs()));
        assert!(off <= 1e-4 * most, "{decoded} decoded, {behind} behind: {off} of {most}");
    }
}

#[test]
fn growing_changes_no_bit_and_computes_nothing() {
    let (mut grown, mut ample) = (session(), session());
    let mut grown = Generator::new(&mut grown, None, 64).unwrap();
    let mut ample = Generator::new(&mut ample, None, 600).unwrap();
    let options = GenerateOptions { max_tokens: 8, ..one_token() };
    for (prompt, room) in [(40, 64), (50, 65), (50, 300), (290, 300), (560, 600), (300, 600)] {
        let prompt = ids(prompt);
        let before = grown.passes();
        grown.grow(room).unwrap();
        assert_eq!((grown.passes(), grown.capacity()), (before, room));
        let [got, expected] =
            [&mut grown, &mut ample].map(|generator| generator.generate(&prompt, &options, &mut go_on).unwrap());
        assert_eq!((&got.ids, got.cached_tokens), (&expected.ids, expected.cached_tokens), "room for {room}");
        assert_eq!(grown.passes(), ample.passes(), "room for {room}");
    }
    assert!(grown.grow(1 << 20).is_err() && grown.capacity() == 600);
    assert_eq!(grown.generate(&ids(50), &options, &mut go_on).unwrap().cached_tokens, 48);
}

#[test]
fn a_cancelled_prompt_keeps_what_was_computed() {
    let mut session = session();
    let mut generator = Generator::new(&mut session, None, 600).unwrap();
    let prompt = ids(500);
    // Ended ever later, until a first part of the prompt had been run.
    let mut after = 1;
    while generator.cache.held(&prompt, false) == 0 {
        let asked = AtomicUsize::new(0);
        generator.session_mut().set_between(Some(Arc::new(move || {
            match asked.fetch_add(1, Ordering::Relaxed) < after {
                true => ControlFlow::Continue(()),
                false => ControlFlow::Break(()),
            }
        })));
        let ended = generator.converse(&prompt, &one_token(), &mut go_on).map(drop);
        assert_eq!(ended.unwrap_err().kind(), ErrorKind::Cancelled, "it ran through");
        after += after.div_ceil(2);
    }
    let held = generator.cache.held(&prompt, false);
    assert!(held.is_multiple_of(PREFILL_TOKENS), "{held}");
    generator.session_mut().set_between(None);
    assert_eq!(generator.converse(&prompt, &one_token(), &mut go_on).unwrap().cached_tokens, held);
}
