//! What an install left behind: objects of its labels that it does not consist of any more.

use std::collections::BTreeSet;

use kube::core::GroupVersionKind;
use serde_json::Value;

use crate::cluster::{Cluster, Name, Selected, WriteError, kind_of};
use crate::installed::ReleaseName;
use crate::labels;
use crate::manifests::authentication_reader;

/// All kinds that an install can consist of, in the order in which they are deleted.
pub(crate) const KINDS: [(&str, &str, &str); 13] = [
    ("apps", "v1", "Deployment"),
    ("policy", "v1", "PodDisruptionBudget"),
    ("networking.k8s.io", "v1", "NetworkPolicy"),
    ("", "v1", "Service"),
    ("monitoring.coreos.com", "v1", "ServiceMonitor"),
    ("monitoring.coreos.com", "v1", "PrometheusRule"),
    ("rbac.authorization.k8s.io", "v1", "RoleBinding"),
    ("rbac.authorization.k8s.io", "v1", "Role"),
    ("rbac.authorization.k8s.io", "v1", "ClusterRoleBinding"),
    ("rbac.authorization.k8s.io", "v1", "ClusterRole"),
    ("", "v1", "ConfigMap"),
    ("", "v1", "Secret"),
    ("", "v1", "ServiceAccount"),
];

/// Everything of a release, as it is in the cluster. What lies in the namespace of another install is that one's, though its
/// release may have the same name.
pub(crate) async fn all(app: &Cluster, release: &ReleaseName) -> Result<Vec<Selected>, WriteError> {
    let selector = labels::of_release(&release.name);
    let reader = authentication_reader(&release.name);
    let is_its = |object: &Selected| {
        let Name { namespace, name, .. } = &object.name;
        namespace.as_ref().is_none_or(|at| *at == release.namespace) || *name == reader
    };
    let mut found = Vec::new();
    for (group, version, kind) in KINDS {
        let of_kind = app.select(&GroupVersionKind::gvk(group, version, kind), &selector).await?;
        found.extend(of_kind.into_iter().filter(is_its));
    }
    Ok(found)
}

/// What of a release is there and not among `kept`.
pub(super) async fn leftover(
    app: &Cluster,
    release: &ReleaseName,
    kept: &[Value],
) -> Result<Vec<Selected>, WriteError> {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let kept: BTreeSet<_> = kept
        .iter()
        .map(|object| {
            let kind = kind_of(object);
            let metadata = &object["metadata"];
            (kind.group, kind.kind, text(&metadata["namespace"]), text(&metadata["name"]).unwrap_or_default())
        })
        .collect();
    let all = all(app, release).await?;
    let is_left = |object: &Selected| {
        let Selected { name, resource } = object;
        let identity = (resource.group.clone(), resource.kind.clone(), name.namespace.clone(), name.name.clone());
        !kept.contains(&identity)
    };
    Ok(all.into_iter().filter(is_left).collect())
}
