//! A writer of JSON that uses every freedom that JSON gives, for tests.

use serde_json::Value;

/// Writes a value with members in any order, whitespace anywhere, and escapes for characters that need none.
pub(crate) fn write(value: &Value, seed: u64) -> Vec<u8> {
    let mut writer = Writer { random: seed | 1, out: Vec::new(), plain: seed.is_multiple_of(3) };
    writer.value(value);
    writer.out.push(b'\n');
    writer.out
}

struct Writer {
    random: u64,
    out: Vec<u8>,
    /// Compact and sorted, as Kubernetes writes.
    plain: bool,
}

impl Writer {
    /// True once in `n` times.
    fn once_in(&mut self, n: u64) -> bool {
        // xorshift64
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        !self.plain && self.random.is_multiple_of(n)
    }

    fn space(&mut self) {
        while self.once_in(4) {
            let space = b" \n\t\r"[self.random as usize / 7 % 4];
            self.out.push(space);
        }
    }

    fn token(&mut self, token: u8) {
        self.space();
        self.out.push(token);
        self.space();
    }

    fn value(&mut self, value: &Value) {
        match value {
            Value::Object(members) => {
                let mut members: Vec<_> = members.iter().collect();
                for at in 1..members.len() {
                    if self.once_in(2) {
                        members.swap(at, self.random as usize / 3 % (at + 1));
                    }
                }
                self.token(b'{');
                for (index, (key, value)) in members.into_iter().enumerate() {
                    if index > 0 {
                        self.token(b',');
                    }
                    self.string(key);
                    self.token(b':');
                    self.value(value);
                }
                self.token(b'}');
            }
            Value::Array(elements) => {
                self.token(b'[');
                for (index, element) in elements.iter().enumerate() {
                    if index > 0 {
                        self.token(b',');
                    }
                    self.value(element);
                }
                self.token(b']');
            }
            Value::String(text) => self.string(text),
            Value::Null | Value::Bool(_) | Value::Number(_) => self.out.extend(value.to_string().bytes()),
        }
    }

    fn string(&mut self, text: &str) {
        self.out.push(b'"');
        for char in text.chars() {
            if self.once_in(12) {
                for unit in char.encode_utf16(&mut [0; 2]) {
                    self.out.extend(format!("\\u{unit:04x}").bytes());
                }
            } else {
                let quoted = Value::from(char.to_string()).to_string();
                self.out.extend(quoted[1..quoted.len() - 1].bytes());
            }
        }
        self.out.push(b'"');
    }
}
