//! Documents that patches are applied to as the reference server applies them (`evanphx/json-patch` v4): values stay text
//! until an operation looks into them, so that numbers keep their digits.

use std::collections::BTreeMap;

use serde_json::value::RawValue;

use super::members::{Members, compact, quote};

/// The most segments of a path, and levels that a test compares member by member: what is built level by level is torn down
/// so, too, and must not cost the stack. Objects of custom resources are far from it.
const DEPTH_MAX: usize = 128;

/// A JSON value.
#[derive(Clone, Debug)]
pub(super) enum Document {
    /// As it was written, without white space around it.
    Text(String),
    /// Sorted, as Go writes a map.
    Object(BTreeMap<String, Self>),
    List(Vec<Self>),
}

/// What to do at a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Edit<'a> {
    Add(&'a str),
    Replace(&'a str),
    Remove,
    Test(&'a str),
}

impl Document {
    /// Of text that is JSON.
    pub(super) fn of(text: &str) -> Self {
        Self::Text(text.trim().to_owned())
    }

    /// Does an operation; `None` where it does not apply, or the test fails. A replacement of what an object does not hold
    /// adds it.
    pub(super) fn edit(&mut self, path: &str, edit: Edit<'_>) -> Option<()> {
        if path.is_empty() {
            return match edit {
                // Only an object or a list can be the whole.
                Edit::Replace(value) => {
                    *self = Self::of(value);
                    self.open()
                }
                Edit::Test(value) => self.equals(&Self::of(value), 0).then_some(()),
                Edit::Add(_) | Edit::Remove => None,
            };
        }
        match edit {
            Edit::Test(value) => self.get(path)?.equals(&Self::of(value), 0).then_some(()),
            Edit::Add(value) => self.add(path, Self::of(value)),
            Edit::Remove => self.remove(path).map(drop),
            Edit::Replace(value) => {
                let value = Self::of(value);
                let (holder, key) = self.holder(path)?;
                match holder {
                    Self::Object(members) => drop(members.insert(key, value)),
                    Self::List(items) => {
                        let at = index(&key, items.len())?;
                        *items.get_mut(at)? = value;
                    }
                    Self::Text(_) => return None,
                }
                Some(())
            }
        }
    }

    /// The value at a path; what an object does not hold is `null`.
    pub(super) fn get(&mut self, path: &str) -> Option<Self> {
        let (holder, key) = self.holder(path)?;
        match holder {
            Self::Object(members) => Some(members.get(&key).cloned().unwrap_or_else(|| Self::of("null"))),
            Self::List(items) => items.get(index(&key, items.len())?).cloned(),
            Self::Text(_) => None,
        }
    }

    pub(super) fn add(&mut self, path: &str, value: Self) -> Option<()> {
        let (holder, key) = self.holder(path)?;
        match holder {
            Self::Object(members) => drop(members.insert(key, value)),
            Self::List(items) if key == "-" => items.push(value),
            Self::List(items) => {
                let at = index(&key, items.len() + 1).filter(|at| *at <= items.len())?;
                items.insert(at, value);
            }
            Self::Text(_) => return None,
        }
        Some(())
    }

    /// Takes out what stands at a path.
    pub(super) fn remove(&mut self, path: &str) -> Option<Self> {
        let (holder, key) = self.holder(path)?;
        match holder {
            Self::Object(members) => members.remove(&key),
            Self::List(items) => {
                let at = index(&key, items.len()).filter(|at| *at < items.len())?;
                Some(items.remove(at))
            }
            Self::Text(_) => None,
        }
    }

    /// The same value as text, however deep it was looked into, and how many bytes had to be written for that. What moves is
    /// text, so that moves build nothing deep.
    pub(super) fn flat(self) -> (Self, usize) {
        match self {
            Self::Text(_) => (self, 0),
            open => {
                let text = open.to_string();
                let written = text.len();
                (Self::Text(text), written)
            }
        }
    }

    /// Merges a patch into it (RFC 7386).
    pub(super) fn merge(&mut self, patch: &str) {
        self.merge_at(patch, 0);
    }

    fn merge_at(&mut self, patch: &str, depth: usize) {
        let Some(patch) = Members::parse(patch).ok().filter(|_| depth < DEPTH_MAX) else {
            *self = Self::of(patch);
            return;
        };
        if !matches!(self, Self::Text(text) if text.starts_with('{')) && !matches!(self, Self::Object(_)) {
            *self = Self::Object(BTreeMap::new());
        }
        self.open();
        let Self::Object(members) = self else { return };
        // Of one key the last counts.
        for (key, value) in patch.iter().collect::<BTreeMap<_, _>>() {
            match value {
                "null" => drop(members.remove(key)),
                value => {
                    members.entry(key.to_owned()).or_insert_with(|| Self::of("null")).merge_at(value, depth + 1);
                }
            }
        }
    }

    /// The object or list that a path ends in, and the last segment. What stands before the first slash does not count.
    fn holder(&mut self, path: &str) -> Option<(&mut Self, String)> {
        let mut segments = segments(path)?;
        let last = segments.pop()?;
        if segments.len() > DEPTH_MAX {
            return None;
        }
        let mut holder = self;
        holder.open()?;
        for segment in segments {
            holder = match holder {
                Self::Object(members) => members.get_mut(&segment)?,
                Self::List(items) => {
                    let at = index(&segment, items.len())?;
                    items.get_mut(at)?
                }
                Self::Text(_) => return None,
            };
            holder.open()?;
        }
        Some((holder, last))
    }

    /// Reads the outermost level of an object or list; `None` where it is neither.
    fn open(&mut self) -> Option<()> {
        let Self::Text(text) = self else { return Some(()) };
        *self = match text.as_bytes().first() {
            Some(b'{') => {
                let members = Members::parse(text).ok()?;
                Self::Object(members.iter().map(|(key, value)| (key.to_owned(), Self::of(value))).collect())
            }
            Some(b'[') => {
                let items: Vec<&RawValue> = serde_json::from_str(text).ok()?;
                Self::List(items.into_iter().map(|item| Self::of(item.get())).collect())
            }
            _ => return None,
        };
        Some(())
    }

    /// Whether two values are the same; numbers and strings are as they are written.
    pub(super) fn equals(&self, other: &Self, depth: usize) -> bool {
        let (mut first, mut second) = (self.clone(), other.clone());
        if depth >= DEPTH_MAX {
            return first.to_string() == second.to_string();
        }
        match (first.open().map(|()| &first), second.open().map(|()| &second)) {
            (Some(Self::Object(first)), Some(Self::Object(second))) => {
                let same =
                    |(key, value): (_, &Self)| second.get(key).is_some_and(|other| value.equals(other, depth + 1));
                first.len() == second.len() && first.iter().all(same)
            }
            (Some(Self::List(first)), Some(Self::List(second))) => {
                let mut pairs = first.iter().zip(second);
                first.len() == second.len() && pairs.all(|(first, second)| first.equals(second, depth + 1))
            }
            (None, None) => first.to_string() == second.to_string(),
            _ => false,
        }
    }

    fn render(&self, out: &mut String) {
        match self {
            Self::Text(text) => out.push_str(&compact(text)),
            Self::Object(members) => {
                out.push('{');
                for (at, (key, value)) in members.iter().enumerate() {
                    out.push_str(if at == 0 { "" } else { "," });
                    out.push_str(&quote(key));
                    out.push(':');
                    value.render(out);
                }
                out.push('}');
            }
            Self::List(items) => {
                out.push('[');
                for (at, item) in items.iter().enumerate() {
                    out.push_str(if at == 0 { "" } else { "," });
                    item.render(out);
                }
                out.push(']');
            }
        }
    }
}

impl std::fmt::Display for Document {
    /// The value as compact JSON.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut out = String::new();
        self.render(&mut out);
        f.write_str(&out)
    }
}

/// The segments of a JSON pointer (RFC 6901), decoded; `None` without a slash. What stands before the first is passed over, as
/// by the reference library.
pub(super) fn segments(path: &str) -> Option<Vec<String>> {
    let (_, path) = path.split_once('/')?;
    Some(path.split('/').map(|segment| segment.replace("~1", "/").replace("~0", "~")).collect())
}

/// The reference library counts negative indices from the end.
fn index(segment: &str, len: usize) -> Option<usize> {
    let at: i64 = segment.parse().ok()?;
    usize::try_from(if at < 0 { at.checked_add_unsigned(len as u64)? } else { at }).ok()
}
