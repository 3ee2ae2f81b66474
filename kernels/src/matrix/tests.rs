//! What the forms of a matrix have in common: the same values in each.

use super::*;

/// Pseudo-random bytes.
fn noise(len: usize, seed: u64) -> Vec<u8> {
    let mut state = seed;
    (0..len)
        .map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 56) as u8
        })
        .collect()
}

fn dequantized(matrix: &Matrix) -> Vec<f32> {
    let mut out = vec![0.0; matrix.rows() * matrix.cols()];
    matrix.dequantize(0..matrix.rows(), 0..matrix.cols(), &mut out);
    out
}

/// The same value; zeros may differ in sign.
fn same(a: f32, b: f32) -> bool {
    a.to_bits() == b.to_bits() || (a == 0.0 && b == 0.0)
}

/// One block of random codes for every finite f16 as d, m far from it.
fn every_scale(block: BlockType, within: impl Fn(f32) -> bool) -> (Vec<u8>, usize) {
    let (mut bytes, mut rows) = (Vec::new(), 0);
    for bits in 0..=u16::MAX {
        let d = half::f16::from_bits(bits);
        if d.is_finite() && within(d.to_f32()) {
            let mut one = noise(block.size(), u64::from(bits));
            one[..2].copy_from_slice(&d.to_le_bytes());
            if block == BlockType::Q4_1 || block == BlockType::Q5_1 {
                one[2..4].copy_from_slice(&(bits.rotate_left(7) & 0x7bff).to_le_bytes());
            }
            bytes.extend(one);
            rows += 1;
        }
    }
    (bytes, rows)
}

#[test]
fn blocks_repack_exactly_whatever_their_scale() {
    use FloatType::{F16, F32};
    for (block, largest, scales) in [
        (BlockType::Q4_0, f32::INFINITY, F32),
        (BlockType::Q4_0, 8188.0, F16),
        (BlockType::Q4_1, f32::INFINITY, F16),
        (BlockType::Q5_0, f32::INFINITY, F32),
        (BlockType::Q5_0, 4094.0, F16),
        (BlockType::Q5_1, f32::INFINITY, F16),
        (BlockType::Q8_0, f32::INFINITY, F32),
        (BlockType::Q8_0, 511.75, F16),
    ] {
        let (bytes, rows) = every_scale(block, |d| d.abs() <= largest);
        let matrix = Matrix::blocks(rows, block.len(), block, bytes.into()).unwrap();
        let affine = matrix.to_affine().unwrap();
        let (bits, group) = (block.bits(), block.group());
        assert_eq!(affine.encoding(), Encoding::Affine { bits, group, scales }, "{block:?}");
        let pairs = dequantized(&matrix).into_iter().zip(dequantized(&affine));
        for (i, (exact, repacked)) in pairs.enumerate() {
            assert!(same(exact, repacked), "{block:?} value {i}: {exact:e} became {repacked:e}");
        }
    }
}

#[test]
fn rows_come_out_in_plain_order() {
    let (rows, cols, head_dim) = (12, 64, 6);
    let order = RowOrder::Interleaved { head_dim };
    // Scales within ±1, so that every value is finite.
    let block = BlockType::Q8_0;
    let mut bytes = noise(rows * cols / block.len() * block.size(), 7);
    bytes.chunks_exact_mut(block.size()).for_each(|block| block[1] = 0x30 | block[1] & 0x83);
    let matrix = Matrix::blocks(rows, cols, block, bytes.into()).unwrap();
    let interleaved = matrix.with_row_order(order).unwrap();
    let plain = interleaved.to_affine().unwrap();
    assert_eq!(plain.order, RowOrder::Plain);
    assert_eq!(dequantized(&plain), dequantized(&interleaved));
    // A second time, from the affine form: the very same bytes.
    let (bits, _, scales) = plain.affine_form().unwrap();
    assert_eq!(plain.affine_rows(3..7, bits, scales), interleaved.affine_rows(3..7, bits, scales));
    let again = plain.clone().with_row_order(order).unwrap().to_affine().unwrap();
    assert_eq!(dequantized(&again), dequantized(&plain.with_row_order(order).unwrap()));
}

#[test]
fn quantized_values_are_near() {
    for (bits, group) in AFFINE_BITS.into_iter().flat_map(|bits| AFFINE_GROUPS.map(|group| (bits, group))) {
        for float in [FloatType::F32, FloatType::F16, FloatType::BF16] {
            let values: Vec<f32> =
                noise(4 * 128, 3).iter().map(|&b| if b < 32 { 0.0 } else { f32::from(b) / 64.0 - 1.5 }).collect();
            let AffineRows { codes, scales, biases } = quantize_affine(&values, bits, group, float);
            let parts = (codes.into(), scales.into(), biases.into());
            let matrix = Matrix::affine((4, 128), bits, group, float, parts.0, parts.1, parts.2).unwrap();
            let step = 4.0 / f32::from((1u16 << bits) - 1);
            // Half a step, at few bits most of one at the end that the codes do not quite reach, and what the rounding of
            // scale and bias adds.
            let most = if bits < 4 { 0.8 } else { 0.51 } * step + 0.02;
            for (w, q) in values.iter().zip(dequantized(&matrix)) {
                assert!((w - q).abs() <= most, "{bits} bits, group {group}, {float:?}: {w} became {q}");
            }
        }
    }
}

#[test]
fn groups_without_range_keep_their_value() {
    for (value, expected) in [(0.0, 0.0), (0.75, 0.75), (-0.75, -0.75)] {
        let AffineRows { codes, scales, biases } = quantize_affine(&[value; 32], 4, 32, FloatType::F32);
        let matrix =
            Matrix::affine((1, 32), 4, 32, FloatType::F32, codes.into(), scales.into(), biases.into()).unwrap();
        assert!(dequantized(&matrix).iter().all(|&w| w == expected), "{value}");
    }
}

#[test]
fn codes_keep_their_meaning_at_more_bits() {
    let (rows, cols, group) = (3, 96, 32);
    for bits in AFFINE_BITS {
        let factors =
            |seed| -> Vec<u8> { noise(rows * cols / group * 2, seed).iter().map(|byte| byte & 0x3f).collect() };
        let codes = noise(rows * cols * usize::from(bits) / 8, u64::from(bits));
        let parts = (codes.into(), factors(1).into(), factors(2).into());
        let matrix = Matrix::affine((rows, cols), bits, group, FloatType::F16, parts.0, parts.1, parts.2).unwrap();
        for wider in AFFINE_BITS.into_iter().filter(|&wider| wider >= bits) {
            let AffineRows { codes, scales, biases } = matrix.affine_rows(0..rows, wider, FloatType::F16);
            let parts = (codes.into(), scales.into(), biases.into());
            let same = Matrix::affine((rows, cols), wider, group, FloatType::F16, parts.0, parts.1, parts.2).unwrap();
            assert_eq!(dequantized(&same), dequantized(&matrix), "{bits} bits at {wider}");
        }
    }
}
