//! The softmax's normaliser, over values of any number: parts of a fixed length, joined in order, so that threads may
//! take one each.

use super::{exp, exp_and_sum, largest, vectorized};

/// Values of a part.
pub(crate) const PART: usize = 4096;

/// What divides a softmax's exponentials.
#[derive(Debug, Clone, Copy)]
pub struct Normaliser {
    /// The largest value; −∞ of none.
    pub largest: f32,
    /// `Σ exp((v − largest) / temperature)` over all values.
    pub sum: f32,
}

impl Normaliser {
    /// Of `values` over `temperature`, which is above 0.
    pub fn of(values: &[f32], temperature: f32) -> Self {
        Self::join(values.chunks(PART).map(|values| part(values, temperature)), temperature)
    }

    /// Of all parts.
    pub(crate) fn join(parts: impl Iterator<Item = Self> + Clone, temperature: f32) -> Self {
        let largest = parts.clone().fold(f32::NEG_INFINITY, |largest, part| largest.max(part.largest));
        let weight =
            |part: &Self| if part.largest == largest { 1.0 } else { exp((part.largest - largest) / temperature) };
        Self { largest, sum: parts.map(|part| part.sum * weight(&part)).sum() }
    }
}

/// That of at most [`PART`] values.
pub(crate) fn part(values: &[f32], temperature: f32) -> Normaliser {
    vectorized!(normaliser(values, temperature))
}

#[inline(always)]
fn normaliser(values: &[f32], temperature: f32) -> Normaliser {
    let largest = largest(values);
    // Nothing but −∞ sums to 0.
    let shift = if largest == f32::NEG_INFINITY { 0.0 } else { largest };
    let mut exponents = [0.0; PART];
    let exponents = &mut exponents[..values.len()];
    for (exponent, value) in exponents.iter_mut().zip(values) {
        *exponent = (value - shift) / temperature;
    }
    Normaliser { largest, sum: exp_and_sum(exponents, 0.0) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_that_of_all_values() {
        const NONE: f32 = f32::NEG_INFINITY;
        let waves: Vec<f32> = (0..3 * PART + 17).map(|i| (i * 7919 % 1000) as f32 / 50.0 - 10.0).collect();
        let apart: Vec<f32> = (0..2 * PART).map(|i| if i < PART { NONE } else { i as f32 / 1000.0 }).collect();
        for (name, values) in [("one", &[3.5][..]), ("waves", &waves), ("a part of −∞", &apart)] {
            for temperature in [1.0f32, 0.3, 2.0, 1e-40] {
                let largest = values.iter().fold(NONE, |a, &b| a.max(b));
                let exponent = |v: &f32| (f64::from(*v) - f64::from(largest)) / f64::from(temperature);
                let expected: f64 = values.iter().map(|v| exponent(v).exp()).sum();
                let found = Normaliser::of(values, temperature);
                assert_eq!(found.largest, largest, "{name} over {temperature}");
                let error = (f64::from(found.sum) / expected - 1.0).abs();
                assert!(error < 1e-6, "{name} over {temperature}: {} is not {expected}", found.sum);
            }
        }
        assert!(Normaliser::of(&[1.0, f32::NAN], 1.0).sum.is_nan(), "a value that is no number");
        assert_eq!(Normaliser::of(&[], 1.0).sum, 0.0, "nothing");
    }
}
