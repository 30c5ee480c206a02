//! What a scalar says: text, a number, a truth, or nothing.

use std::fmt;

use granit_parser::{ScalarStyle, Tag};
use serde::Deserialize;
use serde::de::{Deserializer, Visitor};

use super::super::members::quote;
use super::core;

/// No number is longer.
const SPECIAL_MAX: usize = 128;

/// The JSON of a scalar; the error says what is wrong with it.
pub(super) fn to_json(text: &str, style: ScalarStyle, tag: Option<&Tag>) -> Result<String, String> {
    Ok(match (core(tag).as_deref(), style) {
        (None, ScalarStyle::Plain) if tag.is_none() => plain(text),
        (Some("null" | "bool" | "int" | "float"), _) => plain(text),
        (Some("binary"), _) => quote(&binary(text).ok_or("!!binary value contains invalid base64 data")?),
        _ => quote(text),
    })
}

/// What base64 stands for, as text.
fn binary(text: &str) -> Option<String> {
    let text: Vec<u8> = text.bytes().filter(|byte| !matches!(byte, b'\r' | b'\n')).collect();
    let digits = text.strip_suffix(b"==").or(text.strip_suffix(b"=")).unwrap_or(&text);
    if !text.len().is_multiple_of(4) {
        return None;
    }
    let (mut bits, mut held, mut out) = (0_u32, 0, Vec::new());
    for digit in digits {
        let value = match digit {
            b'A'..=b'Z' => digit - b'A',
            b'a'..=b'z' => digit - b'a' + 26,
            b'0'..=b'9' => digit - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        bits = bits << 6 | u32::from(value);
        held += 6;
        if held >= 8 {
            held -= 8;
            out.push((bits >> held) as u8);
            bits &= (1 << held) - 1;
        }
    }
    Some(String::from_utf8_lossy(&out).into_owned())
}

fn plain(text: &str) -> String {
    let may_be_special = match text.as_bytes() {
        [] => return "null".to_owned(),
        // Alone they would be no scalar but a marker.
        [b'-', b'-', b'-', ..] | [b'.', b'.', b'.', ..] => false,
        [b'0'..=b'9' | b'+' | b'-' | b'.' | b'~', ..] => text.len() <= SPECIAL_MAX,
        [b'y' | b'Y' | b'n' | b'N' | b't' | b'T' | b'f' | b'F' | b'o' | b'O', ..] => text.len() <= "false".len(),
        _ => false,
    };
    if !may_be_special {
        return quote(text);
    }
    let options = serde_saphyr::options! { legacy_octal_numbers: true, emit_comments: false, with_snippet: false };
    let read = |text: &str| serde_saphyr::from_str_with_options(text, options.clone()).map(|Json(json)| json);
    // Go leaves every underscore of a number out that begins with a digit or a sign; what is none stays as it is, were it a marker or a truth without them.
    let is_number = |json: &String| json.starts_with(|first: char| first == '-' || first.is_ascii_digit());
    let may_have_them = text.contains('_') && !text.starts_with('.');
    let as_number = may_have_them.then(|| read(&text.replace('_', "")).ok().filter(is_number)).flatten();
    as_number.or_else(|| read(text).ok()).unwrap_or_else(|| quote(text))
}

/// JSON text, read out of any scalar.
struct Json(String);

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Render)
    }
}

struct Render;

impl Visitor<'_> for Render {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a scalar")
    }

    fn visit_unit<E>(self) -> Result<Json, E> {
        Ok(Json("null".to_owned()))
    }

    fn visit_bool<E>(self, value: bool) -> Result<Json, E> {
        Ok(Json(value.to_string()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Json, E> {
        Ok(Json(value.to_string()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Json, E> {
        Ok(Json(value.to_string()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Json, E> {
        // Go writes a whole float as an integer.
        let whole = value.fract() == 0.0 && value.abs() < 1e15;
        Ok(Json(if whole { format!("{value:.0}") } else { serde_json::Value::from(value).to_string() }))
    }

    fn visit_str<E>(self, value: &str) -> Result<Json, E> {
        Ok(Json(quote(value)))
    }
}
