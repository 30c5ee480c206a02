//! Objects in the forms that clients ask for: whole, as metadata only, as rows of a Table.

use std::borrow::Cow;

use connector_core::status::Status;
use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::{Map, Value, json};

use super::kinds::{Cell, Column, Kind};
use super::media::Form;
use super::object;
use super::store::{Object, Shared};

/// How the objects of one answer are written.
#[derive(Clone, Debug)]
pub(crate) struct Renderer<'a> {
    kind: &'a Kind,
    form: Form,
    include: Include,
    /// Wire rule 7.10: only the first Table of a watch has column definitions.
    definitions: bool,
}

/// What a Table row carries besides its cells (wire rule 7.13).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Include {
    None,
    Metadata,
    Object,
}

/// The members of a list's `metadata`.
#[derive(Clone, Debug, Default)]
pub(crate) struct ListMeta {
    pub(crate) revision: String,
    pub(crate) go_on: String,
    pub(crate) remaining: Option<usize>,
}

impl ListMeta {
    fn value(&self) -> Value {
        let mut members = Map::new();
        if !self.go_on.is_empty() {
            members.insert("continue".into(), self.go_on.clone().into());
        }
        if let Some(remaining) = self.remaining {
            members.insert("remainingItemCount".into(), remaining.into());
        }
        members.insert("resourceVersion".into(), self.revision.clone().into());
        members.into()
    }
}

impl<'a> Renderer<'a> {
    pub(crate) fn new(kind: &'a Kind, form: Form, include_object: &str) -> Result<Self, Status> {
        let include = match include_object {
            "None" => Include::None,
            "" | "Metadata" => Include::Metadata,
            "Object" => Include::Object,
            other => return Err(Status::bad_request(format!("unrecognized includeObject value: {other:?}"))),
        };
        Ok(Self { kind, form, include, definitions: true })
    }

    /// The object in the version of this kind; the stored text where it is in it already.
    pub(crate) fn view(&self, stored: &Shared) -> Shared {
        match convert(self.kind, stored.value()) {
            Cow::Borrowed(_) => stored.clone(),
            Cow::Owned(converted) => Object::new(converted),
        }
    }

    /// One object, without a newline.
    pub(crate) fn one(&mut self, stored: &Shared) -> Vec<u8> {
        let viewed = self.view(stored);
        match &self.form {
            Form::Full => viewed.json().to_vec(),
            Form::Partial(version) => partial_json(viewed.value(), version),
            Form::Table(version) => {
                let row = self.row(viewed.value(), version);
                self.table(version.clone(), object::revision(viewed.value()).to_owned(), vec![row])
            }
        }
    }

