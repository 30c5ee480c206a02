//! The v2 document, derived from the selected v3 documents.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::schema::Schema;
use super::structural::definition;
use super::v3::OpenApi;
use super::{REFERENCE_V2, REFERENCE_V3, V3};
use crate::discovery::{Document, InvalidDocument};
use crate::offer::GroupVersion;

/// Derives the document at `/openapi/v2` from selected v3 documents, as kube-apiserver would publish it for the same CRDs;
/// no documents give a valid one without paths (wire rule 4.13).
///
/// Only parameters differ: they stand in place, where kube-apiserver shares them by reference. An error names a document
/// that is not OpenAPI v3 of the shape that kube-apiserver writes.
pub fn v2_from_v3<'a>(
    documents: impl IntoIterator<Item = (&'a GroupVersion, &'a Document)>,
) -> Result<Document, InvalidDocument> {
    #[derive(Serialize)]
    struct Swagger<'a> {
        swagger: &'static str,
        info: Value,
        paths: BTreeMap<String, Value>,
        #[serde(skip_serializing_if = "BTreeMap::is_empty")]
        definitions: BTreeMap<String, Schema<'a>>,
    }
    let invalid = |error: serde_json::Error| InvalidDocument::new(V3, error);
    let info = json!({"title": "Kubernetes CRD Swagger", "version": "v0.1.0"});
    let mut swagger = Swagger { swagger: "2.0", info, paths: BTreeMap::new(), definitions: BTreeMap::new() };
    for (group_version, document) in documents {
        let document = OpenApi::parse(document.bytes())?;
        for (path, raw) in document.paths.0 {
            let item = serde_json::from_str(raw.get()).map_err(invalid)?;
            swagger.paths.insert(path, path_item(item));
        }
        for (name, raw) in document.components.schemas.0 {
            // Schemas that the documents share come from one server and are equal.
            if let Entry::Vacant(entry) = swagger.definitions.entry(name) {
                let mut schema = serde_json::from_str(raw.get()).map_err(invalid)?;
                definition(&mut schema, group_version);
                entry.insert(schema);
            }
        }
    }
    Ok(Document::new(serde_json::to_vec(&swagger).map_err(invalid)?))
}

fn path_item(item: Map<String, Value>) -> Value {
    let convert = |(key, value): (String, Value)| {
        let value = match (&*key, value) {
            ("parameters", Value::Array(parameters)) => parameters.into_iter().map(parameter).collect(),
            ("get" | "put" | "post" | "delete" | "options" | "head" | "patch", Value::Object(v3)) => operation(v3),
            (_, value) => value,
        };
        (key, value)
    };
    Value::Object(item.into_iter().filter(|(key, _)| !matches!(&**key, "servers" | "trace")).map(convert).collect())
}

fn operation(mut v3: Map<String, Value>) -> Value {
    v3.remove("servers");
    let body = v3.remove("requestBody").and_then(object);
    let mut responses = v3.remove("responses").and_then(object).unwrap_or_default();
    let produces = responses.values().map(content_types).find(|types| !types.is_empty()).unwrap_or_default();
    // v3 does not tell what an operation without a body consumes; for kube-apiserver it is what it produces.
    let mut consumes =
        body.as_ref().map_or_else(|| produces.clone(), |body| content_types(&Value::Object(body.clone())));
    // v3 sorts them; kube-apiserver puts apply patches last.
    consumes.sort_by_key(|kind| kind.starts_with("application/apply-patch"));

    let mut parameters: Vec<Value> = match v3.remove("parameters") {
        Some(Value::Array(parameters)) => parameters.into_iter().map(parameter).collect(),
        _ => Vec::new(),
    };
    parameters.extend(body.map(body_parameter));
    let name = |parameter: &Value| parameter.get("name").and_then(Value::as_str).unwrap_or_default().to_owned();
    parameters.sort_by_key(name);
    if !parameters.is_empty() {
        v3.insert("parameters".into(), parameters.into());
    }
    for (_, response) in &mut responses {
        if let Value::Object(response) = response {
            let content = response.remove("content");
            response.extend(content.and_then(first_schema).map(|schema| ("schema".to_owned(), schema)));
        }
    }
    for (key, types) in [("consumes", consumes), ("produces", produces)] {
        if !types.is_empty() {
            v3.insert(key.into(), types.into());
        }
    }
    v3.insert("schemes".into(), json!(["https"]));
    v3.insert("responses".into(), responses.into());
    Value::Object(v3)
}

/// A parameter of v2 has its type beside its name.
fn parameter(v3: Value) -> Value {
    match v3 {
        Value::Object(mut parameter) => {
            if let Some(schema) = parameter.remove("schema").and_then(object) {
                parameter.extend(schema);
            }
            Value::Object(parameter)
        }
        other => other,
    }
}

fn body_parameter(mut body: Map<String, Value>) -> Value {
    let schema = body.remove("content").and_then(first_schema);
    body.extend([("name".to_owned(), json!("body")), ("in".to_owned(), json!("body"))]);
    body.extend(schema.map(|schema| ("schema".to_owned(), schema)));
    Value::Object(body)
}

/// The media types of a body or response, in the order of the document.
fn content_types(body: &Value) -> Vec<String> {
    body.get("content").and_then(Value::as_object).map_or_else(Vec::new, |content| content.keys().cloned().collect())
}

/// The schema of the first media type, its references those of v2: kube-apiserver gives the same for each.
fn first_schema(content: Value) -> Option<Value> {
    let mut schema = object(content)?.into_iter().find_map(|(_, media)| object(media)?.remove("schema"))?;
    rewrite_references(&mut schema);
    Some(schema)
}

fn rewrite_references(value: &mut Value) {
    match value {
        Value::Object(members) => {
            for (key, value) in members {
                match value {
                    Value::String(reference) if key == "$ref" => {
                        if let Some(name) = reference.strip_prefix(REFERENCE_V3) {
                            *reference = format!("{REFERENCE_V2}{name}");
                        }
                    }
                    _ => rewrite_references(value),
                }
            }
        }
        Value::Array(values) => values.iter_mut().for_each(rewrite_references),
        _ => {}
    }
}

fn object(value: Value) -> Option<Map<String, Value>> {
    match value {
        Value::Object(members) => Some(members),
        _ => None,
    }
}
