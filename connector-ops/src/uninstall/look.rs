//! What there is to remove, and whose it is. Nothing is written.

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{Namespace, Secret};
use kube::api::ListParams;
use kube::{Api, Client, ResourceExt};

use super::account::{self, Whose};
use super::{Claims, Removal, Uninstall, UninstallError};
use crate::access::Access;
use crate::ask::ask;
use crate::cluster::{Cluster, Side};
use crate::control_plane::account::Account;
use crate::control_plane::{Endpoint, EndpointError, token};
use crate::install::credential::{KEY, kubeconfig_of, secret_name, token_of};
use crate::install::{ACCOUNT, CLAIM_NAMESPACE, CLUSTER_ID, KUBE_SYSTEM, prune, target};
use crate::installed::{self, FindError, ReleaseName};
use crate::labels;
use crate::progress::{Event, Tell};

impl Uninstall {
    /// Finds what is installed, and how many claims there are. Nothing is written.
    ///
    /// # Errors
    /// See [`UninstallError`].
    pub async fn look(self, tell: Tell<'_>) -> Result<Removal, UninstallError> {
        let server = self.app.config().await?.cluster_url.to_string();
        let app = Cluster::new(Side::App, self.app.client().await?);
        let version = ask(app.client.apiserver_version()).await;
        let version = version.map_err(|source| UninstallError::Unreachable {
            side: Side::App,
            server: server.clone(),
            source,
        })?;
        tell(Event::Reached { side: Side::App, server, version: version.git_version });

        let Self { namespace, release, .. } = &self;
        let selector = format!("{}={},{}={release}", labels::NAME, labels::CONNECTOR, labels::INSTANCE);
        let deployments = Api::<Deployment>::namespaced(app.client.clone(), namespace);
        let deployment = ask(deployments.list(&ListParams::default().labels(&selector))).await;
        let deployment = deployment.map_err(app.error("list", "Deployments"))?.items.into_iter().next();
        let by = deployment.as_ref().and_then(|deployment| deployment.labels().get(labels::MANAGED_BY));
        if by.is_some_and(|by| by == labels::HELM) {
            return Err(UninstallError::InstalledByHelm { namespace: namespace.clone(), release: release.clone() });
        }
        let release_of_it = ReleaseName { namespace: namespace.clone(), name: release.clone() };
        let (installed, others) = match installed::find(&app.client, &release_of_it).await {
            Ok(installed) => (Some(installed), Vec::new()),
            Err(FindError::NotInstalled { others, .. }) => (None, others),
            Err(FindError::Unanswered { source, .. }) => return Err(app.error("list", "Deployments")(source).into()),
        };
        // Of one that was broken off, something else may be there still; but what has no namespace may be that of another one.
        let is_elsewhere = others.iter().any(|other| other.name == *release);
        if deployment.is_none() && (is_elsewhere || prune::all(&app, &release_of_it).await?.is_empty()) {
            return Err(UninstallError::NotInstalled { release: release_of_it, others });
        }
        let (name, key) = match installed.as_ref().and_then(|installed| installed.credential.clone()) {
            Some(at) => (at.secret, at.key),
            None => (secret_name(release), KEY.to_owned()),
        };
        let secrets = Api::<Secret>::namespaced(app.client.clone(), namespace);
        let secret = ask(secrets.get_opt(&name)).await.map_err(app.error("read", format!("Secret {name}")))?;
        let marks = [deployment.as_ref().map(ResourceExt::annotations), secret.as_ref().map(ResourceExt::annotations)];
        let mark = |key: &str| marks.iter().flatten().find_map(|marks| marks.get(key).cloned());
        let account = mark(ACCOUNT).zip(mark(CLAIM_NAMESPACE)).map(|(name, namespace)| Account { namespace, name });
        // What the connector runs with counts, if somebody changed that.
        let (id, at) = installed.map(|installed| (installed.cluster_id, installed.claim_namespace)).unwrap_or_default();
        let (cluster_id, claim_namespace) = (id.or(mark(CLUSTER_ID)), at.or(mark(CLAIM_NAMESPACE)));
        let kubeconfig =
            secret.as_ref().and_then(|secret| kubeconfig_of(secret, &key)).map(|(_, kubeconfig)| kubeconfig);
        let endpoint = kubeconfig.as_ref().and_then(|kubeconfig| Endpoint::of(kubeconfig, None).ok());

        let mut server = endpoint.as_ref().map(|endpoint| endpoint.server.clone());
        let (mut admin, mut heir) = (self.admin(&app.client, endpoint.as_ref()).await?, None);
        if let (Some((cluster, at)), Some(account)) = (&admin, &account) {
            let token = kubeconfig.as_ref().and_then(token_of).and_then(|token| token.claims());
            let known = account::Known {
                server: server.as_deref(),
                uid: token.as_ref().map(token::Claims::account_uid),
                cluster: uid_of(&app.client).await,
            };
            match account::whose(account, cluster, at, &known).await {
                Ok(Whose::This) => {}
                Ok(Whose::Another(uid)) => heir = Some(uid),
                // Somebody else's context that happens to lead there.
                Err(UninstallError::Write(error)) if self.control_plane.is_none() && error.source.is_forbidden() => {
                    admin = None;
                }
                Err(error) => return Err(error),
            }
        }
        let (admin, control_plane) = match (admin, &kubeconfig) {
            (Some((admin, at)), _) => {
                server = Some(at);
                let client = admin.client.clone();
                (Some(admin), Ok(client))
            }
            // The connector's own credential may at least count, and delete claims.
            (None, Some(kubeconfig)) => (None, target::client_of_secret(kubeconfig).await),
            (None, None) => (None, Err("no context of the kubeconfig leads to it".to_owned())),
        };
        let claims = match (&control_plane, &claim_namespace, &cluster_id) {
            _ if heir.is_some() => Err("they are those of another app cluster by now".to_owned()),
            (Ok(client), Some(namespace), Some(id)) => {
                Claims::count(client, namespace, id).await.map_err(|why| why.to_string())
            }
            (Err(why), ..) => Err(why.clone()),
            _ => Err("it is not known where they are".to_owned()),
        };
        Ok(Removal {
            app,
            namespace: self.namespace,
            release: self.release,
            admin,
            control_plane,
            server,
            cluster_id,
            claim_namespace,
            account,
            claims,
            heir,
        })
    }

