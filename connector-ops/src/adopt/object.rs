//! The claim under its other name.

use connector_core::origin::{ANNOTATION_CONNECTION_SECRET, ANNOTATION_NAME, Form, Hashed, RESERVED_PREFIX};
use kube::ResourceExt;
use kube::api::{DynamicObject, ObjectMeta};
use serde_json::{Value, json};

use super::record::{Place, Record, SecretName};

/// With `true` Crossplane leaves an object alone.
pub(super) const PAUSED: &str = "crossplane.io/paused";
/// Crossplane's own on a claim.
pub(super) const FINALIZER: &str = "finalizer.apiextensions.crossplane.io";
/// The most characters that a label value holds.
const LABEL_MAX: usize = 63;

pub(super) fn is_paused(object: &DynamicObject) -> bool {
    object.annotations().get(PAUSED).is_some_and(|paused| paused == "true")
}

/// The name of the composite to which a claim is bound.
pub(super) fn composite_of(claim: &DynamicObject) -> Option<&str> {
    claim.data["spec"]["resourceRef"]["name"].as_str()
}

/// The claim to which a composite is bound.
pub(super) fn claim_of(composite: &DynamicObject) -> Option<Place> {
    let reference = &composite.data["spec"]["claimRef"];
    Some(Place::new(reference["namespace"].as_str()?, reference["name"].as_str()?))
}

/// The names of the connection Secret: as it is, and as it will be.
pub(super) fn secret_of(claim: &DynamicObject, scheme: &Hashed, local: &Place, keep: bool) -> Option<SecretName> {
    let from = claim.data["spec"]["writeConnectionSecretToRef"]["name"].as_str()?.to_owned();
    let to = if keep { from.clone() } else { scheme.remote_name(Form::Claim, &local.namespace, &from) };
    Some(SecretName { from, to })
}

/// The claim as the connector would have stored it, paused.
pub(super) fn adopted(claim: &DynamicObject, record: &Record, scheme: &Hashed) -> DynamicObject {
    let mut new = moved(claim, &record.to);
    let Place { namespace, name } = &record.local;
    let labels = scheme.labels(namespace, name).map(|(key, value)| (key.to_owned(), value.into_owned()));
    new.labels_mut().extend(labels);
    if name.len() > LABEL_MAX {
        new.annotations_mut().insert(ANNOTATION_NAME.to_owned(), name.clone());
    }
    if let Some(SecretName { from, to }) = &record.secret {
        set_secret(&mut new, to);
        if from != to {
            new.annotations_mut().insert(ANNOTATION_CONNECTION_SECRET.to_owned(), from.clone());
        }
    }
    new
}

/// The claim as it is without an origin, paused.
pub(super) fn returned(claim: &DynamicObject, record: &Record) -> DynamicObject {
    let shown = claim.annotations().get(ANNOTATION_CONNECTION_SECRET).cloned();
    let now = claim.data["spec"]["writeConnectionSecretToRef"]["name"].as_str();
    let secret = match &record.secret {
        Some(SecretName { from, to }) if now == Some(to) => Some(from.clone()),
        // Its user gave another name since.
        _ => shown,
    };
    let mut new = moved(claim, &record.from);
    if let Some(secret) = secret.filter(|_| now.is_some()) {
        set_secret(&mut new, &secret);
    }
    new
}

/// The claim at another place: everything that its users wrote, and Crossplane's finalizer.
fn moved(claim: &DynamicObject, to: &Place) -> DynamicObject {
    let ours = |key: &String| key.starts_with(RESERVED_PREFIX);
    let mut new =
        DynamicObject { types: claim.types.clone(), metadata: ObjectMeta::default(), data: claim.data.clone() };
    new.metadata.name = Some(to.name.clone());
    new.metadata.namespace = Some(to.namespace.clone());
    new.metadata.labels = claim.metadata.labels.clone();
    new.labels_mut().retain(|key, _| !ours(key));
    new.metadata.annotations = claim.metadata.annotations.clone();
    new.annotations_mut().retain(|key, _| !ours(key));
    new.annotations_mut().insert(PAUSED.to_owned(), "true".to_owned());
    if claim.finalizers().iter().any(|finalizer| finalizer == FINALIZER) {
        new.finalizers_mut().push(FINALIZER.to_owned());
    }
    new
}

fn set_secret(claim: &mut DynamicObject, name: &str) {
    if let Some(reference) = claim.data["spec"]["writeConnectionSecretToRef"].as_object_mut() {
        reference.insert("name".to_owned(), Value::from(name));
    }
}

/// What binds a composite to a claim at `to`: a merge patch.
pub(super) fn binding(composite: &DynamicObject, to: &Place) -> Value {
    json!({
        "metadata": {
            "uid": composite.uid(),
            "resourceVersion": composite.resource_version(),
            "annotations": { PAUSED: "true" },
            "labels": { "crossplane.io/claim-name": to.name, "crossplane.io/claim-namespace": to.namespace },
        },
        "spec": { "claimRef": { "namespace": to.namespace, "name": to.name } },
    })
}

/// A composite out of documents, to be created.
pub(super) fn created(composite: &DynamicObject, to: &Place) -> DynamicObject {
    let mut new =
        DynamicObject { types: composite.types.clone(), metadata: ObjectMeta::default(), data: composite.data.clone() };
    if let Some(data) = new.data.as_object_mut() {
        data.remove("status");
    }
    new.metadata.name = composite.metadata.name.clone();
    new.metadata.labels = composite.metadata.labels.clone();
    new.metadata.annotations = composite.metadata.annotations.clone();
    new.metadata.finalizers = composite.metadata.finalizers.clone();
    new.labels_mut().insert("crossplane.io/claim-name".to_owned(), to.name.clone());
    new.labels_mut().insert("crossplane.io/claim-namespace".to_owned(), to.namespace.clone());
    new.annotations_mut().insert(PAUSED.to_owned(), "true".to_owned());
    new.data["spec"]["claimRef"]["namespace"] = Value::from(to.namespace.as_str());
    new.data["spec"]["claimRef"]["name"] = Value::from(to.name.as_str());
    new
}
