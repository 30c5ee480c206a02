//! Answers in YAML, to the byte as the reference server writes them.
//!
//! It makes YAML of its JSON with `sigs.k8s.io/yaml`, that is go-yaml v2: keys in an order of its own, long lines folded behind
//! column 80, texts plain where they can be (wire rule 7.20).

mod emitter;
mod order;
mod resolve;
mod scalar;
#[cfg(test)]
mod tests;
mod tree;

mod walk;

use bytes::Bytes;

use super::{AnswerError, MAX_HELD};
use crate::json::{Event, Kind, Scanner};
use emitter::Emitter;
use order::precedes;
use tree::Tree;
use walk::Walk;

/// A piece of YAML is given when it has this many bytes.
const PIECE: usize = 64 << 10;

/// Turns one JSON document that comes in chunks into YAML.
///
/// Call order: [`Self::next`] until there is nothing more, for each chunk; then [`Self::finish`] once.
///
/// YAML sorts keys in an order of its own, so a document is held, at most [`MAX_HELD`] bytes of it; of a list or Table one
/// element at a time, and what stands beside them. An element that is held takes up to sixteen times its size.
///
/// ```
/// use connector_core::answer::Yaml;
///
/// let mut yaml = Yaml::new();
/// let mut chunk = r#"{"kind":"List","apiVersion":"v1","items":[{"b":"true","a":1}]}"#.into();
/// let mut out = Vec::new();
/// while let Some(piece) = yaml.next(&mut chunk)? {
///     out.extend_from_slice(&piece);
/// }
/// yaml.finish()?;
/// assert_eq!(out, b"apiVersion: v1\nitems:\n- a: 1\n  b: \"true\"\nkind: List\n");
/// # Ok::<(), connector_core::answer::AnswerError>(())
/// ```
#[derive(Debug)]
pub struct Yaml {
    scanner: Scanner,
    place: Place,
    /// Bytes that came before the chunk.
    seen: u64,
    /// The document, with `null` in the place of the array whose elements are written one by one.
    rest: Vec<u8>,
    /// That array, once it has come.
    array: Option<Array>,
    /// The element that is being held.
    element: Vec<u8>,
    /// Invariant: nothing is read while something is being written.
    walk: Option<Walk>,
    emitter: Emitter,
}

/// What the scanner is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// Before the document.
    Start,
    /// The document, outside of the array.
    Rest,
    /// The array, between elements.
    Elements,
    /// An element of the array.
    Element,
    /// Behind the document.
    Done,
}

#[derive(Clone, Copy, Debug)]
struct Array {
    key: &'static str,
    /// How much of the rest is before it.
    at: usize,
    is_empty: bool,
}

/// Where a member belongs, seen from the array.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Before,
    Itself,
    Behind,
}

impl Default for Yaml {
    fn default() -> Self {
        Self::new()
    }
}

impl Yaml {
    /// Before the first byte of a document.
    pub fn new() -> Self {
        Self {
            scanner: Scanner::new(),
            place: Place::Start,
            seen: 0,
            rest: Vec::new(),
            array: None,
            element: Vec::new(),
            walk: None,
            emitter: Emitter::new(),
        }
    }

    /// The next piece of YAML, which takes bytes from `chunk`; `None` when the chunk is used up.
    ///
    /// # Errors
    /// [`AnswerError::Malformed`], [`AnswerError::TooDeep`] and [`AnswerError::TooLarge`]; then it is of no more use, and the
    /// answer must be broken off.
    pub fn next(&mut self, chunk: &mut Bytes) -> Result<Option<Bytes>, AnswerError> {
        loop {
            self.write()?;
            let is_enough = self.emitter.out.len() >= PIECE || chunk.is_empty();
            if is_enough && !self.emitter.out.is_empty() {
                return Ok(Some(std::mem::take(&mut self.emitter.out).into()));
            }
            if chunk.is_empty() {
                return Ok(None);
            }
            self.read(chunk)?;
        }
    }

    /// Takes the end of the document.
    ///
    /// # Errors
    /// [`AnswerError::Truncated`] when it is not complete.
    pub fn finish(&self) -> Result<(), AnswerError> {
        if self.place == Place::Done { Ok(()) } else { Err(AnswerError::Truncated) }
    }

    /// Writes what was read, up to a piece.
    fn write(&mut self) -> Result<(), AnswerError> {
        while let Some(walk) = &mut self.walk
            && self.emitter.out.len() < PIECE
        {
            if !walk.step(&mut self.emitter)? {
                self.walk = None;
                if self.place == Place::Done {
                    self.emitter.end();
                }
            }
        }
        Ok(())
    }

