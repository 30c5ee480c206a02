//! The subresource `scale`: a view of three fields of an object (wire rule 7.19).

use connector_core::status::Status;
use serde_json::{Map, Value, json};

use super::kinds::Kind;
use super::object;

/// The Scale of an object.
pub(super) fn of(kind: &Kind, object: &Value) -> Result<Value, Status> {
    let scale = kind.scale.as_ref().ok_or_else(Status::no_such_path)?;
    let metadata: Map<String, Value> = ["creationTimestamp", "name", "namespace", "resourceVersion", "uid"]
        .into_iter()
        .filter_map(|name| Some((name.to_owned(), object::metadata(object).get(name)?.clone())))
        .collect();
    let number = |pointer: &str| object.pointer(pointer).and_then(Value::as_i64).unwrap_or_default();
    let mut status = json!({"replicas": number(&scale.status_replicas)});
    if let Some(selector) = scale.label_selector.as_ref().and_then(|pointer| object.pointer(pointer)) {
        status["selector"] = selector.clone();
    }
    Ok(json!({
        "kind": "Scale", "apiVersion": "autoscaling/v1", "metadata": metadata,
        "spec": {"replicas": number(&scale.spec_replicas)}, "status": status
    }))
}

/// Writes the wished number of replicas of a Scale into the object that it is of.
pub(super) fn write(kind: &Kind, object: &mut Value, written: &Value) -> Result<(), Status> {
    let scale = kind.scale.as_ref().ok_or_else(Status::no_such_path)?;
    let replicas = written["spec"]["replicas"].as_i64().unwrap_or_default();
    let mut at = &mut *object;
    for name in scale.spec_replicas.split('/').filter(|name| !name.is_empty()) {
        if !at.is_object() {
            *at = json!({});
        }
        at = &mut at[name];
    }
    *at = replicas.into();
    Ok(())
}
