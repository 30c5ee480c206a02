//! Structural schemas: pruning, defaults, and the checks that users meet most.
//!
//! Not checked: `pattern`, `format`, `oneOf`/`anyOf`/`allOf`/`not`, and CEL rules (`x-kubernetes-validations`).

use connector_core::status::Cause;
use serde_json::{Map, Value};

/// Removes what the schema does not know, and tells the paths of it.
pub(crate) fn prune(object: &mut Value, schema: &Value) -> Vec<String> {
    let mut unknown = Vec::new();
    prune_at(object, schema, "", true, &mut unknown);
    unknown
}

fn flag(schema: &Value, name: &str) -> bool {
    schema.get(name).and_then(Value::as_bool).unwrap_or_default()
}

fn prune_at(value: &mut Value, schema: &Value, path: &str, root: bool, unknown: &mut Vec<String>) {
    let embedded = root || flag(schema, "x-kubernetes-embedded-resource");
    match value {
        Value::Object(members) => {
            let properties = schema.get("properties").and_then(Value::as_object);
            let additional = schema.get("additionalProperties");
            let preserve =
                flag(schema, "x-kubernetes-preserve-unknown-fields") || additional == Some(&Value::Bool(true));
            let mut strange = Vec::new();
            for (name, member) in members.iter_mut() {
                if embedded && matches!(name.as_str(), "apiVersion" | "kind" | "metadata") {
                    continue;
                }
                let path = join(path, name);
                match properties.and_then(|properties| properties.get(name)).or(additional.filter(|a| a.is_object())) {
                    Some(schema) => prune_at(member, schema, &path, false, unknown),
                    None if preserve => {}
                    None => {
                        strange.push(name.clone());
                        unknown.push(path);
                    }
                }
            }
            members.retain(|name, _| !strange.contains(name));
        }
        Value::Array(items) => {
            if let Some(schema) = schema.get("items") {
                for (index, item) in items.iter_mut().enumerate() {
                    prune_at(item, schema, &format!("{path}[{index}]"), false, unknown);
                }
            }
        }
        _ => {}
    }
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

/// Sets the schema's defaults where nothing is given.
pub(crate) fn default(value: &mut Value, schema: &Value) {
    match value {
        Value::Object(members) => {
            let properties = schema.get("properties").and_then(Value::as_object);
            for (name, schema) in properties.into_iter().flatten() {
                let absent = match members.get(name) {
                    None => true,
                    Some(value) => value.is_null() && !flag(schema, "nullable"),
                };
                if absent && let Some(default) = schema.get("default") {
                    members.insert(name.clone(), default.clone());
                }
                if let Some(member) = members.get_mut(name) {
                    self::default(member, schema);
                }
            }
            if let Some(schema) = schema.get("additionalProperties").filter(|schema| schema.is_object()) {
                let known = |name: &String| properties.is_some_and(|properties| properties.contains_key(name));
                members.iter_mut().filter(|(name, _)| !known(name)).for_each(|(_, member)| default(member, schema));
            }
        }
        Value::Array(items) => {
            if let Some(schema) = schema.get("items") {
                items.iter_mut().for_each(|item| default(item, schema));
            }
        }
        _ => {}
    }
}

/// What is wrong with an object, in the words of the reference server.
pub(crate) fn validate(object: &Value, schema: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    check(object, schema, "", &mut causes);
    causes
}

fn cause(reason: &str, field: &str, message: String) -> Cause {
    Cause { reason: reason.into(), message, field: if field.is_empty() { "<nil>".into() } else { field.into() } }
}

fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

fn check(value: &Value, schema: &Value, path: &str, causes: &mut Vec<Cause>) {
    if value.is_null() && flag(schema, "nullable") {
        return;
    }
    if !has_type(value, schema) {
        let wanted = schema.get("type").and_then(Value::as_str).unwrap_or_default();
        let told = type_name(value);
        let message = format!("Invalid value: {told:?}: {path} in body must be of type {wanted}: {told:?}");
        causes.push(cause("FieldValueTypeInvalid", path, message));
        return;
    }
    check_value(value, schema, path, causes);
    match value {
        Value::Object(members) => check_members(members, schema, path, causes),
        Value::Array(items) => {
            if let Some(schema) = schema.get("items") {
                for (index, item) in items.iter().enumerate() {
                    check(item, schema, &format!("{path}[{index}]"), causes);
                }
            }
        }
        _ => {}
    }
}

fn has_type(value: &Value, schema: &Value) -> bool {
    if flag(schema, "x-kubernetes-int-or-string") {
        return matches!(type_name(value), "integer" | "string");
    }
    match (schema.get("type").and_then(Value::as_str), type_name(value)) {
        (None, _) | (Some("number"), "integer") => true,
        (Some(wanted), told) => wanted == told,
    }
}

fn check_members(members: &Map<String, Value>, schema: &Value, path: &str, causes: &mut Vec<Cause>) {
    for name in schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str) {
        if !members.contains_key(name) {
            causes.push(cause("FieldValueRequired", &join(path, name), "Required value".into()));
        }
    }
    let properties = schema.get("properties").and_then(Value::as_object);
    let additional = schema.get("additionalProperties").filter(|schema| schema.is_object());
    for (name, member) in members {
        if let Some(schema) = properties.and_then(|properties| properties.get(name)).or(additional) {
            check(member, schema, &join(path, name), causes);
        }
    }
}

