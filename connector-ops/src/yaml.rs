//! YAML as people write it.

use serde::Serialize;
use serde_saphyr::{ser::Error, ser_options, to_string_with_options};

/// Writes a value. Long lines stay whole: a certificate or a URL that is folded can be neither read nor copied.
///
/// # Errors
/// The value has no form in YAML.
pub fn yaml(value: &impl Serialize) -> Result<String, Error> {
    to_string_with_options(value, ser_options! { folded_wrap_chars: usize::MAX })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        let long = format!("{} and {}", "a".repeat(100), "b".repeat(100));
        let value =
            json!({ "label": "true", "version": "1.0", "all": "*", "long": long, "lines": "a: b\nc\n", "none": null });
        let text = yaml(&value).unwrap();
        assert!(text.contains(&long) && text.contains("lines: |"), "{text}");
        assert_eq!(serde_saphyr::from_str::<Value>(&text).unwrap(), value);
    }
}
