//! The account in the control plane, removed.

use k8s_openapi::api::rbac::v1::ClusterRoleBinding;
use kube::Api;
use kube::api::ListParams;
use kube::core::GroupVersionKind;

use super::{RBAC, UninstallError, delete};
use crate::ask::ask;
use crate::cluster::{Cluster, Name, Selected};
use crate::control_plane::account::{Account, CLAIMS_ROLE, OFFERS_ROLE};
use crate::labels;
use crate::progress::Tell;

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

/// The commands that do the same, for who may.
pub(super) fn commands(account: &Account) -> Vec<String> {
    let Account { namespace, name } = account;
    vec![
        format!("kubectl delete rolebinding -n {namespace} {name} {}", account.claims_binding()),
        format!("kubectl delete role,serviceaccount -n {namespace} {name}"),
        format!("kubectl delete clusterrolebinding {}", account.offers_binding()),
    ]
}
