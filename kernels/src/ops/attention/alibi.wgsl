// What a head's scores fall by with every token of distance, by the largest power of two that is no more than the heads:
// 2^(−8(h + 1)/lower), and behind those every second one of twice as many; 0 where `lower` is 0, which stands for none.

fn alibi_slope(head: u32, lower: f32) -> f32 {
    if lower == 0.0 {
        return 0.0;
    }
    let count = u32(lower);
    let steps = select(2u * (head - count) + 1u, 2u * (head + 1u), head < count);
    return exact_exp(-0.6931472 * 4.0 * f32(steps) / lower);
}
