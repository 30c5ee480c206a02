//! Passing over one value: the hot loop of both readers.
//!
//! Between strings a table tells the four kinds of byte that matter; inside a string only `"` and `\` do, looked for eight
//! bytes at a time and, in long strings, by `memchr2`.

use memchr::memchr2;

use super::{Error, Kind, MAX_DEPTH, is_space};

/// Where a value that is being passed over stands; can stop and go on at any byte.
#[derive(Clone, Copy, Debug)]
pub(super) struct Skip {
    /// Containers that are open.
    depth: u32,
    within: Within,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Within {
    /// Between the strings of a container.
    Container,
    String,
    /// Behind a backslash.
    Escape,
    Scalar,
}

const OPEN: u8 = 1;
const CLOSE: u8 = 2;
const QUOTE: u8 = 3;

/// What a byte means between strings; 0: nothing.
const CLASS: [u8; 256] = {
    let mut class = [0; 256];
    class[b'{' as usize] = OPEN;
    class[b'[' as usize] = OPEN;
    class[b'}' as usize] = CLOSE;
    class[b']' as usize] = CLOSE;
    class[b'"' as usize] = QUOTE;
    class
};

impl Skip {
    /// Begins at the first byte of a value of this kind; [`Self::run`] goes on behind that byte.
    pub(super) fn begin(kind: Kind) -> Self {
        match kind {
            Kind::Object | Kind::Array => Self { depth: 1, within: Within::Container },
            Kind::String => Self { depth: 0, within: Within::String },
            Kind::Scalar => Self { depth: 0, within: Within::Scalar },
        }
    }

    /// Goes on at `at`; the offset behind the value's last byte, or `None` when the bytes are used up before.
    ///
    /// `outside` counts the containers around the value. A scalar ends where something else begins, so it is open until then.
    pub(super) fn run(&mut self, bytes: &[u8], mut at: usize, outside: u32) -> Result<Option<usize>, Error> {
        loop {
            match self.within {
                Within::Container => loop {
                    let Some(&byte) = bytes.get(at) else { return Ok(None) };
                    at += 1;
                    match CLASS[usize::from(byte)] {
                        OPEN => {
                            self.depth += 1;
                            if self.depth + outside > MAX_DEPTH {
                                return Err(Error::TooDeep);
                            }
                        }
                        CLOSE => {
                            self.depth -= 1;
                            if self.depth == 0 {
                                return Ok(Some(at));
                            }
                        }
                        QUOTE => {
                            self.within = Within::String;
                            let Some(end) = self.string(bytes, at) else { return Ok(None) };
                            at = end;
                        }
                        _ => {}
                    }
                },
                Within::String | Within::Escape => {
                    let Some(end) = self.string(bytes, at) else { return Ok(None) };
                    if self.depth == 0 {
                        return Ok(Some(end));
                    }
                    at = end;
                }
                Within::Scalar => {
                    let rest = &bytes[at..];
                    let end = rest.iter().position(|&byte| is_space(byte) || matches!(byte, b',' | b']' | b'}'));
                    return Ok(end.map(|end| at + end));
                }
            }
        }
    }

    /// Goes on inside a string; the offset behind it.
    #[inline]
    fn string(&mut self, bytes: &[u8], mut at: usize) -> Option<usize> {
        loop {
            if self.within == Within::Escape {
                if at == bytes.len() {
                    return None;
                }
                at += 1;
                self.within = Within::String;
            }
            let stop = quote_or_escape(bytes, at)?;
            at = stop + 1;
            if bytes[stop] == b'"' {
                self.within = Within::Container;
                return Some(at);
            }
            self.within = Within::Escape;
        }
    }
}

/// The offset of the first `"` or `\` at or behind `at`.
#[inline]
pub(super) fn quote_or_escape(bytes: &[u8], mut at: usize) -> Option<usize> {
    // Most strings are short: four words are cheaper than setting up a vector search.
    for _ in 0..4 {
        let Some(word) = bytes.get(at..at + 8) else { break };
        let word = u64::from_le_bytes(word.try_into().expect("eight bytes are asked for"));
        let hit = zero_byte(word ^ (LOW * u64::from(b'"'))) | zero_byte(word ^ (LOW * u64::from(b'\\')));
        if hit != 0 {
            return Some(at + hit.trailing_zeros() as usize / 8);
        }
        at += 8;
    }
    memchr2(b'"', b'\\', &bytes[at..]).map(|found| at + found)
}

const LOW: u64 = u64::MAX / 255;

/// A word whose lowest set bit lies in the lowest byte of `word` that is zero.
fn zero_byte(word: u64) -> u64 {
    word.wrapping_sub(LOW) & !word & (LOW << 7)
}
