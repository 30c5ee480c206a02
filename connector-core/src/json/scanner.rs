//! The push scanner: chunks in, events and offsets out.

use memchr::memchr2;

use super::skip::Skip;
use super::{Error, Kind, block, is_space};

/// What the [`Scanner`] has come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// A member's key is complete: [`Scanner::key`]. Its value comes next.
    Key,
    /// A value begins: the offset is that of its first byte. [`Scanner::enter`] looks into it, else it is passed over.
    Value(Kind),
    /// A value was passed over: the offset is behind its last byte.
    End,
    /// A container that was entered is closed: the offset is behind its bracket.
    Close,
}

/// Reads a document that comes in chunks and tells where its parts begin and end.
///
/// Call order: [`Self::next`] again and again on one chunk until it gives `None`, then on the next chunk from offset 0; at the
/// end of the input ask [`Self::is_done`]. After an error the scanner is of no more use.
///
/// Its size is fixed (below 100 bytes) and it never allocates. A container that is not entered costs one pass over its bytes.
/// Chunks may be cut anywhere; a number at the end of a chunk ends with the byte that follows.
#[derive(Clone, Debug)]
pub struct Scanner {
    state: State,
    /// One bit for each container that was entered, the innermost lowest: 1 for an object.
    objects: u64,
    /// Containers that were entered.
    entered: u32,
    skip: Skip,
    key: Key,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// A value must come.
    Value,
    /// An element or `]` must come.
    FirstElement,
    /// A key or `}` must come.
    FirstKey,
    /// A key must come.
    NextKey,
    /// Inside a key.
    Key,
    Colon,
    /// A value was told and not entered.
    Begun(Kind),
    Skipping,
    /// Behind a value: a comma or the closing bracket must come.
    After,
    /// Behind the document: nothing but whitespace may come.
    Done,
}

impl Default for Scanner {
    fn default() -> Self {
        Self::new()
    }
}

impl Scanner {
    /// Containers that can be entered at once. Those that are passed over are limited by [`MAX_DEPTH`](super::MAX_DEPTH) alone.
    pub const MAX_ENTERED: u32 = 64;

    /// A scanner before the first byte of a document.
    pub fn new() -> Self {
        Self { state: State::Value, objects: 0, entered: 0, skip: Skip::begin(Kind::Scalar), key: Key::new() }
    }

    /// Whether nothing of the document has come yet but whitespace.
    pub fn is_idle(&self) -> bool {
        self.state == State::Value && self.entered == 0
    }

    /// Whether the document is complete.
    pub fn is_done(&self) -> bool {
        self.state == State::Done
    }

    /// The key of [`Event::Key`], decoded; `None` for one longer than 32 bytes, or with an escape that is wrong or
    /// beyond ASCII.
    pub fn key(&self) -> Option<&[u8]> {
        self.key.get()
    }

    /// Looks into the container that [`Event::Value`] has just told: its members or elements come next.
    ///
    /// # Errors
    /// [`Error::TooDeep`] when [`Self::MAX_ENTERED`] are entered already; [`Error::Syntax`] when no container was told.
    pub fn enter(&mut self, at: &mut usize) -> Result<(), Error> {
        let State::Begun(kind @ (Kind::Object | Kind::Array)) = self.state else {
            return Err(Error::Syntax { at: *at });
        };
        if self.entered == Self::MAX_ENTERED {
            return Err(Error::TooDeep);
        }
        self.entered += 1;
        self.objects = self.objects << 1 | u64::from(kind == Kind::Object);
        self.state = if kind == Kind::Object { State::FirstKey } else { State::FirstElement };
        *at += 1;
        Ok(())
    }

    /// Containers that are open around the value that [`Event::Value`] has just told.
    pub(crate) fn depth(&self) -> u32 {
        self.entered
    }

    /// The value that [`Event::Value`] has just told was read by a [`Cursor`](super::Cursor): the next offset is the one behind it.
    pub(crate) fn pass(&mut self) {
        debug_assert!(matches!(self.state, State::Begun(_)));
        self.behind_value();
    }

    /// Goes on from offset `at` of `chunk` to the next event and moves `at` there; `None` when the chunk is used up.
    ///
    /// # Errors
    /// [`Error::Syntax`] and [`Error::TooDeep`]: who wrote the document is at fault.
    #[inline]
    pub fn next(&mut self, chunk: &[u8], at: &mut usize) -> Result<Option<Event>, Error> {
        loop {
            match self.state {
                State::Begun(kind) => {
                    self.skip = Skip::begin(kind);
                    self.state = State::Skipping;
                    *at += 1;
                }
                State::Skipping => {
                    let Some(end) = self.skip.run(chunk, *at, self.entered)? else { break };
                    *at = end;
                    self.behind_value();
                    return Ok(Some(Event::End));
                }
                State::Key => {
                    if self.key.take(chunk, at) {
                        self.state = State::Colon;
                        return Ok(Some(Event::Key));
                    }
                    break;
                }
                _ => {
                    while chunk.get(*at).is_some_and(|&byte| is_space(byte)) {
                        *at += 1;
                    }
                    let Some(&byte) = chunk.get(*at) else { break };
                    if let Some(event) = self.token(byte, chunk, at)? {
                        return Ok(Some(event));
                    }
                }
            }
        }
        *at = chunk.len();
        Ok(None)
    }

