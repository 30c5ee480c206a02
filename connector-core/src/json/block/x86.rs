//! Masks by the vector instructions of x86-64.
//!
//! The unsafe code is of two kinds. One calls what is compiled for an instruction set: only where the processor said that it has
//! it, which a [`Level`] stands for, since only [`Level::best`] and [`Level::all`] make one, and [`Avx2`] and [`Avx512`], since only
//! the methods of [`Level`] make these. The other loads vectors: from a reference to an array that has all their
//! bytes, by instructions that ask for no alignment.
#![expect(unsafe_code, reason = "vector instructions")]

use std::arch::is_x86_feature_detected as has;
use std::arch::x86_64::*;
use std::sync::atomic::{AtomicU8, Ordering};

use super::{Error, Inside, Isa, Masks, SIZE, portable};

/// [`Inside::run`] by the best instructions that the processor has.
#[inline(always)]
pub(super) fn run(inside: &mut Inside, bytes: &[u8], at: usize, limit: u32) -> Result<Option<usize>, Error> {
    Level::best().run(inside, bytes, at, limit)
}

/// [`super::string`] in the same way.
#[inline]
pub(super) fn string(bytes: &[u8], at: usize, escape: &mut bool) -> Option<(usize, bool)> {
    Level::best().string(bytes, at, escape)
}

/// [`super::bracket`] in the same way.
#[inline]
pub(super) fn bracket(bytes: &[u8], at: usize) -> Option<usize> {
    Level::best().bracket(bytes, at)
}

/// Instructions that the processor has: each level has those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Level(u8);

const UNKNOWN: u8 = 0;
const SSE2: u8 = 1;
const AVX2: u8 = 2;
const AVX512: u8 = 3;

static BEST: AtomicU8 = AtomicU8::new(UNKNOWN);

impl Level {
    /// From now on the lowest is the best.
    pub(super) fn limit() {
        BEST.store(SSE2, Ordering::Relaxed);
    }

    /// The highest that the processor has; it is asked once.
    #[inline]
    pub(super) fn best() -> Self {
        match BEST.load(Ordering::Relaxed) {
            UNKNOWN => {
                let avx2 = has!("avx2") && has!("pclmulqdq") && has!("popcnt") && has!("bmi1") && has!("lzcnt");
                let best = match avx2 {
                    true if has!("avx512bw") => AVX512,
                    true => AVX2,
                    false => SSE2,
                };
                BEST.store(best, Ordering::Relaxed);
                Self(best)
            }
            best => Self(best),
        }
    }

    /// All that the processor has.
    pub(super) fn all() -> impl Iterator<Item = Self> {
        (SSE2..=Self::best().0).map(Self)
    }

    #[inline(always)]
    pub(super) fn run(self, inside: &mut Inside, bytes: &[u8], at: usize, limit: u32) -> Result<Option<usize>, Error> {
        match self.0 {
            // SAFETY: the processor has these instructions.
            AVX512 => unsafe { run_avx512(inside, bytes, at, limit) },
            // SAFETY: the processor has these instructions.
            AVX2 => unsafe { run_avx2(inside, bytes, at, limit) },
            _ => inside.run_with(Sse2, bytes, at, limit),
        }
    }

    #[inline]
    pub(super) fn string(self, bytes: &[u8], at: usize, escape: &mut bool) -> Option<(usize, bool)> {
        match self.0 {
            // SAFETY: the processor has these instructions.
            AVX512 => unsafe { string_avx512(bytes, at, escape) },
            // SAFETY: the processor has these instructions.
            AVX2 => unsafe { string_avx2(bytes, at, escape) },
            _ => super::string_with(Sse2, bytes, at, escape),
        }
    }

    #[inline]
    pub(super) fn bracket(self, bytes: &[u8], at: usize) -> Option<usize> {
        match self.0 {
            // SAFETY: the processor has these instructions.
            AVX512 => unsafe { bracket_avx512(bytes, at) },
            // SAFETY: the processor has these instructions.
            AVX2 => unsafe { bracket_avx2(bytes, at) },
            _ => super::bracket_with(Sse2, bytes, at),
        }
    }
}

#[target_feature(enable = "avx512bw,avx2,pclmulqdq,popcnt,bmi1,lzcnt")]
fn run_avx512(inside: &mut Inside, bytes: &[u8], at: usize, limit: u32) -> Result<Option<usize>, Error> {
    inside.run_with(Avx512, bytes, at, limit)
}

#[target_feature(enable = "avx2,pclmulqdq,popcnt,bmi1,lzcnt")]
fn run_avx2(inside: &mut Inside, bytes: &[u8], at: usize, limit: u32) -> Result<Option<usize>, Error> {
    inside.run_with(Avx2, bytes, at, limit)
}

#[target_feature(enable = "avx512bw,avx2,pclmulqdq,popcnt,bmi1,lzcnt")]
fn string_avx512(bytes: &[u8], at: usize, escape: &mut bool) -> Option<(usize, bool)> {
    super::string_with(Avx512, bytes, at, escape)
}

