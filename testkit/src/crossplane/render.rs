//! From an XRD to the CRDs that Crossplane renders from it.

use anyhow::{Context, Result, bail};
use serde_json::{Map, Value, json};

/// Which of an XRD's CRDs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Half {
    /// The claim's, `spec.claimNames`.
    Claim,
    /// The composite's, `spec.names`.
    Composite,
}

/// Whose objects an XRD's composites are, `spec.scope`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scope {
    /// Cluster-scoped behind claims, machinery fields at the top of the spec.
    LegacyCluster,
    /// Cluster-scoped, machinery under `spec.crossplane`.
    Cluster,
    /// Namespaced, machinery under `spec.crossplane`.
    Namespaced,
}

impl Scope {
    /// The scope of an XRD; the default depends on the version in which it is written.
    pub(super) fn of(xrd: &Value) -> Result<Self> {
        Ok(match xrd["spec"]["scope"].as_str() {
            Some("LegacyCluster") => Self::LegacyCluster,
            Some("Cluster") => Self::Cluster,
            Some("Namespaced") => Self::Namespaced,
            None if xrd["apiVersion"] == "apiextensions.crossplane.io/v2" => Self::Namespaced,
            None => Self::LegacyCluster,
            Some(other) => bail!("no such scope: {other}"),
        })
    }
}

/// The CRD of one half of an XRD, as kube-apiserver shows it, without what only a running Crossplane knows (the owner's uid).
pub(super) fn crd(xrd: &Value, half: Half) -> Result<Value> {
    let scope = Scope::of(xrd)?;
    let spec = &xrd["spec"];
    let (names, category) = match half {
        Half::Claim => (&spec["claimNames"], "claim"),
        Half::Composite => (&spec["names"], "composite"),
    };
    let kind = names["kind"].as_str().context("an XRD without a kind")?;
    let plural = names["plural"].as_str().context("an XRD without a plural")?;
    let group = spec["group"].as_str().context("an XRD without a group")?;
    let mut categories = names["categories"].as_array().cloned().unwrap_or_default();
    categories.push(json!(category));
    let mut crd_names = json!({
        "categories": categories,
        "kind": kind,
        "listKind": names["listKind"].as_str().map_or_else(|| format!("{kind}List"), str::to_owned),
        "plural": plural,
        "singular": names["singular"].as_str().map_or_else(|| kind.to_lowercase(), str::to_owned),
    });
    copy(names, &mut crd_names, "shortNames");
    let versions = spec["versions"].as_array().context("an XRD without versions")?;
    let versions: Result<Vec<_>> = versions.iter().map(|of| version(of, spec, half, scope)).collect();

    let mut metadata = json!({
        // An XRD whose name is not that of its composites makes a CRD that kube-apiserver refuses.
        "name": if half == Half::Composite { xrd["metadata"]["name"].clone() } else { json!(format!("{plural}.{group}")) },
        "ownerReferences": [{
            "apiVersion": "apiextensions.crossplane.io/v1",
            "blockOwnerDeletion": true,
            "controller": true,
            "kind": "CompositeResourceDefinition",
            "name": xrd["metadata"]["name"],
            "uid": xrd["metadata"]["uid"],
        }],
    });
    let mut labels = xrd["metadata"]["labels"].as_object().cloned().unwrap_or_default();
    labels.extend(spec["metadata"]["labels"].as_object().cloned().unwrap_or_default());
    if !labels.is_empty() {
        metadata["labels"] = labels.into();
    }
    copy(&spec["metadata"], &mut metadata, "annotations");
    Ok(json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": metadata,
        "spec": {
            "conversion": spec.get("conversion").cloned().unwrap_or_else(|| json!({ "strategy": "None" })),
            "group": group,
            "names": crd_names,
            "scope": if half == Half::Claim || scope == Scope::Namespaced { "Namespaced" } else { "Cluster" },
            "versions": versions?,
        },
    }))
}

