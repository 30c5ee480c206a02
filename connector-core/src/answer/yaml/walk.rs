//! Writing a tree, step by step: how deep it is costs no stack, and who takes the YAML sets the pace.

use super::emitter::Emitter;
use super::resolve::number;
use super::tree::{Slots, Tree, Value};
use crate::answer::AnswerError;

/// A tree that is being written.
#[derive(Debug)]
pub(super) struct Walk {
    tree: Tree,
    stack: Vec<Frame>,
    /// Where the tree ends in the answer.
    at: u64,
}

/// A container that is being written.
#[derive(Clone, Copy, Debug)]
struct Frame {
    next: u32,
    end: u32,
    is_array: bool,
    /// Whether it is closed at its end.
    is_whole: bool,
}

impl Walk {
    /// Writes the members of an object that are wanted, told by key and offset; the object is open already and stays so.
    pub(super) fn members(mut tree: Tree, at: u64, is_wanted: impl Fn(&str, usize) -> bool) -> Self {
        let members = tree.select(is_wanted);
        Self { tree, stack: vec![Frame { is_whole: false, ..Frame::new(members, false) }], at }
    }

    /// Whether there is nothing to write.
    pub(super) fn is_empty(&self) -> bool {
        self.stack.iter().all(|frame| frame.next == frame.end)
    }

    /// Writes an element of an array.
    pub(super) fn element(tree: Tree, at: u64, emitter: &mut Emitter) -> Result<Self, AnswerError> {
        let root = tree.root();
        let mut walk = Self { tree, stack: Vec::new(), at };
        walk.value(root, false, emitter)?;
        Ok(walk)
    }

    /// Writes the next part; false when all is written.
    pub(super) fn step(&mut self, emitter: &mut Emitter) -> Result<bool, AnswerError> {
        let Some(frame) = self.stack.last_mut() else { return Ok(false) };
        if frame.next == frame.end {
            if frame.is_whole {
                emitter.close();
            }
            self.stack.pop();
            return Ok(true);
        }
        let entry = self.tree.entry(frame.next);
        frame.next += 1;
        let is_member = !frame.is_array;
        if is_member {
            emitter.key(&self.tree.text(entry.key).ok_or(self.malformed())?)?;
        } else {
            emitter.item();
        }
        self.value(entry.value, is_member, emitter)?;
        Ok(true)
    }

    fn value(&mut self, value: Value, of_member: bool, emitter: &mut Emitter) -> Result<(), AnswerError> {
        match value {
            Value::Object(members) if members.is_empty() => emitter.empty("{}"),
            Value::Array(elements) if elements.is_empty() => emitter.empty("[]"),
            Value::Object(members) => {
                emitter.open_object();
                self.stack.push(Frame::new(members, false));
            }
            Value::Array(elements) => {
                emitter.open_array(of_member);
                self.stack.push(Frame::new(elements, true));
            }
            Value::Text(at) => emitter.string(&self.tree.text(at).ok_or(self.malformed())?)?,
            Value::Plain(from, to) => match self.tree.plain(from, to) {
                b"true" => emitter.plain("true"),
                b"false" => emitter.plain("false"),
                b"null" => emitter.plain("null"),
                text => {
                    let text = std::str::from_utf8(text).ok().and_then(number);
                    emitter.plain(&text.ok_or(self.malformed())?);
                }
            },
        }
        Ok(())
    }

    fn malformed(&self) -> AnswerError {
        AnswerError::Malformed { at: self.at }
    }
}

impl Frame {
    fn new(slots: Slots, is_array: bool) -> Self {
        Self { next: slots.from, end: slots.to, is_array, is_whole: true }
    }
}