fn check_value(value: &Value, schema: &Value, path: &str, causes: &mut Vec<Cause>) {
    if let Some(allowed) = schema.get("enum").and_then(Value::as_array)
        && !allowed.contains(value)
    {
        let allowed: Vec<String> = allowed.iter().map(Value::to_string).collect();
        let message = format!("Unsupported value: {value}: supported values: {}", allowed.join(", "));
        causes.push(cause("FieldValueNotSupported", path, message));
    }
    let limit = |name: &str| schema.get(name).and_then(Value::as_f64);
    if let Some(number) = value.as_f64() {
        if let Some(minimum) = limit("minimum").filter(|minimum| number < *minimum) {
            let message =
                format!("Invalid value: {value}: {path} in body should be greater than or equal to {minimum}");
            causes.push(cause("FieldValueInvalid", path, message));
        }
        if let Some(maximum) = limit("maximum").filter(|maximum| number > *maximum) {
            let message = format!("Invalid value: {value}: {path} in body should be less than or equal to {maximum}");
            causes.push(cause("FieldValueInvalid", path, message));
        }
    }
    let (size, what, least, most) = match value {
        Value::String(text) => (text.chars().count(), "chars long", "minLength", "maxLength"),
        Value::Array(items) => (items.len(), "items", "minItems", "maxItems"),
        Value::Object(members) => (members.len(), "properties", "minProperties", "maxProperties"),
        _ => return,
    };
    let bound = |name: &str| schema.get(name).and_then(Value::as_u64).and_then(|bound| usize::try_from(bound).ok());
    if let Some(least) = bound(least).filter(|least| size < *least) {
        let message = format!("Invalid value: {value}: {path} in body should be at least {least} {what}");
        causes.push(cause("FieldValueInvalid", path, message));
    }
    if let Some(most) = bound(most).filter(|most| size > *most) {
        let (reason, message) = match value {
            Value::String(_) => ("FieldValueTooLong", format!("Too long: may not be more than {most} bytes")),
            _ => ("FieldValueTooMany", format!("Too many: {size}: must have at most {most} {what}")),
        };
        causes.push(cause(reason, path, message));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn schema() -> Value {
        json!({"type": "object", "required": ["spec"], "properties": {"spec": {
            "type": "object", "required": ["id"],
            "properties": {
                "id": {"type": "string", "maxLength": 5},
                "size": {"type": "string", "enum": ["small", "large"], "default": "small"},
                "count": {"type": "integer", "minimum": 1},
                "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
                "map": {"type": "object", "additionalProperties": {"type": "string"}},
                "port": {"x-kubernetes-int-or-string": true}
            }
        }}})
    }

    #[test]
    fn unknown_fields_are_pruned_and_told() {
        let mut object = json!({"apiVersion": "v1", "metadata": {"x": 1}, "spec": {"id": "a", "no": 1, "free": {"any": 1}, "map": {"k": "v"}}});
        assert_eq!(prune(&mut object, &schema()), ["spec.no"]);
        assert_eq!(
            object,
            json!({"apiVersion": "v1", "metadata": {"x": 1}, "spec": {"id": "a", "free": {"any": 1}, "map": {"k": "v"}}})
        );
    }

    #[test]
    fn defaults_fill_what_is_not_given() {
        let mut object = json!({"spec": {"id": "a"}});
        default(&mut object, &schema());
        assert_eq!(object, json!({"spec": {"id": "a", "size": "small"}}));
        let mut object = json!({});
        default(&mut object, &schema());
        assert_eq!(object, json!({}));
    }

    #[test]
    fn faults_read_as_the_reference_servers() {
        let object = json!({"spec": {"size": "huge", "count": "3", "port": 80, "map": {"k": 1}}});
        let told: Vec<String> = validate(&object, &schema())
            .into_iter()
            .map(|cause| format!("{}: {}", cause.field, cause.message))
            .collect();
        assert_eq!(
            told,
            [
                "spec.id: Required value",
                "spec.count: Invalid value: \"string\": spec.count in body must be of type integer: \"string\"",
                "spec.map.k: Invalid value: \"integer\": spec.map.k in body must be of type string: \"integer\"",
                "spec.size: Unsupported value: \"huge\": supported values: \"small\", \"large\"",
            ]
        );
        assert!(validate(&json!({"spec": {"id": "a", "count": 3}}), &schema()).is_empty());
    }
}
