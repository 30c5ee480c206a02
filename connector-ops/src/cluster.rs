//! Objects of any kind, written to a cluster and taken from it.

use std::collections::HashMap;
use std::fmt;
use std::sync::Mutex;

use kube::api::{ApiResource, DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PropagationPolicy};
use kube::core::GroupVersionKind;
use kube::discovery::{Scope, pinned_kind};
use kube::{Api, Client, ResourceExt};
use serde_json::Value;
use thiserror::Error;

use crate::ask::{Unanswered, ask};
use crate::labels;

/// One of the two clusters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Where teams work.
    App,
    /// Where Crossplane is.
    ControlPlane,
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::App => "app cluster",
            Self::ControlPlane => "control plane",
        })
    }
}

/// What became of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// It was not there.
    Created,
    /// It was other than it should be.
    Configured,
    /// It was as it should be; nothing was written.
    Unchanged,
    /// It is gone.
    Deleted,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Created => "created",
            Self::Configured => "configured",
            Self::Unchanged => "unchanged",
            Self::Deleted => "deleted",
        })
    }
}

/// An object, as people name it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Name {
    /// Its resource, as `deployment.apps`.
    pub resource: String,
    /// Its namespace, if it has one.
    pub namespace: Option<String>,
    /// Its name.
    pub name: String,
}

impl fmt::Display for Name {
    /// As kubectl prints and takes it, with the namespace after it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.resource, self.name)?;
        self.namespace.as_ref().map_or(Ok(()), |namespace| write!(f, " -n {namespace}"))
    }
}

/// An object could not be written, read or deleted.
#[derive(Debug, Error)]
#[error("{side}: cannot {verb} {object}")]
pub struct WriteError {
    /// In which cluster.
    pub side: Side,
    /// What was tried.
    pub verb: &'static str,
    /// With what.
    pub object: String,
    /// Why not.
    pub source: Unanswered,
}

/// A cluster, with what it said of its kinds.
pub(crate) struct Cluster {
    pub(crate) side: Side,
    pub(crate) client: Client,
    kinds: Mutex<HashMap<GroupVersionKind, (ApiResource, Scope)>>,
}

impl Cluster {
    pub(crate) fn new(side: Side, client: Client) -> Self {
        Self { side, client, kinds: Mutex::default() }
    }

    pub(crate) fn error(&self, verb: &'static str, object: impl fmt::Display) -> impl FnOnce(Unanswered) -> WriteError {
        let (side, object) = (self.side, object.to_string());
        move |source| WriteError { side, verb, object, source }
    }

    async fn kind(&self, kind: &GroupVersionKind) -> Result<(ApiResource, Scope), Unanswered> {
        let known = self.kinds.lock().ok().and_then(|kinds| kinds.get(kind).cloned());
        if let Some(known) = known {
            return Ok(known);
        }
        let (resource, capabilities) = ask(pinned_kind(&self.client, kind)).await?;
        let found = (resource, capabilities.scope);
        if let Ok(mut kinds) = self.kinds.lock() {
            kinds.insert(kind.clone(), found.clone());
        }
        Ok(found)
    }

    /// Makes an object what it should be: server-side apply, by our own field manager. Equal content is not written.
    pub(crate) async fn apply(&self, object: &Value) -> Result<(Name, Change), WriteError> {
        let named = short(object);
        let failed = |source| self.error("apply", &named)(source);
        let kind = kind_of(object);
        let (resource, scope) = self.kind(&kind).await.map_err(failed)?;
        let namespace = object["metadata"]["namespace"].as_str();
        let api = api(&self.client, &resource, &scope, namespace);
        let name = object["metadata"]["name"].as_str().unwrap_or_default();
        let before =
            ask(api.get_metadata_opt(name)).await.map_err(failed)?.and_then(|object| object.resource_version());
        let parameters = PatchParams::apply(labels::PLUGIN).force();
        let after = ask(api.patch(name, &parameters, &Patch::Apply(object))).await.map_err(failed)?.resource_version();
        let change = match before {
            None => Change::Created,
            Some(_) if before == after => Change::Unchanged,
            Some(_) => Change::Configured,
        };
        Ok((self.name(&resource, namespace, name), change))
    }

