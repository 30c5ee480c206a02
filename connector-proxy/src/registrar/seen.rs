//! What is registered, as every replica sees it: whoever writes the APIServices, each answers for them.

use std::collections::BTreeMap;
use std::sync::Arc;

use connector_core::offer::GroupVersion;
use futures::StreamExt;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use k8s_openapi::kube_aggregator::pkg::apis::apiregistration::v1::{APIService, APIServiceSpec};
use kube::runtime::watcher;
use kube::{Api, ResourceExt};
use tokio::sync::watch;
use tracing::warn;

use super::{is_ours, name};
use crate::chain::Chain;
use crate::telemetry::Metrics;

/// What counts of an APIService; its state, which changes when the front probes it, does not.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Facts {
    is_ours: bool,
    spec: Option<APIServiceSpec>,
    owners: Option<Vec<OwnerReference>>,
}

/// Every APIService by name, ours and others'. `None` before they were first read.
pub(super) type Seen = Option<Arc<BTreeMap<String, Facts>>>;

/// Which group versions are registered, for those who must not call one absent.
#[derive(Clone)]
pub(crate) struct Registered(pub(super) watch::Receiver<Seen>);

impl Registered {
    /// Whether one of these is registered, or may be: before the APIServices were first read, any may.
    pub(crate) fn any(&self, mut of: impl Iterator<Item = GroupVersion>) -> bool {
        match &*self.0.borrow() {
            Some(seen) => of.any(|gv| seen.get(&name(&gv)).is_some_and(|facts| facts.is_ours)),
            None => of.next().is_some(),
        }
    }
}

/// Follows the APIServices; `label` is the value of the label of ours. Never returns.
pub(super) async fn follow(
    api_services: Api<APIService>,
    label: &str,
    publish: &watch::Sender<Seen>,
    metrics: &Metrics,
) {
    let facts = |api_service: APIService| {
        let is_ours = is_ours(&api_service, label);
        (
            api_service.name_any(),
            Facts { is_ours, owners: api_service.metadata.owner_references, spec: api_service.spec },
        )
    };
    let mut events = std::pin::pin!(crate::watch::with_backoff(watcher(api_services, watcher::Config::default())));
    let mut listing = BTreeMap::new();
    let mut complained = false;
    while let Some(event) = events.next().await {
        if let Ok(event) = &event {
            note(event, label, metrics);
        }
        match event {
            Ok(watcher::Event::Init) => listing = BTreeMap::new(),
            Ok(watcher::Event::InitApply(api_service)) => listing.extend([facts(api_service)]),
            Ok(watcher::Event::InitDone) => {
                complained = false;
                let listed = std::mem::take(&mut listing);
                publish.send_if_modified(|seen| {
                    let changed = seen.as_deref() != Some(&listed);
                    if changed {
                        *seen = Some(Arc::new(listed));
                    }
                    changed
                });
            }
            Ok(watcher::Event::Apply(api_service)) => {
                let (name, facts) = facts(api_service);
                publish.send_if_modified(|seen| {
                    let seen = Arc::make_mut(seen.get_or_insert_default());
                    let changed = seen.get(&name) != Some(&facts);
                    seen.insert(name, facts);
                    changed
                });
            }
            Ok(watcher::Event::Delete(api_service)) => {
                publish.send_if_modified(|seen| {
                    Arc::make_mut(seen.get_or_insert_default()).remove(&api_service.name_any()).is_some()
                });
            }
            Err(error) if !complained => {
                complained = true;
                warn!(
                    error = %Chain(&error),
                    "cannot read the APIServices of the app cluster; if this is about rights, grant list and watch on apiservices.apiregistration.k8s.io"
                );
            }
            Err(_) => {}
        }
    }
}

/// Takes note of what the front says of an APIService of ours.
fn note(event: &watcher::Event<APIService>, label: &str, metrics: &Metrics) {
    use watcher::Event::{Apply, Delete, InitApply};
    let (Apply(api_service) | InitApply(api_service) | Delete(api_service)) = event else { return };
    let Some(spec) = api_service.spec.as_ref().filter(|_| is_ours(api_service, label)) else { return };
    let part = |part: &Option<String>| part.clone().unwrap_or_default();
    let api = GroupVersion::new(part(&spec.group), part(&spec.version));
    let conditions = api_service.status.iter().flat_map(|status| status.conditions.iter().flatten());
    let is_available =
        conditions.into_iter().any(|condition| condition.type_ == "Available" && condition.status == "True");
    metrics.apis.available(&api, (!matches!(event, Delete(_))).then_some(is_available));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_registered_is_not_absent() {
        let publish = watch::Sender::new(None);
        let registered = Registered(publish.subscribe());
        let of = |version: &str| std::iter::once(GroupVersion::new("g.org", version));
        assert!(registered.any(of("v1")), "nothing was read yet");
        assert!(!registered.any(std::iter::empty()));
        let facts = |is_ours| Facts { is_ours, spec: None, owners: None };
        let seen = [("v1.g.org".to_owned(), facts(true)), ("v2.g.org".to_owned(), facts(false))];
        publish.send_replace(Some(Arc::new(seen.into())));
        assert!(registered.any(of("v1")) && !registered.any(of("v2")) && !registered.any(of("v3")));
    }
}
