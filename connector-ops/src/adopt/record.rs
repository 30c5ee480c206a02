//! What is written down of a claim before it is touched: the way on, and the way back.

use std::fmt;

use connector_core::origin::{ClusterId, LABEL_CLUSTER};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Api, DynamicObject, ListParams, Patch, PatchParams};
use kube::{Client, ResourceExt};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::kinds::ClaimKind;
use super::{AdoptError, StepError};
use crate::ask::{Unanswered, ask};
use crate::labels;

/// Says what a ConfigMap is.
const COMPONENT: (&str, &str) = ("app.kubernetes.io/component", "adoption");
const KEY: &str = "record";

/// A namespace and a name in it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Place {
    /// The namespace.
    pub namespace: String,
    /// The name.
    pub name: String,
}

impl Place {
    pub(crate) fn new(namespace: impl Into<String>, name: impl Into<String>) -> Self {
        Self { namespace: namespace.into(), name: name.into() }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// How far it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum State {
    Adopting,
    Adopted,
    Returning,
}

/// What was paused before anything was done, and stays so.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Paused {
    pub(crate) claim: bool,
    pub(crate) composite: bool,
}

/// A connection Secret's name in the control plane, before and after.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SecretName {
    pub(crate) from: String,
    pub(crate) to: String,
}

/// One claim on its way.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Record {
    pub(crate) state: State,
    pub(crate) kind: ClaimKind,
    /// Where it was made.
    pub(crate) from: Place,
    /// Where the connector looks for it.
    pub(crate) to: Place,
    /// Where the user sees it.
    pub(crate) local: Place,
    pub(crate) composite: Option<String>,
    pub(crate) paused: Paused,
    pub(crate) secret: Option<SecretName>,
    /// The claim as it was.
    pub(crate) claim: DynamicObject,
    /// The composite to be created; only of documents, and where it is not there yet.
    pub(crate) composite_document: Option<DynamicObject>,
    /// Whether the claim came from documents: there is nothing at `from` in the control plane.
    pub(crate) from_documents: bool,
}

impl Record {
    fn name(&self) -> String {
        let digest = Sha256::digest(format!("{}.{}", self.kind.claim.plural, self.kind.claim.group).as_bytes());
        let digits: String = digest[..4].iter().map(|byte| format!("{byte:02x}")).collect();
        format!("adopted-{}-{digits}", self.to.name)
    }

    /// Whether both are of one claim.
    pub(crate) fn is_of(&self, kind: &ClaimKind, to: &Place) -> bool {
        self.kind.claim.plural == kind.claim.plural && self.kind.claim.group == kind.claim.group && self.to == *to
    }

    /// Writes it. With `owner` it goes with that claim.
    pub(crate) async fn write(
        &self,
        client: &Client,
        cluster: &ClusterId,
        owner: Option<&DynamicObject>,
    ) -> Result<(), StepError> {
        let text = serde_json::to_string(self).map_err(|error| StepError::unexpected(error.to_string()))?;
        let owners: Vec<Value> = owner
            .map(|owner| {
                json!({
                    "apiVersion": format!("{}/{}", self.kind.claim.group, self.kind.claim.version),
                    "kind": self.kind.claim.kind,
                    "name": owner.name_any(),
                    "uid": owner.uid(),
                })
            })
            .into_iter()
            .collect();
        let map = json!({
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {
                "name": self.name(),
                "labels": {
                    labels::NAME: labels::CONNECTOR,
                    labels::MANAGED_BY: labels::PLUGIN,
                    COMPONENT.0: COMPONENT.1,
                    LABEL_CLUSTER: cluster.as_str(),
                },
                "ownerReferences": owners,
            },
            "data": { KEY: text },
        });
        let api = Api::<ConfigMap>::namespaced(client.clone(), &self.to.namespace);
        ask(api.patch(&self.name(), &PatchParams::apply(labels::PLUGIN).force(), &Patch::Apply(&map))).await?;
        Ok(())
    }

    /// Takes it away: the claim is where it was.
    pub(crate) async fn remove(&self, client: &Client) -> Result<(), StepError> {
        let api = Api::<ConfigMap>::namespaced(client.clone(), &self.to.namespace);
        match ask(api.delete(&self.name(), &kube::api::DeleteParams::default())).await {
            Err(error) if error.code() != Some(404) => Err(error.into()),
            _ => Ok(()),
        }
    }
}

/// All records of an app cluster in a claim namespace.
///
/// # Errors
/// [`AdoptError::Unread`], [`AdoptError::Record`].
pub(crate) async fn read(client: &Client, cluster: &ClusterId, namespace: &str) -> Result<Vec<Record>, AdoptError> {
    let api = Api::<ConfigMap>::namespaced(client.clone(), namespace);
    let parameters =
        ListParams::default().labels(&format!("{}={},{LABEL_CLUSTER}={cluster}", COMPONENT.0, COMPONENT.1));
    let unread =
        |source: Unanswered| AdoptError::Unread { what: format!("the records of adoptions in {namespace}"), source };
    let list = ask(api.list(&parameters)).await.map_err(unread)?;
    let records = list.items.into_iter().map(|map| {
        let name = map.name_any();
        let text = map.data.unwrap_or_default().remove(KEY).unwrap_or_default();
        // What is half done must not be taken for not begun.
        serde_json::from_str(&text).map_err(|error| AdoptError::Record {
            namespace: namespace.to_owned(),
            name,
            why: error.to_string(),
        })
    });
    let mut records: Vec<Record> = records.collect::<Result<_, _>>()?;
    records.sort_by(|one, other| one.from.cmp(&other.from));
    Ok(records)
}
