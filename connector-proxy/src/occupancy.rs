//! Which namespaces of the app cluster hold claims, known also while the control plane is away.
//!
//! The deletion of a namespace asks every API for what the namespace holds, and waits for the answer. Without this, an outage
//! of the control plane would hold up the deletion of *every* namespace of the app cluster (wire rule 2.7). A namespace that
//! was seen to hold nothing, and takes nothing new because it is being deleted, can be told to be empty without asking; every
//! other question about claims is answered 503.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use connector_core::offer::{GroupVersion, Offered};
use connector_core::origin::{Hashed, LABEL_NAMESPACE};
use futures::StreamExt;
use kube::core::{ApiResource, DynamicObject, GroupVersionKind, PartialObjectMeta};
use kube::runtime::watcher;
use kube::{Api, ResourceExt};
use tokio::task::{AbortHandle, JoinSet};

use crate::catalog::Snapshots;
use crate::upstream::Upstream;

/// How long until a watch that was refused is tried again.
const REFUSED_PAUSE: Duration = Duration::from_secs(5);

/// An offered resource: group and plural.
type Resource = (String, String);

/// What is known of one resource.
#[derive(Default)]
struct Known {
    /// The local namespace of each remote object. `None` until all were read once.
    namespaces: Option<BTreeMap<String, String>>,
    /// Of what was seen last; what an empty list is as of.
    resource_version: String,
}

/// Where claims are. Kept by a watch of their metadata, and by the creates that pass.
#[derive(Default)]
pub(crate) struct Occupancy(Mutex<BTreeMap<Resource, Known>>);

impl Occupancy {
    /// The resource version as of which `namespace` is known to hold no object of a resource; `None` where it holds some, or
    /// nobody knows.
    pub(crate) fn empty_as_of(&self, group: &str, resource: &str, namespace: &str) -> Option<String> {
        let all = self.lock();
        let known = all.get(&(group.to_owned(), resource.to_owned()))?;
        let empty = !known.namespaces.as_ref()?.values().any(|occupied| occupied == namespace);
        empty.then(|| known.resource_version.clone())
    }

    /// Takes note of an object that was created by a request, which the watch may not have seen yet.
    pub(crate) fn created(&self, group: &str, resource: &str, namespace: &str, remote_name: String) {
        let mut all = self.lock();
        if let Some(known) = all.get_mut(&(group.to_owned(), resource.to_owned()))
            && let Some(namespaces) = &mut known.namespaces
        {
            namespaces.insert(remote_name, namespace.to_owned());
        }
    }

