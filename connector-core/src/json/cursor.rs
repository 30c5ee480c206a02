//! The cursor over a document that is whole in memory.

use std::ops::Range;

use super::block;
use super::skip::Skip;
use super::text::Text;
use super::{Error, Kind, MAX_DEPTH, is_space};

/// Reads one value of a slice, part by part, without allocating.
///
/// It stands before a value. [`Self::skip`] passes over it, [`Self::string`] reads it, and [`Self::object`] or
/// [`Self::array`] goes into it: then each [`Self::member`] or [`Self::element`] stops before a value, which must be read in one of the three ways
/// before the next one is asked for.
///
/// ```
/// use connector_core::json::Cursor;
/// let text = br#"{"a": 1, "n\u0061me": "x"}"#;
/// let mut cursor = Cursor::new(text, 0);
/// let mut walk = cursor.object()?;
/// while let Some(member) = cursor.member(&mut walk)? {
///     match member.key.is("name") {
///         true => assert_eq!(cursor.string()?.1.decode().unwrap(), "x"),
///         false => assert_eq!(&text[cursor.skip()?], b"1"),
///     }
/// }
/// # Ok::<(), connector_core::json::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
    /// Containers that are open where it stands.
    depth: u32,
    ahead: Ahead,
}

/// What was seen together with the last key: the quotes and backslashes behind it, in the block that begins at `from`.
#[derive(Clone, Copy, Debug)]
struct Ahead {
    from: usize,
    stops: u64,
}

/// Where a key stands, with its quotes. Not a [`Text`]: what a function that is not inlined gives in memory is read word by word.
struct Key {
    start: usize,
    end: usize,
    escaped: bool,
}

/// Where a [`Cursor`] stands in one container that it has entered.
#[derive(Clone, Debug)]
pub struct Walk {
    /// Behind the opening bracket.
    open: usize,
    first: bool,
}

impl Walk {
    /// The offset behind the container's opening bracket.
    pub fn open(&self) -> usize {
        self.open
    }
}

/// A member of an object; the cursor stands before its value.
#[derive(Clone, Copy, Debug)]
pub struct Member<'a> {
    /// Its key.
    pub key: Text<'a>,
    /// Where it stands.
    pub entry: Entry,
}

/// Where a member or an element stands.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// Behind the opening bracket or the value before: from here to `start` there is whitespace and at most one comma.
    pub lead: usize,
    /// Its first byte.
    pub start: usize,
}

impl<'a> Cursor<'a> {
    /// A cursor before the value that begins at offset `at`, or behind whitespace there.
    pub fn new(bytes: &'a [u8], at: usize) -> Self {
        Self::within(bytes, at, 0)
    }

    /// The same where `depth` containers are open around the value.
    pub(crate) fn within(bytes: &'a [u8], at: usize, depth: u32) -> Self {
        Self { bytes, at, depth, ahead: Ahead { from: at, stops: 0 } }
    }

    /// The offset at which it stands.
    pub fn at(&self) -> usize {
        self.at
    }

    /// What the next value is.
    ///
    /// # Errors
    /// [`Error::Syntax`] when none begins here.
    #[inline(always)]
    pub fn kind(&mut self) -> Result<Kind, Error> {
        Kind::of(self.peek()?).ok_or(self.wrong())
    }

    /// Goes into the object that comes next; [`Self::member`] goes through it.
    ///
    /// # Errors
    /// [`Error::Syntax`] when something else comes.
    #[inline(always)]
    pub fn object(&mut self) -> Result<Walk, Error> {
        self.enter(b'{')
    }

    /// Goes into the array that comes next; [`Self::element`] goes through it.
    ///
    /// # Errors
    /// [`Error::Syntax`] when something else comes.
    #[inline(always)]
    pub fn array(&mut self) -> Result<Walk, Error> {
        self.enter(b'[')
    }

