//! Schemas of v3 as kube-apiserver publishes them in v2.

use serde_json::Value;

use super::schema::{Member, Raw, Schema};
use super::{GROUP_VERSION_KIND, REFERENCE_V2, REFERENCE_V3};
use crate::offer::GroupVersion;

/// What kube-apiserver adds to a schema marked as an embedded resource.
const EMBEDDED: [&str; 3] = ["apiVersion", "kind", "metadata"];

const PRESERVE: &str = "x-kubernetes-preserve-unknown-fields";

/// Turns a component schema into a definition, as kube-apiserver does (`kube-openapi/pkg/handler: PruneDefaults`, and for
/// kinds of `group_version` `apiextensions-apiserver/pkg/controller/openapi/v2: ToStructuralOpenAPIV2`). Schemas that all
/// APIs share stay what they are in the front, lest the merge renames them (wire rule 4.4).
pub(super) fn definition(schema: &mut Schema<'_>, group_version: &GroupVersion) {
    mend_kinds(schema);
    if !is_of(schema, group_version) {
        return shared(schema);
    }
    if schema.is(PRESERVE) {
        // Clients refuse unknown fields as soon as any is known.
        schema.0.retain(|(key, _)| key == "type" || (key.starts_with("x-kubernetes-") && key != PRESERVE));
        return;
    }
    structural(schema);
}

/// What every schema needs: no defaults, references of v2, and no `allOf` around a reference that has siblings.
fn shared(schema: &mut Schema<'_>) {
    adopt(schema);
    schema.children_mut().for_each(shared);
}

fn adopt(schema: &mut Schema<'_>) {
    schema.remove(&["default"]);
    let wrapped = match schema.get("allOf") {
        Some(Member::Many(all)) => match all.as_slice() {
            [Schema(only)] => matches!(only.as_slice(), [(key, Member::Raw(_))] if key == "$ref"),
            _ => false,
        },
        _ => false,
    };
    if wrapped {
        for (key, member) in &mut schema.0 {
            if let ("allOf", Member::Many(all)) = (key.as_str(), &mut *member) {
                let reference = all.pop().and_then(|mut only| only.0.pop());
                if let Some(reference) = reference {
                    (*key, *member) = reference;
                }
            }
        }
    }
    if let Some(reference) = schema.text("$ref") {
        let name = reference.strip_prefix(REFERENCE_V3).unwrap_or(&reference);
        schema.put("$ref", Some(&format!("{REFERENCE_V2}{name}")));
    }
}

/// Drops what Swagger 2.0 or kubectl cannot cope with, each rule as the reference has it, parents first.
fn structural(schema: &mut Schema<'_>) {
    adopt(schema);
    schema.remove(&["allOf", "oneOf", "anyOf", "not"]);
    let (preserve, embedded) = (schema.is(PRESERVE), schema.is("x-kubernetes-embedded-resource"));
    if schema.is("nullable") {
        schema.remove(&["type", "items"]);
    }
    if preserve {
        schema.remove(&["items"]);
    }
    let is_array = schema.text("type").as_deref() == Some("array");
    let is_object = schema.text("type").as_deref() == Some("object");
    if (is_array && schema.get("items").is_none()) || (is_object && preserve) {
        schema.remove(&["type"]);
    }
    if schema.is("nullable") || preserve {
        // The reference adds the fields of embedded resources after all this, unless unknown ones are preserved.
        let stays = |name: &str| embedded && !preserve && EMBEDDED.contains(&name);
        if let Some(Member::Named(properties)) = member_mut(schema, "properties") {
            properties.retain(|(name, _)| stays(name));
            if properties.is_empty() {
                schema.remove(&["properties"]);
            }
        }
    } else {
        forgive_nullable(schema);
    }
    if embedded && preserve {
        // These two it does not require either; a definition that asks for them itself cannot be told apart.
        keep_required(schema, |name| !EMBEDDED.contains(&name));
    }
    schema.remove(&["nullable"]);
    schema.children_mut().for_each(structural);
}

/// A field that may be null cannot be required in v2.
fn forgive_nullable(schema: &mut Schema<'_>) {
    if let Some(Member::Named(properties)) = schema.get("properties") {
        let nullable: Vec<String> =
            properties.iter().filter(|(_, schema)| schema.is("nullable")).map(|(name, _)| name.clone()).collect();
        if !nullable.is_empty() {
            keep_required(schema, |name| !nullable.iter().any(|nullable| nullable == name));
        }
    }
    if matches!(schema.get("additionalProperties"), Some(Member::One(value)) if value.is("nullable")) {
        schema.remove(&["required"]);
    }
}

fn keep_required(schema: &mut Schema<'_>, keep: impl Fn(&str) -> bool) {
    if let Some(mut required) = schema.read::<Vec<String>>("required") {
        required.retain(|name| keep(name));
        schema.put("required", Some(&required).filter(|required| !required.is_empty()));
    }
}

fn member_mut<'s, 'a>(schema: &'s mut Schema<'a>, name: &str) -> Option<&'s mut Member<'a>> {
    schema.0.iter_mut().find(|(key, _)| key == name).map(|(_, member)| member)
}

/// Whether a schema is that of a kind, or of its list, in a group and version.
fn is_of(schema: &Schema<'_>, group_version: &GroupVersion) -> bool {
    schema.read::<Vec<Value>>(GROUP_VERSION_KIND).is_some_and(|kinds| {
        kinds.iter().any(|kind| {
            kind.get("group").is_some_and(|group| group == group_version.group.as_str())
                && kind.get("version").is_some_and(|version| version == group_version.version.as_str())
        })
    })
}

/// Makes the kinds of a definition a list of objects: anything else fails the merge of the whole cluster (wire rule 4.4).
fn mend_kinds(schema: &mut Schema<'_>) {
    let kinds = match schema.read::<Value>(GROUP_VERSION_KIND) {
        Some(Value::Array(kinds)) if kinds.iter().all(Value::is_object) => return,
        Some(Value::Object(kind)) => Some(vec![Value::Object(kind)]),
        _ => None,
    };
    if let Some(Member::Raw(Raw::Borrowed(_) | Raw::Owned(_))) = schema.get(GROUP_VERSION_KIND) {
        schema.put(GROUP_VERSION_KIND, kinds.as_ref());
    }
}
