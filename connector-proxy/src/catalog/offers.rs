//! Which APIs are offered: read from XRDs, or where those may not be read, from the CRDs made of them.

use std::collections::BTreeMap;
use std::time::Duration;

use connector_core::offer::{Offered, Offers};
use futures::StreamExt;
use kube::core::{ApiResource, DynamicObject, GroupVersionKind};
use kube::runtime::watcher;
use kube::{Api, ResourceExt};
use tokio::sync::watch;
use tracing::{info, warn};

use crate::chain::Chain;
use crate::upstream::Upstream;

/// How long until both are tried again where neither may be read.
const REFUSED_PAUSE: Duration = Duration::from_secs(5);

/// Where offers are read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum From {
    Xrds,
    Crds,
}

impl From {
    fn resource(self) -> ApiResource {
        let (group, version, kind, plural) = match self {
            // v1 is served by every Crossplane that has claims, and shows XRDs of both versions.
            Self::Xrds => {
                ("apiextensions.crossplane.io", "v1", "CompositeResourceDefinition", "compositeresourcedefinitions")
            }
            Self::Crds => ("apiextensions.k8s.io", "v1", "CustomResourceDefinition", "customresourcedefinitions"),
        };
        ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk(group, version, kind), plural)
    }

    fn other(self) -> Self {
        match self {
            Self::Xrds => Self::Crds,
            Self::Crds => Self::Xrds,
        }
    }

    fn offers(self, object: &DynamicObject) -> Vec<Offered> {
        let read = serde_json::to_value(object).map_err(|error| error.to_string()).and_then(|value| match self {
            Self::Xrds => connector_core::offer::from_xrd(&value).map_err(|error| error.to_string()),
            Self::Crds => Ok(connector_core::offer::from_crd(&value).into_iter().collect()),
        });
        read.unwrap_or_else(|error| {
            warn!(
                name = object.name_any(),
                error, "a definition of the control plane cannot be understood; it is not offered"
            );
            Vec::new()
        })
    }
}

/// Publishes what is offered, at first and whenever it changes. What was known is kept while the control plane is away.
/// Never returns.
pub(super) async fn follow(upstream: &Upstream, publish: watch::Sender<Option<Offers>>) {
    let mut generation = upstream.generation();
    let mut from = From::Xrds;
    let mut told = false;
    loop {
        generation.mark_unchanged();
        tokio::select! {
            () = watch_definitions(upstream, from, &publish) => {
                match from {
                    From::Xrds if !told => warn!(
                        "no right to read CompositeResourceDefinitions in the control plane; reading \
                         CustomResourceDefinitions instead"
                    ),
                    From::Crds if !told => {
                        told = true;
                        warn!(
                            "cannot read what the control plane offers: grant get, list and watch on \
                             compositeresourcedefinitions.apiextensions.crossplane.io"
                        );
                    }
                    From::Xrds | From::Crds => {}
                }
                if from == From::Crds {
                    // Neither may be read; perhaps somebody grants the right.
                    tokio::time::sleep(REFUSED_PAUSE).await;
                }
                from = from.other();
            }
            // Another kubeconfig is in force, perhaps with other rights.
            Ok(()) = generation.changed() => (from, told) = (From::Xrds, false),
        }
    }
}

/// Watches definitions until it turns out that they may not be read.
async fn watch_definitions(upstream: &Upstream, from: From, publish: &watch::Sender<Option<Offers>>) {
    let api = Api::<DynamicObject>::all_with(upstream.client(), &from.resource());
    let mut events = std::pin::pin!(crate::watch::with_backoff(watcher(api, watcher::Config::default())));
    let mut known: BTreeMap<String, Vec<Offered>> = BTreeMap::new();
    let mut listing: Option<BTreeMap<String, Vec<Offered>>> = None;
    let mut told = String::new();
    while let Some(event) = events.next().await {
        match event {
            // Only the announcement of a list: nothing has been heard yet.
            Ok(watcher::Event::Init) => listing = Some(BTreeMap::new()),
            Ok(event) => {
                upstream.observe(None);
                told.clear();
                match event {
                    watcher::Event::Init => {}
                    watcher::Event::InitApply(object) => {
                        let offers = from.offers(&object);
                        listing.get_or_insert_default().insert(object.name_any(), offers);
                        continue;
                    }
                    watcher::Event::InitDone => known = listing.take().unwrap_or_default(),
                    watcher::Event::Apply(object) => {
                        known.insert(object.name_any(), from.offers(&object));
                    }
                    watcher::Event::Delete(object) => {
                        known.remove(&object.name_any());
                    }
                }
                if listing.is_none() {
                    publish_changes(known.values().flatten().cloned().collect(), publish);
                }
            }
            Err(error) => match crate::watch::code(&error) {
                Some(403) => return,
                Some(code) => {
                    let text = Chain(&error).to_string();
                    if told != text {
                        warn!(
                            code,
                            error = text,
                            "cannot read what the control plane offers{}",
                            hint(upstream, from, code)
                        );
                        told = text;
                    }
                }
                None => upstream.observe(Some(&error)),
            },
        }
    }
}

fn publish_changes(offers: Offers, publish: &watch::Sender<Option<Offers>>) {
    publish.send_if_modified(|published| {
        let changed = published.as_ref() != Some(&offers);
        if changed {
            let list: Vec<String> =
                offers.iter().map(|offered| format!("{}.{}", offered.plural, offered.group)).collect();
            info!(offered = list.len(), apis = list.join(" "), "the control plane's offer was read");
            *published = Some(offers);
        }
        changed
    });
}

fn hint(upstream: &Upstream, from: From, code: u16) -> &'static str {
    match (from, code) {
        (_, 401) if upstream.has_expired() => {
            ": the credential in the control plane's kubeconfig is not accepted, since it has expired; renew it"
        }
        (_, 401) => ": the credential in the control plane's kubeconfig is not accepted; renew it",
        (From::Xrds, 404) => ": is Crossplane installed there?",
        _ => "",
    }
}
