use super::*;

const ALL: SamplingOptions =
    SamplingOptions { temperature: 1.0, top_k: 0, top_p: 1.0, min_p: 0.0, repetition_penalty: 1.0, seed: 7 };

fn logs(probabilities: &[f32]) -> Vec<f32> {
    probabilities.iter().map(|p| p.ln()).collect()
}

/// Logits of a made-up vocabulary, some of them equal.
fn made_up(size: usize, seed: u64) -> Vec<f32> {
    (0..size as u64).map(|index| (uniform(seed, index) * 40.0).floor() as f32 / 4.0 - 3.0).collect()
}

#[test]
fn filters_leave_the_likeliest_in_their_proportions() {
    let logits = logs(&[0.05, 0.4, 0.1, 0.25, 0.2]);
    let cases = [
        (ALL, vec![0.05, 0.4, 0.1, 0.25, 0.2]),
        (SamplingOptions { top_k: 2, ..ALL }, vec![0.0, 8.0 / 13.0, 0.0, 5.0 / 13.0, 0.0]),
        (SamplingOptions { top_k: 9, ..ALL }, vec![0.05, 0.4, 0.1, 0.25, 0.2]),
        (SamplingOptions { top_p: 0.6, ..ALL }, vec![0.0, 8.0 / 13.0, 0.0, 5.0 / 13.0, 0.0]),
        (SamplingOptions { top_p: 0.66, ..ALL }, vec![0.0, 8.0 / 17.0, 0.0, 5.0 / 17.0, 4.0 / 17.0]),
        (SamplingOptions { top_p: 0.01, ..ALL }, vec![0.0, 1.0, 0.0, 0.0, 0.0]),
        (SamplingOptions { min_p: 0.45, ..ALL }, vec![0.0, 8.0 / 17.0, 0.0, 5.0 / 17.0, 4.0 / 17.0]),
        (SamplingOptions { min_p: 1.0, ..ALL }, vec![0.0, 1.0, 0.0, 0.0, 0.0]),
        // Top-p counts what top-k left: 0.4 / 0.65 is enough for 0.6.
        (SamplingOptions { top_k: 2, top_p: 0.6, ..ALL }, vec![0.0, 1.0, 0.0, 0.0, 0.0]),
        // Half the temperature squares the probabilities.
        (SamplingOptions { temperature: 0.5, top_k: 2, ..ALL }, vec![0.0, 64.0 / 89.0, 0.0, 25.0 / 89.0, 0.0]),
        (SamplingOptions { temperature: 0.0, ..ALL }, vec![0.0, 1.0, 0.0, 0.0, 0.0]),
    ];
    for (options, expected) in cases {
        let mut sampler = Sampler::new(&options).expect("options");
        let mut counts = vec![0_u32; logits.len()];
        for _ in 0..20_000 {
            counts[sampler.sample(&mut logits.clone(), &[]).expect("a token") as usize] += 1;
        }
        for (count, probability) in counts.iter().zip(&expected) {
            let share = f64::from(*count) / 20_000.0;
            assert!((share - probability).abs() < 0.012, "{options:?}: {counts:?}, not {expected:?}");
            assert_eq!(*count == 0, *probability == 0.0, "{options:?}: {counts:?}");
        }
    }
}

#[test]
fn the_penalty_falls_once_on_each_token_that_came_before() {
    let greedy = |penalty| SamplingOptions { temperature: 0.0, repetition_penalty: penalty, ..ALL };
    for (logits, previous, penalty, expected) in [
        (vec![2.0, 3.0, 1.0], vec![], 2.0, 1),
        (vec![2.0, 3.0, 1.0], vec![1], 2.0, 0),
        (vec![2.0, 3.0, 1.0], vec![1, 1, 1], 1.4, 1),
        (vec![-2.0, -1.0, -3.0], vec![1, 99], 2.5, 0),
        (vec![2.0, 3.0, 1.0], vec![0], 0.5, 0),
        (vec![1.0, 3.0, 3.0, 3.0], vec![], 1.0, 1),
        (vec![-0.0, 0.0, -1.0], vec![], 1.0, 0),
        (vec![f32::MAX, f32::MIN, 0.0], vec![0, 1], 0.5, 0),
    ] {
        let mut sampler = Sampler::new(&greedy(penalty)).expect("options");
        assert_eq!(sampler.sample(&mut logits.clone(), &previous), Ok(expected), "{logits:?} {previous:?}");
    }
}

