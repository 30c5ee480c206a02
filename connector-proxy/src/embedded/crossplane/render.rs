//! CustomResourceDefinitions as Crossplane renders them out of a CompositeResourceDefinition.

use serde_json::{Map, Value, json};

use super::super::object;

/// What a claim's `spec` has that its composite's does not take over as it is.
pub(super) const CLAIM_FIELDS: &[&str] = &["compositeDeletePolicy", "resourceRef", "writeConnectionSecretToRef"];

/// The three forms of rendered APIs.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Claim,
    Legacy,
    Modern,
}

/// The name that a definition must have.
pub(super) fn name(definition: &Value) -> String {
    let spec = &definition["spec"];
    format!("{}.{}", object::text_at(spec, "/names/plural"), object::text_at(spec, "/group"))
}

/// The scope of a definition's composite resources; the default differs between the definition's versions.
pub(super) fn scope(definition: &Value) -> &str {
    match object::text_at(definition, "/spec/scope") {
        "" if object::text_at(definition, "/apiVersion").ends_with("/v2") => "Namespaced",
        "" => "LegacyCluster",
        scope => scope,
    }
}

/// The definition of the composite resources.
pub(super) fn composite(definition: &Value) -> Value {
    let form = if scope(definition) == "LegacyCluster" { Form::Legacy } else { Form::Modern };
    let scope = if scope(definition) == "Namespaced" { "Namespaced" } else { "Cluster" };
    crd(definition, "names", "composite", scope, form)
}

/// The definition of the claims, where claims are offered.
pub(super) fn claim(definition: &Value) -> Option<Value> {
    let offers = definition["spec"]["claimNames"].is_object();
    offers.then(|| crd(definition, "claimNames", "claim", "Namespaced", Form::Claim))
}

fn crd(definition: &Value, names: &str, category: &str, scope: &str, form: Form) -> Value {
    let spec = &definition["spec"];
    let given = &spec[names];
    let (kind, plural) = (object::text_at(given, "/kind"), object::text_at(given, "/plural"));
    let mut accepted = json!({
        "kind": kind, "plural": plural, "listKind": format!("{kind}List"), "singular": kind.to_lowercase()
    });
    for name in ["listKind", "singular", "shortNames"] {
        if let Some(value) = given.get(name) {
            accepted[name] = value.clone();
        }
    }
    let mut categories = given["categories"].as_array().cloned().unwrap_or_default();
    categories.push(category.into());
    accepted["categories"] = categories.into();
    let versions: Vec<Value> =
        spec["versions"].as_array().into_iter().flatten().map(|version| self::version(spec, version, form)).collect();
    json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {
            "name": format!("{plural}.{}", object::text_at(spec, "/group")),
            "ownerReferences": [{
                "apiVersion": "apiextensions.crossplane.io/v1", "kind": "CompositeResourceDefinition",
                "name": object::name(definition), "uid": object::uid(definition), "controller": true, "blockOwnerDeletion": true
            }]
        },
        "spec": {
            "conversion": {"strategy": "None"}, "group": spec["group"], "names": accepted, "scope": scope, "versions": versions
        }
    })
}

fn version(definition: &Value, given: &Value, form: Form) -> Value {
    let mut columns = given["additionalPrinterColumns"].as_array().cloned().unwrap_or_default();
    columns.extend(self::columns(form));
    json!({
        "name": given["name"], "served": given["served"], "storage": given["referenceable"],
        "additionalPrinterColumns": columns,
        "schema": {"openAPIV3Schema": schema(definition, &given["schema"]["openAPIV3Schema"], form)},
        "subresources": {"status": {}}
    })
}

fn columns(form: Form) -> Vec<Value> {
    let column = |name: &str, path: &str| json!({"name": name, "type": "string", "jsonPath": path});
    let mut columns = vec![
        column("SYNCED", ".status.conditions[?(@.type=='Synced')].status"),
        column("READY", ".status.conditions[?(@.type=='Ready')].status"),
    ];
    let at = if form == Form::Modern { ".spec.crossplane" } else { ".spec" };
    if form == Form::Claim {
        columns.push(column("CONNECTION-SECRET", ".spec.writeConnectionSecretToRef.name"));
    } else {
        columns.push(column("COMPOSITION", &format!("{at}.compositionRef.name")));
        let mut revision = column("COMPOSITIONREVISION", &format!("{at}.compositionRevisionRef.name"));
        revision["priority"] = 1.into();
        columns.push(revision);
    }
    columns.push(json!({"name": "AGE", "type": "date", "jsonPath": ".metadata.creationTimestamp"}));
    columns
}

