//! The garbage collector: objects whose owners are all gone are deleted.

use std::collections::HashSet;
use std::sync::Arc;

use serde_json::{Map, Value};
use tokio::sync::mpsc;

use super::api::Api;
use super::delete::DeleteOptions;
use super::object;
use super::store::{Decision, Resource, Shared};

/// Deletes the dependents of objects that are gone, as long as the cluster runs.
///
/// Only owners in this cluster's own store count: objects of aggregated servers are not watched.
pub(super) async fn run(api: Arc<Api>, mut gone: mpsc::UnboundedReceiver<String>) {
    while let Some(first) = gone.recv().await {
        let mut uids: HashSet<String> = [first].into();
        while let Ok(uid) = gone.try_recv() {
            uids.insert(uid);
        }
        for (resource, dependent) in api.dependents(&uids) {
            let owners = owner_uids(dependent.value());
            let lives = owners.iter().any(|uid| !uids.contains(*uid) && api.exists(uid));
            if !lives && let Some(kind) = api.kinds().of_resource(&resource) {
                // It may have gone meanwhile, which is as well.
                let _ = api.delete_one(&kind, &dependent.key(), &DeleteOptions::default());
            }
        }
    }
}

fn owners(object: &Value) -> impl Iterator<Item = &Map<String, Value>> {
    let owners = object::metadata(object).get("ownerReferences").and_then(Value::as_array);
    owners.into_iter().flatten().filter_map(Value::as_object)
}

fn owner_uids(object: &Value) -> Vec<&str> {
    owners(object).filter_map(|owner| owner.get("uid")?.as_str()).collect()
}

impl Api {
    fn dependents(&self, uids: &HashSet<String>) -> Vec<(Resource, Shared)> {
        let mut found = Vec::new();
        for resource in self.store.resources() {
            for object in self.all(&resource) {
                if owner_uids(object.value()).iter().any(|uid| uids.contains(*uid)) {
                    found.push((resource.clone(), object));
                }
            }
        }
        found
    }

    fn exists(&self, uid: &str) -> bool {
        let resources = self.store.resources();
        resources.iter().any(|resource| self.all(resource).iter().any(|object| object::uid(object.value()) == uid))
    }

    /// Takes an owner out of its dependents, so that they outlive it.
    pub(super) fn orphan(&self, uid: &str) {
        for (resource, dependent) in self.dependents(&[uid.to_owned()].into()) {
            let outcome = self.store.change(&resource, &dependent.key(), |present| {
                let Some(present) = present else { return Ok::<_, std::convert::Infallible>(Decision::Keep) };
                let mut object = present.value().clone();
                let kept: Vec<Value> = owners(&object)
                    .filter(|owner| owner.get("uid").and_then(Value::as_str) != Some(uid))
                    .cloned()
                    .map(Value::Object)
                    .collect();
                object::metadata_mut(&mut object).insert("ownerReferences".into(), kept.into());
                Ok(Decision::Put(object))
            });
            let Ok(_) = outcome;
        }
    }
}
