//! Kinds that a CustomResourceDefinition declares.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::super::object;
use super::{Cell, Column, JsonPath, Kind, Resource, Scale, builtin};

/// The kinds of the served versions of an established definition.
pub(super) fn kinds(crd: &Value) -> Vec<Kind> {
    if object::is_terminating(crd) {
        return Vec::new();
    }
    let spec = &crd["spec"];
    let versions = spec["versions"].as_array().into_iter().flatten();
    versions.filter(|version| version["served"] == true).map(|version| kind(spec, version)).collect()
}

fn kind(spec: &Value, version: &Value) -> Kind {
    let names = &spec["names"];
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let texts = |value: &Value| value.as_array().into_iter().flatten().map(text).collect::<Vec<_>>();
    let columns = version["additionalPrinterColumns"].as_array().into_iter().flatten().map(column).collect::<Vec<_>>();
    let subresources = &version["subresources"];
    let selectable = version["selectableFields"].as_array().into_iter().flatten();
    Kind {
        group: text(&spec["group"]),
        version: text(&version["name"]),
        kind: text(&names["kind"]),
        list_kind: text(&names["listKind"]),
        plural: text(&names["plural"]),
        singular: text(&names["singular"]),
        short_names: texts(&names["shortNames"]),
        categories: texts(&names["categories"]),
        namespaced: spec["scope"] == "Namespaced",
        custom: true,
        review: false,
        status: subresources.get("status").is_some_and(|status| !status.is_null()),
        scale: subresources.get("scale").and_then(Value::as_object).map(|scale| Scale {
            spec_replicas: pointer(scale, "specReplicasPath"),
            status_replicas: pointer(scale, "statusReplicasPath"),
            label_selector: scale.get("labelSelectorPath").map(|_| pointer(scale, "labelSelectorPath")),
        }),
        schema: version.pointer("/schema/openAPIV3Schema").map(|schema| Arc::new(schema.clone())),
        columns: if columns.is_empty() { vec![builtin::age()] } else { columns },
        selectable: selectable.map(|field| text(&field["jsonPath"]).trim_start_matches('.').to_owned()).collect(),
        resource: Resource::new(&text(&spec["group"]), &text(&names["plural"])),
    }
}

/// A simple path such as `.spec.replicas` as a JSON pointer.
fn pointer(scale: &Map<String, Value>, name: &str) -> String {
    scale.get(name).and_then(Value::as_str).unwrap_or_default().replace('.', "/")
}

fn column(told: &Value) -> Column {
    let text = |name: &str| told[name].as_str().unwrap_or_default().to_owned();
    Column {
        name: text("name"),
        kind: text("type"),
        format: text("format"),
        description: text("description"),
        priority: told["priority"].as_i64().unwrap_or_default(),
        cell: JsonPath::parse(&text("jsonPath")).map_or(Cell::Nothing, Cell::Path),
    }
}

/// Fills in what a definition may leave out, and establishes it at once; the error is what is wrong with it, and where.
pub(crate) fn prepare(crd: &mut Value) -> Result<(), (&'static str, &'static str)> {
    let spec = object::member_mut(crd, "spec");
    spec.entry("conversion").or_insert_with(|| json!({"strategy": "None"}));
    let group = spec.get("group").and_then(Value::as_str).unwrap_or_default().to_owned();
    let has_versions = spec.get("versions").and_then(Value::as_array).is_some_and(|versions| {
        versions.iter().filter(|version| version["storage"] == true).count() == 1
            && versions.iter().all(|version| version["name"].is_string())
    });
    if group.is_empty() {
        return Err(("spec.group", "Required value"));
    }
    if !has_versions {
        return Err(("spec.versions", "Required value: exactly one version must be the storage version"));
    }
    let names = object::member_mut(&mut crd["spec"], "names");
    let text = |names: &Map<String, Value>, name: &str| names.get(name).and_then(Value::as_str).map(str::to_owned);
    let (Some(kind), Some(plural)) = (text(names, "kind"), text(names, "plural")) else {
        return Err(("spec.names", "Required value: kind and plural"));
    };
    names.entry("listKind").or_insert_with(|| format!("{kind}List").into());
    names.entry("singular").or_insert_with(|| kind.to_lowercase().into());
    let names = Value::Object(names.clone());
    if object::name(crd) != format!("{plural}.{group}") {
        return Err(("metadata.name", "Invalid value: must be spec.names.plural+\".\"+spec.group"));
    }
    let versions = crd["spec"]["versions"].as_array().cloned().unwrap_or_default();
    let stored: Vec<Value> = versions.iter().filter(|v| v["storage"] == true).map(|v| v["name"].clone()).collect();
    let status = object::member_mut(crd, "status");
    status.insert("acceptedNames".into(), names);
    status.insert("storedVersions".into(), stored.into());
    let conditions = status.entry("conditions").or_insert_with(|| json!([]));
    if conditions.as_array().is_none_or(Vec::is_empty) {
        let now = object::now();
        *conditions = json!([
            {"lastTransitionTime": now, "message": "no conflicts found", "reason": "NoConflicts", "status": "True", "type": "NamesAccepted"},
            {"lastTransitionTime": now, "message": "the initial names have been accepted", "reason": "InitialNamesAccepted", "status": "True", "type": "Established"},
        ]);
    }
    Ok(())
}
