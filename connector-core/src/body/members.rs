//! A JSON object as an ordered list of members whose values stay text.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// The members of one JSON object, in order, duplicates included. Nesting is not looked into, so depth costs no stack.
#[derive(Clone, Debug, Default)]
pub(super) struct Members<'a>(Vec<(String, Cow<'a, str>)>);

impl<'a> Members<'a> {
    /// Reads an object; the error says what the text is instead.
    pub(super) fn parse(text: &'a str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(text)
    }

    /// The value that counts: the last of that key.
    pub(super) fn get(&self, key: &str) -> Option<&str> {
        self.0.iter().rev().find(|(k, _)| k == key).map(|(_, value)| value.as_ref())
    }

    /// The value that counts, unless it is `null`.
    pub(super) fn get_some(&self, key: &str) -> Option<&str> {
        self.get(key).filter(|value| *value != "null")
    }

    /// Replaces the value that counts, in its place, or adds the member at the end.
    pub(super) fn set(&mut self, key: &str, value: impl Into<Cow<'a, str>>) {
        match self.0.iter_mut().rev().find(|(k, _)| k == key) {
            Some((_, old)) => *old = value.into(),
            None => self.0.push((key.to_owned(), value.into())),
        }
    }

    /// Removes every member of that key.
    pub(super) fn remove(&mut self, key: &str) {
        self.0.retain(|(k, _)| k != key);
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value.as_ref()))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The same members, owning their text.
    pub(super) fn into_owned(self) -> Members<'static> {
        Members(self.0.into_iter().map(|(key, value)| (key, Cow::Owned(value.into_owned()))).collect())
    }

    pub(super) fn render(&self) -> String {
        let mut out = String::from("{");
        for (key, value) in &self.0 {
            if out.len() > 1 {
                out.push(',');
            }
            out.push_str(&quote(key));
            out.push(':');
            out.push_str(value);
        }
        out.push('}');
        out
    }
}

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Collect;

        impl<'de> Visitor<'de> for Collect {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some((Key(key), value)) = map.next_entry::<Key, &'de RawValue>()? {
                    members.push((key, Cow::Borrowed(value.get())));
                }
                Ok(Members(members))
            }
        }

        deserializer.deserialize_map(Collect)
    }
}

/// The key of a member. What is no Unicode (half a surrogate pair, as an escape) becomes U+FFFD, as for Go: an object that has such
/// a key must not pass for one that cannot be read, with all else that is in it.
struct Key(String);

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;

        impl Visitor<'_> for Text {
            type Value = Key;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a key")
            }

            fn visit_bytes<E: serde::de::Error>(self, text: &[u8]) -> Result<Key, E> {
                Ok(Key(String::from_utf8_lossy(text).into_owned()))
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Key, E> {
                Ok(Key(text.to_owned()))
            }
        }

        deserializer.deserialize_bytes(Text)
    }
}

/// A text as a JSON string, of characters that YAML allows too: the control plane reads apply patches as YAML.
pub(super) fn quote(text: &str) -> String {
    let json = serde_json::Value::from(text).to_string();
    let refused = |c: char| matches!(c, '\u{7f}'..='\u{9f}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}');
    if !json.contains(refused) {
        return json;
    }
    let escape = |c: char| if refused(c) { format!("\\u{:04x}", u32::from(c)) } else { c.to_string() };
    json.chars().map(escape).collect()
}

/// The text of a JSON string; `None` for anything else.
pub(super) fn unquote(json: &str) -> Option<String> {
    serde_json::from_str(json).ok()
}

/// What a JSON value is, in the words of Go's decoder.
pub(super) fn type_of(json: &str) -> &'static str {
    match json.trim_start().as_bytes().first() {
        Some(b'{') => "object",
        Some(b'[') => "array",
        Some(b'"') => "string",
        Some(b't' | b'f') => "bool",
        Some(b'n') => "null",
        _ => "number",
    }
}

