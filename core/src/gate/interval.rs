//! Confidence intervals of a ratio of sums over independent units.

use serde::{Deserialize, Serialize};

use super::student::upper_quantile;

/// A measured value and the bounds of its interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// The estimate.
    pub value: f64,
    /// Its lower bound.
    pub low: f64,
    /// Its upper bound.
    pub high: f64,
}

/// The ratio Σ y / Σ x over `units` of `(y, x)`, with one-sided bounds of `level` each. `None` for fewer than two units,
/// or where the sums are not finite or Σ x is not positive.
///
/// Loss differences are skewed: many texts get a little better, a few much worse, and then Student's bound lies on the
/// wrong side of chance far too often. So each bound is also computed on Hall's scale (On the removal of skewness by
/// transformation, Journal of the Royal Statistical Society B 54, 1992), and the more careful of the two is taken.
pub(super) fn ratio(units: &[(f64, f64)], level: f64) -> Option<Estimate> {
    let Spread { value, error, t, b } = Spread::of(units, level)?;
    Estimate::finite(value, error * t.max(hall_quantile(t, b)), error * t.max(-hall_quantile(-t, b)))
}

/// The same with Student's bounds, for units among which the skewness is put there.
pub(super) fn students_ratio(units: &[(f64, f64)], level: f64) -> Option<Estimate> {
    let Spread { value, error, t, .. } = Spread::of(units, level)?;
    Estimate::finite(value, error * t, error * t)
}

impl Estimate {
    fn finite(value: f64, below: f64, above: f64) -> Option<Self> {
        let (low, high) = (value - below, value + above);
        [value, low, high].iter().all(|v| v.is_finite()).then_some(Self { value, low, high })
    }
}

/// A ratio and how far it may be off.
struct Spread {
    value: f64,
    /// Its standard error.
    error: f64,
    /// Student's quantile for it.
    t: f64,
    /// Hall's coefficient: the skewness over √n.
    b: f64,
}

impl Spread {
    /// The variance is the jackknife's of the ratio estimator (Cochran, Sampling Techniques, 3rd edition, section 6.17):
    /// with the residuals e = y − R x of n units and the shares h = x / Σ x, `(n − 1)/n · Σ (e / (1 − h))² / (Σ x)²`.
    /// Where all units are of one size that is the linearized `n/(n − 1) · Σ e² / (Σ x)²`; but a unit that has most of
    /// Σ x draws R to itself, and its residual, left alone, to 0: one long evening would prove itself. The bounds go by
    /// Student's t of n − 1 degrees.
    fn of(units: &[(f64, f64)], level: f64) -> Option<Self> {
        let n = units.len() as f64;
        let (y, x) = units.iter().fold((0.0, 0.0), |sum, unit| (sum.0 + unit.0, sum.1 + unit.1));
        if units.len() < 2 || !y.is_finite() || !x.is_finite() || x <= 0.0 {
            return None;
        }
        let value = y / x;
        let residuals = units.iter().map(|unit| (unit.0 - value * unit.1) * (n - 1.0) / (n * (1.0 - unit.1 / x)));
        let (second, third) = residuals.fold((0.0, 0.0), |sum, e| (sum.0 + e * e / n, sum.1 + e * e * e / n));
        let error = n * (second / (n - 1.0)).sqrt() / x;
        let skewness = if second > 0.0 { third / second.powf(1.5) } else { 0.0 };
        Some(Self { value, error, t: upper_quantile(level, units.len() - 1), b: skewness / n.sqrt() })
    }
}

