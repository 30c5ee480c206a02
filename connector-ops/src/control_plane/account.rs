//! Who the connector of one app cluster is in the control plane, and what it may do there: as little as it needs.
//!
//! New XRDs must not need anybody to grant anything. Crossplane's RBAC manager renders a ClusterRole for each XRD that gives its
//! claims and composites, and labels it for aggregation; a ClusterRole of ours aggregates just those and is bound in the claim
//! namespace only. The labels are two, and nothing else has both: Crossplane's own base roles, which give Secrets, have one of
//! them, and so have the roles of providers (`crossplane/internal/controller/rbac`).

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use connector_core::offer::Offers;
use connector_core::origin::ClusterId;
use k8s_openapi::api::rbac::v1::{ClusterRole, PolicyRule};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::labels;

/// The longest name of a ServiceAccount that is made of a cluster id whole, so that it fits a label.
const LONGEST: usize = 63;
/// ClusterRole, shared by all connectors of the control plane: see what is offered.
pub(crate) const OFFERS_ROLE: &str = "connector-offers";
/// ClusterRole, shared likewise: everything with claims and namespaced composites, of all XRDs. It is bound in claim namespaces.
pub(crate) const CLAIMS_ROLE: &str = "connector-claims";
/// The labels by which the ClusterRoles of XRDs are known.
const OF_XRDS: [&str; 2] = ["rbac.crossplane.io/aggregate-to-edit", "rbac.crossplane.io/aggregate-to-ns-edit"];
/// Annotation of the ServiceAccount: what people call the app cluster.
pub(crate) const CLUSTER_NAME: &str = "mcp-connector.upbound.io/cluster-name";
/// Annotation of the ServiceAccount: the UID of the app cluster's `kube-system`, so that two clusters with one id are noticed.
pub(crate) const CLUSTER_UID: &str = "mcp-connector.upbound.io/app-cluster-uid";
const VERBS: [&str; 8] = ["get", "list", "watch", "create", "update", "patch", "delete", "deletecollection"];

/// The ServiceAccount of one app cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Account {
    /// The claim namespace.
    pub(crate) namespace: String,
    pub(crate) name: String,
}

/// What the account may do, beyond what is always the same.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Rights {
    /// Whether what the RBAC manager renders for XRDs is bound.
    pub(crate) aggregated: bool,
    /// Groups that are given by name: those that it does not give.
    pub(crate) groups: BTreeSet<String>,
    /// Groups with `scale`, which it never gives.
    pub(crate) scaled: BTreeSet<String>,
    /// Whether copies of input Secrets are kept in the claim namespace.
    pub(crate) input_secrets: bool,
}

impl Account {
    /// The account of a cluster.
    pub(crate) fn of(cluster: &ClusterId, claim_namespace: &str) -> Self {
        let id = cluster.as_str();
        let whole = format!("connector-{id}");
        let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        let is_label = whole.len() <= LONGEST && whole.bytes().all(inner) && !whole.ends_with('-');
        let name = if is_label {
            whole
        } else {
            let hash = Sha256::digest(id.as_bytes());
            let hex: String = hash.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
            format!("connector-{hex}")
        };
        Self { namespace: claim_namespace.to_owned(), name }
    }

    /// The ServiceAccount, and its rights.
    pub(crate) fn objects(&self, annotations: &Value, rights: &Rights) -> Vec<Value> {
        let Self { namespace, name } = self;
        let labels = labels::of_control_plane();
        let subject = json!([{ "kind": "ServiceAccount", "name": name, "namespace": namespace }]);
        let role =
            |kind: &str, name: &str| json!({ "apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": name });
        let rbac = |kind: &str, metadata: Value, rest: Value| {
            let mut object =
                json!({ "apiVersion": "rbac.authorization.k8s.io/v1", "kind": kind, "metadata": metadata });
            if let (Some(object), Value::Object(rest)) = (object.as_object_mut(), rest) {
                object.extend(rest);
            }
            object
        };
        let mut objects = vec![
            json!({
                "apiVersion": "v1", "kind": "ServiceAccount",
                "metadata": { "name": name, "namespace": namespace, "labels": labels, "annotations": annotations },
                // It is used from outside; no Pod needs it.
                "automountServiceAccountToken": false,
            }),
            // Know what is offered. Discovery and OpenAPI are open to every authenticated user.
            rbac(
                "ClusterRole",
                json!({ "name": OFFERS_ROLE, "labels": labels }),
                json!({ "rules": [
                    { "apiGroups": ["apiextensions.crossplane.io"], "resources": ["compositeresourcedefinitions"], "verbs": ["get", "list", "watch"] },
                    { "apiGroups": ["apiextensions.k8s.io"], "resources": ["customresourcedefinitions"], "verbs": ["get", "list", "watch"] },
                ] }),
            ),
            rbac(
                "ClusterRoleBinding",
                json!({ "name": self.offers_binding(), "labels": labels }),
                json!({ "roleRef": role("ClusterRole", OFFERS_ROLE), "subjects": subject }),
            ),
        ];
        if rights.aggregated {
            let labels_of_xrds: serde_json::Map<String, Value> =
                OF_XRDS.iter().map(|label| ((*label).to_owned(), json!("true"))).collect();
            // Its rules are kept by the control plane, and not mentioned.
            objects.push(rbac(
                "ClusterRole",
                json!({ "name": CLAIMS_ROLE, "labels": labels }),
                json!({ "aggregationRule": { "clusterRoleSelectors": [{ "matchLabels": labels_of_xrds }] } }),
            ));
            objects.push(rbac(
                "RoleBinding",
                json!({ "name": self.claims_binding(), "namespace": namespace, "labels": labels }),
                json!({ "roleRef": role("ClusterRole", CLAIMS_ROLE), "subjects": subject }),
            ));
        }
        objects.push(rbac(
            "Role",
            json!({ "name": name, "namespace": namespace, "labels": labels }),
            json!({ "rules": self.rules(rights) }),
        ));
        objects.push(rbac(
            "RoleBinding",
            json!({ "name": name, "namespace": namespace, "labels": labels }),
            json!({ "roleRef": role("Role", name), "subjects": subject }),
        ));
        objects
    }

