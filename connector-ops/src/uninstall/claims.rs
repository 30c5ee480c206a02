//! The claims of one cluster in the control plane: counted, and deleted.

use std::time::Duration;

use connector_core::origin::LABEL_CLUSTER;
use kube::api::{ApiResource, DeleteParams, DynamicObject, ListParams};
use kube::{Api, Client};
use tokio::time::Instant;

use super::{PAUSE, UninstallError};
use crate::ask::{Unanswered, ask};
use crate::offers;
use crate::progress::{Event, Tell};

/// How many objects are asked for at a time. Only their metadata come.
const PAGE: u32 = 500;

/// What one cluster has in the control plane.
#[derive(Clone, Debug)]
pub struct Claims {
    namespace: String,
    selector: String,
    kinds: Vec<OfKind>,
}

/// Objects of one kind.
#[derive(Clone, Debug)]
pub struct OfKind {
    /// The resource, as `databases.example.org`.
    pub resource: String,
    /// How many there are; never 0.
    pub count: usize,
    api: ApiResource,
}

impl Claims {
    /// Counts the objects of every offered kind that have the cluster's label: those of other clusters in the same namespace have
    /// another.
    pub(super) async fn count(client: &Client, namespace: &str, cluster_id: &str) -> Result<Self, Unanswered> {
        let mut claims = Self {
            namespace: namespace.to_owned(),
            selector: format!("{LABEL_CLUSTER}={cluster_id}"),
            kinds: Vec::new(),
        };
        for offered in offers::of(client).await?.iter() {
            let Some(version) = offered.versions.first() else { continue };
            let api = ApiResource {
                group: offered.group.clone(),
                version: version.clone(),
                api_version: format!("{}/{version}", offered.group),
                kind: offered.kind.clone(),
                plural: offered.plural.clone(),
            };
            let count = claims.count_of(client, &api).await?;
            if count > 0 {
                let resource = format!("{}.{}", offered.plural, offered.group);
                claims.kinds.push(OfKind { resource, count, api });
            }
        }
        Ok(claims)
    }

    async fn count_of(&self, client: &Client, resource: &ApiResource) -> Result<usize, Unanswered> {
        let api = Api::<DynamicObject>::namespaced_with(client.clone(), &self.namespace, resource);
        let mut page = ListParams::default().labels(&self.selector).limit(PAGE);
        let mut count = 0;
        loop {
            let list = match ask(api.list_metadata(&page)).await {
                Ok(list) => list,
                // Offered, and not served: its CRD is not there yet, or gone.
                Err(missing) if missing.code() == Some(404) => return Ok(count),
                Err(error) => return Err(error),
            };
            count += list.items.len();
            match list.metadata.continue_.filter(|token| !token.is_empty()) {
                Some(token) => page = page.continue_token(&token),
                None => return Ok(count),
            }
        }
    }

    /// How many there are of each kind.
    pub fn kinds(&self) -> &[OfKind] {
        &self.kinds
    }

    /// How many there are.
    pub fn total(&self) -> usize {
        self.kinds.iter().map(|kind| kind.count).sum()
    }

    pub(super) async fn delete(
        &self,
        client: &Client,
        patience: Duration,
        tell: Tell<'_>,
    ) -> Result<(), UninstallError> {
        let list = ListParams::default().labels(&self.selector);
        let failed = |kind: &OfKind| {
            let resource = kind.resource.clone();
            move |source| UninstallError::Claims { resource, source }
        };
        for kind in &self.kinds {
            let api = Api::<DynamicObject>::namespaced_with(client.clone(), &self.namespace, &kind.api);
            ask(api.delete_collection(&DeleteParams::default(), &list)).await.map_err(failed(kind))?;
        }
        let end = Instant::now() + patience;
        let mut told = 0;
        loop {
            let mut left = 0;
            for kind in &self.kinds {
                left += self.count_of(client, &kind.api).await.map_err(failed(kind))?;
            }
            if left == 0 {
                return Ok(());
            }
            if Instant::now() >= end {
                return Err(UninstallError::ClaimsLeft { after: patience, left });
            }
            if left != told {
                told = left;
                tell(Event::Waiting { what: format!("{left} claims are being deleted in the control plane") });
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
}
