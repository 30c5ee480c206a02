//! The naive twin: the same translation on whole `serde_json` values, written for clarity alone.

use serde_json::{Map, Value, json};

use super::*;
use crate::answer::RowObject;
use crate::origin::{ANNOTATION_CONNECTION_SECRET, ANNOTATION_OWNERS, Origin, RESERVED_PREFIX, secret_annotation};
use crate::references::{Node, Sort};

/// The object as it looks locally and its origin, or `None` when it does not exist.
pub(super) fn object(asked: &Asked, mut object: Value) -> Option<(Value, Origin)> {
    let metadata = object.get_mut("metadata")?.as_object_mut()?;
    metadata.get("name")?.as_str()?;
    let get =
        |metadata: &Map<String, Value>, map: &str, key: &str| Some(metadata.get(map)?.get(key)?.as_str()?.to_owned());
    let origin = asked.scheme.origin(|key| get(metadata, "labels", key), |key| get(metadata, "annotations", key))?;
    if asked.namespace.as_ref().is_some_and(|asked| *asked != origin.namespace)
        || asked.name.as_ref().is_some_and(|asked| *asked != origin.name)
    {
        return None;
    }
    let owners = get(metadata, "annotations", ANNOTATION_OWNERS)
        .and_then(|text| serde_json::from_str::<Vec<Value>>(&text).ok())
        .filter(|owners| !owners.is_empty() && owners.iter().all(|owner| owner["uid"].is_string()));
    let secret = get(metadata, "annotations", ANNOTATION_CONNECTION_SECRET);
    let annotations = metadata.get("annotations").and_then(Value::as_object).cloned().unwrap_or_default();

    metadata.insert("name".into(), origin.name.clone().into());
    if metadata.contains_key("namespace") {
        metadata.insert("namespace".into(), origin.namespace.clone().into());
    }
    for map in ["labels", "annotations"] {
        remove_if_emptied(metadata, map, |map| map.retain(|key, _| !key.starts_with(RESERVED_PREFIX)));
    }
    metadata.remove("ownerReferences");
    if let Some(owners) = &owners {
        metadata.insert("ownerReferences".into(), owners.clone().into());
    }
    if let Some(Value::Array(entries)) = metadata.get_mut("managedFields") {
        let before = entries.len();
        entries.retain_mut(|entry| !clean_entry(entry, owners.as_deref()));
        if entries.is_empty() && before > 0 {
            metadata.remove("managedFields");
        }
    }
    if let (Some(secret), Some(name)) = (secret, object.pointer_mut("/spec/writeConnectionSecretToRef/name"))
        && name == &asked.scheme.remote_name(asked.form, &origin.namespace, &secret)
    {
        *name = secret.into();
    }
    if let (Some(references), Some(Value::Object(spec))) = (&asked.references, object.get_mut("spec")) {
        members(asked, &annotations, &origin, references.in_spec(), spec);
    }
    Some((object, origin))
}

type Annotations = Map<String, Value>;

fn members(
    asked: &Asked,
    said: &Annotations,
    origin: &Origin,
    nodes: &[(String, Node)],
    object: &mut Map<String, Value>,
) {
    for (key, node) in nodes {
        if let Some(value) = object.get_mut(key) {
            reference(asked, said, origin, node, value);
        }
    }
}

/// Names Secrets at a configured field as the user does.
fn reference(asked: &Asked, said: &Annotations, origin: &Origin, node: &Node, value: &mut Value) {
    match (node, value) {
        (Node::Members(nodes), Value::Object(object)) => members(asked, said, origin, nodes, object),
        (Node::Each(node), Value::Array(all)) => {
            all.iter_mut().for_each(|one| reference(asked, said, origin, node, one));
        }
        (Node::Leaf(leaf), Value::String(name)) if leaf.sort == Sort::ConnectionSecret => {
            if let Some((local, None)) = local(asked, said, origin, name) {
                *name = local;
            }
        }
        (Node::Leaf(leaf), Value::Object(reference)) if leaf.sort == Sort::InputSecret => {
            let name = reference.get("name").and_then(Value::as_str);
            let Some((local, Some(namespace))) = name.and_then(|name| local(asked, said, origin, name)) else { return };
            reference.insert("name".into(), local.into());
            if reference.get("namespace").is_some_and(|stored| stored == "claims") {
                reference.insert("namespace".into(), namespace.into());
            }
        }
        _ => {}
    }
}

