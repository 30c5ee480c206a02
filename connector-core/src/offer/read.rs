//! Reading one XRD or CRD.

use serde_json::Value;
use thiserror::Error;

use super::{Offered, sort_versions};
use crate::origin::Form;

/// The API group of Crossplane's definitions.
const CROSSPLANE_GROUP: &str = "apiextensions.crossplane.io/";

/// A definition is not one: a field that every XRD has is missing or of another type. The control plane is at fault; what
/// the definition would offer is left out until it is mended.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("the definition {name:?} has no usable {field}")]
pub struct InvalidDefinition {
    /// The definition's `metadata.name`, empty if it has none.
    pub name: String,
    /// The path of the field at fault.
    pub field: &'static str,
}

/// What an XRD (`CompositeResourceDefinition` of either version) offers: its claim, its namespaced composite, or nothing.
///
/// A claim is offered when `spec.claimNames` is set and condition `Offered` is True; a composite when its scope is
/// Namespaced (the default of `v2`) and condition `Established` is True. An XRD that is being deleted keeps its offer while
/// it exists, so that finalizers can finish through the connector: its condition is False for a reason that begins
/// `Terminating`.
pub fn from_xrd(xrd: &Value) -> Result<Vec<Offered>, InvalidDefinition> {
    let invalid = |field| InvalidDefinition { name: text(xrd, "/metadata/name").unwrap_or_default().to_owned(), field };
    let group = text(xrd, "/spec/group").ok_or_else(|| invalid("spec.group"))?;
    let versions = served_versions(xrd).ok_or_else(|| invalid("spec.versions"))?;
    let mut offers = Vec::new();
    if versions.is_empty() {
        return Ok(offers);
    }
    if is_named(xrd, "/spec/claimNames") && in_force(xrd, "Offered") {
        let claim = offered(xrd, "/spec/claimNames", group, &versions, Form::Claim);
        offers.push(claim.ok_or_else(|| invalid("spec.claimNames"))?);
    }
    let default_scope = match text(xrd, "/apiVersion").unwrap_or_default().rsplit('/').next() {
        Some("v1") => "LegacyCluster",
        _ => "Namespaced",
    };
    if text(xrd, "/spec/scope").unwrap_or(default_scope) == "Namespaced" && in_force(xrd, "Established") {
        let composite = offered(xrd, "/spec/names", group, &versions, Form::NamespacedComposite);
        offers.push(composite.ok_or_else(|| invalid("spec.names"))?);
    }
    Ok(offers)
}

/// What a CRD offers: for control planes where XRDs may not be read.
///
/// The CRD must be established, namespaced, controlled by an XRD and in the category that Crossplane adds. Authors can
/// put any category on either form, so the owner decides between them: Crossplane gives a composite's CRD the name of its
/// XRD, and a claim's another one.
pub fn from_crd(crd: &Value) -> Option<Offered> {
    let name = text(crd, "/metadata/name")?;
    let owner = crd.pointer("/metadata/ownerReferences")?.as_array()?.iter().find(|owner| {
        owner.get("controller").and_then(Value::as_bool) == Some(true)
            && text(owner, "/kind") == Some("CompositeResourceDefinition")
            && text(owner, "/apiVersion").is_some_and(|version| version.starts_with(CROSSPLANE_GROUP))
    })?;
    let (form, category) = match text(owner, "/name")? == name {
        true => (Form::NamespacedComposite, "composite"),
        false => (Form::Claim, "claim"),
    };
    let categories = crd.pointer("/spec/names/categories")?.as_array()?;
    if !categories.iter().any(|given| given == category)
        || text(crd, "/spec/scope") != Some("Namespaced")
        || condition(crd, "Established").is_none_or(|(status, _)| status != "True")
    {
        return None;
    }
    let versions = served_versions(crd).filter(|versions| !versions.is_empty())?;
    offered(crd, "/spec/names", text(crd, "/spec/group")?, &versions, form)
}

fn offered(definition: &Value, names: &str, group: &str, versions: &[String], form: Form) -> Option<Offered> {
    let names = definition.pointer(names)?;
    let kind = text(names, "/kind")?;
    Some(Offered {
        group: group.to_owned(),
        plural: text(names, "/plural")?.to_owned(),
        singular: text(names, "/singular").map_or_else(|| kind.to_lowercase(), str::to_owned),
        kind: kind.to_owned(),
        list_kind: text(names, "/listKind").map_or_else(|| format!("{kind}List"), str::to_owned),
        form,
        versions: versions.to_vec(),
    })
}

/// Whether names are given at all; `null` and `{}` are none.
fn is_named(definition: &Value, names: &str) -> bool {
    definition.pointer(names).and_then(Value::as_object).is_some_and(|names| !names.is_empty())
}

/// The versions that are served, the preferred first; `None` if there is no list of named versions.
fn served_versions(definition: &Value) -> Option<Vec<String>> {
    let mut served = Vec::new();
    for version in definition.pointer("/spec/versions")?.as_array()? {
        let name = text(version, "/name")?;
        if version.get("served").and_then(Value::as_bool) == Some(true) {
            served.push(name.to_owned());
        }
    }
    sort_versions(&mut served);
    served.dedup();
    Some(served)
}

/// Whether a condition is True, or False only because the definition is being deleted.
fn in_force(definition: &Value, kind: &str) -> bool {
    match condition(definition, kind) {
        Some(("True", _)) => true,
        Some(("False", reason)) => reason.starts_with("Terminating"),
        _ => false,
    }
}

/// Status and reason of a condition.
fn condition<'a>(definition: &'a Value, kind: &str) -> Option<(&'a str, &'a str)> {
    let conditions = definition.pointer("/status/conditions")?.as_array()?;
    let condition = conditions.iter().find(|condition| text(condition, "/type") == Some(kind))?;
    Some((text(condition, "/status")?, text(condition, "/reason").unwrap_or_default()))
}

/// A string that is there and not empty.
fn text<'a>(value: &'a Value, pointer: &str) -> Option<&'a str> {
    value.pointer(pointer)?.as_str().filter(|text| !text.is_empty())
}
