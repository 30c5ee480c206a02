//! Removes a connector. Claims stay in the control plane, unless they are asked to go.
//!
//! [`Uninstall::look`] finds what there is and writes nothing; then [`Removal::remove_apis`], if wanted
//! [`Removal::delete_claims`], and [`Removal::remove_rest`], in this order: as long as the APIs are there somebody can make
//! claims, and an API without its connector is in everybody's way.

mod account;
mod claims;
mod error;
mod look;

use std::time::Duration;

use connector_core::origin::name_label;
use kube::Client;
use kube::core::GroupVersionKind;
use tokio::time::Instant;

use crate::access::Access;
use crate::ask::ask;
use crate::cluster::{Change, Cluster, Selected};
use crate::control_plane::account::Account;
use crate::install::preflight::SERVICE_LABEL;
use crate::install::{Target, prune};
use crate::installed::ReleaseName;
use crate::labels;
use crate::progress::{Event, Tell};

pub use claims::{Claims, OfKind};
pub use error::UninstallError;

/// How long the front may take to forget the APIs; it looks again within a second or two.
const FORGET: Duration = Duration::from_secs(60);
/// How often it is looked.
const PAUSE: Duration = Duration::from_millis(500);
const RBAC: &str = "rbac.authorization.k8s.io";

/// What to remove.
#[derive(Clone, Debug)]
pub struct Uninstall {
    /// The app cluster.
    pub app: Access,
    /// The namespace of the install.
    pub namespace: String,
    /// Its name.
    pub release: String,
    /// How the control plane is reached with the right to delete the account. Default: by a context of `contexts` that has the
    /// same URL as the connector's kubeconfig.
    pub control_plane: Option<Target>,
    /// Where such a context is looked for.
    pub contexts: Access,
}

/// What was found.
pub struct Removal {
    app: Cluster,
    namespace: String,
    release: String,
    /// The control plane by a credential that may delete the account.
    admin: Option<Cluster>,
    /// The control plane by any credential.
    control_plane: Result<Client, String>,
    /// Where it is, if that is known.
    server: Option<String>,
    cluster_id: Option<String>,
    claim_namespace: Option<String>,
    account: Option<Account>,
    claims: Result<Claims, String>,
    /// The UID of the app cluster that has the account and the claims by now.
    heir: Option<String>,
}

/// What could not be removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remains {
    /// The ServiceAccount in the control plane, as `namespace/name`, which is still there with its rights.
    pub account: String,
    /// The UID of the app cluster that uses it by now, if that is why.
    pub heir: Option<String>,
    /// The commands that delete it, for who may; none where it has an heir.
    pub commands: Vec<String>,
}

impl Removal {
    /// How many claims of this cluster there are, or why that is not known.
    ///
    /// # Errors
    /// The control plane cannot be asked.
    pub fn claims(&self) -> Result<&Claims, &str> {
        self.claims.as_ref().map_err(String::as_str)
    }

    /// The cluster id in force, if it is known.
    pub fn cluster_id(&self) -> Option<&str> {
        self.cluster_id.as_deref()
    }

    /// The claim namespace, if it is known.
    pub fn claim_namespace(&self) -> Option<&str> {
        self.claim_namespace.as_deref()
    }

    /// The UID of the app cluster that has the cluster id, the account and the claims by now, as after a move. None where they are
    /// still this cluster's, or nobody may look.
    pub fn heir(&self) -> Option<&str> {
        self.heir.as_deref()
    }

    /// The URL of the control plane that is asked, if one is known.
    pub fn server(&self) -> Option<&str> {
        self.server.as_deref()
    }