    /// The commands that remove it with its rights, but for the ClusterRoles, which others may share.
    pub(crate) fn removal(&self) -> Vec<String> {
        let Self { namespace, name } = self;
        vec![
            format!("kubectl delete rolebinding -n {namespace} {name} {}", self.claims_binding()),
            format!("kubectl delete role,serviceaccount -n {namespace} {name}"),
            format!("kubectl delete clusterrolebinding {}", self.offers_binding()),
        ]
    }

    fn rules(&self, rights: &Rights) -> Vec<Value> {
        let mut rules = Vec::new();
        if !rights.groups.is_empty() {
            rules.push(json!({ "apiGroups": rights.groups, "resources": ["*"], "verbs": VERBS }));
        }
        if !rights.scaled.is_empty() {
            rules.push(
                json!({ "apiGroups": rights.scaled, "resources": ["*/scale"], "verbs": ["get", "update", "patch"] }),
            );
        }
        // Connection Secrets are brought back; of input Secrets copies are kept.
        let secrets: &[&str] = if rights.input_secrets {
            &["get", "list", "watch", "create", "patch", "delete"]
        } else {
            &["get", "list", "watch"]
        };
        rules.extend([
            json!({ "apiGroups": [""], "resources": ["secrets"], "verbs": secrets }),
            json!({ "apiGroups": [""], "resources": ["events"], "verbs": ["list", "watch"] }),
            // Its token is renewed by itself.
            json!({ "apiGroups": [""], "resources": ["serviceaccounts/token"], "resourceNames": [self.name], "verbs": ["create"] }),
        ]);
        rules
    }

    /// The ClusterRoleBinding to [`OFFERS_ROLE`].
    pub(crate) fn offers_binding(&self) -> String {
        // Neither part has a colon, so no two accounts have one binding.
        format!("{OFFERS_ROLE}:{}:{}", self.namespace, self.name)
    }

    /// The RoleBinding to [`CLAIMS_ROLE`].
    pub(crate) fn claims_binding(&self) -> String {
        format!("{}-claims", self.name)
    }
}

/// The label selector of the ClusterRoles that Crossplane renders for XRDs.
pub(crate) fn selector_of_xrds() -> String {
    OF_XRDS.map(|label| format!("{label}=true")).join(",")
}

impl Rights {
    /// What to grant for what is offered, where the ClusterRoles of XRDs are these, and may be aggregated or not.
    pub(crate) fn for_offers(
        offers: &Offers,
        of_xrds: &[ClusterRole],
        may_aggregate: bool,
        input_secrets: bool,
    ) -> Self {
        let rules: Vec<&PolicyRule> = of_xrds.iter().flat_map(|role| role.rules.iter().flatten()).collect();
        let gives = |group: &str, plural: &str| {
            let has = |list: &Option<Vec<String>>, name: &str| {
                list.iter().flatten().any(|entry| entry == "*" || entry == name)
            };
            may_aggregate
                && rules.iter().any(|rule| {
                    let all_verbs =
                        VERBS.iter().all(|verb| rule.verbs.iter().any(|given| given == "*" || given == verb));
                    has(&rule.api_groups, group) && has(&rule.resources, plural) && all_verbs
                })
        };
        let (mut groups, mut scaled) = (BTreeSet::new(), BTreeSet::new());
        for offered in offers.iter() {
            if gives(&offered.group, &offered.plural) {
                scaled.insert(offered.group.clone());
            } else {
                groups.insert(offered.group.clone());
            }
        }
        // All of a group has its scale, too.
        scaled.retain(|group| !groups.contains(group));
        Self { aggregated: may_aggregate, groups, scaled, input_secrets }
    }
}
