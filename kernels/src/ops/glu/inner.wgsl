// s(z) of activations z·σ(s(z)): of SiLU z, of GELU in its tanh form 2·√(2/π)·(z + 0.044715·z³).

override GELU: u32;

const SLOPE = 1.5957691;
const CUBE = 0.044715;

fn inner(z: f32) -> f32 {
    if GELU == 1u {
        return SLOPE * z * (1.0 + CUBE * (z * z));
    }
    return z;
}

// s'(z)
fn inner_slope(z: f32) -> f32 {
    if GELU == 1u {
        return SLOPE * (1.0 + 3.0 * CUBE * (z * z));
    }
    return 1.0;
}