    /// Takes the one byte that is not whitespace, between values.
    #[inline(always)]
    fn token(&mut self, byte: u8, chunk: &[u8], at: &mut usize) -> Result<Option<Event>, Error> {
        let wrong = Error::Syntax { at: *at };
        match (self.state, byte) {
            (State::FirstElement, b']') | (State::FirstKey, b'}') => {
                *at += 1;
                return Ok(Some(self.close()));
            }
            (State::Value | State::FirstElement, _) => {
                let kind = Kind::of(byte).ok_or(wrong)?;
                self.state = State::Begun(kind);
                return Ok(Some(Event::Value(kind)));
            }
            (State::FirstKey | State::NextKey, b'"') => {
                if let Some(len) = self.key.take_window(chunk, *at + 1) {
                    self.state = State::Colon;
                    *at += len + 2;
                    return Ok(Some(Event::Key));
                }
                self.key.clear();
                self.state = State::Key;
            }
            (State::Colon, b':') => self.state = State::Value,
            (State::After, b',') => self.state = if self.objects & 1 == 1 { State::NextKey } else { State::Value },
            (State::After, b'}' | b']') if (byte == b'}') == (self.objects & 1 == 1) => {
                *at += 1;
                return Ok(Some(self.close()));
            }
            _ => return Err(wrong),
        }
        *at += 1;
        Ok(None)
    }

    fn close(&mut self) -> Event {
        self.entered -= 1;
        self.objects >>= 1;
        self.behind_value();
        Event::Close
    }

    fn behind_value(&mut self) {
        self.state = if self.entered == 0 { State::Done } else { State::After };
    }
}

/// The longest key that is told.
const KEY: usize = 32;

/// A key as it comes in, decoded as far as keys that anybody asks for need it.
#[derive(Clone, Debug)]
struct Key {
    bytes: [u8; KEY],
    len: u8,
    escape: Escape,
    /// Longer than the room for it, or with an escape that is wrong or beyond ASCII: equal to nothing that is asked for.
    other: bool,
}

#[derive(Clone, Copy, Debug)]
enum Escape {
    None,
    Begun,
    /// Hex digits that have come, and their value.
    Unicode(u8, u32),
}

impl Key {
    const fn new() -> Self {
        Self { bytes: [0; KEY], len: 0, escape: Escape::None, other: false }
    }

    fn clear(&mut self) {
        *self = Self::new();
    }

    /// Takes a key that has no escapes and ends in the window at `at`, as nearly all do; how long it is.
    #[inline(always)]
    fn take_window(&mut self, chunk: &[u8], at: usize) -> Option<usize> {
        let window = chunk.get(at..at + block::SIZE)?.first_chunk()?;
        let len = block::stops(window).trailing_zeros() as usize;
        let bytes = window.first_chunk().filter(|_| len <= KEY && window[len] == b'"')?;
        *self = Self { bytes: *bytes, len: len as u8, escape: Escape::None, other: false };
        Some(len)
    }

    fn get(&self) -> Option<&[u8]> {
        (!self.other).then(|| &self.bytes[..usize::from(self.len)])
    }

    /// Takes bytes from `at` on; true when the closing quote was among them.
    fn take(&mut self, chunk: &[u8], at: &mut usize) -> bool {
        while let Some(&byte) = chunk.get(*at) {
            match self.escape {
                Escape::None => {
                    let stop = memchr2(b'"', b'\\', &chunk[*at..]).map(|found| *at + found);
                    self.push(&chunk[*at..stop.unwrap_or(chunk.len())]);
                    let Some(stop) = stop else { break };
                    *at = stop + 1;
                    if chunk[stop] == b'"' {
                        return true;
                    }
                    self.escape = Escape::Begun;
                    continue;
                }
                Escape::Begun => {
                    self.escape = Escape::None;
                    match byte {
                        b'u' => self.escape = Escape::Unicode(0, 0),
                        b'b' => self.push(b"\x08"),
                        b'f' => self.push(b"\x0c"),
                        b'n' => self.push(b"\n"),
                        b'r' => self.push(b"\r"),
                        b't' => self.push(b"\t"),
                        b'"' | b'\\' | b'/' => self.push(&[byte]),
                        _ => self.other = true,
                    }
                }
                Escape::Unicode(digits, value) => {
                    let Some(digit) = char::from(byte).to_digit(16) else {
                        (self.escape, self.other) = (Escape::None, true);
                        continue;
                    };
                    let value = value << 4 | digit;
                    self.escape = if digits < 3 { Escape::Unicode(digits + 1, value) } else { Escape::None };
                    if digits == 3 {
                        match u8::try_from(value) {
                            Ok(ascii) if ascii.is_ascii() => self.push(&[ascii]),
                            _ => self.other = true,
                        }
                    }
                }
            }
            *at += 1;
        }
        false
    }

    fn push(&mut self, part: &[u8]) {
        let from = usize::from(self.len);
        match self.bytes.get_mut(from..from + part.len()) {
            Some(room) => {
                room.copy_from_slice(part);
                self.len += part.len() as u8;
            }
            None => self.other = true,
        }
    }
}
