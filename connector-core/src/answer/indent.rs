//! Indented JSON, for people (wire rule 7.3).

use bytes::{Buf, Bytes};

/// Indents JSON that comes in chunks, as the reference server does: two spaces, nothing between the brackets of what is empty,
/// and no newline at the end.
///
/// Call [`Self::next`] until there is nothing more, for each chunk.
#[derive(Clone, Debug, Default)]
pub struct Indenter {
    depth: usize,
    /// A bracket was opened, and nothing came behind it yet.
    opened: bool,
    in_string: bool,
    escaped: bool,
}

/// A piece of text is given when it has this many bytes.
const PIECE: usize = 64 << 10;

impl Indenter {
    /// The next piece of the indented text, which takes bytes from `chunk`; `None` when the chunk is used up.
    pub fn next(&mut self, chunk: &mut Bytes) -> Option<Bytes> {
        let mut out = Vec::with_capacity(PIECE.min(chunk.len() * 2));
        let mut taken = 0;
        for &byte in chunk.iter() {
            // A byte far inside is a line of its own, thousands of times as long.
            if out.len() >= PIECE {
                break;
            }
            taken += 1;
            if self.in_string {
                self.in_string = self.escaped || byte != b'"';
                self.escaped = !self.escaped && byte == b'\\';
                out.push(byte);
                continue;
            }
            match byte {
                b' ' | b'\t' | b'\r' | b'\n' => {}
                b'{' | b'[' => {
                    self.begin(&mut out);
                    out.push(byte);
                    self.depth += 1;
                    self.opened = true;
                }
                b'}' | b']' => {
                    self.depth = self.depth.saturating_sub(1);
                    if !std::mem::take(&mut self.opened) {
                        self.line(&mut out);
                    }
                    out.push(byte);
                }
                b',' => {
                    out.push(byte);
                    self.line(&mut out);
                }
                b':' => out.extend_from_slice(b": "),
                _ => {
                    self.begin(&mut out);
                    self.in_string = byte == b'"';
                    out.push(byte);
                }
            }
        }
        chunk.advance(taken);
        (!out.is_empty()).then(|| out.into())
    }

    /// Something stands in the bracket that was opened.
    fn begin(&mut self, out: &mut Vec<u8>) {
        if std::mem::take(&mut self.opened) {
            self.line(out);
        }
    }

    fn line(&self, out: &mut Vec<u8>) {
        out.push(b'\n');
        out.resize(out.len() + 2 * self.depth, b' ');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_deep_comes_in_pieces() {
        let deep = "[".repeat(1000) + &"1,".repeat(1000) + "1" + &"]".repeat(1000);
        let (mut chunk, mut indenter) = (Bytes::from(deep.clone()), Indenter::default());
        let pieces: Vec<Bytes> = std::iter::from_fn(|| indenter.next(&mut chunk)).collect();
        assert!(pieces.len() > 10 && pieces.iter().all(|piece| piece.len() < PIECE + 4000));
        let indented: Vec<u8> = pieces.concat().into_iter().filter(|byte| !byte.is_ascii_whitespace()).collect();
        assert_eq!(String::from_utf8(indented).unwrap(), deep);
    }

    /// Wire rule 7.3.
    #[test]
    fn indents_as_the_reference_in_any_chunks() {
        let compact = r#"{"a":{},"b":[],"c":[1,"x, {\"y\": \\"],"d":{"e":[{"f":null}]}}"#.to_owned() + "\n";
        let indented = serde_json::to_string_pretty(&serde_json::from_str::<serde_json::Value>(&compact).unwrap());
        let indented = indented.unwrap();
        for size in 1..compact.len() {
            let mut indenter = Indenter::default();
            let mut out = Vec::new();
            for chunk in compact.as_bytes().chunks(size) {
                let mut chunk = Bytes::copy_from_slice(chunk);
                out.extend(std::iter::from_fn(|| indenter.next(&mut chunk)).flatten());
            }
            assert_eq!(String::from_utf8(out).unwrap(), indented);
        }
    }
}
