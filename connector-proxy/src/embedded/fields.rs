//! `managedFields`: who wrote which field, and a simplified server-side apply.
//!
//! Limits against the reference server: every list is one field (no merging by key), and a conflict is a field that another
//! manager holds with another value.

mod set;

use connector_core::status::{Cause, Details, Status};
use serde_json::{Map, Value, json};

use set::{Fields, content, difference, of_path};

use super::object;

/// Who writes, and how.
#[derive(Clone, Debug)]
pub(crate) struct Writer<'a> {
    pub(crate) manager: &'a str,
    pub(crate) api_version: &'a str,
    pub(crate) subresource: Option<&'a str>,
}

/// One entry of `managedFields`.
#[derive(Clone, Debug)]
struct Entry {
    head: Map<String, Value>,
    fields: Fields,
}

impl Entry {
    fn is_of(&self, writer: &Writer<'_>, operation: &str) -> bool {
        let text = |name: &str| self.head.get(name).and_then(Value::as_str);
        text("manager") == Some(writer.manager)
            && text("operation") == Some(operation)
            && text("subresource") == writer.subresource
    }

    fn new(writer: &Writer<'_>, operation: &str) -> Self {
        let head = json!({"manager": writer.manager, "operation": operation});
        let mut entry = Self { head: head.as_object().cloned().unwrap_or_default(), fields: Fields::default() };
        if let Some(subresource) = writer.subresource {
            entry.head.insert("subresource".into(), subresource.into());
        }
        entry
    }

    fn set(&mut self, writer: &Writer<'_>, fields: Fields) {
        if self.fields != fields || !self.head.contains_key("time") {
            self.head.insert("time".into(), object::now().into());
        }
        self.head.insert("apiVersion".into(), writer.api_version.into());
        self.fields = fields;
    }
}

fn entries(managed: Option<&Value>) -> Vec<Entry> {
    let entries = managed.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_object);
    entries
        .filter(|entry| entry.contains_key("manager"))
        .map(|entry| {
            let mut fields = entry.get("fieldsV1").map(Fields::of_json).unwrap_or_default();
            fields.own = false;
            let mut head = entry.clone();
            head.remove("fieldsV1");
            Entry { head, fields }
        })
        .collect()
}

fn store(object: &mut Value, entries: Vec<Entry>) {
    let entries = entries.into_iter().filter(|entry| !entry.fields.is_empty()).map(|entry| {
        let mut members = entry.head;
        members.insert("fieldsType".into(), "FieldsV1".into());
        members.insert("fieldsV1".into(), entry.fields.json());
        Value::Object(members)
    });
    let entries: Vec<Value> = entries.collect();
    let metadata = object::metadata_mut(object);
    if entries.is_empty() {
        metadata.remove("managedFields");
    } else {
        metadata.insert("managedFields".into(), entries.into());
    }
}

/// Records a write that is not an apply. What `new` itself says in `managedFields` counts, as on the reference server: absent
/// means unchanged, an empty list begins anew.
pub(crate) fn record(old: Option<&Value>, new: &mut Value, writer: &Writer<'_>) {
    let said = object::metadata_mut(new).remove("managedFields").filter(|said| !said.is_null());
    let mut all = match (&said, old) {
        (Some(said), Some(_)) => entries(Some(said)),
        (None, Some(old)) => entries(object::metadata(old).get("managedFields")),
        (_, None) => Vec::new(),
    };
    let nothing = json!({});
    let (changed, removed) = difference(&old.map_or(nothing, content), &content(new));
    for entry in &mut all {
        entry.fields.subtract(&removed);
        if !entry.is_of(writer, "Update") {
            entry.fields.subtract(&changed);
        }
    }
    if !changed.is_empty() {
        let at = all.iter().position(|entry| entry.is_of(writer, "Update")).unwrap_or_else(|| {
            all.push(Entry::new(writer, "Update"));
            all.len() - 1
        });
        let mut fields = all[at].fields.clone();
        fields.add(&changed);
        all[at].set(writer, fields);
    }
    store(new, all);
}

