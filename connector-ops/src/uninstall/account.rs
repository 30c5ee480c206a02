//! The account in the control plane: whose it is, and how it is removed.

use k8s_openapi::api::core::v1::ServiceAccount;
use k8s_openapi::api::rbac::v1::ClusterRoleBinding;
use kube::api::ListParams;
use kube::core::GroupVersionKind;
use kube::{Api, ResourceExt};

use super::look::is_same;
use super::{RBAC, UninstallError, delete};
use crate::ask::ask;
use crate::cluster::{Cluster, Name, Selected};
use crate::control_plane::account::{Account, CLAIMS_ROLE, CLUSTER_UID, OFFERS_ROLE};
use crate::labels;
use crate::progress::Tell;

/// What the app cluster knows of the account of its connector.
pub(super) struct Known<'a> {
    /// The control plane's URL, as the connector has it.
    pub(super) server: Option<&'a str>,
    /// The account's UID, by the connector's token.
    pub(super) uid: Option<&'a str>,
    /// The UID of the app cluster.
    pub(super) cluster: Option<String>,
}

/// Whose account it is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Whose {
    /// This app cluster's, or it is gone.
    This,
    /// That of the app cluster with this UID: it was installed there later, with the same cluster id and claim namespace.
    Another(String),
}

/// Looks whose account the control plane at `server` has.
///
/// # Errors
/// It is another control plane, or does not say.
pub(super) async fn whose(
    account: &Account,
    control_plane: &Cluster,
    server: &str,
    known: &Known<'_>,
) -> Result<Whose, UninstallError> {
    let Account { namespace, name } = account;
    let accounts = Api::<ServiceAccount>::namespaced(control_plane.client.clone(), namespace);
    let there = ask(accounts.get_metadata_opt(name)).await;
    let there = there.map_err(control_plane.error("read", format!("ServiceAccount {namespace}/{name}")))?;
    // One control plane can have several URLs. A name is no proof: app clusters can have one id in several control planes.
    let is_known = known.server.is_some_and(|known| is_same(known, server));
    let is_its = there.as_ref().is_some_and(|there| known.uid.is_none_or(|uid| there.uid().as_deref() == Some(uid)));
    if !is_known && !is_its {
        let (server, account) = (server.to_owned(), format!("{namespace}/{name}"));
        return Err(UninstallError::OtherControlPlane { server, account });
    }
    let cluster = there.as_ref().and_then(|there| there.annotations().get(CLUSTER_UID));
    Ok(match (cluster, &known.cluster) {
        (Some(other), Some(own)) if other != own => Whose::Another(other.clone()),
        _ => Whose::This,
    })
}

/// What an account consists of, in the order in which it is deleted: kind, whether it is namespaced, name.
fn parts(account: &Account) -> [(&'static str, &'static str, bool, String); 5] {
    [
        (RBAC, "RoleBinding", true, account.name.clone()),
        (RBAC, "RoleBinding", true, account.claims_binding()),
        (RBAC, "ClusterRoleBinding", false, account.offers_binding()),
        (RBAC, "Role", true, account.name.clone()),
        ("", "ServiceAccount", true, account.name.clone()),
    ]
}

/// Deletes an account with its rights.
pub(super) async fn remove(account: &Account, admin: &Cluster, tell: Tell<'_>) -> Result<(), UninstallError> {
    for (group, kind, is_namespaced, name) in parts(account) {
        let namespace = is_namespaced.then(|| account.namespace.clone());
        delete(admin, &selected(group, kind, namespace, name), tell).await?;
    }
    // The ClusterRoles are shared; the last one to go takes them along.
    let bindings = Api::<ClusterRoleBinding>::all(admin.client.clone());
    let others =
        ask(bindings.list(&ListParams::default())).await.map_err(admin.error("list", "ClusterRoleBindings"))?;
    if others.items.iter().any(|binding| binding.role_ref.name == OFFERS_ROLE) {
        return Ok(());
    }
    let kind = GroupVersionKind::gvk(RBAC, "v1", "ClusterRole");
    let selector = format!("{}={},{}={}", labels::NAME, labels::CONNECTOR, labels::MANAGED_BY, labels::PLUGIN);
    for role in admin.select(&kind, &selector).await? {
        if [OFFERS_ROLE, CLAIMS_ROLE].contains(&role.name.name.as_str()) {
            delete(admin, &role, tell).await?;
        }
    }
    Ok(())
}

fn selected(group: &str, kind: &str, namespace: Option<String>, name: String) -> Selected {
    let resource = kube::api::ApiResource::from_gvk(&GroupVersionKind::gvk(group, "v1", kind));
    let dotted = if group.is_empty() { String::new() } else { format!(".{group}") };
    Selected { name: Name { resource: format!("{}{dotted}", kind.to_lowercase()), namespace, name }, resource }
}
