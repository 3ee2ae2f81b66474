//! The exponential, in a form that vectorizes.

/// `eˣ` within two units in the last place; 0 below −87.3, infinity above 88.7.
///
/// `x = n·ln 2 + r` with |r| ≤ ln 2 / 2, then a degree-7 polynomial for `eʳ` and `2ⁿ` from the exponent bits.
#[inline(always)]
pub(crate) fn exp(x: f32) -> f32 {
    const ROUND: f32 = 12_582_912.0; // 1.5 · 2²³: adding it rounds to an integer, which its low bits then hold
    const LN2_HIGH: f32 = 355.0 / 512.0; // the leading bits of ln 2: n times it is exact
    const LN2_LOW: f32 = -2.121_944_4e-4;
    let clamped = x.clamp(-87.3, 88.7);
    let rounded = clamped.mul_add(std::f32::consts::LOG2_E, ROUND);
    let n = rounded - ROUND;
    let r = (-n).mul_add(LN2_LOW, (-n).mul_add(LN2_HIGH, clamped));
    let p = (1.0f32 / 5040.0).mul_add(r, 1.0 / 720.0);
    let p = p.mul_add(r, 1.0 / 120.0);
    let p = p.mul_add(r, 1.0 / 24.0);
    let p = p.mul_add(r, 1.0 / 6.0);
    let p = p.mul_add(r, 0.5);
    let p = (p * r).mul_add(r, r) + 1.0;
    let n = rounded.to_bits().wrapping_sub(ROUND.to_bits()) as i32;
    let half = n >> 1; // two factors, so that 2ⁿ at either end of the range stays finite
    let scale = |n: i32| f32::from_bits(((n + 127) << 23) as u32);
    let y = p * scale(half) * scale(n - half);
    let y = if x > 88.7 { f32::INFINITY } else { y };
    let y = if x < -87.3 { 0.0 } else { y };
    if x.is_nan() { x } else { y }
}

#[cfg(test)]
mod tests {
    use super::exp;

    #[test]
    fn exp_is_within_two_ulp() {
        for i in -87_000..88_000 {
            let x = i as f32 / 1000.0 + 1.7e-4;
            let expected = f64::from(x).exp() as f32;
            let ulp = (exp(x).to_bits() as i64 - expected.to_bits() as i64).abs();
            assert!(ulp <= 2, "exp({x}): {} is {ulp} ulp from {expected}", exp(x));
        }
        assert_eq!((exp(-100.0), exp(0.0), exp(100.0)), (0.0, 1.0, f32::INFINITY));
        assert!(exp(f32::NAN).is_nan());
    }
}