fn version(of: &Value, spec: &Value, half: Half, scope: Scope) -> Result<Value> {
    let own = &of["schema"]["openAPIV3Schema"];
    // The machinery's own fields win over those of the same name that the author wrote.
    let mut schema_of_spec = object_schema(&own["properties"]["spec"]);
    properties(&mut schema_of_spec).extend(match (half, scope) {
        (Half::Claim, _) => claim_spec(spec),
        (Half::Composite, Scope::LegacyCluster) => legacy_spec(spec),
        (Half::Composite, _) => modern_spec(spec, scope),
    });
    let mut schema_of_status = object_schema(&own["properties"]["status"]);
    properties(&mut schema_of_status).extend(status(half == Half::Claim || scope == Scope::LegacyCluster));
    let longest = own["properties"]["metadata"]["properties"]["name"]["maxLength"].as_u64().unwrap_or(63).min(63);
    let mut schema = json!({
        "properties": {
            "apiVersion": { "type": "string" },
            "kind": { "type": "string" },
            "metadata": { "properties": { "name": { "maxLength": longest, "type": "string" } }, "type": "object" },
            "spec": schema_of_spec,
            "status": schema_of_status,
        },
        "required": ["spec"],
        "type": "object",
    });
    copy(own, &mut schema, "description");
    copy(own, &mut schema, "x-kubernetes-validations");

    let mut columns = of["additionalPrinterColumns"].as_array().cloned().unwrap_or_default();
    columns.extend(printer_columns(half, scope));
    let mut subresources = json!({ "status": {} });
    copy(&of["subresources"], &mut subresources, "scale");
    let mut version = json!({
        "additionalPrinterColumns": columns,
        "name": of["name"].as_str().context("a version without a name")?,
        "schema": { "openAPIV3Schema": schema },
        "served": of["served"].as_bool().unwrap_or(false),
        "storage": of["referenceable"].as_bool().unwrap_or(false),
        "subresources": subresources,
    });
    copy(of, &mut version, "deprecated");
    copy(of, &mut version, "deprecationWarning");
    Ok(version)
}

fn copy(from: &Value, to: &mut Value, field: &str) {
    if let Some(value) = from.get(field) {
        to[field] = value.clone();
    }
}

fn object_schema(own: &Value) -> Value {
    let mut schema = own.as_object().cloned().unwrap_or_default();
    schema.insert("type".to_owned(), json!("object"));
    schema.entry("properties").or_insert_with(|| json!({}));
    schema.into()
}

fn properties(schema: &mut Value) -> &mut Map<String, Value> {
    match &mut schema["properties"] {
        Value::Object(properties) => properties,
        other => {
            *other = json!({});
            other.as_object_mut().expect("it was just made an object")
        }
    }
}

/// An object schema of strings, all required but the `optional` ones.
fn strings(required: &[&str], optional: &[&str]) -> Value {
    let properties: Map<_, _> =
        required.iter().chain(optional).map(|&name| (name.to_owned(), json!({ "type": "string" }))).collect();
    json!({ "properties": properties, "required": required, "type": "object" })
}

fn of_enum(values: [&str; 2], default: Option<&str>) -> Value {
    let mut schema = json!({ "enum": values, "type": "string" });
    if let Some(default) = default {
        schema["default"] = json!(default);
    }
    schema
}

/// The fields that say by which composition an object is composed.
fn selection(update_policy: Option<&str>) -> Map<String, Value> {
    let selector = json!({
        "properties": { "matchLabels": { "additionalProperties": { "type": "string" }, "type": "object" } },
        "required": ["matchLabels"],
        "type": "object",
    });
    let fields = [
        ("compositionRef", strings(&["name"], &[])),
        ("compositionRevisionRef", strings(&["name"], &[])),
        ("compositionRevisionSelector", selector.clone()),
        ("compositionSelector", selector),
        ("compositionUpdatePolicy", of_enum(["Automatic", "Manual"], update_policy)),
    ];
    fields.into_iter().map(|(name, schema)| (name.to_owned(), schema)).collect()
}

fn default_update_policy(spec: &Value) -> &str {
    spec["defaultCompositionUpdatePolicy"].as_str().unwrap_or("Automatic")
}

fn claim_spec(spec: &Value) -> Map<String, Value> {
    let policy = spec["defaultCompositeDeletePolicy"].as_str().unwrap_or("Background");
    let mut fields = selection(None);
    fields.insert("compositeDeletePolicy".to_owned(), of_enum(["Background", "Foreground"], Some(policy)));
    fields.insert("resourceRef".to_owned(), strings(&["apiVersion", "kind", "name"], &[]));
    fields.insert("writeConnectionSecretToRef".to_owned(), strings(&["name"], &[]));
    fields
}

fn legacy_spec(spec: &Value) -> Map<String, Value> {
    let mut fields = selection(Some(default_update_policy(spec)));
    fields.insert("claimRef".to_owned(), strings(&["apiVersion", "kind", "namespace", "name"], &[]));
    fields.insert("resourceRefs".to_owned(), resource_refs(&["name", "namespace"]));
    fields.insert("writeConnectionSecretToRef".to_owned(), strings(&["name", "namespace"], &[]));
    fields
}

