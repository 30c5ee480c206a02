//! The namespace controller: a namespace that is being deleted is emptied, then it goes.

use std::sync::Arc;
use std::time::Duration;

use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::api::{Api, namespaces};
use super::delete::DeleteOptions;
use super::identity::Identity;
use super::object;
use super::store::{Decision, Key};

/// How often a namespace that is not empty yet is looked at again; real clusters wait 5 s and more.
const AGAIN: Duration = Duration::from_millis(500);

/// Empties and removes namespaces, as long as the cluster runs.
pub(super) async fn run(api: Arc<Api>) {
    let mut bell = api.store.bell(&namespaces());
    loop {
        bell.mark_unchanged();
        let mut remain = false;
        for namespace in api.all(&namespaces()).iter().filter(|namespace| object::is_terminating(namespace.value())) {
            let name = object::name(namespace.value());
            match empty(&api, name).await {
                Ok(()) => api.remove(&namespaces(), &Key::new("", name)),
                Err(condition) => {
                    remain = true;
                    tell(&api, name, condition);
                }
            }
        }
        if remain {
            let _ = tokio::time::timeout(AGAIN, bell.changed()).await;
        } else if bell.changed().await.is_err() {
            return;
        }
    }
}

/// Why a namespace cannot go yet: type, reason and message of the condition that tells it.
struct Remains(&'static str, &'static str, String);

async fn empty(api: &Api, namespace: &str) -> Result<(), Remains> {
    let kinds = api.kinds();
    let mut left = Vec::new();
    for kind in kinds.namespaced() {
        let list = || api.store.list(&kind.resource, namespace, None).map(|found| found.objects).unwrap_or_default();
        for object in list() {
            // It may have gone meanwhile, which is as well.
            let _ = api.delete_one(&kind, &object.key(), &DeleteOptions::default());
        }
        let count = list().len();
        if count > 0 {
            left.push(format!("{}.{} has {count} resource instances", kind.plural, kind.group));
        }
    }
    if let Some(aggregator) = &api.aggregator {
        // Wire rule 2.7: what cannot be discovered may still hold something.
        let resources = aggregator.namespaced_resources().map_err(|stale| {
            Remains(
                "NamespaceDeletionDiscoveryFailure",
                "DiscoveryFailed",
                format!("Discovery failed for some groups: {stale}"),
            )
        })?;
        for path in resources {
            left.extend(empty_remote(api, namespace, &path).await?);
        }
    }
    if left.is_empty() {
        return Ok(());
    }
    let message = format!("Some resources are remaining: {}", left.join(", "));
    Err(Remains("NamespaceContentRemaining", "SomeResourcesRemain", message))
}

/// Wire rule 6.11: deletes the collection, then lists what is left of it.
async fn empty_remote(
    api: &Api,
    namespace: &str,
    remote: &super::aggregator::RemoteResource,
) -> Result<Option<String>, Remains> {
    let failed = |message: String| Remains("NamespaceDeletionContentFailure", "ContentDeletionFailed", message);
    let Some(route) = api.aggregator.as_ref().and_then(|aggregator| aggregator.route(&remote.group, &remote.version))
    else {
        return Ok(None);
    };
    let path = format!("/apis/{}/{}/namespaces/{namespace}/{}", remote.group, remote.version, remote.plural);
    let identity = Identity::namespace_controller();
    let body = json!({"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": "Background"});
    let (code, _) = route.call(Method::DELETE, &path, Some(&body), &identity).await.map_err(&failed)?;
    if !code.is_success() {
        return Err(failed(format!("deletion of {path} answered {code}")));
    }
    let (code, answer) = route.call(Method::GET, &path, None, &identity).await.map_err(&failed)?;
    // Wire rule 6.12.
    if code == StatusCode::NOT_FOUND || code == StatusCode::METHOD_NOT_ALLOWED {
        return Ok(None);
    }
    let list: Value = serde_json::from_slice(&answer).map_err(|error| failed(error.to_string()))?;
    match list["items"].as_array() {
        Some(items) if items.is_empty() => Ok(None),
        Some(items) => Ok(Some(format!("{}.{} has {} resource instances", remote.plural, remote.group, items.len()))),
        None => Err(failed(format!("the list of {path} answered {code}"))),
    }
}

fn tell(api: &Api, name: &str, Remains(kind, reason, message): Remains) {
    let outcome = api.store.change(&namespaces(), &Key::new("", name), |present| {
        let Some(present) = present else { return Ok::<_, std::convert::Infallible>(Decision::Keep) };
        if present.value().pointer("/status/conditions/0/message").and_then(Value::as_str) == Some(&message) {
            return Ok(Decision::Keep);
        }
        let mut object = present.value().clone();
        object["status"]["conditions"] = json!([{
            "type": kind, "status": "True", "reason": reason, "message": message, "lastTransitionTime": object::now()
        }]);
        Ok(Decision::Put(object))
    });
    let Ok(_) = outcome;
}
