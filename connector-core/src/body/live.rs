//! The facts of a stored object that translation needs.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;
use thiserror::Error;

use super::Target;
use crate::answer::{self, Asked, RowObject, shown_managers};
use crate::origin::{ANNOTATION_CONNECTION_SECRET, ANNOTATION_OWNERS, Form, Hashed, Origin, RESERVED_PREFIX};

/// The facts of an object as the control plane stores it. Whoever has one must have compared [`Live::origin`] with the
/// request already (wire rule 8.7).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Live {
    /// The remote name.
    pub name: String,
    /// The UID, which writes are tied to.
    pub uid: String,
    /// The resource version.
    pub resource_version: String,
    /// When deletion was asked for, where it was.
    pub deletion_timestamp: Option<String>,
    /// All labels, ours included.
    pub labels: BTreeMap<String, String>,
    /// All annotations, ours included.
    pub annotations: BTreeMap<String, String>,
    /// Where the user sees the object; `None` where it is not of this cluster.
    pub origin: Option<Origin>,
    /// The connection secret that the object names, where it names one.
    pub secret: Option<ConnectionSecret>,
    /// What a patch is applied to, in remote terms: the object, or its scale.
    shown: Vec<u8>,
}

/// The two names of a connection secret. They are equal where the object was imported with the name it had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectionSecret {
    /// The name that the user sees.
    pub local: String,
    /// The name in the control plane.
    pub stored: String,
}

/// The control plane sent an object that cannot be read. It is at fault; trying again may help.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("the control plane sent an object that cannot be read: {0}")]
pub struct LiveError(String);

/// Of no object.
const ABSENT_UID: &str = "00000000-0000-0000-0000-000000000000";

#[derive(Deserialize)]
struct Object<'a> {
    metadata: Metadata,
    #[serde(borrow)]
    spec: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    name: String,
    uid: String,
    #[serde(default)]
    resource_version: String,
    deletion_timestamp: Option<String>,
    #[serde(default)]
    labels: BTreeMap<String, String>,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Spec {
    write_connection_secret_to_ref: Option<SecretRef>,
}

#[derive(Deserialize)]
struct SecretRef {
    name: Option<String>,
}

impl Live {
    /// Reads an object as the control plane sent it, in JSON.
    pub fn parse(scheme: &Hashed, form: Form, raw: &[u8]) -> Result<Self, LiveError> {
        let object: Object<'_> = serde_json::from_slice(raw).map_err(|error| LiveError(error.to_string()))?;
        let Metadata { name, uid, resource_version, deletion_timestamp, labels, annotations } = object.metadata;
        let find = |map: &BTreeMap<String, String>, key: &str| map.get(key).cloned();
        let origin =
            scheme.origin(|key| labels.get(key).map(String::as_str), |key| annotations.get(key).map(String::as_str));
        let origin: Option<Origin> = origin.map(Origin::from);

        // A spec of another shape names no secret.
        let spec: Spec = object.spec.and_then(|spec| serde_json::from_str(spec.get()).ok()).unwrap_or_default();
        let stored = spec.write_connection_secret_to_ref.and_then(|secret| secret.name);
        let secret = stored.filter(|name| !name.is_empty()).map(|stored| {
            // The annotation counts only while the stored name is the hash of it.
            let local = find(&annotations, ANNOTATION_CONNECTION_SECRET)
                .filter(|local| {
                    let namespace = origin.as_ref().map(|origin| origin.namespace.as_str());
                    namespace.is_some_and(|namespace| scheme.remote_name(form, namespace, local) == stored)
                })
                .unwrap_or_else(|| stored.clone());
            ConnectionSecret { local, stored }
        });
        let shown = raw.to_vec();
        Ok(Self { name, uid, resource_version, deletion_timestamp, labels, annotations, origin, secret, shown })
    }

    /// What stands for an object that is not there: a write that is tied to it is refused, or told that there is none.
    pub fn absent() -> Self {
        Self {
            name: String::new(),
            uid: ABSENT_UID.to_owned(),
            resource_version: String::new(),
            deletion_timestamp: None,
            labels: BTreeMap::new(),
            annotations: BTreeMap::new(),
            origin: None,
            secret: None,
            shown: Vec::new(),
        }
    }

    /// Whether it is [`Live::absent`].
    pub(super) fn is_absent(&self) -> bool {
        self.uid == ABSENT_UID
    }

    /// The same object with what its subresource shows, as the control plane sent it: patches of a scale are applied to that.
    pub fn showing(self, shown: Vec<u8>) -> Self {
        Self { shown, ..self }
    }

    /// What a patch is applied to, as the user sees it.
    pub(super) fn seen(&self, target: &Target<'_>) -> Option<String> {
        let asked = Asked {
            scheme: Arc::new(target.scheme.clone()),
            form: target.form,
            namespace: Some(target.namespace.to_owned()),
            name: target.name.map(str::to_owned),
            references: target.references.cloned(),
        };
        let seen = match target.is_scale() {
            true => answer::scale(&asked, RowObject::Show, &self.shown),
            false => answer::object(&asked, &self.shown),
        };
        String::from_utf8(seen.ok()?).ok()
    }

    /// The same in remote terms.
    pub(super) fn stored(&self) -> Option<&str> {
        std::str::from_utf8(&self.shown).ok()
    }

    /// `managedFields` that a user gives, as the control plane stores them, given what is `stored`: entries that are as the user
    /// sees them stay what they are, with our labels and annotations among their fields, so that sending back what was read
    /// changes nothing. `None` where they go as they came.
    pub(super) fn restored_managers(&self, given: &str, stored: &str) -> Option<String> {
        let entries: Vec<Value> = serde_json::from_str(given).ok()?;
        let shown = shown_managers(stored, self.owner_references());
        let shown: Vec<(Option<Value>, &str)> = shown
            .iter()
            .map(|(shown, stored)| (shown.as_ref().and_then(|shown| serde_json::from_str(shown).ok()), stored.as_str()))
            .collect();
        let hidden = shown.iter().filter(|(shown, _)| shown.is_none()).map(|(_, stored)| (*stored).to_owned());
        let mut all: Vec<String> = entries
            .iter()
            .map(|entry| match shown.iter().find(|(shown, _)| shown.as_ref() == Some(entry)) {
                Some((_, stored)) => (*stored).to_owned(),
                None => entry.to_string(),
            })
            .collect();
        if all.is_empty() || all == ["{}"] {
            // A reset.
            return None;
        }
        all.extend(hidden);
        Some(format!("[{}]", all.join(",")))
    }

    /// The user's owner references as JSON text, where there are any (wire rule 6.9).
    pub fn owner_references(&self) -> Option<&str> {
        self.annotations.get(ANNOTATION_OWNERS).map(String::as_str)
    }

    /// The labels that the user sees.
    pub(super) fn visible_labels(&self) -> impl Iterator<Item = (&String, &String)> {
        self.labels.iter().filter(|(key, _)| !key.starts_with(RESERVED_PREFIX))
    }

    /// The annotations that the user sees.
    pub(super) fn visible_annotations(&self) -> impl Iterator<Item = (&String, &String)> {
        self.annotations.iter().filter(|(key, _)| !key.starts_with(RESERVED_PREFIX))
    }

    /// Whether a connection secret's name is one that the object was imported with, so that it stays as it is.
    pub(super) fn imported_secret(&self, name: &str) -> bool {
        self.secret.as_ref().is_some_and(|secret| secret.local == name && secret.stored == name)
    }
}