    /// Takes the APIs out of the app cluster, and waits until its kube-apiserver has forgotten them. Before that, the right to
    /// put them back is taken from the connector, which still runs.
    ///
    /// # Errors
    /// The app cluster refused, or does not forget them.
    pub async fn remove_apis(&self, tell: Tell<'_>) -> Result<(), UninstallError> {
        let bindings = GroupVersionKind::gvk(RBAC, "v1", "ClusterRoleBinding");
        let registrar = format!("{}-registrar", self.release);
        let ours = self.app.select(&bindings, &labels::of_release(&self.release)).await?;
        for binding in ours.iter().filter(|binding| binding.name.name == registrar) {
            delete(&self.app, binding, tell).await?;
        }
        let kind = GroupVersionKind::gvk("apiregistration.k8s.io", "v1", "APIService");
        let service = name_label(&format!("{}.{}", self.namespace, self.release)).into_owned();
        let selector = format!("{SERVICE_LABEL}={service}");
        let end = Instant::now() + FORGET;
        let mut gone: Vec<String> = Vec::new();
        let mut told = false;
        loop {
            // Again, since the connector may have put one back before the authorizer knew.
            let there = self.app.select(&kind, &selector).await?;
            for api_service in &there {
                delete(&self.app, api_service, tell).await?;
                gone.push(api_service.name.name.clone());
            }
            let known = self.known(&gone).await?;
            if there.is_empty() && known.is_empty() {
                return Ok(());
            }
            if Instant::now() >= end {
                let there = there.into_iter().map(|api_service| api_service.name.name);
                return Err(UninstallError::NotForgotten { apis: there.chain(known).collect() });
            }
            if !told && !known.is_empty() {
                told = true;
                tell(Event::Waiting { what: "the app cluster still knows the APIs".to_owned() });
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Which of some APIServices the discovery of the app cluster still has.
    async fn known(&self, api_services: &[String]) -> Result<Vec<String>, UninstallError> {
        let groups =
            ask(self.app.client.list_api_groups()).await.map_err(self.app.error("read", "the list of APIs"))?;
        let known = groups
            .groups
            .iter()
            .flat_map(|group| group.versions.iter().map(|version| format!("{}.{}", version.version, group.name)));
        Ok(known.filter(|known| api_services.contains(known)).collect())
    }

    /// Deletes the claims of this cluster, and waits until they are gone.
    ///
    /// # Errors
    /// The control plane refused, or they are not gone in time.
    pub async fn delete_claims(&self, patience: Duration, tell: Tell<'_>) -> Result<(), UninstallError> {
        let (claims, client) = match (&self.claims, &self.control_plane) {
            (Ok(claims), Ok(client)) => (claims, client),
            (Err(why), _) | (_, Err(why)) => return Err(UninstallError::ClaimsUnknown { why: why.clone() }),
        };
        claims.delete(client, patience, tell).await
    }

    /// Removes what else there is in the app cluster, then the account in the control plane; tells what could not be.
    ///
    /// # Errors
    /// A cluster refused. Done again it goes on from there.
    pub async fn remove_rest(&self, tell: Tell<'_>) -> Result<Option<Remains>, UninstallError> {
        // The account goes first where that can be: what is in the app cluster tells of it, and is needed to do it again.
        let remains = match (&self.account, &self.admin) {
            (None, _) => None,
            (Some(account), _) if self.heir.is_some() => Some(Remains {
                account: format!("{}/{}", account.namespace, account.name),
                heir: self.heir.clone(),
                commands: Vec::new(),
            }),
            (Some(account), Some(admin)) => {
                self.stop(tell).await?;
                account::remove(account, admin, tell).await?;
                None
            }
            (Some(account), None) => Some(Remains {
                account: format!("{}/{}", account.namespace, account.name),
                heir: None,
                commands: account.removal(),
            }),
        };
        let release = ReleaseName { namespace: self.namespace.clone(), name: self.release.clone() };
        for object in prune::all(&self.app, &release).await? {
            delete(&self.app, &object, tell).await?;
        }
        Ok(remains)
    }

    /// Deletes the Deployment, so that nobody uses the account any more.
    async fn stop(&self, tell: Tell<'_>) -> Result<(), UninstallError> {
        let kind = GroupVersionKind::gvk("apps", "v1", "Deployment");
        let all = self.app.select(&kind, &labels::of_release(&self.release)).await?;
        for deployment in all.iter().filter(|deployment| deployment.name.namespace.as_ref() == Some(&self.namespace)) {
            delete(&self.app, deployment, tell).await?;
        }
        Ok(())
    }
}

async fn delete(cluster: &Cluster, object: &Selected, tell: Tell<'_>) -> Result<(), UninstallError> {
    let change = cluster.delete(object).await?;
    if change == Change::Deleted {
        tell(Event::Object { side: cluster.side, object: object.name.clone(), change });
    }
    Ok(())
}
