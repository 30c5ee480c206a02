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
    let mut events = std::pin::pin!(crate::watch::with_backoff(watcher(api_services, watcher::Config::default())));
    let mut listing = BTreeMap::new();
    let mut complained = false;
    while let Some(event) = events.next().await {
        match event {
            Ok(event) => {
                complained &= !matches!(event, watcher::Event::InitDone);
                take(event, &mut listing, label, publish, metrics);
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

/// Publishes what an event tells; `listing` is what a list has told so far.
fn take(
    event: watcher::Event<APIService>,
    listing: &mut BTreeMap<String, Facts>,
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
    note(&event, label, metrics);
    match event {
        watcher::Event::Init => listing.clear(),
        watcher::Event::InitApply(api_service) => listing.extend([facts(api_service)]),
        watcher::Event::InitDone => {
            let listed = std::mem::take(listing);
            publish.send_if_modified(|seen| {
                let gone = seen.iter().flat_map(|seen| seen.iter()).filter(|(name, _)| !listed.contains_key(*name));
                for api in gone.filter_map(|(_, facts)| facts.spec.as_ref()).map(api) {
                    metrics.apis.available(&api, None);
                }
                let changed = seen.as_deref() != Some(&listed);
                if changed {
                    *seen = Some(Arc::new(listed));
                }
                changed
            });
        }
        watcher::Event::Apply(api_service) => {
            let (name, facts) = facts(api_service);
            publish.send_if_modified(|seen| {
                let seen = Arc::make_mut(seen.get_or_insert_default());
                let changed = seen.get(&name) != Some(&facts);
                seen.insert(name, facts);
                changed
            });
        }
        watcher::Event::Delete(api_service) => {
            publish.send_if_modified(|seen| {
                Arc::make_mut(seen.get_or_insert_default()).remove(&api_service.name_any()).is_some()
            });
        }
    }
}

/// Takes note of what the front says of an APIService, where it is ours.
fn note(event: &watcher::Event<APIService>, label: &str, metrics: &Metrics) {
    use watcher::Event::{Apply, Delete, InitApply};
    let (Apply(api_service) | InitApply(api_service) | Delete(api_service)) = event else { return };
    let Some(spec) = &api_service.spec else { return };
    let is_there = is_ours(api_service, label) && !matches!(event, Delete(_));
    let conditions = api_service.status.iter().flat_map(|status| status.conditions.iter().flatten());
    let is_available =
        conditions.into_iter().any(|condition| condition.type_ == "Available" && condition.status == "True");
    metrics.apis.available(&api(spec), is_there.then_some(is_available));
}

fn api(spec: &APIServiceSpec) -> GroupVersion {
    let part = |part: &Option<String>| part.clone().unwrap_or_default();
    GroupVersion::new(part(&spec.group), part(&spec.version))
}

#[cfg(test)]
mod tests {
    use kube::api::ObjectMeta;

    use super::super::OWNER_LABEL;
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

    /// A watch may break, and what was deleted meanwhile is missing in the list after it; or somebody takes our label away.
    #[test]
    fn what_is_gone_is_not_told_of() {
        let api_service = |version: &str, label: &str| {
            let labels = [(OWNER_LABEL.to_owned(), label.to_owned())];
            let metadata = ObjectMeta {
                name: Some(format!("{version}.g.org")),
                labels: Some(labels.into()),
                ..ObjectMeta::default()
            };
            let (group, version) = (Some("g.org".to_owned()), Some(version.to_owned()));
            APIService {
                metadata,
                spec: Some(APIServiceSpec { group, version, ..APIServiceSpec::default() }),
                status: None,
            }
        };
        let (publish, metrics) = (watch::Sender::new(None), Metrics::new());
        let mut listing = BTreeMap::new();
        let mut tell = |event| take(event, &mut listing, "ours", &publish, &metrics);
        let told = |version: &str| {
            let page = metrics.page().unwrap();
            page.contains(&format!(r#"connector_apiservice_available{{group="g.org",version="{version}"}} 0"#))
        };
        tell(watcher::Event::Init);
        for version in ["v1", "v2", "v3"] {
            tell(watcher::Event::InitApply(api_service(version, "ours")));
        }
        tell(watcher::Event::InitDone);
        tell(watcher::Event::Apply(api_service("v4", "another's")));
        assert_eq!(["v1", "v2", "v3", "v4"].map(told), [true, true, true, false]);
        tell(watcher::Event::Delete(api_service("v1", "ours")));
        tell(watcher::Event::Apply(api_service("v2", "another's")));
        assert_eq!(["v1", "v2", "v3"].map(told), [false, false, true]);
        tell(watcher::Event::Init);
        tell(watcher::Event::InitDone);
        assert!(!told("v3"));
    }
}
