//! JSON as bytes: finding the few parts that matter in a document without building one.
//!
//! | type | what it is for |
//! |---|---|
//! | [`Scanner`] | a document that comes in chunks, of any size and cut anywhere; its state is small and fixed |
//! | [`Cursor`] | a small document that is whole in memory |
//! | [`Plan`] | edits of such a document: everything else is copied as it is |
//!
//! Both readers see the same grammar: any member order, any whitespace, keys with escapes. What they pass over is never
//! decoded, so numbers keep every digit (wire rule 7.2) and the cost is that of finding the closing bracket. They are no
//! validators: inside a value that is passed over only strings and the balance of brackets are looked at.
//!
//! # What makes it fast
//!
//! A container that is passed over is read in blocks of sixty-four bytes: vector instructions tell where a block has quotes,
//! backslashes and brackets, and counting bits tells whether the container can end there. A key is looked for in one such block
//! together with the short value behind it. What is whole in a chunk is read by a [`Cursor`] where it lies, which fails at the end
//! of the chunk; only what a chunk's end cuts is read by the [`Scanner`], which can wait. The instructions are chosen at run time,
//! so a build needs no `target-cpu`: SSE2, AVX2 or AVX-512 on x86-64, NEON on AArch64, words of eight bytes elsewhere.
//!
//! A step of the cursor waits for the one before it, so what lies between them counts more than the number of instructions: what
//! is rare has a function of its own that gives words, not structs, since a struct goes through memory in pieces that a processor
//! cannot forward.

mod block;
mod cursor;
#[doc(hidden)]
pub mod fuzz;
mod plan;
mod scanner;
mod skip;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
mod text;

pub use cursor::{Cursor, Entry, Member, Walk};
pub use plan::{Mark, Plan, Sink, Weeder};
pub use scanner::{Event, Scanner};
pub use text::Text;

use thiserror::Error;

/// The most containers that may lie in one another; kube-apiserver takes as many.
pub const MAX_DEPTH: u32 = 10_000;

/// Why bytes cannot be read as JSON. Whoever wrote them is at fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Error {
    /// The byte at this offset of what was given cannot stand there, or the document ends there too early.
    #[error("not JSON at byte {at}")]
    Syntax {
        /// Offset in the chunk or slice that was given.
        at: usize,
    },
    /// More than [`MAX_DEPTH`] containers lie in one another.
    #[error("nested deeper than {MAX_DEPTH} levels")]
    TooDeep,
}

/// What a value is, told by its first byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `{…}`
    Object,
    /// `[…]`
    Array,
    /// `"…"`
    String,
    /// A number, `true`, `false` or `null`.
    Scalar,
}

impl Kind {
    /// The kind of value that begins with `first`, if any does.
    fn of(first: u8) -> Option<Self> {
        match first {
            b'{' => Some(Self::Object),
            b'[' => Some(Self::Array),
            b'"' => Some(Self::String),
            b'-' | b'0'..=b'9' | b't' | b'f' | b'n' => Some(Self::Scalar),
            _ => None,
        }
    }
}

/// Whether JSON allows `byte` between tokens.
fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\n' | b'\r' | b'\t')
}
