//! What owns the objects that the connector makes by itself in the app cluster: they go with its installation, however that goes.
//!
//! A ClusterRole does, since it is cluster-scoped as APIServices are, and belongs to every installation. The garbage collector
//! deletes what it owns when it is gone.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use k8s_openapi::api::rbac::v1::ClusterRole;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::Api;
use kube::api::ObjectMeta;
use thiserror::Error;
use tracing::error;

use crate::chain::Chain;

const KIND: &str = "ClusterRole";
const API_VERSION: &str = "rbac.authorization.k8s.io/v1";
/// How often it is looked for: it has another UID when somebody made it anew.
const INTERVAL: Duration = Duration::from_secs(60);

/// The ClusterRole that owns what the connector makes, where one is configured.
pub(crate) struct Owner {
    role: Option<(Api<ClusterRole>, String)>,
    /// As it was seen last. Kept when it is gone: what names a former owner is collected, too.
    seen: ArcSwapOption<OwnerReference>,
}

/// The owner is not known. The configuration or a missing right of the connector is at fault.
#[derive(Debug, Error)]
pub(crate) enum OwnerError {
    #[error("ClusterRole {0} of --owner does not exist in the app cluster: create it, or name another one")]
    Missing(String),
    #[error("ClusterRole {0} of --owner cannot be read in the app cluster: grant get on it")]
    Read(String, #[source] kube::Error),
}

impl Owner {
    /// `name` is the ClusterRole's; without one nothing is owned.
    pub(crate) fn new(app_cluster: kube::Client, name: Option<String>) -> Arc<Self> {
        let role = name.map(|name| (Api::all(app_cluster), name));
        Arc::new(Self { role, seen: ArcSwapOption::empty() })
    }

    /// Looks for it.
    pub(crate) async fn read(&self) -> Result<(), OwnerError> {
        let Some((roles, name)) = &self.role else { return Ok(()) };
        let read = roles.get_metadata_opt(name).await.map_err(|error| OwnerError::Read(name.clone(), error))?;
        let uid = read.and_then(|role| role.metadata.uid).ok_or_else(|| OwnerError::Missing(name.clone()))?;
        if self.seen.load().as_ref().is_none_or(|seen| seen.uid != uid) {
            // Nobody waits for its dependents: neither is it their controller, nor does it stay for their sake.
            self.seen.store(Some(Arc::new(OwnerReference {
                api_version: API_VERSION.to_owned(),
                kind: KIND.to_owned(),
                name: name.clone(),
                uid,
                ..OwnerReference::default()
            })));
        }
        Ok(())
    }

    /// Looks for it again and again, and complains once. Never returns.
    pub(crate) async fn follow(&self) {
        let mut complained = false;
        loop {
            match self.read().await {
                Ok(()) => complained = false,
                Err(error) if !complained => {
                    complained = true;
                    error!(error = %Chain(&error), "what the connector makes in the app cluster cannot be given its owner");
                }
                Err(_) => {}
            }
            tokio::time::sleep(INTERVAL).await;
        }
    }

    /// Makes it an owner of an object, in the place of one of the same name that is gone; whether that changed anything.
    pub(crate) fn mark(&self, metadata: &mut ObjectMeta) -> bool {
        let Some(owner) = self.seen.load_full() else { return false };
        let owners = metadata.owner_references.get_or_insert_default();
        if owners.contains(&owner) {
            return false;
        }
        owners.retain(|other| (&other.kind, &other.name) != (&owner.kind, &owner.name));
        owners.push((*owner).clone());
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reference(kind: &str, uid: &str) -> OwnerReference {
        let (api_version, name) = (API_VERSION.to_owned(), "connector-registrar".to_owned());
        OwnerReference { api_version, kind: kind.to_owned(), name, uid: uid.to_owned(), ..OwnerReference::default() }
    }

    #[test]
    fn the_owner_of_before_makes_room_and_others_stay() {
        let owner = Owner { role: None, seen: ArcSwapOption::empty() };
        let mut metadata = ObjectMeta::default();
        assert!(!owner.mark(&mut metadata) && metadata.owner_references.is_none(), "none is configured");
        owner.seen.store(Some(Arc::new(reference(KIND, "2"))));
        metadata.owner_references = Some(vec![reference(KIND, "1"), reference("Application", "3")]);
        assert!(owner.mark(&mut metadata));
        assert_eq!(metadata.owner_references, Some(vec![reference("Application", "3"), reference(KIND, "2")]));
        assert!(!owner.mark(&mut metadata), "it is marked already");
    }
}