/// The quantile of the studentized mean whose transform is the quantile `t`. Hall's transform is the cubic
/// `g(T) = T + b T²/3 + b² T³/27 + b/6` with b = γ/√n, which rises everywhere and has the inverse
/// `3/b · (∛(1 + b (t − b/6)) − 1)`.
fn hall_quantile(t: f64, b: f64) -> f64 {
    if b.abs() < 1e-6 {
        return t;
    }
    3.0 / b * ((1.0 + b * (t - b / 6.0)).cbrt() - 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn symmetric_means_have_students_interval() {
        let units = [-2.0, -1.0, 0.0, 1.0, 2.0].map(|y| (y + 10.0, 1.0));
        let estimate = ratio(&units, 0.025).unwrap();
        // s² = 2.5, so s/√5 = 0.70711, times t(4) = 2.77645.
        for (value, expected) in [(estimate.value, 10.0), (estimate.low, 8.03676), (estimate.high, 11.96324)] {
            assert!((value - expected).abs() < 1e-4, "{estimate:?}");
        }
    }

    #[test]
    fn a_ratio_weighs_units_by_their_size() {
        let estimate = ratio(&[(1.0, 10.0), (3.0, 10.0), (40.0, 100.0)], 0.05).unwrap();
        assert!((estimate.value - 44.0 / 120.0).abs() < 1e-12);
        assert!(estimate.low < estimate.value && estimate.value < estimate.high);
    }

    #[test]
    fn one_unit_that_has_most_of_it_proves_nothing() {
        let mut units = vec![(0.1, 10.0), (-0.2, 10.0), (0.3, 10.0), (-0.1, 10.0), (0.0, 10.0), (-0.1, 10.0)];
        units.push((300.0, 1000.0));
        let estimate = students_ratio(&units, 0.05).unwrap();
        assert!(estimate.value > 0.25 && estimate.low < 0.0, "{estimate:?}");
        // The jackknife itself: what the absence of each does.
        let (y, x) = (300.0, 1060.0);
        let absent = units.iter().map(|unit| (y - unit.0) / (x - unit.1) - estimate.value);
        let error = (6.0 / 7.0 * absent.map(|change| change * change).sum::<f64>()).sqrt();
        let expected = estimate.value - error * upper_quantile(0.05, 6);
        assert!((estimate.low - expected).abs() < 1e-9, "{estimate:?}, not {expected}");
    }

    #[test]
    fn skewness_moves_the_bound_away_on_its_own_side_only() {
        let skewed: Vec<f64> = (0..40).map(|i| if i % 20 == 0 { -5.0 } else { 0.5 }).collect();
        let left = ratio(&skewed.iter().map(|&y| (y, 1.0)).collect::<Vec<_>>(), 0.01).unwrap();
        let right = ratio(&skewed.iter().map(|&y| (-y, 1.0)).collect::<Vec<_>>(), 0.01).unwrap();
        assert!(left.value - left.low > 1.2 * (left.high - left.value), "{left:?}");
        for (a, b) in [(left.value, right.value), (left.low, right.high), (left.high, right.low)] {
            assert!((a + b).abs() < 1e-9, "{left:?} mirrors {right:?}");
        }
    }

    #[test]
    fn halls_quantile_inverts_his_transform() {
        for b in [-0.8, -0.1, 0.3] {
            for t in [-4.0, -1.0, 0.0, 2.5] {
                let x = hall_quantile(t, b);
                let g = x + b * x * x / 3.0 + b * b * x * x * x / 27.0 + b / 6.0;
                assert!((g - t).abs() < 1e-9, "b {b}, t {t}: {g}");
            }
        }
    }

    #[test]
    fn what_has_no_interval_gives_none() {
        for units in [
            &[][..],
            &[(1.0, 1.0)],
            &[(f64::NAN, 1.0), (1.0, 1.0)],
            &[(f64::INFINITY, 1.0), (1.0, 1.0)],
            &[(1.0, 0.0), (1.0, 0.0)],
            &[(1.0, 1.0), (3.0, 0.0)],
            // A sum, and squares, beyond the largest number.
            &[(1.7e308, 1.0); 2],
            &[(1e300, 1.0), (-1e300, 1.0)],
        ] {
            assert_eq!(ratio(units, 0.05), None, "{units:?}");
        }
        for (units, value) in [([(1.0, 2.0); 9], 0.5), ([(1e300, 1.0); 9], 1e300)] {
            assert_eq!(ratio(&units, 0.05), Some(Estimate { value, low: value, high: value }));
        }
    }
}