fn schema(definition: &Value, given: &Value, form: Form) -> Value {
    let mut root = given.clone();
    let properties = object::member_mut(&mut root, "properties");
    properties.insert("apiVersion".into(), text());
    properties.insert("kind".into(), text());
    properties.insert(
        "metadata".into(),
        json!({"type": "object", "properties": {"name": {"type": "string", "maxLength": 63}}}),
    );
    let spec = properties.entry("spec").or_insert_with(|| json!({}));
    spec["type"] = "object".into();
    let delete_policy = definition["defaultCompositeDeletePolicy"].as_str().unwrap_or("Background");
    let fields = match form {
        Form::Claim => claim_fields(delete_policy),
        Form::Legacy => legacy_fields(definition),
        Form::Modern => {
            let mut fields = Map::new();
            fields.insert(
                "crossplane".into(),
                json!({
                    "type": "object", "properties": modern_fields(definition),
                    "description": "Configures how Crossplane will reconcile this composite resource"
                }),
            );
            fields
        }
    };
    object::member_mut(spec, "properties").extend(fields);
    let status = properties.entry("status").or_insert_with(|| json!({}));
    status["type"] = "object".into();
    object::member_mut(status, "properties").extend(status_fields(form));
    root["type"] = "object".into();
    root["required"] = json!(["spec"]);
    root
}

fn text() -> Value {
    json!({"type": "string"})
}

fn members(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(members) => members,
        _ => Map::new(),
    }
}

/// A map of required texts.
fn reference(names: &[&str]) -> Value {
    let properties: Map<String, Value> = names.iter().map(|name| ((*name).to_owned(), text())).collect();
    json!({"type": "object", "properties": properties, "required": names})
}

fn composition_fields(policy: Option<&str>) -> Map<String, Value> {
    let selector = json!({
        "type": "object", "required": ["matchLabels"],
        "properties": {"matchLabels": {"type": "object", "additionalProperties": {"type": "string"}}}
    });
    let mut update = json!({"type": "string", "enum": ["Automatic", "Manual"]});
    if let Some(policy) = policy {
        update["default"] = policy.into();
    }
    members(json!({
        "compositionRef": reference(&["name"]), "compositionRevisionRef": reference(&["name"]),
        "compositionRevisionSelector": selector, "compositionSelector": selector, "compositionUpdatePolicy": update
    }))
}

fn claim_fields(delete_policy: &str) -> Map<String, Value> {
    let mut fields = composition_fields(None);
    fields.extend(members(json!({
        "compositeDeletePolicy": {"type": "string", "enum": ["Background", "Foreground"], "default": delete_policy},
        "resourceRef": reference(&["apiVersion", "kind", "name"]),
        "writeConnectionSecretToRef": reference(&["name"])
    })));
    fields
}

fn update_policy(definition: &Value) -> &str {
    definition["defaultCompositionUpdatePolicy"].as_str().unwrap_or("Automatic")
}

fn resource_refs(names: &[&str]) -> Value {
    let properties: Map<String, Value> = names.iter().map(|name| ((*name).to_owned(), text())).collect();
    json!({
        "type": "array", "x-kubernetes-list-type": "atomic",
        "items": {"type": "object", "properties": properties, "required": ["apiVersion", "kind"]}
    })
}

fn legacy_fields(definition: &Value) -> Map<String, Value> {
    let mut fields = composition_fields(Some(update_policy(definition)));
    fields.extend(members(json!({
        "claimRef": reference(&["apiVersion", "kind", "namespace", "name"]),
        "resourceRefs": resource_refs(&["apiVersion", "kind", "name", "namespace"]),
        "writeConnectionSecretToRef": reference(&["name", "namespace"])
    })));
    fields
}

fn modern_fields(definition: &Value) -> Map<String, Value> {
    let mut fields = composition_fields(Some(update_policy(definition)));
    let names: &[&str] = match scope(&json!({"spec": definition})) {
        "Cluster" => &["apiVersion", "kind", "name", "namespace"],
        _ => &["apiVersion", "kind", "name"],
    };
    fields.insert("resourceRefs".into(), resource_refs(names));
    fields
}

fn status_fields(form: Form) -> Map<String, Value> {
    let mut fields = members(json!({
        "conditions": {
            "description": "Conditions of the resource.", "type": "array",
            "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"],
            "items": {
                "type": "object", "required": ["lastTransitionTime", "reason", "status", "type"],
                "properties": {
                    "lastTransitionTime": {"type": "string", "format": "date-time"}, "message": text(),
                    "observedGeneration": {"type": "integer", "format": "int64"},
                    "reason": text(), "status": text(), "type": text()
                }
            }
        }
    }));
    if form != Form::Modern {
        let published = json!({"lastPublishedTime": {"type": "string", "format": "date-time"}});
        fields.extend(members(json!({
            "claimConditionTypes": {"type": "array", "items": text(), "x-kubernetes-list-type": "set"},
            "connectionDetails": {"type": "object", "properties": published}
        })));
    }
    fields
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a running Crossplane rendered from the same definition.
    #[test]
    fn the_rendered_definitions_are_crossplanes_own() {
        let yaml = |text: &str| -> Value { serde_saphyr::from_str(text).unwrap() };
        let mut definition = yaml(super::super::example::DEFINITION);
        definition["metadata"]["uid"] = "bacb34d0-3a4a-445e-8ec3-085d32f9a2df".into();
        let wanted = yaml(include_str!("../example/crd-claim.generated.yaml"));
        assert_eq!(claim(&definition), Some(wanted));
        assert_eq!(composite(&definition), yaml(include_str!("../example/crd-composite.generated.yaml")));
    }
}
