//! A table of cases that runs to its end and then reports every case that failed.

/// Sizes for dimensions without groups: one, whole vectors, one off either side, and an odd large one.
pub const SIZES: [usize; 6] = [1, 8, 31, 33, 65, 1757];

/// Numbers of groups along grouped dimensions.
pub const GROUPS: [usize; 4] = [1, 2, 3, 55];

#[derive(Default)]
pub struct Table {
    cases: usize,
    failures: Vec<String>,
}

impl Table {
    /// Counts one comparison.
    pub fn expect(&mut self, holds: bool, message: impl FnOnce() -> String) {
        self.cases += 1;
        if !holds {
            self.failures.push(message());
        }
    }

    /// `got` equals `expected` within `tolerance` times the largest expected magnitude.
    pub fn close(&mut self, case: &str, got: &[f32], expected: &[f64], tolerance: f64) {
        let largest = expected.iter().fold(0.0f64, |a, &b| a.max(b.abs()));
        self.within(case, got, expected, tolerance * largest);
    }

    /// `got` equals `expected`, no value more than `allowed` apart.
    pub fn within(&mut self, case: &str, got: &[f32], expected: &[f64], allowed: f64) {
        self.expect(got.len() == expected.len(), || format!("{case}: {} values, not {}", got.len(), expected.len()));
        let errors = got.iter().zip(expected).enumerate().map(|(i, (&g, &e))| (i, (f64::from(g) - e).abs()));
        // A NaN compares as the worst of all.
        if let Some((i, error)) = errors.max_by(|a, b| a.1.total_cmp(&b.1)) {
            self.expect(error <= allowed, || {
                format!("{case}: value {i} is {}, not {}: {error:.1e} off, {allowed:.1e} allowed", got[i], expected[i])
            });
        }
    }

    /// `got` has the very bits of `expected`.
    pub fn same_bits(&mut self, case: &str, got: &[f32], expected: &[f32]) {
        let differing = got.iter().zip(expected).filter(|(g, e)| g.to_bits() != e.to_bits()).count();
        self.expect(got.len() == expected.len() && differing == 0, || {
            let first = got.iter().zip(expected).position(|(g, e)| g.to_bits() != e.to_bits());
            let pair = first.map(|i| (i, got[i], expected[i]));
            format!("{case}: {differing} of {} values differ ({} expected), first {pair:?}", got.len(), expected.len())
        });
    }

    /// `got` is the gradient of `f` at `x`: value by value where that is affordable, else along four random directions.
    /// `cost` is about what one call of `f` takes, in floating-point operations. A gradient that cancels to less than
    /// `FLOOR` is compared as if it were that large.
    pub fn gradient(&mut self, case: &str, f: impl Fn(&[f64]) -> f64, x: &[f32], cost: usize, got: &[f32]) {
        const STEP: f64 = 1e-4;
        const AFFORDABLE: usize = 50_000_000;
        const TOLERANCE: f64 = 2e-5;
        const FLOOR: f64 = 0.1;
        let x: Vec<f64> = x.iter().map(|&v| f64::from(v)).collect();
        let slope = |direction: &dyn Fn(usize) -> f64| {
            let along = |h: f64| f(&x.iter().enumerate().map(|(i, v)| v + h * direction(i)).collect::<Vec<_>>());
            (along(STEP) - along(-STEP)) / (2.0 * STEP)
        };
        if x.len().saturating_mul(cost + x.len()) <= AFFORDABLE {
            let expected: Vec<f64> = (0..x.len()).map(|i| slope(&|j| f64::from(u8::from(i == j)))).collect();
            let largest = expected.iter().fold(FLOOR, |a, &b| a.max(b.abs()));
            self.within(case, got, &expected, TOLERANCE * largest);
            return;
        }
        let norm = got.iter().map(|&g| f64::from(g).powi(2)).sum::<f64>().sqrt().max(FLOOR);
        let mut random = super::random::Random::new(x.len() as u64);
        for _ in 0..4 {
            let direction: Vec<f64> = (0..x.len()).map(|_| f64::from(random.float())).collect();
            let expected = slope(&|j| direction[j]);
            let along: f64 = got.iter().zip(&direction).map(|(&g, d)| f64::from(g) * d).sum();
            self.expect((along - expected).abs() <= TOLERANCE * norm, || {
                format!("{case}: slope {along}, not {expected}, where the gradient's norm is {norm}")
            });
        }
    }

    /// # Panics
    /// When a case failed, or there was none.
    pub fn finish(self) {
        assert!(self.cases > 0, "an empty table");
        assert!(
            self.failures.is_empty(),
            "{} of {} comparisons failed:\n{}",
            self.failures.len(),
            self.cases,
            self.failures.join("\n")
        );
    }
}
