// eˣ within a few units in the last place on every device: 0 below −87.3, e^88.7 above 88.7, NaN of NaN.
//
// x = n·ln 2 + r with |r| ≤ ln 2 / 2, then a polynomial for eʳ and 2ⁿ from exponent bits, in two factors so that either
// end of the range stays finite.

fn power_of_two(n: i32) -> f32 {
    return bitcast<f32>(u32(n + 127) << 23u);
}

fn exact_exp(x: f32) -> f32 {
    // Compilers may assume that there is no NaN: they cannot where it is a matter of bits.
    if (bitcast<u32>(x) & 0x7fffffffu) > 0x7f800000u {
        return x;
    }
    let clamped = clamp(x, -87.3, 88.7);
    let n = floor(clamped * 1.44269504 + 0.5);
    let r = (clamped - n * 0.693359375) + n * 2.12194440e-4;
    var p = 1.0 / 5040.0;
    p = p * r + 1.0 / 720.0;
    p = p * r + 1.0 / 120.0;
    p = p * r + 1.0 / 24.0;
    p = p * r + 1.0 / 6.0;
    p = p * r + 0.5;
    p = (p * r) * r + r + 1.0;
    let whole = i32(n);
    let half = whole / 2;
    let y = p * power_of_two(half) * power_of_two(whole - half);
    return select(y, 0.0, x < -87.3);
}
