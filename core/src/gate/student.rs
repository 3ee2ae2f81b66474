//! Student's t distribution.

use std::f64::consts::PI;

/// The `t` that a variable of `freedom` degrees (at least 1) exceeds with probability `level`, 0 < `level` < 0.5; found
/// by bisection, to about ten digits.
pub(super) fn upper_quantile(level: f64, freedom: usize) -> f64 {
    let (mut low, mut high) = (0.0, 1.0);
    while upper_tail(high, freedom) > level && high < 1e15 {
        (low, high) = (high, 2.0 * high);
    }
    for _ in 0..50 {
        let middle = 0.5 * (low + high);
        match upper_tail(middle, freedom) > level {
            true => low = middle,
            false => high = middle,
        }
    }
    high
}

/// P(T > t) for t ≥ 0. With θ = atan(t/√ν), P(|T| ≤ t) is, by Abramowitz and Stegun 26.7.3 and 26.7.4,
///
/// `2/π · (θ + sin θ · (cos θ + 2/3 cos³ θ + … + (2·4…(ν−3))/(3·5…(ν−2)) cosᵛ⁻² θ))` for odd ν,
/// `sin θ · (1 + 1/2 cos² θ + … + (1·3…(ν−3))/(2·4…(ν−2)) cosᵛ⁻² θ)` for even ν.
fn upper_tail(t: f64, freedom: usize) -> f64 {
    let theta = (t / (freedom as f64).sqrt()).atan();
    let (sin, cos) = theta.sin_cos();
    let odd = freedom % 2;
    let mut term = if odd == 1 { cos } else { 1.0 };
    let mut series = if freedom > 1 { term } else { 0.0 };
    for i in (2 + odd..freedom.saturating_sub(1)).step_by(2) {
        term *= cos * cos * (i - 1) as f64 / i as f64;
        series += term;
    }
    let within = if odd == 1 { 2.0 / PI * (theta + sin * series) } else { sin * series };
    0.5 * (1.0 - within)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_those_of_the_tables() {
        for (level, freedom, expected) in [
            (0.025, 1, 12.7062),
            (0.025, 2, 4.3027),
            (0.05, 3, 2.3534),
            (0.05, 10, 1.8125),
            (0.025, 5, 2.5706),
            (0.001, 30, 3.3852),
            (0.0005, 120, 3.3735),
            (0.05, 4000, 1.6452),
        ] {
            let t = upper_quantile(level, freedom);
            assert!((t - expected).abs() < 6e-5, "{level} at {freedom}: {t}, not {expected}");
        }
    }

    #[test]
    fn the_smallest_levels_have_finite_quantiles() {
        for freedom in [1, 2, 3, 50, 5001] {
            let quantiles = [1e-3, 1e-6, 1e-9, 1e-21].map(|level| upper_quantile(level, freedom));
            assert!(quantiles.iter().all(|t| t.is_finite()), "{quantiles:?}");
            assert!(quantiles.is_sorted(), "{quantiles:?}");
        }
    }
}
