//! Passing over one value: the hot loop of both readers.

use super::block::{self, Inside};
use super::{Error, Kind, MAX_DEPTH, is_space};

/// Where a value that is being passed over stands; can stop and go on at any byte.
#[derive(Clone, Copy, Debug)]
pub(super) enum Skip {
    /// An object or array, with all that is in it.
    Container(Inside),
    String {
        /// Behind a backslash.
        escape: bool,
    },
    Scalar,
}

impl Skip {
    /// Begins at the first byte of a value of this kind; [`Self::run`] goes on behind that byte.
    #[inline(always)]
    pub(super) fn begin(kind: Kind) -> Self {
        match kind {
            Kind::Object | Kind::Array => Self::Container(Inside { depth: 1, string: false, escape: false }),
            Kind::String => Self::String { escape: false },
            Kind::Scalar => Self::Scalar,
        }
    }

    /// Goes on at `at`; the offset behind the value's last byte, or `None` when the bytes are used up before.
    ///
    /// `outside` counts the containers around the value. A scalar ends where something else begins, so it is open until then.
    #[inline(always)]
    pub(super) fn run(&mut self, bytes: &[u8], at: usize, outside: u32) -> Result<Option<usize>, Error> {
        match self {
            Self::Container(inside) => inside.run(bytes, at, MAX_DEPTH - outside),
            Self::String { escape } => Ok(block::string(bytes, at, escape).map(|(end, _)| end)),
            Self::Scalar => {
                let rest = &bytes[at..];
                let end = rest.iter().position(|&byte| is_space(byte) || matches!(byte, b',' | b']' | b'}'));
                Ok(end.map(|end| at + end))
            }
        }
    }
}
