//! Reductions in sixteen lanes, one vector register of the widest machines, joined in a fixed order: the same bits
//! whatever the machine's registers hold.

use super::exp;

pub(crate) const LANES: usize = 16;

/// The sum of the lanes, halves added to halves. A call of its own: where the compiler sees through it, it prefers the
/// order of this tree to whole vectors in the loops before.
#[inline(never)]
pub(crate) fn join(lanes: &[f32; LANES]) -> f32 {
    let mut lanes = *lanes;
    let mut width = LANES / 2;
    while width > 0 {
        for i in 0..width {
            lanes[i] += lanes[i + width];
        }
        width /= 2;
    }
    lanes[0]
}

/// `Σ_i factors[0][i] · factors[1][i] · …`, as many as the shortest has.
#[inline(always)]
pub(crate) fn sum_of_products<const N: usize>(factors: [&[f32]; N]) -> f32 {
    let len = factors.iter().map(|f| f.len()).min().unwrap_or(0);
    let whole = len / LANES * LANES;
    let mut lanes = [0.0f32; LANES];
    for start in (0..whole).step_by(LANES) {
        let mut product = [1.0f32; LANES];
        for factor in factors {
            let factor = &factor[start..start + LANES];
            for j in 0..LANES {
                product[j] *= factor[j];
            }
        }
        for j in 0..LANES {
            lanes[j] += product[j];
        }
    }
    for i in whole..len {
        lanes[i - whole] += factors.iter().map(|f| f[i]).product::<f32>();
    }
    join(&lanes)
}

/// The largest value; −∞ of none.
#[inline(always)]
pub(crate) fn largest(values: &[f32]) -> f32 {
    let mut lanes = [f32::NEG_INFINITY; LANES];
    let (chunks, rest) = values.as_chunks::<LANES>();
    for chunk in chunks {
        for j in 0..LANES {
            lanes[j] = if chunk[j] > lanes[j] { chunk[j] } else { lanes[j] };
        }
    }
    lanes.iter().chain(rest).fold(f32::NEG_INFINITY, |a, &b| a.max(b))
}

/// `values[i] ← exp(values[i] − shift)`; returns their sum.
#[inline(always)]
pub(crate) fn exp_and_sum(values: &mut [f32], shift: f32) -> f32 {
    const BLOCK: usize = 64 * LANES; // stays in the nearest cache between the two loops
    let mut lanes = [0.0f32; LANES];
    for block in values.chunks_mut(BLOCK) {
        block.iter_mut().for_each(|v| *v = exp(*v - shift));
        let (chunks, rest) = block.as_chunks::<LANES>();
        for chunk in chunks {
            for j in 0..LANES {
                lanes[j] += chunk[j];
            }
        }
        lanes.iter_mut().zip(rest).for_each(|(lane, v)| *lane += v);
    }
    join(&lanes)
}
