//! JSON pointers (RFC 6901), and operations on a small document.

use std::fmt;

use serde_json::Value;

use super::super::secret::REF;
use super::Kind;

/// The segments of a JSON pointer, decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pointer(Vec<String>);

impl Pointer {
    /// `None` for what is not empty and does not begin with `/`. The reference library ignores what stands before the first
    /// slash, so that such a path would mean another member than it says.
    pub(super) fn parse(text: &str) -> Option<Self> {
        if text.is_empty() {
            return Some(Self(Vec::new()));
        }
        let segments = text.strip_prefix('/')?.split('/');
        Some(Self(segments.map(|segment| segment.replace("~1", "/").replace("~0", "~")).collect()))
    }

    pub(super) fn of(segments: &[&str]) -> Self {
        Self(segments.iter().map(|segment| (*segment).to_owned()).collect())
    }

    pub(super) fn segments(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }

    /// Whether an operation there is not passed on as it is, so that its value must be known.
    pub(super) fn is_translated(&self, scale: bool) -> bool {
        let segments: Vec<&str> = self.segments().collect();
        match segments.as_slice() {
            [] | ["metadata"] | ["metadata", "name" | "namespace"] => true,
            ["metadata", "labels" | "annotations" | "ownerReferences", ..] => !scale,
            ["spec"] | ["spec", REF] | ["spec", REF, "name"] => !scale,
            _ => false,
        }
    }
}

impl fmt::Display for Pointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.segments().try_for_each(|segment| write!(f, "/{}", segment.replace('~', "~0").replace('/', "~1")))
    }
}

/// The most segments of a path into a document that is edited here. An owner reference is flat; a bound on what is built
/// level by level keeps the stack safe.
const DEPTH_MAX: usize = 16;

/// The value at a path. What an object does not hold is `null`, as for the reference library; `None` where there is nothing
/// that could hold it.
pub(super) fn lookup<'a>(document: &'a Value, path: &Pointer) -> Option<&'a Value> {
    let Some((last, parents)) = path.0.split_last() else { return Some(document) };
    let parent = parents.iter().try_fold(document, |value, segment| match value {
        Value::Object(map) => map.get(segment),
        Value::Array(list) => list.get(index(segment, list.len())?),
        _ => None,
    })?;
    match parent {
        Value::Object(map) => Some(map.get(last).unwrap_or(&Value::Null)),
        Value::Array(list) => list.get(index(last, list.len())?),
        _ => None,
    }
}

/// Does an operation on a document; `None` where it does not apply, or the test fails. To replace what an object does not
/// hold is to add it, as for the reference library.
pub(super) fn edit(document: &mut Value, kind: Kind, path: &Pointer, value: Value) -> Option<()> {
    if kind == Kind::Test {
        return (*lookup(document, path)? == value).then_some(());
    }
    let (last, parents) = path.0.split_last().filter(|_| path.0.len() <= DEPTH_MAX)?;
    let parent = parents.iter().try_fold(document, |value, segment| match value {
        Value::Object(map) => map.get_mut(segment),
        Value::Array(list) => {
            let at = index(segment, list.len())?;
            list.get_mut(at)
        }
        _ => None,
    })?;
    match parent {
        Value::Object(map) => match kind {
            Kind::Remove => drop(map.remove(last)?),
            _ => drop(map.insert(last.clone(), value)),
        },
        Value::Array(list) => match kind {
            Kind::Add if last == "-" => list.push(value),
            Kind::Add => {
                let at = index(last, list.len() + 1).filter(|at| *at <= list.len())?;
                list.insert(at, value);
            }
            Kind::Remove => {
                let at = index(last, list.len()).filter(|at| *at < list.len())?;
                list.remove(at);
            }
            _ => {
                let at = index(last, list.len())?;
                *list.get_mut(at)? = value;
            }
        },
        _ => return None,
    }
    Some(())
}

/// The reference library counts negative indices from the end.
fn index(segment: &str, len: usize) -> Option<usize> {
    match segment.strip_prefix('-') {
        Some(back) => len.checked_sub(back.parse().ok().filter(|back| *back > 0)?),
        None => segment.parse().ok(),
    }
}
