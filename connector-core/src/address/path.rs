//! Percent-decoding of a path into segments, with everything refused that another reader could read otherwise.

use std::borrow::Cow;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use super::AddressError;

/// What a rendered segment escapes: all but the unreserved characters of RFC 3986.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The decoded segments of an absolute path. One trailing slash is no segment, as in kube-apiserver.
pub(super) fn segments(path: &str) -> Result<Vec<String>, AddressError> {
    let path = path.strip_prefix('/').ok_or(AddressError::Unreadable("the path must begin with a slash"))?;
    let path = path.strip_suffix('/').unwrap_or(path);
    if path.is_empty() {
        return Ok(Vec::new());
    }
    path.split('/').map(segment).collect()
}

fn segment(raw: &str) -> Result<String, AddressError> {
    if raw.is_empty() {
        return Err(AddressError::Unreadable("a path segment is empty"));
    }
    if !escapes_are_whole(raw) {
        return Err(AddressError::Unreadable("a percent escape is broken"));
    }
    let decoded =
        percent_decode_str(raw).decode_utf8().map_err(|_| AddressError::Unreadable("a path segment is not UTF-8"))?;
    match decoded.as_ref() {
        "." | ".." => Err(AddressError::Unreadable("a path segment is a dot segment")),
        text if text.contains('/') => Err(AddressError::Unreadable("a path segment holds an encoded slash")),
        text if text.contains('\0') => Err(AddressError::Unreadable("a path segment holds a NUL")),
        _ => Ok(decoded.into_owned()),
    }
}

/// Whether every `%` is followed by two hex digits.
pub(super) fn escapes_are_whole(raw: &str) -> bool {
    let bytes = raw.as_bytes();
    let hex = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_hexdigit);
    bytes.iter().enumerate().all(|(at, byte)| *byte != b'%' || (hex(at + 1) && hex(at + 2)))
}

/// A segment as it is written into a path.
pub(super) fn encode(segment: &str) -> Cow<'_, str> {
    utf8_percent_encode(segment, SEGMENT).into()
}
