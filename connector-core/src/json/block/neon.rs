//! Masks by the vector instructions of AArch64, which all its processors have.
//!
//! The unsafe code loads vectors: from a reference to an array that has all their bytes, by an instruction that asks for no
//! alignment.
#![expect(unsafe_code, reason = "vector instructions")]

use std::arch::aarch64::*;

use super::{Error, Inside, Isa, Masks, SIZE, portable};

/// Where a block has `"` or `\\`.
#[inline(always)]
pub(in super::super) fn stops(block: &[u8; SIZE]) -> u64 {
    let Masks { quote, backslash, .. } = Neon.masks(block);
    quote | backslash
}

/// [`Inside::run`]
#[inline]
pub(super) fn run(inside: &mut Inside, bytes: &[u8], at: usize, limit: u32) -> Result<Option<usize>, Error> {
    inside.run_with(Neon, bytes, at, limit)
}

/// [`super::string`]
#[inline]
pub(super) fn string(bytes: &[u8], at: usize, escape: &mut bool) -> Option<(usize, bool)> {
    super::string_with(Neon, bytes, at, escape)
}

/// [`super::bracket`]
#[inline]
pub(super) fn bracket(bytes: &[u8], at: usize) -> Option<usize> {
    super::bracket_with(Neon, bytes, at)
}

#[derive(Clone, Copy)]
struct Neon;

impl Isa for Neon {
    #[inline(always)]
    fn masks(self, block: &[u8; SIZE]) -> Masks {
        // SAFETY: the module is compiled only where all processors have NEON; each quarter of the block has 16 bytes.
        unsafe {
            let bytes = [0, 16, 32, 48].map(|from| vld1q_u8(block[from..].as_ptr()));
            let equal =
                |bytes: [uint8x16_t; 4], byte: u8| bits(bytes.map(|quarter| vceqq_u8(quarter, vdupq_n_u8(byte))));
            let folded = bytes.map(|quarter| vorrq_u8(quarter, vdupq_n_u8(0x20)));
            Masks {
                quote: equal(bytes, b'"'),
                backslash: equal(bytes, b'\\'),
                open: equal(folded, b'{'),
                close: equal(folded, b'}'),
            }
        }
    }

    #[inline(always)]
    fn prefix_xor(self, bits: u64) -> u64 {
        portable::Portable.prefix_xor(bits)
    }
}

/// One bit of each byte, all of whose bits are the same: a bit of its own is left of each, and eight are added to a byte.
#[inline(always)]
fn bits(hits: [uint8x16_t; 4]) -> u64 {
    const WEIGHTS: [u8; 16] = [1, 2, 4, 8, 16, 32, 64, 128, 1, 2, 4, 8, 16, 32, 64, 128];
    // SAFETY: the module is compiled only where all processors have NEON; the weights have 16 bytes.
    unsafe {
        let weights = vld1q_u8(WEIGHTS.as_ptr());
        let [a, b, c, d] = hits.map(|hits| vandq_u8(hits, weights));
        let sums = vpaddq_u8(vpaddq_u8(a, b), vpaddq_u8(c, d));
        vgetq_lane_u64::<0>(vreinterpretq_u64_u8(vpaddq_u8(sums, sums)))
    }
}
