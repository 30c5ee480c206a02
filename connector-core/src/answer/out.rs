//! Where a [`Rewriter`](super::Rewriter) puts the parts of its answer.

use bytes::{Bytes, BytesMut};

use crate::json::Sink;

/// Parts at least as long are passed on as slices of the chunk they came in; shorter ones are copied together, since each
/// slice costs more further on (a frame of its own on the wire) than copying it does.
const SHARED: usize = 4096;

/// Takes the output of one chunk.
pub(super) struct Out<'a> {
    pub(super) chunk: &'a [u8],
    pub(super) target: Target<'a>,
}

/// What the output becomes.
pub(super) enum Target<'a> {
    /// Slices of the chunk, and of what is copied together.
    Parts { chunk: &'a Bytes, copied: &'a mut BytesMut, parts: &'a mut Vec<Bytes> },
    /// One text, to which all is copied.
    Whole(&'a mut Vec<u8>),
}

impl Out<'_> {
    /// Hands over what was copied together.
    pub(super) fn flush(&mut self) {
        if let Target::Parts { copied, parts, .. } = &mut self.target
            && !copied.is_empty()
        {
            parts.push(copied.split().freeze());
        }
    }
}

impl Sink for Out<'_> {
    fn keep(&mut self, part: &[u8]) {
        if part.len() >= SHARED
            && let Target::Parts { chunk, .. } = self.target
            && is_of(chunk, part)
        {
            self.flush();
            if let Target::Parts { parts, .. } = &mut self.target {
                parts.push(chunk.slice_ref(part));
            }
        } else {
            self.write(part);
        }
    }

    fn write(&mut self, text: &[u8]) {
        match &mut self.target {
            Target::Parts { copied, .. } => {
                if copied.is_empty() {
                    copied.reserve(self.chunk.len().max(text.len()));
                }
                copied.extend_from_slice(text);
            }
            Target::Whole(whole) => whole.extend_from_slice(text),
        }
    }
}

fn is_of(chunk: &[u8], part: &[u8]) -> bool {
    let (chunk, part) = (chunk.as_ptr_range(), part.as_ptr_range());
    chunk.start <= part.start && part.end <= chunk.end
}
