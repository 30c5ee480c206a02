//! Sixty-four bytes at a time: the one place where the instruction set of the processor matters.
//!
//! A container is passed over block by block: masks tell where a block has quotes, backslashes and brackets, the parity of the
//! quotes tells what lies in strings, and counting the brackets outside of strings tells whether the container can end in the
//! block at all. Which instructions make the masks is found out once, at run time; every path gives the same result, and
//! a twin that looks at each byte ([`naive`]) is the oracle of all of them.
//!
//! All unsafe code of the crate is in the modules of the instruction sets, each of which says why it is sound.

pub(super) mod naive;
#[cfg(all(target_arch = "aarch64", target_feature = "neon"))]
mod neon;
mod portable;
#[cfg(test)]
mod tests;
#[cfg(target_arch = "x86_64")]
mod x86;

use std::borrow::Cow;

use super::Error;

#[cfg(all(target_arch = "aarch64", target_feature = "neon"))]
use neon as best;
#[cfg(not(any(target_arch = "x86_64", all(target_arch = "aarch64", target_feature = "neon"))))]
use portable as best;
#[cfg(target_arch = "x86_64")]
use x86 as best;

pub(super) use best::stops;

/// The bytes of one block.
pub(super) const SIZE: usize = 64;

/// What a block has where: bit 0 tells of its first byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Masks {
    quote: u64,
    backslash: u64,
    /// `{` and `[`
    open: u64,
    /// `}` and `]`
    close: u64,
}

/// An instruction set by which blocks are read.
///
/// All functions are inlined into a loop that is compiled for the instruction set.
trait Isa: Copy {
    fn masks(self, block: &[u8; SIZE]) -> Masks;

    /// Each bit of the answer is the parity of the bits up to it.
    fn prefix_xor(self, bits: u64) -> u64;
}

/// Goes on inside a string at `at`; the offset behind its closing quote, and whether there are backslashes before that; `None` when
/// the bytes are used up before.
///
/// `escape`: behind a backslash. Worth it for a string that is long or has escapes; [`stops`] is asked first.
#[inline]
pub(super) fn string(bytes: &[u8], at: usize, escape: &mut bool) -> Option<(usize, bool)> {
    best::string(bytes, at, escape)
}

#[inline(always)]
fn string_with(isa: impl Isa, bytes: &[u8], mut at: usize, escape: &mut bool) -> Option<(usize, bool)> {
    let mut carry = u64::from(*escape);
    let mut escapes = false;
    while at < bytes.len() {
        let used = (bytes.len() - at).min(SIZE);
        let Masks { quote: mut quotes, backslash, .. } = isa.masks(&block(bytes, at, used));
        if backslash | carry != 0 {
            let (escaped, next) = follow(backslash, carry, used);
            quotes &= !escaped;
            carry = next;
            escapes |= backslash & quotes.wrapping_sub(1) & !quotes != 0;
        }
        if quotes != 0 {
            *escape = false;
            return Some((at + quotes.trailing_zeros() as usize + 1, escapes));
        }
        at += used;
    }
    *escape = carry != 0;
    None
}

/// The first bracket from `at` on, which stands outside of strings; `None` when there is none.
#[inline]
pub(super) fn bracket(bytes: &[u8], at: usize) -> Option<usize> {
    best::bracket(bytes, at)
}

#[inline(always)]
fn bracket_with(isa: impl Isa, bytes: &[u8], mut at: usize) -> Option<usize> {
    let (mut escape, mut string) = (0, 0);
    while at < bytes.len() {
        let used = (bytes.len() - at).min(SIZE);
        let masks = isa.masks(&block(bytes, at, used));
        let mut escaped = 0;
        if masks.backslash | escape != 0 {
            (escaped, escape) = follow(masks.backslash, escape, used);
        }
        let within = isa.prefix_xor(masks.quote & !escaped) ^ string;
        let brackets = (masks.open | masks.close) & !within;
        if brackets != 0 {
            return Some(at + brackets.trailing_zeros() as usize);
        }
        string = (within >> 63).wrapping_neg();
        at += used;
    }
    None
}

/// Where a container that is being passed over stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Inside {
    /// Containers that are open; at least one.
    pub(super) depth: u32,
    /// Within a string.
    pub(super) string: bool,
    /// Behind a backslash.
    pub(super) escape: bool,
}

impl Inside {
    /// Goes on at `at`; the offset behind the container's last byte, or `None` when the bytes are used up before. No more than
    /// `limit` containers may be open.
    #[inline(always)]
    pub(super) fn run(&mut self, bytes: &[u8], at: usize, limit: u32) -> Result<Option<usize>, Error> {
        best::run(self, bytes, at, limit)
    }

    #[inline(always)]
    fn run_with(&mut self, isa: impl Isa, bytes: &[u8], mut at: usize, limit: u32) -> Result<Option<usize>, Error> {
        let mut depth = self.depth;
        // Bit 0 alone; all bits or none.
        let (mut escape, mut string) = (u64::from(self.escape), u64::from(self.string).wrapping_neg());
        while at < bytes.len() {
            let used = (bytes.len() - at).min(SIZE);
            let masks = isa.masks(&block(bytes, at, used));
            let mut escaped = 0;
            if masks.backslash | escape != 0 {
                (escaped, escape) = follow(masks.backslash, escape, used);
            }
            let within = isa.prefix_xor(masks.quote & !escaped) ^ string;
            string = (within >> 63).wrapping_neg();
            let (open, close) = (masks.open & !within, masks.close & !within);
            let (opened, closed) = (open.count_ones(), close.count_ones());
            // Else it cannot end here.
            if closed >= depth
                && let Some(end) = find_end(depth, open, close)
            {
                // What is too deep lies before the end, or no end is known: one bracket at a time.
                if depth + opened > limit {
                    check_depth(depth, open, close, end, limit)?;
                }
                return Ok(Some(at + end));
            }
            if depth + opened > limit {
                check_depth(depth, open, close, SIZE, limit)?;
            }
            depth = depth + opened - closed;
            at += used;
        }
        *self = Self { depth, string: string != 0, escape: escape != 0 };
        Ok(None)
    }
}

