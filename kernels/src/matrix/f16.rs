//! f16 to f32, exactly: in bulk by arithmetic that vectorizes, one at a time from a table.

use std::sync::LazyLock;

/// Without a branch on the subnormals: the exponent is rebased by a multiplication.
#[inline(always)]
pub(super) fn widen(h: u16) -> f32 {
    let magnitude = u32::from(h & 0x7fff) << 13;
    let rebased = (f32::from_bits(magnitude) * f32::from_bits(0x7780_0000)).to_bits();
    let bits = if magnitude >= 0x0f80_0000 { magnitude | 0x7f80_0000 } else { rebased };
    f32::from_bits(bits | u32::from(h & 0x8000) << 16)
}

/// All 65,536 of them, 256 KiB. A block's scales stand alone between its codes; computed one by one they would take
/// longer than the codes.
pub(super) struct Table(Box<[f32; 1 << 16]>);

impl Table {
    /// The table, made at its first use.
    pub(super) fn get() -> &'static Self {
        static TABLE: LazyLock<Table> =
            LazyLock::new(|| Table(Box::new(std::array::from_fn(|bits| widen(bits as u16)))));
        &TABLE
    }

    /// The value of little-endian `bytes`.
    #[inline(always)]
    pub(super) fn at(&self, bytes: [u8; 2]) -> f32 {
        self.0[usize::from(u16::from_le_bytes(bytes))]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f16_widens_as_ieee_says() {
        for bits in 0..=u16::MAX {
            let expected = half::f16::from_bits(bits).to_f32();
            for got in [widen(bits), Table::get().at(bits.to_le_bytes())] {
                assert!(got.to_bits() == expected.to_bits() || (got.is_nan() && expected.is_nan()), "{bits:04x}");
            }
        }
    }
}