/// What the annotations say that a Secret is called, and for an input secret in which namespace.
fn local(asked: &Asked, said: &Annotations, origin: &Origin, remote: &str) -> Option<(String, Option<String>)> {
    let value = said.get(&secret_annotation(remote))?.as_str()?;
    if asked.scheme.remote_name(asked.form, &origin.namespace, value) == remote {
        return Some((value.to_owned(), None));
    }
    let secret: Value = serde_json::from_str(value).ok()?;
    let (namespace, name) = (secret["namespace"].as_str()?, secret["name"].as_str()?);
    (asked.scheme.input_name(namespace, name) == remote).then(|| (name.to_owned(), Some(namespace.to_owned())))
}

/// Whether the member that `weed` works on was there with something in it and is now empty; then it is removed.
fn remove_if_emptied(parent: &mut Map<String, Value>, key: &str, weed: impl FnOnce(&mut Map<String, Value>)) -> bool {
    let Some(Value::Object(map)) = parent.get_mut(key) else { return false };
    let before = map.len();
    weed(map);
    let emptied = before > 0 && map.is_empty();
    if emptied {
        parent.remove(key);
    }
    emptied
}

/// Whether the whole entry goes.
fn clean_entry(entry: &mut Value, owners: Option<&[Value]>) -> bool {
    let Some(entry) = entry.as_object_mut() else { return false };
    remove_if_emptied(entry, "fieldsV1", |fields| {
        remove_if_emptied(fields, "f:metadata", |metadata| {
            let mut set_owners = false;
            for map in ["f:labels", "f:annotations"] {
                remove_if_emptied(metadata, map, |map| {
                    let before = map.len();
                    set_owners |= map.contains_key(&format!("f:{ANNOTATION_OWNERS}"));
                    map.retain(|key, _| !key.starts_with(&format!("f:{RESERVED_PREFIX}")));
                    if map.len() < before && map.keys().all(|key| key == ".") {
                        map.clear();
                    }
                });
            }
            metadata.remove("f:ownerReferences");
            if let (true, Some(owners)) = (set_owners, owners) {
                let mut fields = Map::from_iter([(".".to_owned(), json!({}))]);
                for owner in owners {
                    fields.insert(format!("k:{}", json!({ "uid": owner["uid"] })), json!({}));
                }
                metadata.insert("f:ownerReferences".into(), fields.into());
            }
        });
    })
}

pub(super) fn list(asked: &Asked, mut list: Value) -> Value {
    if let Some(Value::Array(items)) = list.get_mut("items") {
        *items = items.drain(..).filter_map(|item| Some(object(asked, item)?.0)).collect();
    }
    list
}

pub(super) fn table(asked: &Asked, show: RowObject, mut table: Value) -> Value {
    if let Some(Value::Array(rows)) = table.get_mut("rows") {
        *rows = rows.drain(..).filter_map(|it| row(asked, show, it)).collect();
    }
    table
}

fn row(asked: &Asked, show: RowObject, mut row: Value) -> Option<Value> {
    let remote = row.get("object")?.clone();
    let (local, origin) = object(asked, remote.clone())?;
    let secret = remote["metadata"]["annotations"][ANNOTATION_CONNECTION_SECRET].as_str();
    row["object"] = if show == RowObject::Show { local } else { Value::Null };
    if let Some(Value::Array(cells)) = row.get_mut("cells") {
        for cell in cells.iter_mut().filter(|cell| cell.is_string()) {
            if *cell == remote["metadata"]["name"] {
                *cell = origin.name.clone().into();
            } else if let Some(secret) = secret
                && *cell == asked.scheme.remote_name(asked.form, &origin.namespace, secret)
            {
                *cell = secret.into();
            } else if asked.references.is_some()
                && let Some(annotations) = remote["metadata"]["annotations"].as_object()
                && let Some((name, _)) = cell.as_str().and_then(|cell| self::local(asked, annotations, &origin, cell))
            {
                *cell = name.into();
            }
        }
    }
    Some(row)
}