#[target_feature(enable = "avx2,pclmulqdq,popcnt,bmi1,lzcnt")]
fn string_avx2(bytes: &[u8], at: usize, escape: &mut bool) -> Option<(usize, bool)> {
    super::string_with(Avx2, bytes, at, escape)
}

#[target_feature(enable = "avx512bw,avx2,pclmulqdq,popcnt,bmi1,lzcnt")]
fn bracket_avx512(bytes: &[u8], at: usize) -> Option<usize> {
    super::bracket_with(Avx512, bytes, at)
}

#[target_feature(enable = "avx2,pclmulqdq,popcnt,bmi1,lzcnt")]
fn bracket_avx2(bytes: &[u8], at: usize) -> Option<usize> {
    super::bracket_with(Avx2, bytes, at)
}

/// Where a block has `"` or `\\`. It is asked for so often, and for so little each time, that choosing the instructions would cost
/// more than the best of them save.
#[inline(always)]
pub(in super::super) fn stops(block: &[u8; SIZE]) -> u64 {
    // SAFETY: every processor of this architecture has SSE2; each quarter of the block has 16 bytes.
    unsafe {
        let (quote, backslash) = (_mm_set1_epi8(b'"' as i8), _mm_set1_epi8(b'\\' as i8));
        let hits = [0, 16, 32, 48].map(|from| {
            let quarter = _mm_loadu_si128(block[from..].as_ptr().cast());
            let hits = _mm_or_si128(_mm_cmpeq_epi8(quarter, quote), _mm_cmpeq_epi8(quarter, backslash));
            u64::from(_mm_movemask_epi8(hits).cast_unsigned())
        });
        hits[0] | hits[1] << 16 | (hits[2] | hits[3] << 16) << 32
    }
}

/// The processor has AVX-512 with bytes and words, and all of [`Avx2`].
#[derive(Clone, Copy)]
struct Avx512;

impl Isa for Avx512 {
    #[inline(always)]
    fn masks(self, block: &[u8; SIZE]) -> Masks {
        // SAFETY: whoever has the type has the instructions; the block has 64 bytes.
        unsafe {
            let bytes = _mm512_loadu_si512(block.as_ptr().cast());
            let equal = |bytes, byte: u8| _mm512_cmpeq_epi8_mask(bytes, _mm512_set1_epi8(byte as i8));
            // `[` and `{`, `]` and `}` differ in one bit only.
            let folded = _mm512_or_si512(bytes, _mm512_set1_epi8(0x20));
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
        Avx2.prefix_xor(bits)
    }
}

/// The processor has AVX2 and carry-less multiplication.
#[derive(Clone, Copy)]
struct Avx2;

impl Isa for Avx2 {
    #[inline(always)]
    fn masks(self, block: &[u8; SIZE]) -> Masks {
        // SAFETY: whoever has the type has the instructions; each half of the block has 32 bytes.
        unsafe {
            let [low, high] = [0, 32].map(|from| _mm256_loadu_si256(block[from..].as_ptr().cast()));
            let equal = |[low, high]: [__m256i; 2], byte: u8| {
                let byte = _mm256_set1_epi8(byte as i8);
                let [low, high] =
                    [low, high].map(|half| _mm256_movemask_epi8(_mm256_cmpeq_epi8(half, byte)).cast_unsigned());
                u64::from(low) | u64::from(high) << 32
            };
            let bytes = [low, high];
            let folded = bytes.map(|half| _mm256_or_si256(half, _mm256_set1_epi8(0x20)));
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
        // SAFETY: whoever has the type has the instruction.
        unsafe {
            let bits = _mm_set_epi64x(0, bits.cast_signed());
            _mm_cvtsi128_si64(_mm_clmulepi64_si128(bits, _mm_set1_epi8(-1), 0)).cast_unsigned()
        }
    }
}

/// What every processor of this architecture has.
#[derive(Clone, Copy)]
struct Sse2;

impl Isa for Sse2 {
    #[inline(always)]
    fn masks(self, block: &[u8; SIZE]) -> Masks {
        // SAFETY: every processor of this architecture has SSE2; each quarter of the block has 16 bytes.
        unsafe {
            let bytes = [0, 16, 32, 48].map(|from| _mm_loadu_si128(block[from..].as_ptr().cast()));
            let equal = |bytes: [__m128i; 4], byte: u8| {
                let byte = _mm_set1_epi8(byte as i8);
                let hits = bytes.map(|quarter| _mm_movemask_epi8(_mm_cmpeq_epi8(quarter, byte)).cast_unsigned());
                hits.into_iter().rev().fold(0, |all, hits| all << 16 | u64::from(hits))
            };
            let folded = bytes.map(|quarter| _mm_or_si128(quarter, _mm_set1_epi8(0x20)));
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