/// Where the outermost of `depth` containers ends in a block with these brackets outside of strings: the offset behind it.
#[inline(always)]
fn find_end(depth: u32, open: u64, close: u64) -> Option<usize> {
    // What is empty ends nothing, and is most of what `managedFields` are made of.
    let empty = open & (close >> 1);
    let open = open & !empty;
    let mut rest = close & !(empty << 1);
    let mut closed = 0;
    while rest != 0 {
        let bit = rest & rest.wrapping_neg();
        closed += 1;
        if depth + (open & (bit - 1)).count_ones() == closed {
            return Some(bit.trailing_zeros() as usize + 1);
        }
        rest ^= bit;
    }
    None
}

/// Whether no more than `limit` containers are open among the first `end` bytes of a block.
#[cold]
fn check_depth(mut depth: u32, open: u64, close: u64, end: usize, limit: u32) -> Result<(), Error> {
    for at in 0..end {
        depth += (open >> at & 1) as u32;
        depth -= (close >> at & 1) as u32;
        if depth > limit {
            return Err(Error::TooDeep);
        }
    }
    Ok(())
}

/// From now on blocks are read as on a processor without AVX.
pub(super) fn without_avx() {
    #[cfg(target_arch = "x86_64")]
    x86::Level::limit();
}

/// The ways in which blocks can be read on this processor.
#[derive(Clone, Copy, Debug)]
enum Way {
    Portable,
    #[cfg(all(target_arch = "aarch64", target_feature = "neon"))]
    Neon,
    #[cfg(target_arch = "x86_64")]
    X86(x86::Level),
}

impl Way {
    fn all() -> impl Iterator<Item = Self> {
        let all = [Self::Portable].into_iter();
        #[cfg(all(target_arch = "aarch64", target_feature = "neon"))]
        let all = all.chain([Self::Neon]);
        #[cfg(target_arch = "x86_64")]
        let all = all.chain(x86::Level::all().map(Self::X86));
        all
    }

    /// [`Inside::run`]
    fn run(self, inside: &mut Inside, bytes: &[u8], at: usize, limit: u32) -> Result<Option<usize>, Error> {
        match self {
            Self::Portable => portable::run(inside, bytes, at, limit),
            #[cfg(all(target_arch = "aarch64", target_feature = "neon"))]
            Self::Neon => neon::run(inside, bytes, at, limit),
            #[cfg(target_arch = "x86_64")]
            Self::X86(level) => level.run(inside, bytes, at, limit),
        }
    }

    /// [`string`]
    fn string(self, bytes: &[u8], at: usize, escape: &mut bool) -> Option<(usize, bool)> {
        match self {
            Self::Portable => portable::string(bytes, at, escape),
            #[cfg(all(target_arch = "aarch64", target_feature = "neon"))]
            Self::Neon => neon::string(bytes, at, escape),
            #[cfg(target_arch = "x86_64")]
            Self::X86(level) => level.string(bytes, at, escape),
        }
    }

    /// [`bracket`]
    fn bracket(self, bytes: &[u8], at: usize) -> Option<usize> {
        match self {
            Self::Portable => portable::bracket(bytes, at),
            #[cfg(all(target_arch = "aarch64", target_feature = "neon"))]
            Self::Neon => neon::bracket(bytes, at),
            #[cfg(target_arch = "x86_64")]
            Self::X86(level) => level.bracket(bytes, at),
        }
    }

    /// [`stops`]
    fn stops(self, block: &[u8; SIZE]) -> u64 {
        match self {
            Self::Portable => portable::stops(block),
            #[cfg(any(target_arch = "x86_64", all(target_arch = "aarch64", target_feature = "neon")))]
            _ => best::stops(block),
        }
    }
}

/// The `used` bytes from `at` on, and behind them what means nothing.
#[inline(always)]
fn block(bytes: &[u8], at: usize, used: usize) -> Cow<'_, [u8; SIZE]> {
    if let Some(block) = bytes[at..].first_chunk() {
        return Cow::Borrowed(block);
    }
    let mut block = [b' '; SIZE];
    block[..used].copy_from_slice(&bytes[at..]);
    Cow::Owned(block)
}

/// Which bytes of a block stand behind an effective backslash, and whether the first byte behind its `used` bytes does.
///
/// A backslash is effective unless it stands behind one, so in a run of them every other one is. Adding the run's first bit to
/// the run carries it to the byte behind; the parity of where it began and where it ended tells the rest (Langdale and Lemire,
/// Parsing Gigabytes of JSON per Second, 2019, section 3.1.1).
fn follow(backslash: u64, escape: u64, used: usize) -> (u64, u64) {
    const ODD: u64 = 0xaaaa_aaaa_aaaa_aaaa;
    let candidates = backslash & !escape;
    let runs = ((candidates << 1) | ODD).wrapping_sub(candidates) ^ ODD;
    let escaped = runs ^ (backslash | escape);
    let effective = runs & backslash;
    (escaped, effective >> (used - 1) & 1)
}