fn modern_spec(spec: &Value, scope: Scope) -> Map<String, Value> {
    let mut fields = selection(Some(default_update_policy(spec)));
    // What a namespaced composite composes lies beside it.
    let optional: &[&str] = if scope == Scope::Namespaced { &["name"] } else { &["name", "namespace"] };
    fields.insert("resourceRefs".to_owned(), resource_refs(optional));
    let crossplane = json!({
        "description": "Configures how Crossplane will reconcile this composite resource",
        "properties": fields,
        "type": "object",
    });
    [("crossplane".to_owned(), crossplane)].into_iter().collect()
}

fn resource_refs(optional: &[&str]) -> Value {
    json!({ "items": strings(&["apiVersion", "kind"], optional), "type": "array", "x-kubernetes-list-type": "atomic" })
}

fn status(legacy: bool) -> Map<String, Value> {
    let time = json!({ "format": "date-time", "type": "string" });
    let mut condition = strings(&["lastTransitionTime", "reason", "status", "type"], &["message"]);
    condition["properties"]["lastTransitionTime"] = time.clone();
    condition["properties"]["observedGeneration"] = json!({ "format": "int64", "type": "integer" });
    let mut fields = Map::new();
    fields.insert(
        "conditions".to_owned(),
        json!({
            "description": "Conditions of the resource.",
            "items": condition,
            "type": "array",
            "x-kubernetes-list-map-keys": ["type"],
            "x-kubernetes-list-type": "map",
        }),
    );
    if legacy {
        let types = json!({ "items": { "type": "string" }, "type": "array", "x-kubernetes-list-type": "set" });
        fields.insert("claimConditionTypes".to_owned(), types);
        let details = json!({ "properties": { "lastPublishedTime": time }, "type": "object" });
        fields.insert("connectionDetails".to_owned(), details);
    }
    fields
}

fn printer_columns(half: Half, scope: Scope) -> Vec<Value> {
    let condition = |name: &str| format!(".status.conditions[?(@.type=='{name}')].status");
    let column = |name: &str, path: String| json!({ "jsonPath": path, "name": name, "type": "string" });
    let mut columns = vec![column("SYNCED", condition("Synced")), column("READY", condition("Ready"))];
    match half {
        Half::Claim => columns.push(column("CONNECTION-SECRET", ".spec.writeConnectionSecretToRef.name".to_owned())),
        Half::Composite => {
            let under = if scope == Scope::LegacyCluster { ".spec" } else { ".spec.crossplane" };
            columns.push(column("COMPOSITION", format!("{under}.compositionRef.name")));
            let mut revision = column("COMPOSITIONREVISION", format!("{under}.compositionRevisionRef.name"));
            revision["priority"] = json!(1);
            columns.push(revision);
        }
    }
    columns.push(json!({ "jsonPath": ".metadata.creationTimestamp", "name": "AGE", "type": "date" }));
    columns
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures;

    /// What a running Crossplane rendered, but for the owner's uid.
    fn check(set: &str, xrd: &str, half: Half, expected: &str) {
        let xrd = fixtures::object(&fixtures::file(set, xrd).expect("a fixture")).expect("YAML");
        let mut expected = fixtures::object(&fixtures::file(set, expected).expect("a fixture")).expect("YAML");
        expected["metadata"]["ownerReferences"][0]["uid"] = Value::Null;
        let rendered = crd(&xrd, half).expect("a CRD");
        if rendered != expected {
            let pretty = |value| serde_json::to_string_pretty(value).expect("JSON");
            let (rendered, expected) = (pretty(&rendered), pretty(&expected));
            let difference = rendered.lines().zip(expected.lines()).find(|(rendered, expected)| rendered != expected);
            panic!("{set}: {half:?}: {difference:?}\n{rendered}");
        }
    }

    #[test]
    fn claims_are_rendered_as_crossplane_does() {
        for set in [
            "01-eks-kubernetescluster",
            "02-platform-ref-aws-v1",
            "04-aws-sqlinstance-v1",
            "06-app-preserve-unknown-fields",
        ] {
            check(set, "xrd.yaml", Half::Claim, "crd-claim.generated.yaml");
            check(set, "xrd.yaml", Half::Composite, "crd-composite.generated.yaml");
        }
        let set = "01-eks-kubernetescluster";
        check(set, "xrd-no-claim-xnetwork.yaml", Half::Composite, "crd-composite-no-claim-xnetwork.generated.yaml");
    }

    #[test]
    fn namespaced_composites_are_rendered_as_crossplane_does() {
        for set in
            ["03-platform-ref-aws-v2-namespaced", "05-aws-sqlinstance-v2-namespaced", "17-docs-useraccesskey-v2-secret"]
        {
            check(set, "xrd.yaml", Half::Composite, "crd-composite.generated.yaml");
        }
    }
}
