//! The twin of the blocks that looks at one byte after the other: slow, and plainly right.

use super::{Error, Inside, SIZE, Way};

/// [`Inside::run`]
fn run(inside: &mut Inside, bytes: &[u8], at: usize, limit: u32) -> Result<Option<usize>, Error> {
    for (at, byte) in bytes.iter().enumerate().skip(at) {
        let Inside { depth, string, escape } = inside;
        // Where no string is a backslash is no JSON; it is taken for one all the same.
        let escaped = std::mem::replace(escape, *byte == b'\\' && !*escape);
        match byte {
            b'"' if !escaped => *string = !*string,
            b'{' | b'[' if !*string => {
                *depth += 1;
                if *depth > limit {
                    return Err(Error::TooDeep);
                }
            }
            b'}' | b']' if !*string => {
                *depth -= 1;
                if *depth == 0 {
                    return Ok(Some(at + 1));
                }
            }
            _ => {}
        }
    }
    Ok(None)
}

/// [`super::string`]
fn string(bytes: &[u8], at: usize, escape: &mut bool) -> Option<(usize, bool)> {
    let mut escapes = false;
    for (at, byte) in bytes.iter().enumerate().skip(at) {
        escapes |= *byte == b'\\';
        let escaped = std::mem::replace(escape, *byte == b'\\' && !*escape);
        if *byte == b'"' && !escaped {
            return Some((at + 1, escapes));
        }
    }
    None
}

/// [`super::bracket`]
fn bracket(bytes: &[u8], at: usize) -> Option<usize> {
    let (mut string, mut escape) = (false, false);
    for (at, byte) in bytes.iter().enumerate().skip(at) {
        let escaped = escape;
        escape = *byte == b'\\' && !escaped;
        match byte {
            b'"' if !escaped => string = !string,
            b'{' | b'[' | b'}' | b']' if !string => return Some(at),
            _ => {}
        }
    }
    None
}

/// [`super::stops`]
fn stops(block: &[u8; SIZE]) -> u64 {
    block.iter().rev().fold(0, |all, byte| all << 1 | u64::from(matches!(byte, b'"' | b'\\')))
}

/// Reads the inside of a container and of a string in chunks of `size` bytes, in every way that the processor has.
///
/// # Panics
/// When one way differs from the naive one.
pub(in super::super) fn compare(bytes: &[u8], size: usize, limit: u32) {
    for string in [false, true] {
        for way in Way::all() {
            let mut twins = [Inside { depth: 1, string, escape: false }; 2];
            for chunk in bytes.chunks(size) {
                let [by_block, by_byte] = &mut twins;
                let found = way.run(by_block, chunk, 0, limit);
                assert_eq!(
                    found,
                    run(by_byte, chunk, 0, limit),
                    "{way:?} in chunks of {size}: {}",
                    bytes.escape_ascii()
                );
                if found != Ok(None) {
                    break;
                }
                let outside = |inside: &Inside| Inside { escape: inside.escape && inside.string, ..*inside };
                assert_eq!(
                    outside(by_block),
                    outside(by_byte),
                    "{way:?} in chunks of {size}: {}",
                    bytes.escape_ascii()
                );
            }
            let mut escapes = [string; 2];
            for chunk in bytes.chunks(size) {
                let [by_block, by_byte] = &mut escapes;
                let found = way.string(chunk, 0, by_block);
                assert_eq!(
                    found,
                    self::string(chunk, 0, by_byte),
                    "{way:?} in chunks of {size}: {}",
                    bytes.escape_ascii()
                );
                if found.is_some() {
                    break;
                }
                assert_eq!(by_block, by_byte, "{way:?} in chunks of {size}: {}", bytes.escape_ascii());
            }
            for at in [0, size.min(bytes.len())] {
                assert_eq!(way.bracket(bytes, at), bracket(bytes, at), "{way:?} at {at}: {}", bytes.escape_ascii());
            }
            for block in bytes.windows(SIZE).filter_map(<[u8]>::first_chunk) {
                assert_eq!(way.stops(block), stops(block), "{way:?}: {}", block.escape_ascii());
            }
        }
    }
}