    /// A list, without a newline.
    pub(crate) fn list(&mut self, stored: &[Shared], meta: &ListMeta) -> Vec<u8> {
        match self.form.clone() {
            Form::Full => {
                let head = format!(r#"{{"apiVersion":{:?},"items":["#, self.kind.api_version());
                let tail = format!(r#"],"kind":{:?},"metadata":{}}}"#, self.kind.list_kind, meta.value());
                self.joined(stored, head, &tail, |viewed| viewed.json().to_vec())
            }
            Form::Partial(version) => {
                let head = format!(
                    r#"{{"kind":"PartialObjectMetadataList","apiVersion":"meta.k8s.io/{version}","metadata":{},"items":["#,
                    meta.value()
                );
                self.joined(stored, head, "]}", |viewed| partial_json(viewed.value(), &version))
            }
            Form::Table(version) => {
                let rows = stored.iter().map(|stored| self.row(self.view(stored).value(), &version)).collect();
                let mut table = Table { meta: meta.value(), ..self.empty_table(&version) };
                table.rows = rows;
                table.json()
            }
        }
    }

    fn joined(&self, stored: &[Shared], head: String, tail: &str, item: impl Fn(&Shared) -> Vec<u8>) -> Vec<u8> {
        let mut out = head.into_bytes();
        for (index, stored) in stored.iter().enumerate() {
            if index > 0 {
                out.push(b',');
            }
            out.extend_from_slice(&item(&self.view(stored)));
        }
        out.extend_from_slice(tail.as_bytes());
        out
    }

    /// The object of a bookmark event (wire rules 7.8, 7.10).
    pub(crate) fn bookmark(&mut self, revision: u64, initial_end: bool) -> Vec<u8> {
        let mut meta = json!({"resourceVersion": revision.to_string()});
        if initial_end {
            meta["annotations"] = json!({"k8s.io/initial-events-end": "true"});
        }
        let (kind, api_version) = (self.kind.kind.clone(), self.kind.api_version());
        let object = json!({"apiVersion": api_version, "kind": kind, "metadata": meta});
        match self.form.clone() {
            Form::Full => object::to_json(&object),
            Form::Partial(version) => partial_json(&object, &version),
            Form::Table(version) => {
                let mut row = self.row(&object, &version);
                row.cells = vec![Value::String(String::new()); row.cells.len()];
                row.object = Some(partial_json(&object, &version));
                self.table(version, revision.to_string(), vec![row])
            }
        }
    }

    fn empty_table(&mut self, version: &str) -> Table {
        let definitions = std::mem::take(&mut self.definitions).then(|| definitions(self.kind));
        Table { version: version.to_owned(), meta: Value::Null, definitions, rows: Vec::new() }
    }

    fn table(&mut self, version: String, revision: String, rows: Vec<Row>) -> Vec<u8> {
        let meta = ListMeta { revision, ..ListMeta::default() }.value();
        Table { meta, rows, ..self.empty_table(&version) }.json()
    }

    fn row(&self, object: &Value, version: &str) -> Row {
        let mut cells = vec![Value::from(object::name(object))];
        cells.extend(self.kind.columns.iter().map(|column| cell(column, object)));
        let object = match self.include {
            Include::None => None,
            Include::Metadata => Some(partial_json(object, version)),
            Include::Object => Some(object::to_json(object)),
        };
        Row { cells, object }
    }
}

/// An object in the version of a kind: only `apiVersion` differs, except for events, which two groups serve.
pub(crate) fn convert<'a>(kind: &Kind, stored: &'a Value) -> Cow<'a, Value> {
    let wanted = kind.api_version();
    let from = stored["apiVersion"].as_str().unwrap_or_default();
    if from == wanted {
        return Cow::Borrowed(stored);
    }
    let mut object = stored.clone();
    if kind.resource.plural == "events" && kind.resource.group.is_empty() {
        let members = object.as_object_mut().into_iter();
        for members in members {
            for (core, other) in EVENT_FIELDS {
                let (old, new) = if wanted == "v1" { (other, core) } else { (core, other) };
                if let Some(value) = members.remove(*old) {
                    members.insert((*new).to_owned(), value);
                }
            }
        }
    }
    object["apiVersion"] = wanted.into();
    Cow::Owned(object)
}

/// What the members of an Event are called in the core group, and in `events.k8s.io`.
const EVENT_FIELDS: &[(&str, &str)] = &[
    ("involvedObject", "regarding"),
    ("message", "note"),
    ("source", "deprecatedSource"),
    ("firstTimestamp", "deprecatedFirstTimestamp"),
    ("lastTimestamp", "deprecatedLastTimestamp"),
    ("count", "deprecatedCount"),
    ("reportingComponent", "reportingController"),
];

struct Table {
    version: String,
    meta: Value,
    definitions: Option<Value>,
    rows: Vec<Row>,
}

struct Row {
    cells: Vec<Value>,
    object: Option<Vec<u8>>,
}

