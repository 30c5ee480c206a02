//! What fuzzing and measuring do with both readers; not part of the API.

use super::block::naive;
use super::{Cursor, Error, Event, Kind, MAX_DEPTH, Scanner};

/// Takes the first byte for the size of the chunks, and reads the rest.
///
/// # Panics
/// When chunks change what is read, or a document that another reader takes is refused or ends elsewhere.
pub fn fuzz_json(data: &[u8]) {
    let [size, document @ ..] = data else { return };
    for enter in [false, true] {
        let whole = scan(document, usize::MAX, enter).ok();
        let chunked = scan(document, usize::from(*size).max(1), enter).ok();
        assert_eq!(whole, chunked, "chunks of {size} bytes change what is read");
    }
    let document = document.trim_ascii();
    if serde_json::from_slice::<&serde_json::value::RawValue>(document).is_ok() {
        assert_eq!(Cursor::new(document, 0).skip(), Ok(0..document.len()));
        // A number alone has no end in a stream.
        let is_open = Cursor::new(document, 0).kind() == Ok(Kind::Scalar);
        assert!(is_open || scan(document, usize::MAX, false).is_ok(), "{} is refused", document.escape_ascii());
    }
}

/// Takes the first byte for the size of the chunks and the second for how deep the rest may be, and looks for its end by every
/// instruction set that the processor has.
///
/// # Panics
/// When one of them differs from a reading byte by byte.
pub fn fuzz_blocks(data: &[u8]) {
    let [size, depth, bytes @ ..] = data else { return };
    let limit = if *depth == 0 { MAX_DEPTH } else { u32::from(*depth) };
    naive::compare(bytes, usize::from(*size).max(1), limit);
}

/// All events of a document and where they are, each container entered or none.
fn scan(document: &[u8], size: usize, enter: bool) -> Result<Vec<(Event, usize)>, Error> {
    let mut scanner = Scanner::new();
    let mut events = Vec::new();
    let mut base = 0;
    for chunk in document.chunks(size) {
        let mut at = 0;
        while let Some(event) = scanner.next(chunk, &mut at)? {
            events.push((event, base + at));
            if enter && matches!(event, Event::Value(Kind::Object | Kind::Array)) {
                scanner.enter(&mut at)?;
            }
        }
        base += chunk.len();
    }
    if scanner.is_done() { Ok(events) } else { Err(Error::Syntax { at: base }) }
}

/// From now on this process reads blocks as a processor without AVX does, for measurements.
pub fn without_avx() {
    super::block::without_avx();
}
