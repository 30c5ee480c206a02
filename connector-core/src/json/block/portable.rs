//! Masks without any particular instruction: eight bytes to a word.

use super::{Error, Inside, Isa, Masks, SIZE};

/// [`Inside::run`]
pub(super) fn run(inside: &mut Inside, bytes: &[u8], at: usize, limit: u32) -> Result<Option<usize>, Error> {
    inside.run_with(Portable, bytes, at, limit)
}

/// [`super::string`]
pub(super) fn string(bytes: &[u8], at: usize, escape: &mut bool) -> Option<(usize, bool)> {
    super::string_with(Portable, bytes, at, escape)
}

/// [`super::bracket`]
pub(super) fn bracket(bytes: &[u8], at: usize) -> Option<usize> {
    super::bracket_with(Portable, bytes, at)
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Portable;

impl Isa for Portable {
    #[inline(always)]
    fn masks(self, block: &[u8; SIZE]) -> Masks {
        let mut masks = Masks { quote: 0, backslash: 0, open: 0, close: 0 };
        let (words, _) = block.as_chunks::<8>();
        for (at, word) in words.iter().enumerate() {
            let word = u64::from_le_bytes(*word);
            // `[` and `{`, `]` and `}` differ in one bit only.
            let folded = word | every(0x20);
            let place = |hits: u64| hits << (8 * at);
            masks.quote |= place(equal(word, b'"'));
            masks.backslash |= place(equal(word, b'\\'));
            masks.open |= place(equal(folded, b'{'));
            masks.close |= place(equal(folded, b'}'));
        }
        masks
    }

    #[inline(always)]
    fn prefix_xor(self, mut bits: u64) -> u64 {
        for shift in [1, 2, 4, 8, 16, 32] {
            bits ^= bits << shift;
        }
        bits
    }
}

/// Where a block has `"` or `\\`.
#[inline(always)]
pub(in super::super) fn stops(block: &[u8; SIZE]) -> u64 {
    let (words, _) = block.as_chunks::<8>();
    let stops = |word: &[u8; 8]| {
        let word = u64::from_le_bytes(*word);
        equal(word, b'"') | equal(word, b'\\')
    };
    words.iter().rev().fold(0, |all, word| all << 8 | stops(word))
}

const fn every(byte: u8) -> u64 {
    u64::MAX / 255 * byte as u64
}

/// Eight bits: which bytes of `word` are `byte`.
#[inline(always)]
fn equal(word: u64, byte: u8) -> u64 {
    const LOW: u64 = every(0x7f);
    let differ = word ^ every(byte);
    // The highest bit of each byte that is zero, exactly: no carry passes from byte to byte.
    let zero = !(((differ & LOW) + LOW) | differ | LOW);
    // Gathers the eight highest bits: no two products meet.
    (zero >> 7).wrapping_mul(0x0102_0408_1020_4080) >> 56
}
