//! An object as the control plane stores it, as far as a row about it needs.

use std::borrow::Cow;

use connector_core::offer::Offered;
use connector_core::origin::{Hashed, LABEL_CLUSTER};
use kube::api::{ApiResource, ObjectMeta};
use kube::{Resource, ResourceExt};
use serde::Deserialize;

use super::{Claim, Condition, resource};

/// What is read of an object; the rest is passed over as it comes.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Stored {
    #[serde(default)]
    metadata: ObjectMeta,
    #[serde(default)]
    spec: Option<Spec>,
    #[serde(default)]
    status: Option<Status>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Spec {
    #[serde(default)]
    resource_ref: Option<Reference>,
}

#[derive(Clone, Debug, Deserialize)]
struct Reference {
    #[serde(default)]
    name: Option<String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
struct Status {
    #[serde(default)]
    conditions: Option<Vec<TypedCondition>>,
}

#[derive(Clone, Debug, Deserialize)]
struct TypedCondition {
    #[serde(default, rename = "type")]
    type_: String,
    #[serde(default)]
    status: String,
    #[serde(default)]
    reason: Option<String>,
    #[serde(default)]
    message: Option<String>,
}

impl Stored {
    /// The row; `None` of an object whose labels do not tell its origin.
    pub(super) fn claim(&self, offered: &Offered) -> Option<Claim> {
        let cluster = self.labels().get(LABEL_CLUSTER)?;
        let claim_namespace = self.namespace().unwrap_or_default();
        let scheme = Hashed { cluster: cluster.parse().ok()?, claim_namespace: claim_namespace.clone() };
        let (labels, annotations) = (self.labels(), self.annotations());
        let origin = scheme.origin(|key| labels.get(key), |key| annotations.get(key))?;
        let reference = self.spec.as_ref().and_then(|spec| spec.resource_ref.as_ref()?.name.clone());
        Some(Claim {
            cluster: cluster.clone(),
            namespace: origin.namespace.clone(),
            name: origin.name.clone(),
            api_version: format!("{}/{}", offered.group, offered.versions[0]),
            kind: offered.kind.clone(),
            resource: resource(offered),
            claim_namespace,
            remote_name: self.name_any(),
            composite: reference,
            synced: self.condition("Synced"),
            ready: self.condition("Ready"),
            created: self.metadata.creation_timestamp.as_ref().map(|time| time.0),
            deleted: self.metadata.deletion_timestamp.as_ref().map(|time| time.0),
        })
    }

    fn condition(&self, type_: &str) -> Option<Condition> {
        let conditions = self.status.as_ref()?.conditions.as_ref()?;
        let condition = conditions.iter().find(|condition| condition.type_ == type_)?;
        let TypedCondition { status, reason, message, .. } = condition.clone();
        Some(Condition { status, reason: reason.unwrap_or_default(), message: message.unwrap_or_default() })
    }
}

impl Resource for Stored {
    type DynamicType = ApiResource;
    type Scope = kube::core::DynamicResourceScope;

    fn kind(resource: &ApiResource) -> Cow<'_, str> {
        resource.kind.as_str().into()
    }

    fn group(resource: &ApiResource) -> Cow<'_, str> {
        resource.group.as_str().into()
    }

    fn version(resource: &ApiResource) -> Cow<'_, str> {
        resource.version.as_str().into()
    }

    fn api_version(resource: &ApiResource) -> Cow<'_, str> {
        resource.api_version.as_str().into()
    }

    fn plural(resource: &ApiResource) -> Cow<'_, str> {
        resource.plural.as_str().into()
    }

    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}