/// Why a text is no JSON value of a type of Go, in the words of Go's decoder.
pub(super) fn decoding_fault(json: &str, error: &serde_json::Error, go_type: &str) -> String {
    match serde_json::from_str::<&RawValue>(json) {
        Ok(other) => format!("json: cannot unmarshal {} into Go value of type {go_type}", type_of(other.get())),
        Err(fault) if fault.is_eof() || error.is_eof() => "unexpected end of JSON input".to_owned(),
        Err(fault) => syntax_fault(json, &fault),
    }
}

/// A syntax error in the words of Go's decoder (`encoding/json`), where those are known.
fn syntax_fault(json: &str, fault: &serde_json::Error) -> String {
    const PLACES: [(&str, &str); 6] = [
        ("trailing characters", "after top-level value"),
        ("key must be a string", "looking for beginning of object key string"),
        ("expected value", "looking for beginning of value"),
        ("expected `,` or `}`", "after object key:value pair"),
        ("expected `,` or `]`", "after array element"),
        ("expected `:`", "after object key"),
    ];
    let told = fault.to_string();
    let place = PLACES.iter().find(|(ours, _)| told.starts_with(ours)).map(|(_, go)| go);
    let line = json.split_inclusive('\n').nth(fault.line().saturating_sub(1)).unwrap_or_default();
    let found = line.as_bytes().get(fault.column().saturating_sub(1));
    // Go takes a byte for a character.
    let found = found.filter(|byte| byte.is_ascii_graphic() || !byte.is_ascii());
    match (place, found) {
        (Some(place), Some(b'\'')) => format!(r"invalid character '\'' {place}"),
        (Some(place), Some(found)) => format!("invalid character '{}' {place}", char::from(*found)),
        _ => told,
    }
}

/// A JSON value without the white space between its parts.
pub(super) fn compact(json: &str) -> String {
    let (mut out, mut in_string, mut escaped) = (String::with_capacity(json.len()), false, false);
    for c in json.chars() {
        if in_string {
            in_string = escaped || c != '"';
            escaped = !escaped && c == '\\';
        } else if matches!(c, ' ' | '\t' | '\r' | '\n') {
            continue;
        } else {
            in_string = c == '"';
        }
        out.push(c);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_that_are_no_unicode_hide_nothing() {
        let members = Members::parse(r#"{"\ud800":1,"na\u006de":"x","\ud83d\ude00é\"":2}"#).unwrap();
        let keys: Vec<&str> = members.iter().map(|(key, _)| key).collect();
        assert!(keys[0].chars().all(|c| c == '\u{fffd}'), "{keys:?}");
        assert_eq!(keys[1..], ["name", "😀é\""]);
    }

    #[test]
    fn quotes_for_json_and_yaml() {
        assert_eq!(quote("a\"\u{7f}\u{feff}é"), "\"a\\\"\\u007f\\ufeffé\"");
        assert_eq!(unquote(&quote("\u{85}\n\u{10ffff}")).as_deref(), Some("\u{85}\n\u{10ffff}"));
    }

    #[test]
    fn syntax_errors_read_like_gos() {
        for (json, told) in [
            ("{} {}", "invalid character '{' after top-level value"),
            ("{'a':1}", r"invalid character '\'' looking for beginning of object key string"),
            ("{\"a\":x}", "invalid character 'x' looking for beginning of value"),
            ("{\n\"a\" 1}", "invalid character '1' after object key"),
            ("{\"a\":1 \"b\"}", "invalid character '\"' after object key:value pair"),
            ("[1 2]", "invalid character '2' after array element"),
            ("{\"a\":1ü}", "invalid character 'Ã' after object key:value pair"),
            ("{", "unexpected end of JSON input"),
        ] {
            let error = serde_json::from_str::<Members<'_>>(json).unwrap_err();
            assert_eq!(decoding_fault(json, &error, "x"), told);
        }
    }

    #[test]
    fn compacts_outside_of_strings_only() {
        assert_eq!(compact(" [ {\"a b\\\" c\" :\t1 } , \"\\\\\" ]\n"), "[{\"a b\\\" c\":1},\"\\\\\"]");
    }
}
