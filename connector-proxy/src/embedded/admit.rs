//! What happens to an object before it is stored: defaults of built-in kinds, schema, checks of names and labels.

use connector_core::status::{Cause, Details, Status};
use k8s_openapi::ByteString;
use serde_json::{Value, json};

use super::kinds::{self, Kind};
use super::{object, schema};

const MAX_LABEL: usize = 63;

/// Prunes and fills in an object by its schema; the paths of the fields that were unknown.
pub(super) fn shape(kind: &Kind, object: &mut Value) -> Vec<String> {
    let Some(schema) = kind.schema.as_deref() else { return Vec::new() };
    let unknown = schema::prune(object, schema);
    schema::default(object, schema);
    unknown
}

/// Checks an object, and fills in what built-in kinds have.
pub(super) fn check(kind: &Kind, object: &mut Value, creation: bool) -> Result<(), Status> {
    let mut causes = metadata_causes(kind, object);
    if let Some(schema) = kind.schema.as_deref() {
        causes.extend(schema::validate(object, schema));
    }
    if !kind.custom {
        built_in(kind, object, creation, &mut causes);
    }
    if causes.is_empty() { Ok(()) } else { Err(Status::invalid(&kind.group, &kind.kind, object::name(object), causes)) }
}

fn invalid(field: &str, value: &str, message: &str) -> Cause {
    let message = format!("Invalid value: {value:?}: {message}");
    Cause { reason: "FieldValueInvalid".into(), message, field: field.into() }
}

fn metadata_causes(kind: &Kind, object: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    let name = object::name(object);
    let label_name = kind.plural == "namespaces" || kind.plural == "services";
    let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || (b == b'.' && !label_name);
    let ends = name.bytes().next().into_iter().chain(name.bytes().last());
    let plain = name.bytes().all(inner) && ends.into_iter().all(|b| b.is_ascii_alphanumeric());
    // Names of custom and most built-in objects; a few built-in kinds allow more, none of which is served here.
    if !plain || name.len() > if label_name { MAX_LABEL } else { 253 } {
        causes.push(invalid(
            "metadata.name",
            name,
            "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')",
        ));
    }
    for (_, value) in object::metadata(object).get("labels").and_then(Value::as_object).into_iter().flatten() {
        let value = value.as_str().unwrap_or("<not a string>");
        let inner = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
        let mut ends = value.bytes().next().into_iter().chain(value.bytes().last());
        if value.len() > MAX_LABEL {
            causes.push(invalid("metadata.labels", value, "must be no more than 63 bytes"));
        } else if !value.bytes().all(inner) || !ends.all(|b| b.is_ascii_alphanumeric()) {
            causes.push(invalid(
                "metadata.labels",
                value,
                "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')",
            ));
        }
    }
    causes
}

fn built_in(kind: &Kind, object: &mut Value, creation: bool, causes: &mut Vec<Cause>) {
    match kind.plural.as_str() {
        "namespaces" => {
            let name = object::name(object).to_owned();
            let labels = object::metadata_mut(object).entry("labels").or_insert_with(|| json!({}));
            labels["kubernetes.io/metadata.name"] = name.into();
            if creation {
                object["spec"] = json!({"finalizers": ["kubernetes"]});
                object["status"] = json!({"phase": "Active"});
            }
        }
        "secrets" => {
            if object.get("type").is_none() {
                object["type"] = "Opaque".into();
            }
            let plain = object.as_object_mut().and_then(|members| members.remove("stringData"));
            for (name, text) in plain.as_ref().and_then(Value::as_object).into_iter().flatten() {
                let text = text.as_str().unwrap_or_default();
                object::member_mut(object, "data").insert(name.clone(), json!(ByteString(text.into())));
            }
            let data = object.get("data").and_then(Value::as_object).into_iter().flatten();
            for (name, value) in data {
                if serde_json::from_value::<ByteString>(value.clone()).is_err() {
                    causes.push(invalid(&format!("data[{name}]"), &value.to_string(), "illegal base64 data"));
                }
            }
        }
        "services" => {
            let spec = object::member_mut(object, "spec");
            spec.entry("type").or_insert_with(|| "ClusterIP".into());
        }
        "customresourcedefinitions" => {
            if let Err((field, message)) = kinds::prepare_crd(object) {
                causes.push(Cause { reason: "FieldValueInvalid".into(), message: message.into(), field: field.into() });
            }
        }
        "apiservices" => api_service(object, causes),
        _ => {}
    }
}

fn api_service(object: &mut Value, causes: &mut Vec<Cause>) {
    let name = object::name(object).to_owned();
    let spec = object::member_mut(object, "spec");
    let text = |name: &str| spec.get(name).and_then(Value::as_str).unwrap_or_default();
    let wanted = format!("{}.{}", text("version"), text("group"));
    if name != wanted {
        causes.push(invalid("metadata.name", &name, &format!("must be `spec.version+\".\"+spec.group`: {wanted:?}")));
    }
    // Wire rule 1.10.
    if spec.get("insecureSkipTLSVerify") == Some(&Value::Bool(true)) && !text("caBundle").is_empty() {
        causes.push(invalid("spec.insecureSkipTLSVerify", "true", "may not be true if caBundle is present"));
    }
    match spec.get_mut("service").and_then(Value::as_object_mut) {
        Some(service) => {
            service.entry("port").or_insert_with(|| 443.into());
        }
        None => {
            let condition = json!({
                "type": "Available", "status": "True", "reason": "Local",
                "message": "Local APIServices are always available", "lastTransitionTime": object::now()
            });
            object["status"] = json!({"conditions": [condition]});
        }
    }
}

/// Refuses what is created in a namespace that is not there or goes away (wire rule 10.3).
pub(super) fn check_namespace(kind: &Kind, object: &Value, namespace: Option<&Value>) -> Result<(), Status> {
    let name = object::namespace(object);
    let Some(namespace) = namespace else { return Err(Status::not_found("", "namespaces", name)) };
    if !object::is_terminating(namespace) {
        return Ok(());
    }
    let message = format!("unable to create new content in namespace {name} because it is being terminated");
    let cause = Cause {
        reason: "NamespaceTerminating".into(),
        message: format!("namespace {name} is being terminated"),
        field: "metadata.namespace".into(),
    };
    let mut status = Status::forbidden(&kind.group, &kind.plural, object::name(object), &message);
    status.details = Some(Details { causes: vec![cause], ..status.details.unwrap_or_default() });
    Err(status)
}
