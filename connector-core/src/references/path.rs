//! Paths as they are written.

use super::PathFault;

/// What a path goes through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Segment {
    /// The member of an object.
    Key(String),
    /// Every element of an array.
    Each,
}

/// The segments below `spec`; there is one at least, and the first is a key.
pub(super) fn parse(path: &str) -> Result<Vec<Segment>, PathFault> {
    let mut rest = path.strip_prefix("spec").ok_or(PathFault::NotBelowSpec)?;
    if !rest.is_empty() && !rest.starts_with(['.', '[']) {
        return Err(PathFault::NotBelowSpec);
    }
    let mut segments = Vec::new();
    while !rest.is_empty() {
        let (segment, behind) = next(rest).ok_or_else(|| PathFault::Syntax { rest: rest.to_owned() })?;
        segments.push(segment);
        rest = behind;
    }
    match segments.first() {
        Some(Segment::Key(_)) => Ok(segments),
        Some(Segment::Each) | None => Err(PathFault::Whole),
    }
}

fn next(text: &str) -> Option<(Segment, &str)> {
    if let Some(behind) = text.strip_prefix("[*]") {
        return Some((Segment::Each, behind));
    }
    if let Some(quoted) = text.strip_prefix("['") {
        let (key, behind) = quoted.split_once("']")?;
        return (!key.is_empty() && !key.contains('\'')).then(|| (Segment::Key(key.to_owned()), behind));
    }
    let key = text.strip_prefix('.')?;
    let (key, behind) = key.split_at(key.find(['.', '[']).unwrap_or(key.len()));
    is_plain(key).then(|| (Segment::Key(key.to_owned()), behind))
}

/// Whether a key needs no quotes.
pub(super) fn is_plain(key: &str) -> bool {
    !key.is_empty() && key.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
}
