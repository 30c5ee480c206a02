//! Chance, from a seed.

use serde_json::Value;

/// Sebastiano Vigna's splitmix64: small, and the same everywhere.
pub(super) struct Random(pub(super) u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(super) fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    pub(super) fn of<T: Clone>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())].clone()
    }

    pub(super) fn one_in(&mut self, many: usize) -> bool {
        self.below(many) == 0
    }
}

/// A value that is written as it is: digits, escapes and duplicate keys that [`Value`] cannot hold.
pub(super) fn raw(text: &str) -> Value {
    Value::from(format!("{RAW}{text}"))
}

const RAW: &str = "raw:";

/// The JSON of a value that can hold [`raw`] ones.
pub(super) fn json(value: &Value) -> String {
    let mut text = value.to_string();
    let quoted = format!("\"{RAW}");
    while let Some(at) = text.find(&quoted) {
        let mut strings = serde_json::Deserializer::from_str(&text[at..]).into_iter::<String>();
        let Some(Ok(string)) = strings.next() else { break };
        let end = at + strings.byte_offset();
        text.replace_range(at..end, &string[RAW.len()..]);
    }
    text
}

/// The same as YAML in blocks, whose scalars are JSON.
pub(super) fn yaml(value: &Value) -> String {
    let mut out = String::new();
    block(value, 0, &mut out);
    out
}

fn block(value: &Value, indent: usize, out: &mut String) {
    let mut entry = |key: String, value: &Value| {
        out.push_str(&format!("{:indent$}{key}", ""));
        let nested = value.as_object().map(|map| !map.is_empty()).or(value.as_array().map(|list| !list.is_empty()));
        if nested == Some(true) {
            out.push('\n');
            block(value, indent + 2, out);
        } else {
            out.push_str(&format!(" {}\n", json(value)));
        }
    };
    match value {
        Value::Object(map) => {
            map.iter().for_each(|(key, value)| entry(format!("{}:", Value::from(key.as_str())), value));
        }
        Value::Array(list) => list.iter().for_each(|value| entry("-".to_owned(), value)),
        scalar => out.push_str(&json(scalar)),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{json, raw, yaml};

    #[test]
    fn values_are_written_as_they_are() {
        let value = json!({"a": raw("1.50"), "b": [raw("{\"x\":1,\"x\":2}"), {"c": "d"}]});
        assert_eq!(json(&value), r#"{"a":1.50,"b":[{"x":1,"x":2},{"c":"d"}]}"#);
        assert_eq!(yaml(&value), "\"a\": 1.50\n\"b\":\n  - {\"x\":1,\"x\":2}\n  -\n    \"c\": \"d\"\n");
    }
}
