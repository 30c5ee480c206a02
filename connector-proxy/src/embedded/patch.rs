//! The patch formats, applied to a live object.

use connector_core::status::{Cause, Status};
use serde_json::{Map, Value};

use super::kinds::Kind;
use super::object;

/// The format of a patch, by its content type (wire rule 8.12).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Json,
    Merge,
    /// Built-in kinds only.
    Strategic,
    Apply,
}

impl Format {
    pub(super) fn of(content_type: &str, kind: &Kind) -> Result<Self, Status> {
        let accepted = "application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml";
        match content_type.split(';').next().unwrap_or_default().trim() {
            "application/json-patch+json" => Ok(Self::Json),
            "application/merge-patch+json" => Ok(Self::Merge),
            "application/apply-patch+yaml" => Ok(Self::Apply),
            "application/strategic-merge-patch+json" if !kind.custom => Ok(Self::Strategic),
            _ => Err(Status::unsupported_media_type(accepted)),
        }
    }
}

/// The object that a JSON, merge or strategic patch makes of the live one.
pub(super) fn apply(format: Format, live: &Value, body: &[u8]) -> Result<Value, Status> {
    let mut object = live.clone();
    match format {
        Format::Json => {
            let patch: json_patch::Patch = parse(body)?;
            json_patch::patch(&mut object, &patch).map_err(|error| {
                Status::failure(
                    422,
                    "Invalid",
                    format!("the server rejected our request due to an error in our request: {error}"),
                )
            })?;
        }
        Format::Merge | Format::Apply => {
            let patch: Value = parse(body)?;
            json_patch::merge(&mut object, &patch);
        }
        Format::Strategic => {
            let patch: Value = parse(body)?;
            strategic(&mut object, &patch, "");
        }
    }
    Ok(object)
}

fn parse<T: serde::de::DeserializeOwned>(body: &[u8]) -> Result<T, Status> {
    serde_json::from_slice(body).map_err(|error| Status::bad_request(format!("error decoding patch: {error}")))
}

/// What the items of the lists of built-in kinds are told apart by; a list that is not here is replaced whole.
fn merge_key(list: &str) -> Option<&'static str> {
    match list {
        "ownerReferences" => Some("uid"),
        "conditions" => Some("type"),
        "ports" => Some("port"),
        "secrets" | "imagePullSecrets" => Some("name"),
        _ => None,
    }
}

/// A strategic merge patch, as far as the built-in kinds here need it: merge keys, `$patch: delete|replace`,
/// `$deleteFromPrimitiveList/…`; the ordering directives are ignored.
fn strategic(into: &mut Value, patch: &Value, field: &str) {
    match (into, patch) {
        (Value::Object(into), Value::Object(patch)) => {
            if patch.get("$patch") == Some(&Value::String("replace".into())) {
                *into =
                    patch.iter().filter(|(name, _)| *name != "$patch").map(|(n, v)| (n.clone(), v.clone())).collect();
                return;
            }
            for (name, value) in patch {
                if let Some(list) = name.strip_prefix("$deleteFromPrimitiveList/") {
                    if let (Some(Value::Array(items)), Value::Array(gone)) = (into.get_mut(list), value) {
                        items.retain(|item| !gone.contains(item));
                    }
                } else if name.starts_with('$') {
                    // `$setElementOrder/…` and `$retainKeys` only matter for lists and unions that are not among the
                    // kinds here.
                } else if value.is_null() {
                    into.remove(name);
                } else {
                    strategic(into.entry(name.clone()).or_insert(Value::Null), value, name);
                }
            }
        }
        (into, Value::Array(items)) if field == "finalizers" && into.is_array() => {
            let there = into.as_array_mut().into_iter();
            for there in there {
                items.iter().for_each(|item| {
                    if !there.contains(item) {
                        there.push(item.clone());
                    }
                });
            }
        }
        (Value::Array(there), Value::Array(items)) if merge_key(field).is_some() => {
            let key = merge_key(field).unwrap_or_default();
            for item in items {
                let found = there.iter().position(|one| one.get(key) == item.get(key));
                match (found, item.get("$patch").and_then(Value::as_str)) {
                    (Some(at), Some("delete")) => {
                        there.remove(at);
                    }
                    (Some(at), _) => strategic(&mut there[at], item, ""),
                    (None, Some("delete")) => {}
                    (None, _) => there.push(item.clone()),
                }
            }
        }
        (into, patch @ Value::Object(_)) => {
            *into = Value::Object(Map::new());
            strategic(into, patch, field);
        }
        (into, patch) => *into = patch.clone(),
    }
}

/// The configuration of an apply patch, which is YAML or JSON (wire rule 8.11).
pub(super) fn configuration(body: &[u8]) -> Result<Value, Status> {
    let text = std::str::from_utf8(body).map_err(|_| Status::bad_request("error decoding YAML: not UTF-8"))?;
    let config: Value = serde_json::from_str(text)
        .or_else(|_| serde_saphyr::from_str(text))
        .map_err(|error| Status::bad_request(format!("error decoding YAML: {error}")))?;
    if !config.is_object() {
        return Err(Status::bad_request("error decoding YAML: not an object"));
    }
    if object::metadata(&config).get("managedFields").is_some_and(|managed| !managed.is_null()) {
        return Err(Status::bad_request("metadata.managedFields must be nil"));
    }
    Ok(config)
}

/// 422 for options of a patch that do not go together (wire rule 8.11).
pub(super) fn check_options(format: Format, manager_given: bool, force: bool) -> Result<(), Status> {
    let invalid = |reason: &str, field: &str, message: &str| {
        let cause = Cause { reason: reason.into(), message: message.into(), field: field.into() };
        Err(Status::invalid("meta.k8s.io", "PatchOptions", "", vec![cause]))
    };
    match format {
        Format::Apply if !manager_given => {
            invalid("FieldValueRequired", "fieldManager", "Required value: is required for apply patch")
        }
        Format::Apply => Ok(()),
        _ if force => invalid("FieldValueForbidden", "force", "Forbidden: may not be specified for non-apply patch"),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_strategic_patch_merges_lists_by_their_key() {
        let live = json!({"spec": {"ports": [{"port": 80, "name": "a"}, {"port": 81}], "list": [1]}, "metadata": {"finalizers": ["x"]}});
        let patch = json!({
            "spec": {"ports": [{"port": 80, "name": "b"}, {"port": 81, "$patch": "delete"}], "$setElementOrder/ports": [], "list": [2]},
            "metadata": {"finalizers": ["y"], "$deleteFromPrimitiveList/finalizers": ["x"]}
        });
        let object = apply(Format::Strategic, &live, &object::to_json(&patch)).unwrap();
        assert_eq!(
            object,
            json!({"spec": {"ports": [{"port": 80, "name": "b"}], "list": [2]}, "metadata": {"finalizers": ["y"]}})
        );
    }

    #[test]
    fn a_patch_that_does_not_fit_is_told_as_such() {
        let live = json!({"spec": {}});
        assert_eq!(apply(Format::Json, &live, br#"[{"op":"remove","path":"/no"}]"#).unwrap_err().code, 422);
        assert_eq!(apply(Format::Json, &live, b"{").unwrap_err().code, 400);
        assert_eq!(check_options(Format::Apply, false, false).unwrap_err().code, 422);
        assert_eq!(check_options(Format::Merge, true, true).unwrap_err().code, 422);
    }
}
