//! What lies in a control plane for app clusters: every claim and namespaced composite that has an origin, with the names that it has
//! there and in its own cluster.

mod changes;
mod stored;

use std::cmp::Ordering;

use connector_core::offer::Offered;
use connector_core::origin::{ClusterId, LABEL_CLUSTER};
use futures::{StreamExt, stream};
use k8s_openapi::jiff::Timestamp;
use kube::api::{ApiResource, ListParams};
use kube::core::GroupVersionKind;
use kube::{Api, Client};
use serde::Serialize;
use thiserror::Error;

use crate::ask::{Unanswered, ask};
use crate::offers;
pub use changes::{Change, watch};
use stored::Stored;

/// How many objects are asked for at a time, as kubectl does.
const PAGE: u32 = 500;
/// How many kinds are listed at a time. A control plane has hundreds, and little to say of most.
const AT_ONCE: usize = 8;

/// Which claims are meant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// Those of one app cluster. Default: of all.
    pub cluster: Option<ClusterId>,
    /// Those in one claim namespace of the control plane. Default: in all.
    pub claim_namespace: Option<String>,
}

impl Selection {
    fn labels(&self) -> String {
        match &self.cluster {
            Some(cluster) => format!("{LABEL_CLUSTER}={cluster}"),
            None => LABEL_CLUSTER.to_owned(),
        }
    }

    fn api(&self, control_plane: &Client, offered: &Offered) -> Api<Stored> {
        let (group, version) = (&offered.group, &offered.versions[0]);
        let resource =
            ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk(group, version, &offered.kind), &offered.plural);
        match &self.claim_namespace {
            Some(namespace) => Api::namespaced_with(control_plane.clone(), namespace, &resource),
            None => Api::all_with(control_plane.clone(), &resource),
        }
    }
}

/// One claim, or namespaced composite, of an app cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Claim {
    /// Id of the app cluster that it belongs to.
    pub cluster: String,
    /// Its namespace there.
    pub namespace: String,
    /// Its name there.
    pub name: String,
    /// Its group and version in the control plane; the preferred one.
    pub api_version: String,
    /// Its kind.
    pub kind: String,
    /// Its resource, as `kubernetesclusters.k8s.starter.org`.
    pub resource: String,
    /// Its namespace in the control plane.
    pub claim_namespace: String,
    /// Its name in the control plane.
    pub remote_name: String,
    /// The composite that a claim is bound to. `None` of one that is not bound yet, and of a namespaced composite, which is one.
    pub composite: Option<String>,
    /// Condition Synced.
    pub synced: Option<Condition>,
    /// Condition Ready.
    pub ready: Option<Condition>,
    /// When it was created.
    pub created: Option<Timestamp>,
    /// When its deletion was asked for.
    pub deleted: Option<Timestamp>,
}

/// One condition of an object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Condition {
    /// `True`, `False` or `Unknown`.
    pub status: String,
    /// Why, in one word; empty where the condition has none.
    pub reason: String,
    /// Why, for people; empty where the condition has none.
    pub message: String,
}

impl Claim {
    /// By cluster, namespace, kind and name: as people look for them.
    pub fn order(&self, other: &Self) -> Ordering {
        fn key(claim: &Claim) -> [&str; 6] {
            let Claim { cluster, namespace, kind, name, resource, claim_namespace, .. } = claim;
            [cluster, namespace, kind, name, resource, claim_namespace]
        }
        key(self).cmp(&key(other))
    }
}

/// What was listed.
#[derive(Clone, Debug, Default)]
pub struct Listing {
    /// The claims, in [`Claim::order`].
    pub claims: Vec<Claim>,
    /// The kinds that could not be listed, each with the reason.
    pub unread: Vec<Unread>,
}

/// A kind that could not be listed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Unread {
    /// Its resource, as `kubernetesclusters.k8s.starter.org`.
    pub resource: String,
    /// Why.
    pub message: String,
    /// Whether it is because of who asked.
    pub forbidden: bool,
}

/// Nothing can be said of a control plane's claims.
#[derive(Debug, Error)]
pub enum ClaimsError {
    /// It has no XRDs. The user's: another context was meant, or Crossplane is not installed yet.
    #[error(
        "this cluster has no CompositeResourceDefinitions, so it is no control plane: give its context with --context, or install Crossplane there"
    )]
    NoCrossplane,
    /// What it offers cannot be read.
    #[error("what the control plane offers cannot be read: {0}")]
    Offers(#[source] Unanswered),
}

async fn offered(control_plane: &Client) -> Result<Vec<Offered>, ClaimsError> {
    match offers::of(control_plane).await {
        Ok(offers) => Ok(offers.iter().cloned().collect()),
        Err(refused) if refused.code() == Some(404) => Err(ClaimsError::NoCrossplane),
        Err(error) => Err(ClaimsError::Offers(error)),
    }
}

/// Lists claims of all kinds that the control plane offers, page by page. Of each only a row is kept.
///
/// # Errors
/// See [`ClaimsError`]. A kind that cannot be listed is no error, but told in [`Listing::unread`].
pub async fn list(control_plane: &Client, selection: &Selection) -> Result<Listing, ClaimsError> {
    let offered = offered(control_plane).await?;
    let kinds = stream::iter(offered.iter().map(|offered| async move {
        (offered, list_kind(&selection.api(control_plane, offered), offered, selection).await)
    }));
    let mut kinds = std::pin::pin!(kinds.buffered(AT_ONCE));
    let mut listing = Listing::default();
    while let Some((offered, listed)) = kinds.next().await {
        match listed {
            Ok(claims) => listing.claims.extend(claims),
            Err(error) => listing.unread.push(Unread {
                resource: resource(offered),
                message: error.to_string(),
                forbidden: error.is_forbidden(),
            }),
        }
    }
    listing.claims.sort_by(Claim::order);
    Ok(listing)
}

async fn list_kind(api: &Api<Stored>, offered: &Offered, selection: &Selection) -> Result<Vec<Claim>, Unanswered> {
    let mut claims = Vec::new();
    let mut page = ListParams::default().labels(&selection.labels()).limit(PAGE);
    loop {
        let list = ask(api.list(&page)).await?;
        claims.extend(list.items.iter().filter_map(|stored| stored.claim(offered)));
        match list.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => page = page.continue_token(&token),
            None => return Ok(claims),
        }
    }
}

fn resource(offered: &Offered) -> String {
    format!("{}.{}", offered.plural, offered.group)
}
