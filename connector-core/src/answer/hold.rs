//! The bytes of an answer that have come and not gone out.

use super::out::Out;
use super::{AnswerError, MAX_HELD};
use crate::json::Sink;

/// What is held, between chunks and within one.
#[derive(Debug)]
pub(super) struct Hold {
    /// What is held of the chunks before this one. Invariant: empty unless the mode is [`Mode::Hold`].
    carry: Vec<u8>,
    /// The bytes of this chunk before this offset are done with, or in `carry`.
    mark: usize,
    mode: Mode,
    /// The bytes of the answer before this chunk.
    seen: u64,
}

/// What becomes of the bytes behind [`Hold::mark`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// They go out.
    Pass,
    /// They are not for the client.
    Drop,
    /// It is not known yet.
    Hold,
}

/// How much of a value has come when it is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reach {
    /// Its first byte, and most often all of it.
    Begun,
    /// All of it: it ends before this offset of the chunk.
    Ended(usize),
}

impl Hold {
    pub(super) fn new(mode: Mode) -> Self {
        Self { carry: Vec::new(), mark: 0, mode, seen: 0 }
    }

    /// The bytes of the answer before this chunk.
    pub(super) fn seen(&self) -> u64 {
        self.seen
    }

    /// The offset in what is held of offset `at` in this chunk.
    pub(super) fn offset(&self, at: usize) -> usize {
        self.carry.len() + at - self.mark
    }

    /// Holds what comes from `at` on; nothing may be held yet.
    pub(super) fn begin(&mut self, at: usize, out: &mut Out<'_>) {
        if self.mode == Mode::Pass && self.mark < at {
            out.keep(&out.chunk[self.mark..at]);
        }
        self.mark = at;
        self.mode = Mode::Hold;
    }

    /// All that is held, up to where a value is known to go, and where in the answer it begins; `None` when what began in a chunk
    /// before has not ended. Where nothing is held it is what has not gone out.
    pub(super) fn take<'a>(
        &'a mut self,
        chunk: &'a [u8],
        reach: Reach,
    ) -> Result<Option<(u64, &'a [u8])>, AnswerError> {
        let base = self.seen + self.mark as u64 - self.carry.len() as u64;
        match reach {
            Reach::Begun if self.carry.is_empty() => Ok(Some((base, &chunk[self.mark..]))),
            Reach::Begun => Ok(None),
            Reach::Ended(at) if self.carry.is_empty() => {
                fits(at - self.mark)?;
                Ok(Some((base, &chunk[self.mark..at])))
            }
            Reach::Ended(at) => {
                self.carry_on(&chunk[self.mark..at])?;
                self.mark = at;
                Ok(Some((base, &self.carry)))
            }
        }
    }

    /// The offset in this chunk at which the first `len` bytes end that [`Self::take`] gave.
    pub(super) fn end(&self, reach: Reach, len: usize) -> usize {
        match reach {
            Reach::Begun => self.mark + len,
            Reach::Ended(at) => at,
        }
    }

    /// What is held is done with.
    pub(super) fn release(&mut self, at: usize, mode: Mode) {
        self.carry.clear();
        self.mark = at;
        self.mode = mode;
    }

    /// Gives back the memory; nothing may be held.
    pub(super) fn shrink(&mut self) {
        self.carry = Vec::new();
    }

    /// The chunk ends: what passes goes out, what is held is copied.
    pub(super) fn end_chunk(&mut self, out: &mut Out<'_>) -> Result<(), AnswerError> {
        let rest = &out.chunk[self.mark..];
        match self.mode {
            Mode::Pass if !rest.is_empty() => out.keep(rest),
            Mode::Pass | Mode::Drop => {}
            Mode::Hold => self.carry_on(rest)?,
        }
        self.mark = 0;
        self.seen += out.chunk.len() as u64;
        Ok(())
    }

    fn carry_on(&mut self, part: &[u8]) -> Result<(), AnswerError> {
        fits(self.carry.len() + part.len())?;
        self.carry.extend_from_slice(part);
        Ok(())
    }
}

/// Refuses to hold more than [`MAX_HELD`] bytes.
pub(super) fn fits(len: usize) -> Result<(), AnswerError> {
    if len > MAX_HELD { Err(AnswerError::TooLarge) } else { Ok(()) }
}
