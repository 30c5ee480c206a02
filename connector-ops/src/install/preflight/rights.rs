//! Rights: those that an install needs of who does it, and those that the connector needs.

use connector_core::offer::Offers;
use futures::StreamExt;
use kube::Client;

use super::AT_ONCE;
use crate::ask::Unanswered;
use crate::review::{attributes, may_i};

/// One right: verb, group, resource, namespace. `None` as namespace means everywhere.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Right<'a> {
    pub(crate) verb: &'static str,
    pub(crate) group: &'a str,
    pub(crate) resource: &'a str,
    pub(crate) namespace: Option<&'a str>,
}

impl Right<'_> {
    /// What it is a right to, without the verb.
    fn object(&self) -> String {
        let group = if self.group.is_empty() { String::new() } else { format!(".{}", self.group) };
        let namespace = self.namespace.map(|namespace| format!(" in namespace {namespace}")).unwrap_or_default();
        format!("{}{group}{namespace}", self.resource)
    }
}

/// Whether who asks has a right.
pub(in crate::install) async fn may(client: &Client, right: &Right<'_>) -> Result<bool, Unanswered> {
    may_i(client, attributes(right.verb, right.group, right.resource, right.namespace)).await
}

/// Those of the rights that are missing; the verbs of one resource are told together.
pub(in crate::install) async fn missing(client: &Client, rights: &[Right<'_>]) -> Result<Vec<String>, Unanswered> {
    let asked = futures::stream::iter(rights).map(|right| async move { Ok((right, may(client, right).await?)) });
    let answers: Vec<Result<_, Unanswered>> = asked.buffered(AT_ONCE).collect().await;
    let mut lacking = Vec::new();
    for answer in answers {
        let (right, has) = answer?;
        if !has {
            lacking.push(right);
        }
    }
    Ok(together(&lacking))
}

fn together(rights: &[&Right<'_>]) -> Vec<String> {
    let mut lines: Vec<(String, Vec<&str>)> = Vec::new();
    for right in rights {
        let of = right.object();
        match lines.iter_mut().find(|(known, _)| *known == of) {
            Some((_, verbs)) => verbs.push(right.verb),
            None => lines.push((of, vec![right.verb])),
        }
    }
    lines.into_iter().map(|(of, verbs)| format!("{} {of}", verbs.join(", "))).collect()
}

/// What it takes to write everything of an app cluster.
pub(crate) fn app_rights(namespace: &str) -> Vec<Right<'_>> {
    const NAMESPACED: [(&str, &str); 7] = [
        ("", "secrets"),
        ("", "serviceaccounts"),
        ("", "services"),
        ("apps", "deployments"),
        ("policy", "poddisruptionbudgets"),
        ("rbac.authorization.k8s.io", "roles"),
        ("rbac.authorization.k8s.io", "rolebindings"),
    ];
    const CLUSTER: [(&str, &str); 2] =
        [("rbac.authorization.k8s.io", "clusterroles"), ("rbac.authorization.k8s.io", "clusterrolebindings")];
    let namespaced = NAMESPACED.map(|(group, resource)| (group, resource, Some(namespace)));
    let cluster = CLUSTER.map(|(group, resource)| (group, resource, None));
    let all = namespaced.into_iter().chain(cluster).flat_map(|(group, resource, namespace)| {
        ["create", "patch", "delete"].map(|verb| Right { verb, group, resource, namespace })
    });
    all.collect()
}

/// What it takes to make an account in a control plane; in any namespace, where none is chosen yet.
pub(crate) fn control_plane_rights(claim_namespace: Option<&str>, creates_namespace: bool) -> Vec<Right<'_>> {
    const RBAC: &str = "rbac.authorization.k8s.io";
    let namespaced = [("", "serviceaccounts"), (RBAC, "roles"), (RBAC, "rolebindings")];
    let cluster = [(RBAC, "clusterroles"), (RBAC, "clusterrolebindings")];
    let mut all = Vec::new();
    for verb in ["create", "patch"] {
        all.extend(namespaced.map(|(group, resource)| Right { verb, group, resource, namespace: claim_namespace }));
        all.extend(cluster.map(|(group, resource)| Right { verb, group, resource, namespace: None }));
    }
    let token = "serviceaccounts/token";
    all.push(Right { verb: "create", group: "", resource: token, namespace: claim_namespace });
    if creates_namespace {
        all.push(Right { verb: "create", group: "", resource: "namespaces", namespace: None });
    }
    all
}

/// What a connector needs of every API that is offered, and to know what is; asked of a credential that somebody else made.
pub(in crate::install) fn connector_rights<'a>(offers: &'a Offers, claim_namespace: &'a str) -> Vec<Right<'a>> {
    let of_offers = offers.iter().flat_map(|offered| {
        let (group, resource) = (offered.group.as_str(), offered.plural.as_str());
        ["watch", "create", "deletecollection"].map(|verb| Right {
            verb,
            group,
            resource,
            namespace: Some(claim_namespace),
        })
    });
    of_offers.collect()
}

/// The right to write a ClusterRole that aggregates others: all of them (`kubernetes/pkg/registry/rbac/clusterrole/policybased`).
pub(in crate::install) const EVERYTHING: Right<'static> =
    Right { verb: "*", group: "*", resource: "*", namespace: None };

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rights_are_named_as_people_grant_them() {
        let right = |verb| Right { verb, group: "apps", resource: "deployments", namespace: Some("kube-system") };
        let other = Right { verb: "list", group: "", resource: "nodes", namespace: None };
        let told = together(&[&right("create"), &other, &right("patch")]);
        assert_eq!(told, ["create, patch deployments.apps in namespace kube-system", "list nodes"]);
    }
}
