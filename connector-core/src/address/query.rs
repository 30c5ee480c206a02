//! The query of a request: read as Go's `url.ParseQuery` does, first value wins, unknown parameters kept.

use form_urlencoded::byte_serialize;
use percent_encoding::percent_decode;

use super::AddressError;
use super::path::escapes_are_whole;

/// The parameters of a query, decoded, in the order they came.
///
/// Pairs that Go drops are dropped: those with a `;` or a broken escape (wire rule 1.4).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query {
    pairs: Vec<(String, String)>,
}

/// How much of the object a Table row carries (wire rule 7.13).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum IncludeObject {
    /// Nothing. The control plane is asked for [`IncludeObject::Metadata`] and the caller strips it, since the origin of a
    /// row would be unknown otherwise.
    None,
    /// A `PartialObjectMetadata`; the default.
    Metadata,
    /// The whole object.
    Object,
}

impl Query {
    /// Reads a raw query, without `?`.
    pub fn parse(raw: &str) -> Result<Self, AddressError> {
        let mut pairs = Vec::new();
        for pair in raw.split('&') {
            if pair.is_empty() || pair.contains(';') || !escapes_are_whole(pair) {
                continue;
            }
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            pairs.push((decode(key)?, decode(value)?));
        }
        Ok(Self { pairs })
    }

    /// Whether there is no parameter.
    pub fn is_empty(&self) -> bool {
        self.pairs.is_empty()
    }

    /// The first value of a parameter.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.pairs.iter().find(|(k, _)| k == key).map(|(_, value)| value.as_str())
    }

    /// All values of a parameter.
    pub fn get_all<'a>(&'a self, key: &str) -> impl Iterator<Item = &'a str> {
        self.pairs.iter().filter(move |(k, _)| k == key).map(|(_, value)| value.as_str())
    }

    /// Whether a boolean parameter is set: anything but absent, `0` and `false`.
    pub fn flag(&self, key: &str) -> bool {
        self.get(key).is_some_and(|value| value != "0" && !value.eq_ignore_ascii_case("false"))
    }

    /// Whether the request must not change anything (`dryRun`).
    pub fn is_dry_run(&self) -> bool {
        self.get_all("dryRun").any(|value| value == "All")
    }

    /// How much of the object a Table row shall carry. Matters only where a Table is asked for.
    pub fn include_object(&self) -> Result<IncludeObject, AddressError> {
        match self.get("includeObject").unwrap_or_default() {
            "None" => Ok(IncludeObject::None),
            "" | "Metadata" => Ok(IncludeObject::Metadata),
            "Object" => Ok(IncludeObject::Object),
            other => Err(AddressError::IncludeObject(other.to_owned())),
        }
    }

    /// Whether kube-apiserver can decode the numbers among the list options. Where it cannot, it takes no name out of the
    /// field selector.
    pub(super) fn is_decodable(&self) -> bool {
        ["limit", "timeoutSeconds"].iter().all(|key| self.get(key).is_none_or(|value| value.parse::<i64>().is_ok()))
    }

    /// Puts one value in place of all that a parameter has.
    pub fn set(&mut self, key: &str, value: impl Into<String>) {
        let mut value = Some(value.into());
        self.pairs.retain_mut(|(k, old)| {
            if k != key {
                return true;
            }
            // The first occurrence takes the value, the others go.
            value.take().map(|new| *old = new).is_some()
        });
        if let Some(value) = value {
            self.pairs.push((key.to_owned(), value));
        }
    }

    /// Removes a parameter.
    pub fn remove(&mut self, key: &str) {
        self.pairs.retain(|(k, _)| k != key);
    }

    /// The query as it is written into a URL, without `?`; empty where there is no parameter.
    pub fn render(&self) -> String {
        let mut out = String::new();
        for (key, value) in &self.pairs {
            if !out.is_empty() {
                out.push('&');
            }
            out.extend(byte_serialize(key.as_bytes()));
            out.push('=');
            out.extend(byte_serialize(value.as_bytes()));
        }
        out
    }
}

fn decode(raw: &str) -> Result<String, AddressError> {
    let spaced = raw.replace('+', " ");
    let decoded = percent_decode(spaced.as_bytes()).decode_utf8();
    decoded.map(Into::into).map_err(|_| AddressError::Unreadable("the query is not UTF-8"))
}

/// The most bytes of a field manager's name (`meta/v1/validation`).
const FIELD_MANAGER_MAX: usize = 128;

/// The field manager of a write, as the reference server derives it: the parameter `fieldManager`, else the User-Agent up
/// to its first `/` (wire rule 8.13). Forwarding the User-Agent makes the control plane derive the same.
pub fn field_manager(query: &Query, user_agent: &str) -> String {
    if let Some(manager) = query.get("fieldManager").filter(|manager| !manager.is_empty()) {
        return manager.to_owned();
    }
    let mut out = String::new();
    for c in user_agent.split('/').next().unwrap_or_default().chars().filter(|c| !c.is_control()) {
        if out.len() + c.len_utf8() > FIELD_MANAGER_MAX {
            break;
        }
        out.push(c);
    }
    out
}
