//! One JSON value as a tree of offsets, the members of its objects in the order of their keys.

use std::borrow::Cow;

use super::order::{precedes, sort};
use crate::json::{Cursor, Error, Kind, Walk};

/// Where a value stands.
#[derive(Clone, Copy, Debug)]
pub(super) enum Value {
    /// Its members among the entries.
    Object(Slots),
    /// Its elements among the entries.
    Array(Slots),
    /// The offset of its first byte.
    Text(u32),
    /// The offsets of a number, `true`, `false` or `null`.
    Plain(u32, u32),
}

/// A range of entries.
#[derive(Clone, Copy, Debug)]
pub(super) struct Slots {
    pub(super) from: u32,
    pub(super) to: u32,
}

/// A member or an element.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    /// The offset of a member's key.
    pub(super) key: u32,
    pub(super) value: Value,
}

/// A value that is whole in memory: at most eight times its size in entries, and as much again while it is read.
#[derive(Debug)]
pub(super) struct Tree {
    json: Vec<u8>,
    entries: Vec<Entry>,
    root: Value,
}

/// A container that is being read.
struct Open {
    walk: Walk,
    is_object: bool,
    /// Where its entries begin among those that are not stored yet.
    from: usize,
    /// Its own key.
    key: u32,
}

impl Tree {
    /// Reads one value.
    ///
    /// # Errors
    /// Those of [`Cursor`]; [`Error::Syntax`] for more than 4 GiB.
    pub(super) fn read(json: Vec<u8>) -> Result<Self, Error> {
        let mut tree = Self { entries: Vec::new(), root: Value::Plain(0, 0), json };
        u32::try_from(tree.json.len()).map_err(|_| Error::Syntax { at: 0 })?;
        let mut cursor = Cursor::new(&tree.json, 0);
        let (mut open, mut waiting): (Vec<Open>, Vec<Entry>) = (Vec::new(), Vec::new());
        let mut key = 0;
        loop {
            let kind = cursor.kind()?;
            let value = match kind {
                Kind::Object | Kind::Array => {
                    let is_object = kind == Kind::Object;
                    let walk = if is_object { cursor.object()? } else { cursor.array()? };
                    open.push(Open { walk, is_object, from: waiting.len(), key });
                    None
                }
                Kind::String => Some(Value::Text(cursor.string()?.0.start as u32)),
                Kind::Scalar => Some(cursor.skip().map(|range| Value::Plain(range.start as u32, range.end as u32))?),
            };
            match value {
                Some(value) if open.is_empty() => {
                    tree.root = value;
                    return Ok(tree);
                }
                Some(value) => waiting.push(Entry { key, value }),
                None => {}
            }
            // The next member or element, behind the ends of as many containers as there are.
            while let Some(innermost) = open.last_mut() {
                let next = match innermost.is_object {
                    true => cursor.member(&mut innermost.walk)?.map(|member| member.entry.start),
                    false => cursor.element(&mut innermost.walk)?.map(|entry| entry.start),
                };
                if let Some(start) = next {
                    key = start as u32;
                    break;
                }
                let Open { is_object, from, key, .. } = *innermost;
                open.pop();
                if is_object {
                    sort_members(&tree.json, &mut waiting[from..]);
                }
                let slots =
                    Slots { from: tree.entries.len() as u32, to: (tree.entries.len() + waiting.len() - from) as u32 };
                tree.entries.extend(waiting.drain(from..));
                let value = if is_object { Value::Object(slots) } else { Value::Array(slots) };
                if open.is_empty() {
                    tree.root = value;
                    return Ok(tree);
                }
                waiting.push(Entry { key, value });
            }
        }
    }

    /// Those members of the object, read as the whole, that are wanted, told by key and offset; none where it is no object.
    pub(super) fn select(&mut self, is_wanted: impl Fn(&str, usize) -> bool) -> Slots {
        let from = self.entries.len();
        if let Value::Object(members) = self.root {
            for at in members.from..members.to {
                let entry = self.entry(at);
                if is_wanted(&self.text(entry.key).unwrap_or_default(), entry.key as usize) {
                    self.entries.push(entry);
                }
            }
        }
        Slots { from: from as u32, to: self.entries.len() as u32 }
    }

    /// The value itself.
    pub(super) fn root(&self) -> Value {
        self.root
    }

    pub(super) fn entry(&self, at: u32) -> Entry {
        self.entries[at as usize]
    }

    /// The text that begins at an offset; `None` where it is not Unicode.
    pub(super) fn text(&self, at: u32) -> Option<Cow<'_, str>> {
        text(&self.json, at)
    }

    pub(super) fn plain(&self, from: u32, to: u32) -> &[u8] {
        &self.json[from as usize..to as usize]
    }
}

impl Slots {
    pub(super) fn is_empty(self) -> bool {
        self.from == self.to
    }
}

fn text(json: &[u8], at: u32) -> Option<Cow<'_, str>> {
    Cursor::new(json, at as usize).string().ok()?.1.decode()
}

fn sort_members(json: &[u8], members: &mut [Entry]) {
    let key = |entry: &Entry| text(json, entry.key).unwrap_or_default();
    sort(members, &|one, other| precedes(&key(one), &key(other)));
}