    /// Reads on to the next event.
    fn read(&mut self, chunk: &mut Bytes) -> Result<(), AnswerError> {
        let mut at = 0;
        let event = self.scanner.next(chunk, &mut at).map_err(|error| AnswerError::of(error, self.seen))?;
        self.hold(&chunk[..at])?;
        match (self.place, event) {
            (Place::Start, Some(Event::Value(Kind::Object))) => {
                self.enter(&mut at)?;
                self.rest.push(b'{');
                self.place = Place::Rest;
            }
            (Place::Start, Some(_)) => return Err(self.malformed()),
            (Place::Rest, Some(Event::Value(Kind::Array))) => {
                let key = match self.scanner.key() {
                    Some(b"items") => Some("items"),
                    Some(b"rows") => Some("rows"),
                    _ => None,
                };
                if let Some(key) = key.filter(|_| self.array.is_none()) {
                    self.enter(&mut at)?;
                    self.array = Some(Array { key, at: self.rest.len(), is_empty: true });
                    self.place = Place::Elements;
                    self.begin_array()?;
                }
            }
            (Place::Rest, Some(Event::Close)) => {
                self.place = Place::Done;
                self.end_document()?;
            }
            (Place::Elements, Some(Event::Value(_))) => {
                self.place = Place::Element;
                self.begin_element()?;
            }
            (Place::Elements, Some(Event::Close)) => {
                self.place = Place::Rest;
                self.end_array()?;
            }
            (Place::Element, Some(Event::End)) => {
                self.place = Place::Elements;
                let element = std::mem::take(&mut self.element);
                self.walk = Some(Walk::element(self.tree(element)?, self.seen, &mut self.emitter)?);
            }
            _ => {}
        }
        let _ = chunk.split_to(at);
        self.seen += at as u64;
        Ok(())
    }

    fn enter(&mut self, at: &mut usize) -> Result<(), AnswerError> {
        self.scanner.enter(at).map_err(|error| AnswerError::of(error, self.seen))
    }

    fn hold(&mut self, part: &[u8]) -> Result<(), AnswerError> {
        let held = match self.place {
            Place::Rest => &mut self.rest,
            Place::Element => &mut self.element,
            Place::Start | Place::Elements | Place::Done => return Ok(()),
        };
        if held.len() + part.len() > MAX_HELD {
            return Err(AnswerError::TooLarge);
        }
        held.extend_from_slice(part);
        Ok(())
    }

    /// Writes the members that come before the array.
    fn begin_array(&mut self) -> Result<(), AnswerError> {
        self.rest.extend_from_slice(b"null");
        let mut known = self.rest.clone();
        known.push(b'}');
        self.emitter.open_object();
        self.write_members(known, |side, _| side == Side::Before)
    }

    fn begin_element(&mut self) -> Result<(), AnswerError> {
        if let Some(array) = self.array.as_mut().filter(|array| array.is_empty) {
            array.is_empty = false;
            self.emitter.key(array.key)?;
            self.emitter.open_array(true);
        }
        self.emitter.item();
        Ok(())
    }

    fn end_array(&mut self) -> Result<(), AnswerError> {
        match self.array {
            Some(Array { key, is_empty: true, .. }) => {
                self.emitter.key(key)?;
                self.emitter.empty("[]");
            }
            _ => self.emitter.close(),
        }
        Ok(())
    }

    /// Writes the members that are not written yet. One that comes behind the array, though its key does not, is late.
    fn end_document(&mut self) -> Result<(), AnswerError> {
        let document = std::mem::take(&mut self.rest);
        let at = self.array.map_or(0, |array| array.at);
        self.write_members(document, |side, key| side == Side::Behind || (side == Side::Before && key > at))?;
        match (&self.array, &self.walk) {
            (None, Some(walk)) if walk.is_empty() => self.emitter.empty("{}"),
            (None, _) => self.emitter.open_object(),
            (Some(_), _) => {}
        }
        Ok(())
    }

    /// Writes those members of the document that are wanted by where they belong, and by where they stand.
    fn write_members(&mut self, document: Vec<u8>, is_wanted: impl Fn(Side, usize) -> bool) -> Result<(), AnswerError> {
        let tree = self.tree(document)?;
        let side = |key: &str| match self.array {
            Some(array) if key == array.key => Side::Itself,
            Some(array) if precedes(key, array.key) => Side::Before,
            _ => Side::Behind,
        };
        self.walk = Some(Walk::members(tree, self.seen, |key, at| is_wanted(side(key), at)));
        Ok(())
    }

    fn tree(&self, json: Vec<u8>) -> Result<Tree, AnswerError> {
        Tree::read(json).map_err(|_| self.malformed())
    }

    fn malformed(&self) -> AnswerError {
        AnswerError::Malformed { at: self.seen }
    }
}