    /// Goes to the next member of the object that was entered, or behind the object when there is none.
    ///
    /// # Errors
    /// [`Error::Syntax`] when something else comes.
    #[inline(always)]
    pub fn member(&mut self, walk: &mut Walk) -> Result<Option<Member<'a>>, Error> {
        let lead = self.at;
        if self.bytes.get(lead) == Some(&b'}') {
            self.depth -= 1;
            self.at += 1;
            return Ok(None);
        }
        let (start, end, escaped) = match self.compact_key(walk) {
            Some((start, end)) => (start, end, false),
            None => match self.any_key(walk)? {
                Some(Key { start, end, escaped }) => (start, end, escaped),
                None => return Ok(None),
            },
        };
        let key = Text { quoted: &self.bytes[start..end], escaped };
        Ok(Some(Member { key, entry: Entry { lead, start } }))
    }

    /// Passes over a key and its colon that are written as nearly all are: the key is short and without escapes, and there is no
    /// whitespace. Where the key begins and ends.
    #[inline(always)]
    fn compact_key(&mut self, walk: &mut Walk) -> Option<(usize, usize)> {
        let lead = self.at;
        let window: &[u8; block::SIZE] = self.bytes.get(lead..)?.first_chunk()?;
        let start = usize::from(!walk.first);
        if window[start] != b'"' || (start > 0 && window[0] != b',') {
            return None;
        }
        let stops = block::stops(window);
        let behind = stops & stops.wrapping_sub(1);
        let end = behind.trailing_zeros() as usize;
        if end >= block::SIZE - 1 || window[end] != b'"' || window[end + 1] != b':' {
            return None;
        }
        walk.first = false;
        self.at = lead + end + 2;
        self.ahead = Ahead { from: lead, stops: behind & behind.wrapping_sub(1) };
        Some((lead + start, lead + end + 1))
    }

    /// The same of every other key, or of the end of the object.
    #[inline(never)]
    fn any_key(&mut self, walk: &mut Walk) -> Result<Option<Key>, Error> {
        let Some(Entry { start, .. }) = self.separate(walk, b'}')? else { return Ok(None) };
        let (range, Text { escaped, .. }) = self.string()?;
        match self.peek()? {
            b':' => self.at += 1,
            _ => return Err(self.wrong()),
        }
        Ok(Some(Key { start, end: range.end, escaped }))
    }

    /// Goes to the next member whose value is an object or an array, or behind the object that was entered when there is none: the
    /// member's key. Members before it are passed over as values are.
    ///
    /// # Errors
    /// [`Error::Syntax`] when something else comes.
    #[inline(always)]
    pub(crate) fn container(&mut self, walk: &mut Walk) -> Result<Option<Text<'a>>, Error> {
        let (start, end, escaped) = match self.compact_container() {
            Some(Some(start)) => (start, self.at - 1, false),
            Some(None) => return Ok(None),
            None => match self.any_container(walk)? {
                Some(Key { start, end, escaped }) => (start, end, escaped),
                None => return Ok(None),
            },
        };
        walk.first = false;
        Ok(Some(Text { quoted: &self.bytes[start..end], escaped }))
    }

    /// [`Self::container`] where the key has no escapes and no whitespace is behind it: where it begins.
    #[inline(always)]
    fn compact_container(&mut self) -> Option<Option<usize>> {
        let bracket = block::bracket(self.bytes, self.at)?;
        match self.bytes[bracket] {
            b'}' => {
                self.depth -= 1;
                self.at = bracket + 1;
                Some(None)
            }
            b'{' | b'[' => {
                let before = self.bytes[self.at..bracket].strip_suffix(b"\":")?;
                let quote = before.iter().rposition(|byte| matches!(byte, b'"' | b'\\'))?;
                // With a backslash there or before it is no quote, or within the key.
                if before[quote] != b'"' || before[..quote].last() == Some(&b'\\') {
                    return None;
                }
                let start = self.at + quote;
                self.at = bracket;
                Some(Some(start))
            }
            _ => None,
        }
    }

    #[inline(never)]
    fn any_container(&mut self, walk: &mut Walk) -> Result<Option<Key>, Error> {
        while let Some(Member { key, entry: Entry { start, .. } }) = self.member(walk)? {
            if matches!(self.kind()?, Kind::Object | Kind::Array) {
                return Ok(Some(Key { start, end: start + key.quoted.len(), escaped: key.escaped }));
            }
            self.skip()?;
        }
        Ok(None)
    }

    /// Goes to the next element of the array that was entered, or behind the array when there is none.
    ///
    /// # Errors
    /// [`Error::Syntax`] when something else comes.
    #[inline(always)]
    pub fn element(&mut self, walk: &mut Walk) -> Result<Option<Entry>, Error> {
        self.separate(walk, b']')
    }

    /// Passes over the next value; the offsets of it.
    ///
    /// # Errors
    /// [`Error::Syntax`] when none comes or it has no end; [`Error::TooDeep`].
    #[inline(always)]
    pub fn skip(&mut self) -> Result<Range<usize>, Error> {
        let start = self.at;
        match (self.bytes.get(start), self.bytes.get(start + 1)) {
            (Some(b'"'), _) if let Some(end) = self.end_ahead(start) => self.at = end,
            // Most of `managedFields` are empty objects.
            (Some(b'{'), Some(b'}')) if self.depth < MAX_DEPTH => self.at += 2,
            _ => return self.skip_unseen(),
        }
        Ok(start..self.at)
    }

    /// Where the string ends that begins at `start`, if that was seen together with its key and it has no escapes.
    #[inline(always)]
    fn end_ahead(&self, start: usize) -> Option<usize> {
        let Ahead { from, stops } = self.ahead;
        let inside = stops & stops.wrapping_sub(1);
        let end = from + inside.trailing_zeros() as usize;
        let is_seen =
            inside != 0 && from + stops.trailing_zeros() as usize == start && self.bytes.get(end) == Some(&b'"');
        is_seen.then_some(end + 1)
    }

    #[inline(never)]
    fn skip_unseen(&mut self) -> Result<Range<usize>, Error> {
        let kind = self.kind()?;
        let start = self.at;
        let end = match kind {
            Kind::String => self.end_of_string(start + 1).map(|(end, _)| end),
            kind => Skip::begin(kind).run(self.bytes, start + 1, self.depth)?,
        };
        let open = (kind == Kind::Scalar).then_some(self.bytes.len());
        self.at = end.or(open).ok_or(Error::Syntax { at: self.bytes.len() })?;
        Ok(start..self.at)
    }

    /// Reads the string that comes next; the offsets of it, with its quotes, and what it says.
    ///
    /// # Errors
    /// [`Error::Syntax`] when something else comes or it has no end.
    #[inline(always)]
    pub fn string(&mut self) -> Result<(Range<usize>, Text<'a>), Error> {
        if self.peek()? != b'"' {
            return Err(self.wrong());
        }
        let start = self.at;
        let (end, escaped) = match self.end_ahead(start) {
            Some(end) => (end, false),
            None => self.end_of_string(start + 1).ok_or(Error::Syntax { at: self.bytes.len() })?,
        };
        self.at = end;
        Ok((start..end, Text { quoted: &self.bytes[start..end], escaped }))
    }

    /// Where the string ends whose first byte behind the quote is at `start`: the offset behind its closing quote, and whether there
    /// are escapes before it.
    #[inline]
    fn end_of_string(&self, start: usize) -> Option<(usize, bool)> {
        let window: Option<&[u8; block::SIZE]> = self.bytes.get(start..).and_then(<[u8]>::first_chunk);
        let stops = window.map_or(0, block::stops);
        let end = start + stops.trailing_zeros() as usize;
        match self.bytes.get(end) {
            Some(b'"') if stops != 0 => Some((end + 1, false)),
            _ => block::string(self.bytes, start, &mut false),
        }
    }

    #[inline(always)]
    fn enter(&mut self, bracket: u8) -> Result<Walk, Error> {
        if self.peek()? != bracket {
            return Err(self.wrong());
        }
        if self.depth == MAX_DEPTH {
            return Err(Error::TooDeep);
        }
        self.depth += 1;
        self.at += 1;
        Ok(Walk { open: self.at, first: true })
    }

    #[inline(always)]
    fn separate(&mut self, walk: &mut Walk, close: u8) -> Result<Option<Entry>, Error> {
        let lead = self.at;
        let byte = self.peek()?;
        if byte == b',' && !walk.first {
            self.at += 1;
            self.peek()?;
        } else if byte == close {
            self.depth -= 1;
            self.at += 1;
            return Ok(None);
        } else if !walk.first {
            return Err(self.wrong());
        }
        walk.first = false;
        Ok(Some(Entry { lead, start: self.at }))
    }

    /// The next byte that is not whitespace; it stays the next one.
    #[inline(always)]
    fn peek(&mut self) -> Result<u8, Error> {
        match self.bytes.get(self.at) {
            Some(&byte) if byte > b' ' => Ok(byte),
            _ => self.peek_behind_space(),
        }
    }

    #[cold]
    fn peek_behind_space(&mut self) -> Result<u8, Error> {
        while let Some(&byte) = self.bytes.get(self.at) {
            if !is_space(byte) {
                return Ok(byte);
            }
            self.at += 1;
        }
        Err(self.wrong())
    }

    fn wrong(&self) -> Error {
        Error::Syntax { at: self.at }
    }
}