    /// Those of some objects that are there and no connector's: to apply them would take them from whoever made them.
    pub(crate) async fn foreign(&self, objects: &[Value]) -> Result<Vec<Name>, WriteError> {
        let mut foreign = Vec::new();
        for object in objects {
            let failed = |source| self.error("read", short(object))(source);
            let (resource, scope) = match self.kind(&kind_of(object)).await {
                Ok(found) => found,
                // There is none of a kind that is not served.
                Err(missing) if is_missing(&missing) => continue,
                Err(error) => return Err(failed(error)),
            };
            let namespace = object["metadata"]["namespace"].as_str();
            let name = object["metadata"]["name"].as_str().unwrap_or_default();
            let api = api(&self.client, &resource, &scope, namespace);
            let there = ask(api.get_metadata_opt(name)).await.map_err(failed)?;
            if there.is_some_and(|there| there.labels().get(labels::NAME).is_none_or(|of| of != labels::CONNECTOR)) {
                foreign.push(self.name(&resource, namespace, name));
            }
        }
        Ok(foreign)
    }

    fn name(&self, resource: &ApiResource, namespace: Option<&str>, name: &str) -> Name {
        let group = if resource.group.is_empty() { String::new() } else { format!(".{}", resource.group) };
        Name {
            resource: format!("{}{group}", resource.kind.to_lowercase()),
            namespace: namespace.map(str::to_owned),
            name: name.to_owned(),
        }
    }

    /// All objects of a kind that a label selector selects; none where the kind is not served.
    pub(crate) async fn select(&self, kind: &GroupVersionKind, selector: &str) -> Result<Vec<Selected>, WriteError> {
        let failed = |source| self.error("list", &kind.kind)(source);
        let (resource, _) = match self.kind(kind).await {
            Ok(found) => found,
            Err(missing) if is_missing(&missing) => return Ok(Vec::new()),
            Err(error) => return Err(failed(error)),
        };
        let api = Api::<DynamicObject>::all_with(self.client.clone(), &resource);
        let list = ask(api.list_metadata(&ListParams::default().labels(selector))).await.map_err(failed)?;
        let selected = list.items.into_iter().map(|object| Selected {
            name: self.name(&resource, object.namespace().as_deref(), &object.name_any()),
            resource: resource.clone(),
        });
        Ok(selected.collect())
    }

    /// Deletes an object, if it is there. What it owns follows.
    pub(crate) async fn delete(&self, selected: &Selected) -> Result<Change, WriteError> {
        let Selected { name, resource } = selected;
        let api: Api<DynamicObject> = match &name.namespace {
            Some(namespace) => Api::namespaced_with(self.client.clone(), namespace, resource),
            None => Api::all_with(self.client.clone(), resource),
        };
        let parameters =
            DeleteParams { propagation_policy: Some(PropagationPolicy::Background), ..DeleteParams::default() };
        match ask(api.delete(&name.name, &parameters)).await {
            Ok(_) => Ok(Change::Deleted),
            Err(gone) if gone.code() == Some(404) => Ok(Change::Unchanged),
            Err(error) => Err(self.error("delete", name)(error)),
        }
    }
}

/// An object that is there.
#[derive(Clone, Debug)]
pub(crate) struct Selected {
    pub(crate) name: Name,
    pub(crate) resource: ApiResource,
}

fn api(client: &Client, resource: &ApiResource, scope: &Scope, namespace: Option<&str>) -> Api<DynamicObject> {
    match (scope, namespace) {
        (Scope::Namespaced, Some(namespace)) => Api::namespaced_with(client.clone(), namespace, resource),
        _ => Api::all_with(client.clone(), resource),
    }
}

/// Whether a kind is not served: the group version has no document, or the document does not have it.
fn is_missing(error: &Unanswered) -> bool {
    error.code() == Some(404) || matches!(error, Unanswered::Failed(kube::Error::Discovery(_)))
}

pub(crate) fn kind_of(object: &Value) -> GroupVersionKind {
    let api_version = object["apiVersion"].as_str().unwrap_or_default();
    let (group, version) = api_version.rsplit_once('/').unwrap_or(("", api_version));
    GroupVersionKind::gvk(group, version, object["kind"].as_str().unwrap_or_default())
}

/// `Kind name` of a manifest.
pub(crate) fn short(object: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let named = format!("{} {}", text(&object["kind"]), text(&object["metadata"]["name"]));
    match object["metadata"]["namespace"].as_str() {
        Some(namespace) => format!("{named} in namespace {namespace}"),
        None => named,
    }
}