/// Merges an applied configuration into the live object and records it; `force` takes fields that others hold.
pub(crate) fn apply(live: Option<&Value>, config: &Value, writer: &Writer<'_>, force: bool) -> Result<Value, Status> {
    let wanted = Fields::of_object(config, false);
    let Some(live) = live else {
        let mut object = config.clone();
        let mut entry = Entry::new(writer, "Apply");
        entry.set(writer, wanted);
        store(&mut object, vec![entry]);
        return Ok(object);
    };
    let mut all = entries(object::metadata(live).get("managedFields"));
    let at = all.iter().position(|entry| entry.is_of(writer, "Apply")).unwrap_or_else(|| {
        all.push(Entry::new(writer, "Apply"));
        all.len() - 1
    });
    let mut causes = Vec::new();
    for (index, entry) in all.iter_mut().enumerate() {
        if index == at {
            continue;
        }
        let mut both = Vec::new();
        wanted.common(&entry.fields, &mut Vec::new(), &mut both);
        both.retain(|path| at_path(live, path) != at_path(config, path));
        for path in both {
            if force {
                entry.fields.subtract(&of_path(&path));
            } else {
                causes.push(conflict(entry, &path));
            }
        }
    }
    if !causes.is_empty() {
        return Err(conflicts(causes));
    }
    let mut given_up = all[at].fields.clone();
    given_up.subtract_only(&wanted);
    all.iter()
        .enumerate()
        .filter(|(index, _)| *index != at)
        .for_each(|(_, entry)| given_up.subtract_only(&entry.fields));
    let mut object = live.clone();
    let mut paths = Vec::new();
    given_up.leaves(&mut Vec::new(), &mut paths);
    paths.iter().filter(|path| !path.is_empty()).for_each(|path| remove(&mut object, path));
    merge(&mut object, config);
    all[at].set(writer, wanted);
    store(&mut object, all);
    Ok(object)
}

fn merge(into: &mut Value, from: &Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            for (name, value) in from {
                match into.get_mut(name) {
                    Some(there) => merge(there, value),
                    None => {
                        into.insert(name.clone(), value.clone());
                    }
                }
            }
        }
        (into, from) => *into = from.clone(),
    }
}

fn at_path<'a>(object: &'a Value, path: &[String]) -> Option<&'a Value> {
    path.iter().try_fold(object, |value, name| value.get(name))
}

fn remove(object: &mut Value, path: &[String]) {
    let Some((last, parents)) = path.split_last() else { return };
    let parent = parents.iter().try_fold(object, |value, name| value.get_mut(name));
    if let Some(members) = parent.and_then(Value::as_object_mut) {
        members.remove(last);
    }
}

fn conflict(entry: &Entry, path: &[String]) -> Cause {
    let text = |name: &str| entry.head.get(name).and_then(Value::as_str).unwrap_or_default();
    let message = match text("operation") {
        "Apply" => format!("conflict with {:?}", text("manager")),
        _ => format!("conflict with {:?} using {}", text("manager"), text("apiVersion")),
    };
    Cause { reason: "FieldManagerConflict".into(), message, field: format!(".{}", path.join(".")) }
}

fn conflicts(causes: Vec<Cause>) -> Status {
    let many = if causes.len() == 1 { "conflict" } else { "conflicts" };
    let told: Vec<String> = causes.iter().map(|cause| format!("{}: {}", cause.message, cause.field)).collect();
    let message = format!("Apply failed with {} {many}: {}", causes.len(), told.join(", "));
    Status::failure(409, "Conflict", message).about(Details { causes, ..Details::default() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn writer<'a>(manager: &'a str) -> Writer<'a> {
        Writer { manager, api_version: "x.org/v1", subresource: None }
    }

    fn managed(object: &Value) -> Vec<(String, Value)> {
        let entries = object["metadata"]["managedFields"].as_array().unwrap();
        entries.iter().map(|e| (e["manager"].as_str().unwrap().to_owned(), e["fieldsV1"].clone())).collect()
    }

    #[test]
    fn an_update_takes_over_what_it_changes() {
        let mut first = json!({"metadata": {"name": "a", "labels": {"l": "v"}}, "spec": {"x": 1, "y": 1}});
        record(None, &mut first, &writer("one"));
        let fields =
            json!({"f:metadata": {"f:labels": {".": {}, "f:l": {}}}, "f:spec": {".": {}, "f:x": {}, "f:y": {}}});
        assert_eq!(managed(&first), [("one".into(), fields)]);
        let mut second = first.clone();
        second["spec"] = json!({"x": 2});
        record(Some(&first), &mut second, &writer("two"));
        let fields = json!({"f:metadata": {"f:labels": {".": {}, "f:l": {}}}, "f:spec": {}});
        assert_eq!(managed(&second), [("one".into(), fields), ("two".into(), json!({"f:spec": {"f:x": {}}}))]);
    }

    #[test]
    fn apply_merges_gives_up_and_meets_conflicts() {
        let first = apply(None, &json!({"spec": {"x": 1, "y": 1}}), &writer("a"), false).unwrap();
        assert_eq!(managed(&first), [("a".into(), json!({"f:spec": {"f:x": {}, "f:y": {}}}))]);
        let both = apply(Some(&first), &json!({"spec": {"z": 1, "x": 1}}), &writer("b"), false).unwrap();
        let status = apply(Some(&both), &json!({"spec": {"x": 2}}), &writer("b"), false).unwrap_err();
        assert_eq!(status.message, "Apply failed with 1 conflict: conflict with \"a\": .spec.x");
        let forced = apply(Some(&both), &json!({"spec": {"x": 2}}), &writer("b"), true).unwrap();
        assert_eq!(forced["spec"], json!({"x": 2, "y": 1}));
        let without = apply(Some(&forced), &json!({"spec": {}}), &writer("a"), false).unwrap();
        assert_eq!(without["spec"], json!({"x": 2}));
    }
}
