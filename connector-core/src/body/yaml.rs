//! YAML bodies, turned into JSON text as `sigs.k8s.io/yaml` does: integers whole, duplicate keys kept for the control plane
//! to find.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_saphyr::options::DuplicateKeyPolicy;

use super::members::quote;

/// The deepest nesting of a YAML body. Reading YAML recurses, so this bounds the stack; JSON is not bounded.
const DEPTH_MAX: usize = 100;

/// The JSON text of a YAML document.
pub(crate) fn to_json(text: &str) -> Result<String, String> {
    let options = serde_saphyr::options! {
        duplicate_keys: DuplicateKeyPolicy::PassThrough,
        legacy_octal_numbers: true,
        emit_comments: false,
        with_snippet: false,
        budget: serde_saphyr::budget! { max_depth: DEPTH_MAX },
    };
    let Json(json) = serde_saphyr::from_str_with_options(text, options).map_err(|error| error.to_string())?;
    Ok(json)
}

/// JSON text, read out of anything.
struct Json(String);

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Render)
    }
}

struct Render;

impl<'de> Visitor<'de> for Render {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a YAML value")
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

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Json, A::Error> {
        let mut out = String::from("[");
        while let Some(Json(item)) = items.next_element()? {
            if out.len() > 1 {
                out.push(',');
            }
            out.push_str(&item);
        }
        out.push(']');
        Ok(Json(out))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Json, A::Error> {
        let mut out = String::from("{");
        while let Some((Json(key), Json(value))) = map.next_entry()? {
            if out.len() > 1 {
                out.push(',');
            }
            match key.as_bytes().first() {
                Some(b'"') => out.push_str(&key),
                Some(b'[' | b'{' | b'n') => return Err(A::Error::custom("a key is no scalar")),
                // `on: 1` has the key `true`.
                _ => out.push_str(&quote(&key)),
            }
            out.push(':');
            out.push_str(&value);
        }
        out.push('}');
        Ok(Json(out))
    }
}
