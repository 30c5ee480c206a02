//! The state of one cluster, and what follows from changes of it.

use std::sync::{Arc, PoisonError, RwLock};

use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::aggregator::Aggregator;
use super::kinds::Kinds;
use super::object;
use super::store::{Decision, Key, Resource, Shared, Store};

/// One cluster.
pub(crate) struct Api {
    pub(crate) store: Store,
    kinds: RwLock<Arc<Kinds>>,
    /// UIDs of objects that are gone, for the garbage collector.
    gone: mpsc::UnboundedSender<String>,
    pub(crate) aggregator: Option<Aggregator>,
}

/// Where CustomResourceDefinitions are stored.
pub(crate) fn definitions() -> Resource {
    Resource::new("apiextensions.k8s.io", "customresourcedefinitions")
}

/// Where namespaces are stored.
pub(crate) fn namespaces() -> Resource {
    Resource::new("", "namespaces")
}

/// Where APIServices are stored.
pub(crate) fn api_services() -> Resource {
    Resource::new("apiregistration.k8s.io", "apiservices")
}

impl Api {
    pub(crate) fn new(gone: mpsc::UnboundedSender<String>, aggregator: Option<Aggregator>) -> Self {
        let api = Self { store: Store::new(), kinds: RwLock::default(), gone, aggregator };
        api.rebuild();
        api
    }

    /// The kinds that are served now.
    pub(crate) fn kinds(&self) -> Arc<Kinds> {
        self.kinds.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn namespace(&self, name: &str) -> Option<Shared> {
        self.store.get(&namespaces(), &Key::new("", name))
    }

    /// All objects of a resource.
    pub(crate) fn all(&self, resource: &Resource) -> Vec<Shared> {
        // The present state cannot be expired.
        self.store.list(resource, "", None).map(|snapshot| snapshot.objects).unwrap_or_default()
    }

    /// Called after an object was stored.
    pub(crate) fn stored(&self, resource: &Resource) {
        if *resource == definitions() {
            self.rebuild();
        }
    }

    /// Called after an object was removed.
    pub(crate) fn removed(&self, resource: &Resource, last: &Value) {
        // Only a cluster that is being stopped has no collector.
        let _ = self.gone.send(object::uid(last).to_owned());
        if *resource == definitions() {
            self.rebuild();
            let (group, plural) = (object::text_at(last, "/spec/group"), object::text_at(last, "/spec/names/plural"));
            let resource = Resource::new(group, plural);
            for object in self.all(&resource) {
                self.remove(&resource, &object.key());
            }
        }
    }

    /// Removes an object whatever finalizers it has.
    pub(crate) fn remove(&self, resource: &Resource, key: &Key) {
        let removed = self.store.change(resource, key, |_| Ok::<_, std::convert::Infallible>(Decision::Remove));
        if let Ok(super::store::Outcome::Removed(last)) = removed {
            self.removed(resource, last.value());
        }
    }

    /// Derives the kinds from the stored definitions, and the APIServices from the kinds.
    fn rebuild(&self) {
        let mut kinds = self.kinds.write().unwrap_or_else(PoisonError::into_inner);
        *kinds = Arc::new(Kinds::of(&self.all(&definitions()), self.aggregator.is_some()));
        if self.aggregator.is_some() {
            self.register_local(&kinds);
        }
    }

    /// Keeps an APIService for each group and version that is served here, as real servers do (wire rule 2.11).
    fn register_local(&self, kinds: &Kinds) {
        let mut wanted = Vec::new();
        for (group, versions) in kinds.groups() {
            for (index, (version, kinds)) in versions.iter().enumerate() {
                let custom = kinds.iter().any(|kind| kind.custom);
                let name = format!("{version}.{group}");
                let order = 100_usize.saturating_sub(index);
                let priority = if custom { 1000 } else { 17_000 };
                let managed = if custom { "true" } else { "onstart" };
                wanted.push(name.clone());
                let object = json!({
                    "apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService",
                    "metadata": {
                        "name": name, "uid": object::new_uid(), "creationTimestamp": object::now(),
                        "labels": {"kube-aggregator.kubernetes.io/automanaged": managed}
                    },
                    "spec": {"group": group, "version": version, "groupPriorityMinimum": priority, "versionPriority": order},
                    "status": {"conditions": [{
                        "type": "Available", "status": "True", "reason": "Local",
                        "message": "Local APIServices are always available", "lastTransitionTime": object::now()
                    }]}
                });
                let outcome = self.store.change(&api_services(), &Key::new("", &name), |present| {
                    Ok::<_, std::convert::Infallible>(match present {
                        None => Decision::Put(object),
                        // A foreign spec under our label is put back; without the label it is not ours.
                        Some(present) if is_automatic(present) && present.value()["spec"]["service"].is_object() => {
                            Decision::Put(json!({
                                "metadata": present.value()["metadata"], "apiVersion": object["apiVersion"],
                                "kind": object["kind"], "spec": object["spec"], "status": object["status"]
                            }))
                        }
                        Some(_) => Decision::Keep,
                    })
                });
                let Ok(_) = outcome;
            }
        }
        for present in self.all(&api_services()) {
            if is_automatic(&present) && !wanted.iter().any(|name| name == object::name(present.value())) {
                self.remove(&api_services(), &present.key());
            }
        }
    }
}

fn is_automatic(api_service: &Shared) -> bool {
    let labels = object::metadata(api_service.value()).get("labels");
    labels.is_some_and(|labels| labels.get("kube-aggregator.kubernetes.io/automanaged").is_some())
}
