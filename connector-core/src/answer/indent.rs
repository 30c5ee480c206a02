//! Indented JSON, for people (wire rule 7.3).

/// Indents JSON that comes in chunks, as the reference server does: two spaces, nothing between the brackets of what is empty,
/// and no newline at the end.
#[derive(Clone, Debug, Default)]
pub struct Indenter {
    depth: usize,
    /// A bracket was opened, and nothing came behind it yet.
    opened: bool,
    in_string: bool,
    escaped: bool,
}

impl Indenter {
    /// The next part of the indented text.
    pub fn push(&mut self, chunk: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(chunk.len() * 2);
        for &byte in chunk {
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
        out
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

    /// Wire rule 7.3.
    #[test]
    fn indents_as_the_reference_in_any_chunks() {
        let compact = r#"{"a":{},"b":[],"c":[1,"x, {\"y\": \\"],"d":{"e":[{"f":null}]}}"#.to_owned() + "\n";
        let indented = serde_json::to_string_pretty(&serde_json::from_str::<serde_json::Value>(&compact).unwrap());
        let indented = indented.unwrap();
        for size in 1..compact.len() {
            let mut indenter = Indenter::default();
            let out: Vec<u8> = compact.as_bytes().chunks(size).flat_map(|chunk| indenter.push(chunk)).collect();
            assert_eq!(String::from_utf8(out).unwrap(), indented);
        }
    }
}