#[test]
fn candidates_choose_as_the_whole_does() {
    let options = [
        ALL,
        SamplingOptions { temperature: 0.0, ..ALL },
        SamplingOptions { temperature: 0.0, repetition_penalty: 1.3, ..ALL },
        SamplingOptions { top_k: 20, ..ALL },
        SamplingOptions { top_k: 20, repetition_penalty: 1.3, ..ALL },
        SamplingOptions { top_k: 20, repetition_penalty: 0.9, ..ALL },
        SamplingOptions { top_p: 0.5, temperature: 0.4, ..ALL },
        SamplingOptions { min_p: 0.3, temperature: 0.7, ..ALL },
        SamplingOptions { min_p: 0.01, top_p: 0.9, temperature: 0.3, repetition_penalty: 1.1, ..ALL },
        SamplingOptions { temperature: 0.2, ..ALL },
        SamplingOptions::default(),
    ];
    for options in options {
        let mut decided = 0;
        for round in 0..200 {
            let options = SamplingOptions { seed: round, ..options.clone() };
            let mut logits = made_up(3000, round);
            let mut sorted: Vec<(u32, f32)> = (0..).zip(logits.iter().copied()).collect();
            sorted.sort_by(|a, b| b.1.total_cmp(&a.1));
            let (ids, largest): (Vec<u32>, Vec<f32>) = sorted.into_iter().take(400).unzip();
            // What came before: likely tokens in one round, any in the next.
            let random = |i: u64| (uniform(round, 5000 + i) * 3000.0) as usize;
            let likely = round % 2 == 0;
            let previous: Vec<u32> =
                (0..12).map(random).map(|at| if likely { ids[at % 400] } else { at as u32 }).collect();
            let sum = if options.temperature > 0.0 { log_sum_exp(&logits, options.temperature) } else { 0.0 };

            let mut by_candidates = Sampler::new(&options).expect("options");
            let mut by_all = by_candidates.clone();
            let chosen = by_candidates.sample_candidates(&ids, &largest, sum as f32, &previous).expect("a choice");
            let whole = by_all.sample(&mut logits, &previous).expect("a token");
            if let Some(chosen) = chosen {
                assert_eq!((chosen, by_candidates.drawn), (whole, by_all.drawn), "{options:?}");
                decided += 1;
            } else {
                assert_eq!(by_candidates.drawn, 0);
            }
        }
        let undecidable = options.top_p < 1.0 && options.top_k == 0 && options.repetition_penalty != 1.0;
        assert_eq!(decided > 0, !undecidable, "{options:?}: {decided} of 200 decided");
    }
}

#[test]
fn too_few_candidates_do_not_decide() {
    let logits = [3.0, 2.5, 2.0];
    for (options, previous, chosen) in [
        (SamplingOptions { top_k: 4, ..ALL }, vec![], None),
        (SamplingOptions { top_p: 0.9, ..ALL }, vec![], None),
        (SamplingOptions { min_p: 0.01, ..ALL }, vec![], None),
        (SamplingOptions { temperature: 0.0, repetition_penalty: 2.0, ..ALL }, vec![0, 1], Some(2)),
        (SamplingOptions { temperature: 0.0, repetition_penalty: 2.0, ..ALL }, vec![0, 1, 2], None),
        (SamplingOptions { temperature: 0.0, repetition_penalty: 0.5, ..ALL }, vec![9], None),
        (SamplingOptions { top_p: 0.1, ..ALL }, vec![], Some(0)),
        (SamplingOptions { top_k: 1, ..ALL }, vec![], Some(0)),
    ] {
        let mut sampler = Sampler::new(&options).expect("options");
        let result = sampler.sample_candidates(&[0, 1, 2], &logits, 5.0, &previous);
        assert_eq!(result, Ok(chosen), "{options:?}");
    }
}

#[test]
fn a_seed_gives_the_same_tokens_everywhere() {
    let draws = |seed| {
        let mut sampler = Sampler::new(&SamplingOptions { seed, ..ALL }).expect("options");
        let draw = |_| sampler.sample(&mut made_up(500, 1), &[]).expect("a token");
        (0..8).map(draw).collect::<Vec<u32>>()
    };
    assert_eq!(draws(0), SEED_0);
    assert_eq!(draws(42), SEED_42);
    // The first outputs of SplitMix64 from 1234567, published with its reference implementation.
    let published: [u64; 3] = [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423];
    for (index, bits) in (0..).zip(published) {
        assert_eq!(uniform(1_234_567, index), (bits >> 11) as f64 / 2.0_f64.powi(53));
    }
}

const SEED_0: [u32; 8] = [427, 85, 105, 16, 323, 355, 474, 489];
const SEED_42: [u32; 8] = [400, 435, 122, 396, 116, 274, 2, 254];

#[test]
fn options_out_of_range_are_refused_by_name() {
    for (options, name) in [
        (SamplingOptions { temperature: -0.1, ..ALL }, "temperature"),
        (SamplingOptions { temperature: f32::INFINITY, ..ALL }, "temperature"),
        (SamplingOptions { top_p: 0.0, ..ALL }, "top_p"),
        (SamplingOptions { top_p: f32::NAN, ..ALL }, "top_p"),
        (SamplingOptions { min_p: 1.5, ..ALL }, "min_p"),
        (SamplingOptions { repetition_penalty: 0.0, ..ALL }, "repetition_penalty"),
    ] {
        let error = Sampler::new(&options).expect_err(name);
        assert_eq!(error.kind(), ErrorKind::BadOption);
        assert!(error.message().contains(name), "{error}");
    }
}

#[test]
fn logits_that_are_not_numbers_are_an_error() {
    for logits in [vec![], vec![0.0, f32::NAN], vec![f32::NEG_INFINITY, 0.0], vec![f32::INFINITY]] {
        for options in [ALL, SamplingOptions::greedy()] {
            let mut sampler = Sampler::new(&options).expect("options");
            assert_eq!(sampler.sample(&mut logits.clone(), &[]).map_err(|e| e.kind()), Err(ErrorKind::BadData));
            let ids = vec![0; logits.len()];
            let result = sampler.sample_candidates(&ids, &logits, 0.0, &[]);
            assert_eq!(result.map_err(|e| e.kind()), Err(ErrorKind::BadData));
        }
    }
}
