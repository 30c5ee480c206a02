//! Selection out of one v3 document.

use std::collections::{BTreeMap, HashSet};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;
use thiserror::Error;

use super::schema::{Ordered, Schema};
use super::{REFERENCE_V3, V3};
use crate::discovery::{Document, InvalidDocument};
use crate::offer::{GroupVersion, Offers};

/// The offered part of an OpenAPI document cannot be told. The control plane is at fault, or it has not caught up with its
/// definitions yet: keep the last good document of this group and version, and ask again.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SelectError {
    /// An offered API has no path in the document.
    #[error("the control plane's OpenAPI v3 document has no path of {plural}")]
    Missing {
        /// The plural resource name that is offered.
        plural: String,
    },
    /// Something refers to a schema that is not there. One such document in the front breaks clients that resolve the whole
    /// of it, so it is never published.
    #[error("the control plane's OpenAPI v3 document refers to {reference}, which it does not have")]
    Dangling {
        /// The reference as it is written.
        reference: String,
    },
    /// The document cannot be read.
    #[error(transparent)]
    Invalid(#[from] InvalidDocument),
}

/// The document at `/openapi/v3/apis/<group>/<version>`, as far as it is needed.
#[derive(Serialize, Deserialize)]
pub(super) struct OpenApi<'a> {
    #[serde(borrow)]
    pub(super) openapi: &'a RawValue,
    #[serde(borrow)]
    pub(super) info: &'a RawValue,
    #[serde(borrow)]
    pub(super) paths: Ordered<&'a RawValue>,
    #[serde(borrow, default)]
    pub(super) components: Components<'a>,
}

#[derive(Default, Serialize, Deserialize)]
pub(super) struct Components<'a> {
    #[serde(borrow, default)]
    pub(super) schemas: Ordered<&'a RawValue>,
}

impl<'a> OpenApi<'a> {
    pub(super) fn parse(raw: &'a [u8]) -> Result<Self, InvalidDocument> {
        serde_json::from_slice(raw).map_err(|error| InvalidDocument::new(V3, error))
    }
}

/// Selects what is offered in a group and version out of the control plane's v3 document about it.
///
/// Kept are the paths of offered APIs, subresources, all-namespaces lists and watches included, and the schemas that they
/// refer to, all of it byte for byte: clients look for particular operations and extensions (wire rules 4.10, 4.11, 4.12).
pub fn select_v3(raw: &[u8], group_version: &GroupVersion, offers: &Offers) -> Result<Document, SelectError> {
    let mut document = OpenApi::parse(raw)?;
    let prefix = format!("/apis/{group_version}/");
    let mut kept = HashSet::new();
    document.paths.0.retain(|(path, _)| {
        let offered = path
            .strip_prefix(&prefix)
            .and_then(plural)
            .and_then(|plural| offers.get(&group_version.group, &group_version.version, plural));
        kept.extend(offered.map(|offered| offered.plural.as_str()));
        offered.is_some()
    });
    let offered = offers.in_group_version(&group_version.group, &group_version.version);
    if let Some(missing) = offered.map(|offered| offered.plural.as_str()).find(|plural| !kept.contains(plural)) {
        return Err(SelectError::Missing { plural: missing.to_owned() });
    }
    let reached = reached(&document)?;
    document.components.schemas.0.retain(|(name, _)| reached.contains(name));
    let json = serde_json::to_vec(&document).map_err(|error| InvalidDocument::new(V3, error))?;
    Ok(Document::new(json))
}

/// The plural that a path below its group and version is about; `None` for the paths of the group and version itself.
fn plural(path: &str) -> Option<&str> {
    let mut segments = path.split('/').peekable();
    // A watch path is told from a resource that is called `watch` by what follows.
    let first = match segments.next()? {
        "watch" if segments.peek().is_some_and(|next| !next.starts_with('{')) => segments.next()?,
        first => first,
    };
    if first == "namespaces" && segments.peek() == Some(&"{namespace}") {
        segments.next();
        // A resource can be called `namespaces`, too.
        return Some(segments.next().unwrap_or(first));
    }
    (!first.is_empty()).then_some(first)
}

/// The names of all schemas that the paths refer to, and those that these refer to.
fn reached(document: &OpenApi<'_>) -> Result<HashSet<String>, SelectError> {
    let schemas: BTreeMap<&str, &RawValue> =
        document.components.schemas.0.iter().map(|(name, raw)| (name.as_str(), *raw)).collect();
    let mut open = Vec::new();
    for (_, raw) in &document.paths.0 {
        let path: Value = serde_json::from_str(raw.get()).map_err(|error| InvalidDocument::new(V3, error))?;
        references(&path, &mut open);
    }
    let mut reached = HashSet::new();
    while let Some(reference) = open.pop() {
        let name = reference.strip_prefix(REFERENCE_V3).map(unescape);
        let found = name.and_then(|name| Some((schemas.get(name.as_str())?, name)));
        let Some((raw, name)) = found else { return Err(SelectError::Dangling { reference }) };
        if reached.insert(name) {
            let schema: Schema<'_> =
                serde_json::from_str(raw.get()).map_err(|error| InvalidDocument::new(V3, error))?;
            schema.references(&mut open);
        }
    }
    Ok(reached)
}

/// Every `$ref` in a path's operations, wherever it stands.
fn references(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            for (key, value) in members {
                match value {
                    Value::String(reference) if key == "$ref" => found.push(reference.clone()),
                    _ => references(value, found),
                }
            }
        }
        Value::Array(values) => values.iter().for_each(|value| references(value, found)),
        _ => {}
    }
}

/// Undoes the escapes of a JSON pointer.
fn unescape(segment: &str) -> String {
    segment.replace("~1", "/").replace("~0", "~")
}