impl Table {
    /// In the member order of the reference encoder: cells come before the object (wire section 7).
    fn json(&self) -> Vec<u8> {
        let definitions = self.definitions.as_ref().map_or_else(|| "null".into(), Value::to_string);
        let mut out = format!(
            r#"{{"kind":"Table","apiVersion":"meta.k8s.io/{}","metadata":{},"columnDefinitions":{definitions},"rows":["#,
            self.version, self.meta
        )
        .into_bytes();
        for (index, row) in self.rows.iter().enumerate() {
            if index > 0 {
                out.push(b',');
            }
            out.extend_from_slice(br#"{"cells":"#);
            out.extend_from_slice(Value::Array(row.cells.clone()).to_string().as_bytes());
            if let Some(object) = &row.object {
                out.extend_from_slice(br#","object":"#);
                out.extend_from_slice(object);
            }
            out.push(b'}');
        }
        out.extend_from_slice(b"]}");
        out
    }
}

fn definitions(kind: &Kind) -> Value {
    let definition = |name: &str, kind: &str, format: &str, description: &str, priority: i64| json!({"name": name, "type": kind, "format": format, "description": description, "priority": priority});
    let mut all = vec![definition(
        "Name",
        "string",
        "name",
        "Name must be unique within a namespace. Is required when creating resources.",
        0,
    )];
    all.extend(kind.columns.iter().map(|column| {
        let described = match column.description.as_str() {
            "" => format!("Custom resource definition column (in JSONPath format): {}", column.name),
            told => told.to_owned(),
        };
        definition(&column.name, &column.kind, &column.format, &described, column.priority)
    }));
    all.into()
}

fn cell(column: &Column, object: &Value) -> Value {
    match &column.cell {
        Cell::Nothing => Value::Null,
        Cell::Count(path) => {
            let found = path.first(object);
            let count = found.map_or(0, |found| match found {
                Value::Object(members) => members.len(),
                Value::Array(items) => items.len(),
                _ => 0,
            });
            count.into()
        }
        Cell::Path(path) => match (column.kind.as_str(), path.first(object)) {
            (_, None | Some(Value::Null)) => Value::Null,
            ("date", Some(found)) => {
                found.as_str().and_then(object::age).unwrap_or_else(|| "<unknown>".to_owned()).into()
            }
            ("string", Some(found)) => match found {
                Value::String(text) => text.clone().into(),
                other => other.to_string().into(),
            },
            ("integer", Some(found)) => found.as_i64().map_or(Value::Null, Value::from),
            ("number", Some(found)) if found.is_number() => found.clone(),
            ("boolean", Some(found)) if found.is_boolean() => found.clone(),
            _ => Value::Null,
        },
    }
}

/// The metadata of an object alone, in the member order of the reference encoder: the name before the labels.
fn partial_json(object: &Value, version: &str) -> Vec<u8> {
    let mut out =
        format!(r#"{{"kind":"PartialObjectMetadata","apiVersion":"meta.k8s.io/{version}","metadata":"#).into_bytes();
    let written = serde_json::to_writer(&mut out, &InStructOrder(object::metadata(object)));
    written.expect("a JSON value can be written to memory");
    out.push(b'}');
    out
}

const META_ORDER: &[&str] = &[
    "name",
    "generateName",
    "namespace",
    "selfLink",
    "uid",
    "resourceVersion",
    "generation",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "labels",
    "annotations",
    "ownerReferences",
    "finalizers",
    "managedFields",
];

struct InStructOrder<'a>(&'a Map<String, Value>);

impl Serialize for InStructOrder<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for name in META_ORDER {
            match self.0.get(*name) {
                Some(value) => map.serialize_entry(name, value)?,
                // The reference encoder writes it even where it is not set.
                None if *name == "creationTimestamp" => map.serialize_entry(name, &Value::Null)?,
                None => {}
            }
        }
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use super::super::kinds::Kinds;
    use super::*;

    #[test]
    fn a_table_has_cells_before_the_object_and_definitions_once() {
        let kind = Kinds::of(&[], false).find("", "v1", "configmaps").unwrap();
        let object = Object::new(json!({
            "apiVersion": "v1", "kind": "ConfigMap", "data": {"a": "1", "b": "2"},
            "metadata": {"name": "x", "namespace": "n", "labels": {"l": "v"}, "resourceVersion": "7", "uid": "u"}
        }));
        let mut renderer = Renderer::new(&kind, Form::Table("v1".into()), "").unwrap();
        let first = String::from_utf8(renderer.one(&object)).unwrap();
        assert!(first.starts_with(
            r#"{"kind":"Table","apiVersion":"meta.k8s.io/v1","metadata":{"resourceVersion":"7"},"columnDefinitions":[{"#
        ));
        let row = r#""rows":[{"cells":["x",2,null],"object":{"kind":"PartialObjectMetadata","apiVersion":"meta.k8s.io/v1","metadata":{"name":"x","namespace":"n","uid":"u","resourceVersion":"7","creationTimestamp":null,"labels":{"l":"v"}}}}]}"#;
        assert!(first.ends_with(row), "{first}");
        let second = String::from_utf8(renderer.one(&object)).unwrap();
        assert!(second.contains(r#""columnDefinitions":null"#));
        assert!(Renderer::new(&kind, Form::Full, "Everything").is_err());
    }

    #[test]
    fn an_event_reads_in_either_group() {
        let kinds = Kinds::of(&[], false);
        let core = json!({"apiVersion": "v1", "kind": "Event", "involvedObject": {"name": "a"}, "message": "m"});
        let kind = kinds.find("events.k8s.io", "v1", "events").unwrap();
        let other = convert(&kind, &core).into_owned();
        assert_eq!(
            other,
            json!({"apiVersion": "events.k8s.io/v1", "kind": "Event", "regarding": {"name": "a"}, "note": "m"})
        );
        assert_eq!(*convert(&kinds.find("", "v1", "events").unwrap(), &other), core);
    }
}
