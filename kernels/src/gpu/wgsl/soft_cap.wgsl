// A soft cap: c·tanh(x/c); x itself where c is 0, which stands for none.

fn soft_cap(x: f32, cap: f32) -> f32 {
    if cap == 0.0 {
        return x;
    }
    return cap * (1.0 - 2.0 / (exact_exp(2.0 * (x / cap)) + 1.0));
}

// Its derivative where its value is y: 1 − (y/c)².
fn soft_cap_slope(y: f32, cap: f32) -> f32 {
    if cap == 0.0 {
        return 1.0;
    }
    let share = y / cap;
    return 1.0 - share * share;
}