    /// The control plane by a credential that may delete the account, and its URL.
    async fn admin(
        &self,
        app: &Client,
        endpoint: Option<&Endpoint>,
    ) -> Result<Option<(Cluster, String)>, UninstallError> {
        if let Some(target) = &self.control_plane {
            let found = target.find(app, &self.namespace).await?;
            let (server, client) = (found.endpoint.server, found.client.map_err(UninstallError::Client)?);
            return match ask(client.apiserver_version()).await {
                Ok(_) => Ok(Some((Cluster::new(Side::ControlPlane, client), server))),
                Err(source) => Err(UninstallError::Unreachable { side: Side::ControlPlane, server, source }),
            };
        }
        let (Some(endpoint), Ok(kubeconfig)) = (endpoint, self.contexts.read()) else { return Ok(None) };
        let leads_there = |name: &str| {
            let found: Result<Endpoint, EndpointError> = Endpoint::of(&kubeconfig, Some(name));
            found.is_ok_and(|found| is_same(&found.server, &endpoint.server))
        };
        let Some(context) = kubeconfig.contexts.iter().find(|context| leads_there(&context.name)) else {
            return Ok(None);
        };
        let access = Access { context: Some(context.name.clone()), ..self.contexts.clone() };
        // One that cannot be used here is none.
        let Ok(client) = access.client().await else { return Ok(None) };
        let reached = ask(client.apiserver_version()).await.is_ok();
        Ok(reached.then(|| (Cluster::new(Side::ControlPlane, client), endpoint.server.clone())))
    }
}

/// Whether two URLs are one.
pub(super) fn is_same(one: &str, other: &str) -> bool {
    one.trim_end_matches('/') == other.trim_end_matches('/')
}

/// The UID of a cluster, if it is to be had.
async fn uid_of(cluster: &Client) -> Option<String> {
    ask(Api::<Namespace>::all(cluster.clone()).get_metadata_opt(KUBE_SYSTEM)).await.ok().flatten()?.uid()
}
