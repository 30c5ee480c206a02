//! What a composite out of documents is composed of.

use kube::api::{Api, ApiResource, DynamicObject, Patch, PatchParams};
use kube::core::GroupVersionKind;
use kube::discovery::{Scope, oneshot};
use kube::{Client, ResourceExt};
use serde_json::{Value, json};

use super::StepError;
use crate::ask::{Unanswered, ask};
use crate::labels::PLUGIN;

/// One reference of `spec.resourceRefs`.
struct Reference {
    gvk: GroupVersionKind,
    namespace: Option<String>,
    name: String,
}

fn references(composite: &DynamicObject) -> impl Iterator<Item = Reference> {
    let list = composite.data["spec"]["resourceRefs"].as_array().into_iter().flatten();
    list.filter_map(|reference| {
        let text = |key: &str| reference[key].as_str();
        let (group, version) = text("apiVersion")?.split_once('/').unwrap_or(("", text("apiVersion")?));
        Some(Reference {
            gvk: GroupVersionKind::gvk(group, version, text("kind")?),
            namespace: text("namespace").map(str::to_owned),
            name: text("name")?.to_owned(),
        })
    })
}

/// Those that are not in the control plane, as `Kind/name`.
pub(super) async fn missing(client: &Client, composite: &DynamicObject) -> Result<Vec<String>, Unanswered> {
    let mut missing = Vec::new();
    for reference in references(composite) {
        if get(client, &reference).await?.is_none() {
            missing.push(format!("{}/{}", reference.gvk.kind, reference.name));
        }
    }
    Ok(missing)
}

/// Makes the composite the controller of what it is composed of: it was another object where that was read, with another UID.
pub(super) async fn relink(client: &Client, composite: &DynamicObject) -> Result<(), StepError> {
    let types = composite.types.clone().unwrap_or_default();
    let owner = json!({
        "apiVersion": types.api_version,
        "kind": types.kind,
        "name": composite.name_any(),
        "uid": composite.uid(),
        "controller": true,
        "blockOwnerDeletion": true,
    });
    for reference in references(composite) {
        let Some((api, object)) = get(client, &reference).await? else { continue };
        let controller = object.owner_references().iter().find(|owner| owner.controller == Some(true));
        match controller {
            Some(owner) if Some(&owner.uid) == composite.uid().as_ref() => continue,
            Some(owner) if owner.kind != types.kind || owner.name != composite.name_any() => {
                return Err(StepError::unexpected(format!(
                    "{}/{} is controlled by {}/{}",
                    reference.gvk.kind, reference.name, owner.kind, owner.name
                )));
            }
            _ => {}
        }
        let others = object.owner_references().iter().filter(|owner| owner.controller != Some(true));
        let others = others.filter_map(|owner| serde_json::to_value(owner).ok());
        let owners: Vec<Value> = others.chain([owner.clone()]).collect();
        let patch = json!({ "metadata": {
            "uid": object.uid(),
            "resourceVersion": object.resource_version(),
            "ownerReferences": owners,
        } });
        ask(api.patch(&reference.name, &manager(), &Patch::Merge(&patch))).await?;
    }
    Ok(())
}

fn manager() -> PatchParams {
    PatchParams { field_manager: Some(PLUGIN.to_owned()), ..PatchParams::default() }
}

/// `None` where the object or its kind is not there.
async fn get(
    client: &Client,
    reference: &Reference,
) -> Result<Option<(Api<DynamicObject>, DynamicObject)>, Unanswered> {
    let (resource, capabilities): (ApiResource, _) = match ask(oneshot::pinned_kind(client, &reference.gvk)).await {
        Ok(found) => found,
        Err(Unanswered::Failed(kube::Error::Discovery(_))) => return Ok(None),
        Err(error) if error.code() == Some(404) => return Ok(None),
        Err(error) => return Err(error),
    };
    let api = match (&capabilities.scope, &reference.namespace) {
        (Scope::Namespaced, Some(namespace)) => Api::namespaced_with(client.clone(), namespace, &resource),
        (Scope::Namespaced, None) => return Ok(None),
        (Scope::Cluster, _) => Api::all_with(client.clone(), &resource),
    };
    let object = ask(api.get_opt(&reference.name)).await?;
    Ok(object.map(|object| (api, object)))
}
