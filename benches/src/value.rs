//! The anchor: the same rewriting done with `serde_json::Value`, the way one would write it first.
//!
//! It parses the whole document, edits the tree and writes it again. The tests hold that it says the same as the product. Two
//! simplifications make it faster than a complete one, never slower: user owner references are not restored, and the
//! annotation of `kubectl apply` is taken to be the user's own text, as it is in the generated documents.

use connector_core::answer::Asked;
use connector_core::origin::{ANNOTATION_CONNECTION_SECRET, Origin, RESERVED_PREFIX};
use serde_json::{Map, Value};

/// Rewrites a list and writes it behind `out`.
///
/// # Errors
/// Those of `serde_json`; a generated document has none.
pub fn list(asked: &Asked, document: &[u8], out: &mut Vec<u8>) -> serde_json::Result<()> {
    let mut document: Value = serde_json::from_slice(document)?;
    if let Some(items) = document.get_mut("items").and_then(Value::as_array_mut) {
        items.retain_mut(|item| edit(asked, item).is_some());
    }
    serde_json::to_writer(out, &document)
}

/// The same with `simd-json` to read and write the tree.
///
/// # Errors
/// Those of `simd-json`; a generated document has none.
pub fn list_by_simd_json(asked: &Asked, document: &[u8], out: &mut Vec<u8>) -> simd_json::Result<()> {
    let mut copy = document.to_vec();
    let mut document: Value = simd_json::serde::from_slice(&mut copy)?;
    if let Some(items) = document.get_mut("items").and_then(Value::as_array_mut) {
        items.retain_mut(|item| edit(asked, item).is_some());
    }
    simd_json::serde::to_writer(out, &document)
}

/// Rewrites one object and writes it behind `out`; nothing if it belongs to another.
///
/// # Errors
/// Those of `serde_json`; a generated document has none.
pub fn object(asked: &Asked, document: &[u8], out: &mut Vec<u8>) -> serde_json::Result<()> {
    let mut document: Value = serde_json::from_slice(document)?;
    if edit(asked, &mut document).is_some() { serde_json::to_writer(out, &document) } else { Ok(()) }
}

/// Rewrites watch events and writes them behind `out`.
///
/// # Errors
/// Those of `serde_json`; a generated document has none.
pub fn watch(asked: &Asked, events: &[u8], out: &mut Vec<u8>) -> serde_json::Result<()> {
    for event in serde_json::Deserializer::from_slice(events).into_iter::<Value>() {
        let mut event = event?;
        if event.get_mut("object").and_then(|object| edit(asked, object)).is_some() {
            serde_json::to_writer(&mut *out, &event)?;
            out.push(b'\n');
        }
    }
    Ok(())
}

/// Makes a remote object local; `None` if it belongs to another.
fn edit(asked: &Asked, object: &mut Value) -> Option<()> {
    let metadata = object.get_mut("metadata")?.as_object_mut()?;
    let find = |map: &str, key: &str| metadata.get(map)?.get(key)?.as_str();
    let origin: Origin = asked.scheme.origin(|key| find("labels", key), |key| find("annotations", key))?.into();
    let secret = find("annotations", ANNOTATION_CONNECTION_SECRET).map(str::to_owned);
    let wanted = |want: &Option<String>, is: &str| want.as_ref().is_none_or(|want| want == is);
    if !wanted(&asked.namespace, &origin.namespace) || !wanted(&asked.name, &origin.name) {
        return None;
    }
    metadata.remove("ownerReferences");
    for map in ["labels", "annotations"] {
        let Some(entries) = metadata.get_mut(map).and_then(Value::as_object_mut) else { continue };
        entries.retain(|key, _| !key.starts_with(RESERVED_PREFIX));
        if entries.is_empty() {
            metadata.remove(map);
        }
    }
    if let Some(managers) = metadata.get_mut("managedFields").and_then(Value::as_array_mut) {
        managers.retain_mut(|manager| {
            let fields = manager.get_mut("fieldsV1").and_then(Value::as_object_mut);
            fields.is_none_or(|fields| {
                weed_fields(fields);
                !fields.is_empty()
            })
        });
    }
    if let Some(secret) = secret
        && let Some(name) = object.pointer_mut("/spec/writeConnectionSecretToRef/name")
        && *name == asked.scheme.remote_name(asked.form, &origin.namespace, &secret)
    {
        *name = secret.into();
    }
    object["metadata"]["name"] = origin.name.into();
    object["metadata"]["namespace"] = origin.namespace.into();
    Some(())
}

/// Takes what is ours out of one manager's fields, and the maps that held nothing else.
pub(crate) fn weed_fields(fields: &mut Map<String, Value>) {
    let Some(metadata) = fields.get_mut("f:metadata").and_then(Value::as_object_mut) else { return };
    metadata.remove("f:ownerReferences");
    for map in ["f:labels", "f:annotations"] {
        let Some(entries) = metadata.get_mut(map).and_then(Value::as_object_mut) else { continue };
        entries.retain(|key, _| !key.strip_prefix("f:").is_some_and(|key| key.starts_with(RESERVED_PREFIX)));
        if entries.keys().all(|key| key == ".") {
            metadata.remove(map);
        }
    }
    if metadata.is_empty() {
        fields.remove("f:metadata");
    }
}