    /// Follows every offered resource. Never returns.
    pub(crate) async fn follow(self: Arc<Self>, upstream: Arc<Upstream>, scheme: Arc<Hashed>, mut catalog: Snapshots) {
        let mut watches = JoinSet::new();
        let mut watched: BTreeMap<Resource, AbortHandle> = BTreeMap::new();
        let mut generation = upstream.generation();
        loop {
            generation.mark_unchanged();
            let offered: Vec<Offered> = match &*catalog.borrow_and_update() {
                Some(snapshot) => snapshot.iter().cloned().collect(),
                None => Vec::new(),
            };
            let wanted: BTreeSet<Resource> = offered.iter().map(resource).collect();
            watched.retain(|resource, watch| {
                let keep = wanted.contains(resource);
                if !keep {
                    watch.abort();
                    self.lock().remove(resource);
                }
                keep
            });
            for offered in offered {
                watched.entry(resource(&offered)).or_insert_with(|| {
                    let watch = follow_one(self.clone(), upstream.clone(), scheme.clone(), offered);
                    watches.spawn(watch)
                });
            }
            let renewed = tokio::select! {
                Ok(()) = catalog.changed() => false,
                Ok(()) = generation.changed() => true,
            };
            if renewed {
                // Another kubeconfig is in force: begin anew with it.
                std::mem::take(&mut watched).into_values().for_each(|watch| watch.abort());
            }
            while watches.try_join_next().is_some() {}
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Resource, Known>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was known is not to be relied on any more.
    fn forget(&self, resource: &Resource) {
        self.lock().remove(resource);
    }

    /// Takes in an event of the watch. A list that is read anew replaces what was known when it is complete.
    fn observe(
        &self,
        resource: &Resource,
        listing: &mut BTreeMap<String, String>,
        event: watcher::Event<PartialObjectMeta<DynamicObject>>,
    ) {
        let mut all = self.lock();
        let known = all.entry(resource.clone()).or_default();
        match event {
            watcher::Event::Init => listing.clear(),
            watcher::Event::InitApply(object) => {
                known.resource_version = object.resource_version().unwrap_or_default();
                listing.extend(entry(&object));
            }
            watcher::Event::InitDone => known.namespaces = Some(std::mem::take(listing)),
            watcher::Event::Apply(object) => {
                known.resource_version = object.resource_version().unwrap_or_default();
                known.namespaces.iter_mut().for_each(|known| known.extend(entry(&object)));
            }
            watcher::Event::Delete(object) => {
                known.resource_version = object.resource_version().unwrap_or_default();
                known.namespaces.iter_mut().for_each(|known| {
                    known.remove(&object.name_any());
                });
            }
        }
    }
}

async fn follow_one(occupancy: Arc<Occupancy>, upstream: Arc<Upstream>, scheme: Arc<Hashed>, offered: Offered) {
    let Some(version) = offered.versions.first() else { return };
    let GroupVersion { group, version } = GroupVersion::new(&offered.group, version);
    let api_resource =
        ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk(&group, &version, &offered.kind), &offered.plural);
    let api = Api::<PartialObjectMeta<DynamicObject>>::namespaced_with(
        upstream.client(),
        &scheme.claim_namespace,
        &api_resource,
    );
    let config = watcher::Config::default().labels(&scheme.label_selector(None));
    let resource = resource(&offered);
    loop {
        let mut events = std::pin::pin!(crate::watch::with_backoff(watcher(api.clone(), config.clone())));
        let mut listing = BTreeMap::new();
        while let Some(event) = events.next().await {
            match event {
                Ok(event) => occupancy.observe(&resource, &mut listing, event),
                Err(error) => {
                    tracing::debug!(%error, resource = resource.1, "the watch of claims failed");
                    // Not an outage: the control plane is there and does not tell, so nobody knows what comes and goes. Begin
                    // anew with a list.
                    if crate::watch::code(&error).is_some_and(|code| (400..500).contains(&code) && code != 429) {
                        occupancy.forget(&resource);
                        break;
                    }
                }
            }
        }
        tokio::time::sleep(REFUSED_PAUSE).await;
    }
}

fn resource(offered: &Offered) -> Resource {
    (offered.group.clone(), offered.plural.clone())
}

/// The remote name and the local namespace.
fn entry(object: &PartialObjectMeta<DynamicObject>) -> Option<(String, String)> {
    Some((object.name_any(), object.labels().get(LABEL_NAMESPACE)?.clone()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object(name: &str, namespace: &str, version: &str) -> PartialObjectMeta<DynamicObject> {
        let metadata = json!({ "name": name, "labels": { LABEL_NAMESPACE: namespace }, "resourceVersion": version });
        let object = json!({ "apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadata", "metadata": metadata });
        serde_json::from_value(object).unwrap()
    }

    #[test]
    fn a_namespace_is_empty_only_when_that_is_known() {
        let occupancy = Occupancy::default();
        let resource: Resource = ("g.org".into(), "things".into());
        let empty = |namespace: &str| occupancy.empty_as_of("g.org", "things", namespace);
        let mut listing = BTreeMap::new();
        let mut observe = |event| occupancy.observe(&resource, &mut listing, event);
        assert_eq!(empty("one"), None, "nothing is known yet");
        observe(watcher::Event::Init);
        observe(watcher::Event::InitApply(object("claim-a", "one", "5")));
        assert_eq!(empty("two"), None, "the list is not whole");
        observe(watcher::Event::InitDone);
        assert_eq!((empty("one"), empty("two").as_deref()), (None, Some("5")));

        occupancy.created("g.org", "things", "two", "claim-b".into());
        assert_eq!(empty("two"), None, "created by a request, not yet seen");
        observe(watcher::Event::Apply(object("claim-b", "two", "6")));
        observe(watcher::Event::Delete(object("claim-b", "two", "7")));
        assert_eq!(empty("two").as_deref(), Some("7"));
        assert_eq!(occupancy.empty_as_of("g.org", "others", "two"), None);

        // A list that is read anew replaces what was known when it is whole, not before.
        observe(watcher::Event::Init);
        assert_eq!(empty("one"), None);
        observe(watcher::Event::InitDone);
        assert!(empty("one").is_some());
        occupancy.forget(&resource);
        assert_eq!(empty("one"), None, "nobody knows any more");
        observe(watcher::Event::Apply(object("claim-c", "one", "9")));
        assert_eq!(empty("two"), None, "one event is no list");
    }
}
