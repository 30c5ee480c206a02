//! Field selectors, in the grammar of `apimachinery/pkg/fields`.

use std::fmt;
use std::str::FromStr;

use super::AddressError;

/// Requirements on fields, all of which an object must meet.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct FieldSelector {
    /// The requirements, sorted as the reference sorts them.
    pub requirements: Vec<FieldRequirement>,
}

/// A requirement on one field.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct FieldRequirement {
    /// The path of the field, such as `metadata.name`.
    pub field: String,
    /// Whether the field must be equal to the value (`=`, `==`), or must not (`!=`).
    pub equal: bool,
    /// The value, unescaped.
    pub value: String,
}

impl FieldSelector {
    /// The name that the selector requires, where it requires one.
    pub(super) fn exact_name(&self) -> Option<&str> {
        let required = |one: &&FieldRequirement| one.equal && one.field == "metadata.name";
        self.requirements.iter().find(required).map(|one| one.value.as_str())
    }
}

impl FromStr for FieldSelector {
    type Err = AddressError;

    fn from_str(selector: &str) -> Result<Self, Self::Err> {
        let mut terms = split_terms(selector);
        terms.sort_unstable();
        let mut requirements = Vec::new();
        for term in terms.into_iter().filter(|term| !term.is_empty()) {
            let Some((field, equal, value)) = split_term(term) else {
                return Err(AddressError::Selector(format!(
                    "invalid selector: '{selector}'; can't understand '{term}'"
                )));
            };
            let value = unescape(value)?;
            // An operator alone requires nothing.
            if !field.is_empty() || !value.is_empty() {
                requirements.push(FieldRequirement { field: field.to_owned(), equal, value });
            }
        }
        Ok(Self { requirements })
    }
}

/// Splits at the commas that are not escaped.
fn split_terms(selector: &str) -> Vec<&str> {
    let (mut terms, mut start, mut escaped) = (Vec::new(), 0, false);
    for (at, c) in selector.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            ',' => {
                terms.push(&selector[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    terms.push(&selector[start..]);
    terms
}

/// Splits at the first operator. The left side knows no escapes.
fn split_term(term: &str) -> Option<(&str, bool, &str)> {
    let at = term.as_bytes().iter().enumerate().position(|(at, _)| {
        let rest = &term.as_bytes()[at..];
        rest.starts_with(b"!=") || rest.starts_with(b"=")
    })?;
    let (field, rest) = term.split_at(at);
    match rest.strip_prefix("!=") {
        Some(value) => Some((field, false, value)),
        None => Some((field, true, rest.strip_prefix("==").unwrap_or(&rest[1..]))),
    }
}

fn unescape(value: &str) -> Result<String, AddressError> {
    let fault = |what: String| AddressError::Selector(format!("invalid field selector: {what}"));
    let mut out = String::with_capacity(value.len());
    let mut chars = value.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some(c @ ('\\' | ',' | '=')) => out.push(c),
                Some(c) => return Err(fault(format!("invalid escape sequence: \\{c}"))),
                None => return Err(fault("invalid escape sequence: \\".to_owned())),
            },
            // The reference prints the number of the character.
            ',' | '=' => return Err(fault(format!("unescaped character in value: {}", u32::from(c)))),
            _ => out.push(c),
        }
    }
    Ok(out)
}

impl fmt::Display for FieldSelector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, one) in self.requirements.iter().enumerate() {
            if at > 0 {
                f.write_str(",")?;
            }
            write!(f, "{}{}", one.field, if one.equal { "=" } else { "!=" })?;
            for c in one.value.chars() {
                if matches!(c, '\\' | ',' | '=') {
                    f.write_str("\\")?;
                }
                write!(f, "{c}")?;
            }
        }
        Ok(())
    }
}
