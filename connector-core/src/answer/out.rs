//! Where a [`Rewriter`](super::Rewriter) puts the parts of its answer.

use bytes::{Bytes, BytesMut};

use crate::json::Sink;

/// Parts at least as long are passed on as slices of the chunk they came in; shorter ones are copied together, since each
/// slice costs more further on (a frame of its own on the wire) than copying it does.
const SHARED: usize = 4096;

/// Gathers the output of one chunk.
pub(super) struct Out<'a> {
    pub(super) chunk: &'a Bytes,
    pub(super) scratch: &'a mut BytesMut,
    pub(super) ready: &'a mut Vec<Bytes>,
}

impl Out<'_> {
    /// Hands over what was gathered.
    pub(super) fn flush(&mut self) {
        if !self.scratch.is_empty() {
            self.ready.push(self.scratch.split().freeze());
        }
    }

    fn is_of_chunk(&self, part: &[u8]) -> bool {
        let (chunk, part) = (self.chunk.as_ptr_range(), part.as_ptr_range());
        chunk.start <= part.start && part.end <= chunk.end
    }
}

impl Sink for Out<'_> {
    fn keep(&mut self, part: &[u8]) {
        if part.len() >= SHARED && self.is_of_chunk(part) {
            self.flush();
            self.ready.push(self.chunk.slice_ref(part));
        } else {
            self.write(part);
        }
    }

    fn write(&mut self, text: &[u8]) {
        if self.scratch.is_empty() {
            self.scratch.reserve(self.chunk.len().max(text.len()));
        }
        self.scratch.extend_from_slice(text);
    }
}
