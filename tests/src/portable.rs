//! Random numbers that Python makes too, bit for bit: `tests/goldens/portable.py` says how, and this is the same.
//! The goldens' models, adapters and projections come from such streams, each named by a string.

/// How many projections stand for a tensor that is too large to keep.
pub const PROJECTIONS: usize = 64;

/// The elements of the stream `name`: SplitMix64 started at the name's 64-bit FNV-1a hash.
pub fn stream(name: &str) -> impl Iterator<Item = u64> {
    let key = name
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3));
    (1..).map(move |i: u64| {
        let z = key.wrapping_add(i.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    })
}

/// `count` values in `[centre - amplitude, centre + amplitude)`: `centre + amplitude · u` with `u` the element's top
/// 24 bits over 2²³, less 1.
pub fn uniform(name: &str, count: usize, centre: f32, amplitude: f32) -> Vec<f32> {
    let half = (1u32 << 23) as f32;
    stream(name).take(count).map(|x| centre + amplitude * ((x >> 40) as f32 / half - 1.0)).collect()
}

/// `items` in the order that Fisher-Yates from the end gives them with this stream's draws.
pub fn shuffle<T>(name: &str, items: &mut [T]) {
    for (i, draw) in (1..items.len()).rev().zip(stream(name)) {
        items.swap(i, (draw % (i as u64 + 1)) as usize);
    }
}

/// Projection k of `tensor`: the sum of its elements, each with the sign that bit k of the stream's element says
/// (1 is minus). The mean square of a difference's projections estimates the square of its Frobenius norm.
pub fn project(name: &str, tensor: &[f32]) -> [f64; PROJECTIONS] {
    let mut sums = [0.0; PROJECTIONS];
    for (&x, bits) in tensor.iter().zip(stream(name)) {
        for (k, sum) in sums.iter_mut().enumerate() {
            *sum += if bits >> k & 1 == 0 { f64::from(x) } else { -f64::from(x) };
        }
    }
    sums
}

#[cfg(test)]
mod tests {
    use super::*;

    // The expected values are what tests/goldens/portable.py gives.

    #[test]
    fn streams_equal_pythons() {
        let first: Vec<u64> = stream("a").take(3).collect();
        assert_eq!(first, [0x5f29_c2aa_dd9b_8527, 0xff84_f1bd_b6d3_884f, 0xfdfa_b147_e960_346e]);
        assert_eq!(stream("gqa/model.norm.weight").next(), Some(0x034c_11fe_ef43_d768));
    }

    #[test]
    fn uniform_values_equal_pythons() {
        assert_eq!(uniform("a", 4, 1.0, 0.5), [0.871_730_9, 1.498_122_2, 1.492_106_4, 1.185_940_9]);
    }

    #[test]
    fn shuffles_equal_pythons() {
        let mut items: Vec<u32> = (0..10).collect();
        shuffle("a", &mut items);
        assert_eq!(items, [9, 1, 8, 5, 2, 7, 4, 6, 0, 3]);
    }

    #[test]
    fn projections_equal_pythons() {
        let tensor: Vec<f32> = (1..=10).map(|x| x as f32).collect();
        let projections = project("a", &tensor);
        assert_eq!(projections[..8], [11.0, 1.0, 27.0, -9.0, 5.0, 35.0, -17.0, 37.0]);
        assert_eq!(projections[63], -31.0);
    }
}
