//! Decoding and dot products of stored matrices against a plain reading of their formats.

use idiolect_kernels::matrix::{AffineRows, BlockType, Encoding};

use crate::common::encodings::{BLOCK_FORMATS, FLOAT_TYPES, Known, all, group_of};
use crate::common::random::Random;
use crate::common::table::{GROUPS, SIZES, Table};

/// Matrices of every encoding and shape, plain and interleaved.
fn matrices(random: &mut Random) -> Vec<(String, Known)> {
    let mut known = Vec::new();
    for encoding in all() {
        for (rows, groups) in
            [1, 8, 31, 33, 65].into_iter().flat_map(|rows| GROUPS.map(|g| (rows, g))).chain([(1757, 1)])
        {
            let cols = groups * group_of(encoding);
            let name = format!("{encoding:?}, {rows} × {cols}");
            if rows == 8 {
                let pair = Known::random(random, encoding, rows, cols).interleaved(4);
                known.push((format!("{name}, interleaved"), pair));
            }
            known.push((name, Known::random(random, encoding, rows, cols)));
        }
    }
    for float in FLOAT_TYPES {
        for cols in SIZES {
            let name = format!("{float:?}, 33 × {cols}");
            known.push((name, Known::random(random, Encoding::Float(float), 33, cols)));
        }
    }
    known
}

#[test]
fn panels_have_the_values_of_the_format() {
    let (mut table, mut random) = (Table::default(), Random::new(11));
    for (name, Known { matrix, values }) in matrices(&mut random) {
        let (rows, cols, step) = (matrix.rows(), matrix.cols(), matrix.column_step());
        let mut whole = vec![f32::NAN; rows * cols];
        matrix.dequantize(0..rows, 0..cols, &mut whole);
        table.same_bits(&name, &whole, &values);
        for _ in 0..8 {
            let (a, b) = (random.below(cols / step + 1) * step, random.below(cols / step + 1) * step);
            let (c, d) = (random.below(rows + 1), random.below(rows + 1));
            let (panel_cols, panel_rows) = (a.min(b)..a.max(b), c.min(d)..c.max(d));
            let mut panel = vec![f32::NAN; panel_rows.len() * panel_cols.len()];
            matrix.dequantize(panel_rows.clone(), panel_cols.clone(), &mut panel);
            let expected: Vec<f32> =
                panel_rows.clone().flat_map(|r| values[r * cols..][panel_cols.clone()].to_vec()).collect();
            table.same_bits(&format!("{name}: rows {panel_rows:?}, columns {panel_cols:?}"), &panel, &expected);
        }
    }
    table.finish();
}

#[test]
fn dots_are_those_of_the_dequantized_rows() {
    let (mut table, mut random) = (Table::default(), Random::new(12));
    for (name, Known { matrix, values }) in matrices(&mut random) {
        let (rows, cols) = (matrix.rows(), matrix.cols());
        let x = random.floats(cols);
        let sums = matrix.column_sums(&x);
        let mut out = vec![f32::NAN; rows];
        matrix.dot_rows(0..rows, &x, &sums, &mut out);
        for (r, row) in values.chunks_exact(cols).enumerate() {
            let terms = || row.iter().zip(&x).map(|(&w, &x)| f64::from(w) * f64::from(x));
            let (expected, size) = (terms().sum::<f64>(), terms().map(f64::abs).sum::<f64>());
            table.expect((f64::from(out[r]) - expected).abs() <= 1e-5 * size, || {
                format!("{name}: row {r} gives {}, not {expected}", out[r])
            });
        }
        // A part of the rows gives the same bits as all of them.
        let start = random.below(rows);
        let mut part = vec![f32::NAN; rows - start];
        matrix.dot_rows(start..rows, &x, &sums, &mut part);
        table.same_bits(&format!("{name}: rows from {start}"), &part, &out[start..]);
    }
    table.finish();
}

#[test]
fn block_formats_are_as_defined_however_they_are_read() {
    let (mut table, mut random) = (Table::default(), Random::new(13));
    assert_eq!(BlockType::ALL.to_vec(), BLOCK_FORMATS.map(|plain| plain.block).to_vec());
    for plain in BLOCK_FORMATS {
        let (block, cols) = (plain.block, plain.block.len());
        assert_eq!((block.name(), block.gguf_type()), plain.gguf);
        assert_eq!((cols, block.size()), (plain.len, plain.size));
        let Known { matrix, values } = Known::random(&mut random, Encoding::Block(block), 5, cols);
        assert_eq!(matrix.column_step(), cols);
        let mut dots = vec![0.0; values.len()];
        for col in 0..cols {
            let mut unit = vec![0.0; cols];
            unit[col] = 1.0;
            let mut column = [0.0; 5];
            matrix.dot_rows(0..5, &unit, &matrix.column_sums(&unit), &mut column);
            (0..5).for_each(|row| dots[row * cols + col] = column[row]);
        }
        let (bits, group, scales) = matrix.affine_form().unwrap();
        assert_eq!((bits, group), (block.bits(), block.group()));
        // Of eight bits, so that a code is a byte.
        let AffineRows { codes, scales: factors, biases } = matrix.affine_rows(0..5, 8, scales);
        let factor = |bytes, i: usize| scales.read(bytes, i / group);
        let repacked: Vec<f32> =
            (0..5 * cols).map(|i| factor(&factors, i) * f32::from(codes[i]) + factor(&biases, i)).collect();
        if let Some(affine) = matrix.to_affine() {
            assert_eq!(affine.encoding(), Encoding::Affine { bits, group, scales });
            let mut read = vec![f32::NAN; values.len()];
            affine.dequantize(0..5, 0..cols, &mut read);
            table.same_bits(&format!("{block:?}, affine"), &read, &repacked);
        }
        for (name, got) in [("dots", dots), ("affine form", repacked)] {
            // As numbers: zeros may differ in sign.
            let first = (0..values.len()).find(|&i| got[i] != values[i]);
            table.expect(first.is_none(), || {
                let i = first.unwrap_or_default();
                format!("{block:?}, {name}: value {i} is {}, not {}", got[i], values[i])
            });
        }
    }
    table.finish();
}
